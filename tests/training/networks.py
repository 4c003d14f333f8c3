"""Small networks and images for the training tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from cxrlab.training.squares import LabelledSquares

SIDE = 24


class BackboneAndHead(nn.Module):
    """A backbone with batch norm, and a head with dropout, as the papers' frozen networks have them."""

    def __init__(self, outputs: int = 2, *, dropout_before_head: float = 0.0) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten()
        )
        self.dropout = nn.Dropout(dropout_before_head)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(24, 8), nn.ReLU(), nn.Linear(8, outputs))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(N, 3, S, S) -> (N, outputs) logits."""
        return self.classifier(self.dropout(self.features(images)))


class Outputs(NamedTuple):
    """What Inception gives while training."""

    logits: torch.Tensor
    aux_logits: torch.Tensor


class WithAuxiliaryHead(BackboneAndHead):
    """Like Inception: a second head that is used while training only."""

    def __init__(self, outputs: int = 2) -> None:
        super().__init__(outputs)
        self.auxiliary = nn.Linear(24, outputs)

    def forward(self, images: torch.Tensor) -> torch.Tensor | Outputs:  # type: ignore[override]
        """(N, 3, S, S) -> logits, while training with the auxiliary ones."""
        features = self.features(images)
        logits = self.classifier(features)
        return Outputs(logits, self.auxiliary(features)) if self.training else logits


def seeded(build: Callable[[], nn.Module], seed: int = 0) -> nn.Module:
    """A network whose start values depend on ``seed`` alone."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build()


def bright_or_dark(count: int, seed: int, *, classes: int = 2, side: int = SIDE) -> LabelledSquares:
    """Class c is brighter the larger c is, on the upper half: easy to learn."""
    rng = np.random.default_rng(seed)
    y_true = np.arange(count) % classes
    squares = rng.integers(40, 90, (count, side, side), dtype=np.uint8)
    squares[:, : side // 2] += (y_true * (120 // (classes - 1)))[:, None, None].astype(np.uint8)
    return LabelledSquares(squares, y_true)
