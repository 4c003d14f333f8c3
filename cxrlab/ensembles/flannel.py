"""FLANNEL's neural weight module: weights of the members for each image, learned from how their answers go together."""

from __future__ import annotations

import torch
from torch import nn


class NeuralWeightModule(nn.Module):
    """w = tanh(A vec(f fᵀ) + b), v = Σ_i w_i P_i, prediction softmax(v), where f is the flattened P.

    P holds the N learners' probabilities of M classes, f is P row by row (N M numbers), and the outer product is
    flattened row by row too, both halves of the symmetric matrix included: N M² N + N parameters, 2,005 for 5 x 4.
    Weights lie in (-1, 1) and may be negative: a learner that errs in a known way speaks against its own answer.
    Every entry of v lies in (-N, N): a score never exceeds :func:`cxrlab.ensembles.combiner_config.largest_score`.

    Args:
        num_learners: N >= 2. num_classes: M >= 2.

    Raises:
        ValueError: when there are fewer.

    Reference: Qiao et al., FLANNEL (Focal Loss bAsed Neural Network EnsembLe) for COVID-19 detection, JAMIA 28 (2021),
    444-452, eq. 1-4.
    """

    def __init__(self, num_learners: int, num_classes: int) -> None:
        super().__init__()
        if min(num_learners, num_classes) < 2:
            raise ValueError(
                f"An ensemble needs at least 2 learners and 2 classes, got {num_learners} and {num_classes}."
            )
        self.num_learners, self.num_classes = num_learners, num_classes
        self.linear = nn.Linear((num_learners * num_classes) ** 2, num_learners)

    def features(self, probabilities: torch.Tensor) -> torch.Tensor:
        """(B, N, M) probabilities -> (B, (N M)²) outer products of the flattened rows.

        They do not depend on the weights: fitting computes them once for all epochs.

        Raises:
            ValueError: for another shape.
        """
        if probabilities.ndim != 3 or probabilities.shape[1:] != (self.num_learners, self.num_classes):
            raise ValueError(
                f"Probabilities must have shape (B, {self.num_learners}, {self.num_classes}), "
                f"got {tuple(probabilities.shape)}."
            )
        flat = probabilities.flatten(1)  # (B, N, M) -> (B, N M), learner by learner
        return (flat[:, :, None] * flat[:, None, :]).flatten(1)  # (B, N M, N M) -> (B, (N M)²)

    def weights(self, probabilities: torch.Tensor) -> torch.Tensor:
        """(B, N, M) probabilities -> (B, N) weights of the learners in (-1, 1). Raises ValueError for another shape."""
        return self.linear(self.features(probabilities)).tanh()

    def logits(self, features: torch.Tensor, probabilities: torch.Tensor) -> torch.Tensor:
        """:meth:`features` (B, (N M)²) and the probabilities (B, N, M) that they are of -> (B, M) combined scores v."""
        weights = self.linear(features).tanh()
        return torch.bmm(weights[:, None], probabilities)[:, 0]  # (B, 1, N) x (B, N, M) -> (B, M)

    def forward(self, probabilities: torch.Tensor) -> torch.Tensor:
        """(B, N, M) probabilities -> (B, M) combined scores v, the logits of the prediction."""
        return self.logits(self.features(probabilities), probabilities)
