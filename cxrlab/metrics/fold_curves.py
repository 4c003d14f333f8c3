"""Curves over folds: each fold interpolated on one grid, then their mean with a band. Scores are never pooled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cxrlab.metrics.curves import PrCurve, RocCurve

GRID_POINTS = 101


@dataclass(frozen=True, eq=False)
class CurveBand:
    """Curves of several folds on one grid.

    Args:
        x: (G,) from 0 to 1. folds: (F, G) the curves. areas: (F,) the area of each fold's own curve, not interpolated.
    """

    x: np.ndarray
    folds: np.ndarray
    areas: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """(G,) mean over folds."""
        return self.folds.mean(axis=0)

    @property
    def spread(self) -> np.ndarray:
        """(G,) standard deviation over folds with ddof 1; zero for a single fold."""
        return self.folds.std(axis=0, ddof=1) if len(self.folds) > 1 else np.zeros(len(self.x))

    @property
    def area_words(self) -> str:
        """``0.912 ± 0.010``: mean and standard deviation (ddof 1) of the folds' areas."""
        spread = f" ± {self.areas.std(ddof=1):.3f}" if len(self.areas) > 1 else ""
        return f"{self.areas.mean():.3f}{spread}"


def roc_band(curves: Sequence[RocCurve]) -> CurveBand:
    """Sensitivity over the false positive rate: straight lines between a fold's points, all curves from (0, 0).

    Raises:
        ValueError: when there is no curve.
    """
    _check(len(curves))
    x = np.linspace(0, 1, GRID_POINTS)
    folds = np.stack([_upper(x, curve.fpr, curve.tpr) for curve in curves])
    folds[:, 0] = 0.0
    return CurveBand(x, folds, np.array([curve.auc for curve in curves]))


def pr_band(curves: Sequence[PrCurve]) -> CurveBand:
    """Precision over recall: at each recall that of the first threshold that reaches it, since precision is no line.

    Raises:
        ValueError: when there is no curve.
    """
    _check(len(curves))
    x = np.linspace(0, 1, GRID_POINTS)
    folds = np.stack([curve.precision[np.searchsorted(curve.recall, x - 1e-12)] for curve in curves])
    return CurveBand(x, folds, np.array([curve.average_precision for curve in curves]))


def _upper(x: np.ndarray, fpr: np.ndarray, tpr: np.ndarray) -> np.ndarray:
    """Linear interpolation that takes the top of a vertical step."""
    last = np.append(fpr[1:] > fpr[:-1], True)  # the highest point at each false positive rate
    return np.interp(x, fpr[last], tpr[last])


def _check(count: int) -> None:
    if not count:
        raise ValueError("A mean curve needs the curve of at least one fold, got none.")
