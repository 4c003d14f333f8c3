"""Stacking: small perceptrons that read the members' probabilities and give the classes' logits."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

HIDDEN = 128  # nodes of the two-layer perceptron, as in FLANNEL's code


class EnsembleMLP(nn.Module):
    """The baseline that FLANNEL is compared with: members' probabilities in one row, then 1 or 2 linear layers.

    ``layers=1``: N M -> M, 84 parameters for 5 learners and 4 classes. ``layers=2``: N M -> 128 -> M, 3,204 parameters.

    Args:
        num_learners: N >= 2. num_classes: M >= 2. layers: 1 or 2.
        activation: between the two layers, ``relu``, or ``none`` as in the published code (a stack of linear layers,
            which can say no more than one).

    Raises:
        ValueError: for other numbers or another activation.

    Reference: Qiao et al., FLANNEL, JAMIA 28 (2021), 444-452, Table 3 (Ensemble_MLP_l1, Ensemble_MLP_l2).
    """

    def __init__(
        self, num_learners: int, num_classes: int, *, layers: int, activation: Literal["relu", "none"] | str = "relu"
    ) -> None:
        super().__init__()
        if min(num_learners, num_classes) < 2:
            raise ValueError(
                f"An ensemble needs at least 2 learners and 2 classes, got {num_learners} and {num_classes}."
            )
        if layers not in (1, 2):
            raise ValueError(f"The perceptron must have 1 or 2 layers, got {layers}.")
        if activation not in ("relu", "none"):
            raise ValueError(f"The activation must be relu or none, got {activation!r}.")
        self.num_learners, self.num_classes = num_learners, num_classes
        inputs = num_learners * num_classes
        self.layers = nn.ModuleList(
            [nn.Linear(inputs, num_classes)]
            if layers == 1
            else [nn.Linear(inputs, HIDDEN), nn.Linear(HIDDEN, num_classes)]
        )
        self.activation = nn.ReLU() if activation == "relu" else nn.Identity()

    def features(self, probabilities: torch.Tensor) -> torch.Tensor:
        """(B, N, M) probabilities -> (B, N M), learner by learner. Raises ValueError for another shape."""
        if probabilities.ndim != 3 or probabilities.shape[1:] != (self.num_learners, self.num_classes):
            raise ValueError(
                f"Probabilities must have shape (B, {self.num_learners}, {self.num_classes}), "
                f"got {tuple(probabilities.shape)}."
            )
        return probabilities.flatten(1)

    def logits(self, features: torch.Tensor, _probabilities: torch.Tensor) -> torch.Tensor:
        """:meth:`features` (B, N M) -> (B, M) logits."""
        values = self.layers[0](features)
        for layer in self.layers[1:]:
            values = layer(self.activation(values))
        return values

    def forward(self, probabilities: torch.Tensor) -> torch.Tensor:
        """(B, N, M) probabilities -> (B, M) logits."""
        return self.logits(self.features(probabilities), probabilities)
