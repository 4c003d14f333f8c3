"""What a step makes smaller: the loss of the logits, of an auxiliary head, and penalties on weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from cxrlab.config import TrainConfig
from cxrlab.inference import class_logits
from cxrlab.losses import class_weights, make_loss


class Objective:
    """The loss of a configuration.

    Args:
        model: whose weights the penalties act on.
        counts: (C,) images per class as they are sampled, for the class weights.
    """

    def __init__(self, model: nn.Module, config: TrainConfig, counts: Sequence[int], device: torch.device) -> None:
        self.config = config
        weights = class_weights(counts, config.class_weights)
        self.weights = np.ones(len(counts)) if weights is None else weights.numpy()
        self.loss = make_loss(
            config.loss,
            weights=weights,
            focal_gamma=config.focal_gamma,
            label_smoothing=config.label_smoothing,
            reduction=config.reduction,
        ).to(device)
        self.penalised = penalised_weights(model, config.penalty_on) if config.l1 or config.l2 else []

    def __call__(self, output: object, y_true: torch.Tensor, *, scale: float = 1.0) -> torch.Tensor:
        """The scalar to be differentiated, from the network's output and (N,) class indices; ``scale`` of the loss."""
        value = self.loss(logits_of(output), y_true)
        auxiliary = getattr(output, "aux_logits", None)
        if self.config.aux_weight and auxiliary is not None:
            value = value + self.config.aux_weight * self.loss(two_columns(auxiliary.float()), y_true)
        value = value * scale
        return value + self.penalty() if self.penalised else value

    def scale(self, y_true: np.ndarray, rank: int, size: int) -> float:
        """What makes the mean of ``size`` processes' losses the loss of the whole batch.

        Args:
            y_true: (N,) classes of the whole batch, of which process ``rank`` computes every ``size``-th.
        """
        own = y_true[rank::size]
        if self.config.reduction == "sum":
            return size * len(own) / max(2, len(own))  # a single image is given twice
        weights = self.weights if self.config.reduction == "weighted_mean" else np.ones(len(self.weights))
        return float(size * weights[own].sum() / weights[y_true].sum())

    def penalty(self) -> torch.Tensor:
        """l1 sum|w| + l2 sum w^2 of the penalised weights."""
        absolute = torch.stack([weight.abs().sum() for weight in self.penalised]).sum()
        squared = torch.stack([weight.square().sum() for weight in self.penalised]).sum()
        return self.config.l1 * absolute + self.config.l2 * squared


def penalised_weights(model: nn.Module, where: str) -> list[torch.Tensor]:
    """The trained weights that a penalty acts on: of ``linear`` layers without biases, or ``all`` parameters."""
    if where == "all":
        return [parameter for parameter in model.parameters() if parameter.requires_grad]
    linear = [module.weight for module in model.modules() if isinstance(module, nn.Linear)]
    return [weight for weight in linear if weight.requires_grad]


def logits_of(output: object) -> torch.Tensor:
    """(N, C) float32 logits from what a network returns; Inception gives a named tuple while training."""
    logits = getattr(output, "logits", output)
    assert isinstance(logits, torch.Tensor)
    return two_columns(logits.float())


def two_columns(logits: torch.Tensor) -> torch.Tensor:
    """One-node logits z (N, 1) as [0, z] (N, 2), whose cross entropy is the binary one; others as they are."""
    return class_logits(logits, "binary_sigmoid") if logits.shape[1] == 1 else logits
