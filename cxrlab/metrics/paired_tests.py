"""Two models on the same images: the difference of a metric with its interval and p value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from cxrlab.metrics import confusion as cm
from cxrlab.metrics.curves import one_vs_rest, rank, weighted_areas
from cxrlab.metrics.intervals import PatientBootstrap
from cxrlab.predictions import Predictions, align

METRICS = ("macro_f1", "accuracy", "f1:<class>", "auc:<class>")


@dataclass(frozen=True)
class PairedDifference:
    """How much better the first model is than the second, on the same images.

    Args:
        metric: as asked for. a, b: the metric of either, on all images. difference: a - b; NaN where undefined.
        low, high: limits of the interval of the difference; NaN where there is none.
        p: two-sided; NaN where there is none. n, patients: images and patients that it rests on.
        method: in words. level: coverage of the interval.
    """

    metric: str
    a: float
    b: float
    difference: float
    low: float
    high: float
    p: float
    n: int
    patients: int
    method: str
    level: float = 0.95

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; undefined numbers are null."""
        return {name: None if value != value else value for name, value in asdict(self).items()}

    def __str__(self) -> str:
        return f"{self.difference:+.3f} [{self.low:+.3f}, {self.high:+.3f}], p = {self.p:.3f}"


def paired_difference(
    a: Predictions,
    b: Predictions,
    metric: str = "macro_f1",
    *,
    draws: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> PairedDifference:
    """Difference of a metric between two models by drawing patients, the same draws for both.

    Percentile interval of the differences; p = 2 min(#(d <= 0) + 1, #(d >= 0) + 1) / (draws + 1), at most 1: the
    smallest value that the draws can show is 2 / (draws + 1). Draws in which the metric is undefined are left out.

    Args:
        a, b: the same images, in any order, with the same classes and truths; unknown truths are left out.
        metric: ``macro_f1``, ``accuracy``, ``f1:<class id>`` or ``auc:<class id>``.

    Raises:
        ValueError: for an unknown metric or class, predictions that do not fit each other, a multi-label task where
            the metric needs one class an image, or a level outside (0, 1).

    Reference: B. Efron and R. J. Tibshirani, An Introduction to the Bootstrap (1993), ch. 13 and 15.
    """
    if not 0 < level < 1:
        raise ValueError(f"The level must be between 0 and 1, got {level}; 0.95 is usual.")
    one, other = _known(a, b)
    bootstrap = PatientBootstrap.of(one.patients, draws=draws, seed=seed)
    first, second = (_measure(predictions, metric) for predictions in (one, other))
    everything = np.ones((len(one), 1), dtype=np.int32)
    value_a, value_b = (float(measure(everything)[0]) if len(one) else float("nan") for measure in (first, second))
    sampled = [first(block) - second(block) for block in bootstrap.weights()]
    differences = np.concatenate([*sampled, np.empty(0)])
    low, high, p, method = _interval(differences, (value_a, value_b), bootstrap, level)
    n, patients = len(one), bootstrap.n_patients
    return PairedDifference(metric, value_a, value_b, value_a - value_b, low, high, p, n, patients, method, level)


def _interval(
    differences: np.ndarray, values: tuple[float, float], bootstrap: PatientBootstrap, level: float
) -> tuple[float, float, float, str]:
    """Low, high and p of the differences (draws,), and the method in words."""
    defined = differences[~np.isnan(differences)]
    if bootstrap.n_patients < 2 or 2 * len(defined) < bootstrap.draws or not np.isfinite(values).all():
        nan = float("nan")
        return nan, nan, nan, "no interval: too few patients or images of the class"
    low, high = map(float, np.quantile(defined, [(1 - level) / 2, (1 + level) / 2]))
    tail = min((defined <= 0).sum(), (defined >= 0).sum()) + 1
    p = float(min(1.0, 2 * tail / (len(defined) + 1)))
    lost = bootstrap.draws - len(defined)
    return low, high, p, f"paired {bootstrap.method}" + (f", {lost} of them undefined" if lost else "")


def mcnemar(a: Predictions, b: Predictions, *, draws: int = 2000, seed: int = 0) -> PairedDifference:
    """Exact McNemar test of two models' accuracies on the same images.

    Of the images that exactly one of the two gets right, each is a fair coin when the models are equally good:
    p = two-sided binomial. It takes images as independent; with several images of a patient p is too small. The
    interval is the one of :func:`paired_difference` for the accuracy, which draws patients.

    Args and errors: as :func:`paired_difference`.

    Reference: Q. McNemar, Psychometrika 12 (1947), 153-157.
    """
    from scipy.stats import binomtest

    found = paired_difference(a, b, "accuracy", draws=draws, seed=seed)
    one, other = _known(a, b)
    right, other_right = one.predicted == one.truth, other.predicted == other.truth
    only_a, only_b = int((right & ~other_right).sum()), int((other_right & ~right).sum())
    p = float(binomtest(only_a, only_a + only_b, 0.5).pvalue) if only_a + only_b else 1.0
    method = f"exact McNemar, {only_a} images right by the first only and {only_b} by the second only"
    values = {**asdict(found), "p": p, "method": f"{method}, taken as independent; interval: {found.method}"}
    return PairedDifference(**values)


def _known(a: Predictions, b: Predictions) -> tuple[Predictions, Predictions]:
    """Both with the rows of the first, images of unknown truth left out."""
    one, other = align([a, b])
    return one.select(one.known), other.select(one.known)


def _measure(predictions: Predictions, metric: str) -> Callable[[np.ndarray], np.ndarray]:
    """Image weights (N, B) -> the metric (B,) on each of the B weightings."""
    name, _, class_id = metric.partition(":")
    if metric not in ("macro_f1", "accuracy") and (name not in ("f1", "auc") or not class_id):
        raise ValueError(f"The metric must be one of {', '.join(METRICS)}, got {metric!r}.")
    if name == "auc":
        ranking = rank(*one_vs_rest(predictions, class_id))
        return lambda weights: weighted_areas(ranking, weights)[0]
    column = predictions.labels.index(class_id) if class_id else 0
    n, c = len(predictions), len(predictions.labels)
    cells = np.zeros((n, c * c))
    cells[np.arange(n), predictions.truth * c + predictions.predicted] = 1

    def measure(weights: np.ndarray) -> np.ndarray:
        matrices = (cells.T @ weights).T.reshape(-1, c, c)  # (C C, N) @ (N, B) -> (B, C, C)
        if name == "f1":
            return cm.f1(matrices)[:, column]
        return cm.macro_f1(matrices) if name == "macro_f1" else cm.accuracy(matrices)

    return measure
