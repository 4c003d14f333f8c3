"""Mean curves: one fold is its own curve, the mean is that of the folds, pooled scores play no part."""

from __future__ import annotations

import numpy as np
import pytest

from cxrlab.metrics.curves import pr_curve, roc_curve
from cxrlab.metrics.fold_curves import GRID_POINTS, pr_band, roc_band


def fold(seed: int, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, 400)
    return truth, rng.normal(truth + shift, 1.0)


def test_a_perfect_fold_is_1_everywhere_but_at_the_origin() -> None:
    band = roc_band([roc_curve(np.array([0, 0, 1, 1]), np.array([0.1, 0.2, 0.8, 0.9]))])
    assert band.mean[0] == 0
    assert (band.mean[1:] == 1).all()
    assert band.area_words == "1.000"


def test_the_area_under_the_grid_is_that_of_the_curve() -> None:
    """Oracle: the exact area of the fold's own curve."""
    curve = roc_curve(*fold(0))
    assert np.trapezoid(roc_band([curve]).mean, dx=1 / (GRID_POINTS - 1)) == pytest.approx(curve.auc, abs=0.01)


def test_the_mean_is_that_of_the_folds_and_the_spread_has_ddof_1() -> None:
    curves = [roc_curve(*fold(seed)) for seed in range(5)]
    band = roc_band(curves)
    singles = np.stack([roc_band([curve]).mean for curve in curves])
    np.testing.assert_allclose(band.mean, singles.mean(axis=0))
    np.testing.assert_allclose(band.spread, singles.std(axis=0, ddof=1))
    assert (roc_band(curves[:1]).spread == 0).all()


def test_scores_of_one_fold_may_be_shifted_without_changing_the_mean() -> None:
    """A pooled curve would change: each fold's model has a scale of its own."""
    plain = roc_band([roc_curve(*fold(0)), roc_curve(*fold(1))])
    shifted = roc_band([roc_curve(*fold(0)), roc_curve(*fold(1, shift=50.0))])
    np.testing.assert_array_equal(plain.mean, shifted.mean)


def test_precision_is_that_of_the_first_threshold_that_reaches_the_recall() -> None:
    """Worked by hand: hits in places 1, 3 and 4 of 4 images with 3 positives."""
    curve = pr_curve(np.array([1, 0, 1, 1]), np.array([0.9, 0.8, 0.7, 0.6]))
    band = pr_band([curve])
    assert band.mean[0] == 1.0
    assert band.mean[33] == 1.0  # recall 1/3
    assert band.mean[50] == pytest.approx(2 / 3)
    assert band.mean[100] == pytest.approx(3 / 4)
    assert band.areas.tolist() == [pytest.approx(curve.average_precision)]


def test_no_fold_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one fold"):
        roc_band([])
    with pytest.raises(ValueError, match="at least one fold"):
        pr_band([])
