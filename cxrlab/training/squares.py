"""Images ready for training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class LabelledSquares:
    """Images ready for training.

    Args:
        squares: (N, S, S) uint8, an array or a memory map; S is the input size, or ``Preprocessing.resize_to``
            where crops are cut from larger squares.
        y_true: (N,) int class indices.
    """

    squares: np.ndarray
    y_true: np.ndarray

    def __post_init__(self) -> None:
        if self.squares.ndim != 3 or self.squares.dtype != np.uint8 or len(self.squares) != len(self.y_true):
            raise ValueError(
                f"Squares must be (N, S, S) uint8 with one label each, got {self.squares.shape} "
                f"{self.squares.dtype} and {len(self.y_true)} labels."
            )

    def __len__(self) -> int:
        return len(self.y_true)

    @property
    def side(self) -> int:
        """S, in pixels."""
        return int(self.squares.shape[-1])
