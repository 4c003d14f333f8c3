"""Losses and class weights for unbalanced classes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional


class FocalLoss(nn.Module):
    """Multi-class focal loss, FL = -alpha_y (1 - p_y)^gamma log p_y (Lin et al., ICCV 2017, eq. 5; FLANNEL eq. 7).

    gamma = 0 and no alpha is cross entropy; the weighted mean divides by the sum of the weights, as cross entropy does.

    Args:
        gamma: at least 0; larger values look more at hard images.
        alpha: (C,) weights of the classes; None: all 1.
        reduction: ``mean`` (by weight) or ``sum``.
    """

    alpha: torch.Tensor | None

    def __init__(self, gamma: float = 2.0, alpha: torch.Tensor | None = None, reduction: str = "mean") -> None:
        super().__init__()
        if gamma < 0:
            raise ValueError(f"gamma must be at least 0, got {gamma}.")
        if reduction not in ("mean", "sum"):
            raise ValueError(f"reduction must be mean or sum, got {reduction!r}.")
        self.gamma = gamma
        self.reduction = reduction
        self.register_buffer("alpha", alpha)

    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Logits (N, C), target (N,) class indices -> a scalar."""
        log_p = functional.log_softmax(logits, dim=1).gather(1, target[:, None])[:, 0]  # (N, C) -> (N,)
        weight = torch.ones_like(log_p) if self.alpha is None else self.alpha[target]
        # clamp: the gradient of (1 - p)^gamma at p = 1 is infinite for gamma < 1
        losses = -weight * (1 - log_p.exp()).clamp_min(1e-12) ** self.gamma * log_p
        return losses.sum() if self.reduction == "sum" else losses.sum() / weight.sum()


def class_weights(counts: Sequence[int], rule: str) -> torch.Tensor | None:
    """Weights (C,) for the classes of a training set.

    Args:
        counts: images per class.
        rule: ``none``, ``balanced`` N / (C n_c), or ``sqrt``, the square root of that.

    Raises:
        ValueError: when a class has no image or the rule is unknown.
    """
    if rule == "none":
        return None
    if rule not in ("balanced", "sqrt"):
        raise ValueError(f"class_weights must be none, balanced or sqrt, got {rule!r}.")
    if min(counts) < 1:
        raise ValueError(f"Every class needs at least 1 training image, got counts {list(counts)}.")
    n = torch.tensor(counts, dtype=torch.float32)
    balanced = n.sum() / (len(n) * n)
    return balanced if rule == "balanced" else balanced.sqrt()


def make_loss(
    name: str, *, weights: torch.Tensor | None, focal_gamma: float = 2.0, label_smoothing: float = 0.0
) -> nn.Module:
    """``cross_entropy`` or ``focal`` with the given class weights (C,). Raises ValueError for another name."""
    if name == "cross_entropy":
        return nn.CrossEntropyLoss(weight=weights, label_smoothing=label_smoothing)
    if name == "focal":
        return FocalLoss(gamma=focal_gamma, alpha=weights)
    raise ValueError(f"loss must be cross_entropy or focal, got {name!r}.")
