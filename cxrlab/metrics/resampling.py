"""Metrics that have no formula for their interval, on all images and on every bootstrap draw, in one pass."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cxrlab.metrics import confusion as cm
from cxrlab.metrics.curves import one_vs_rest, rank, weighted_areas
from cxrlab.metrics.intervals import PatientBootstrap
from cxrlab.predictions import Predictions


@dataclass(frozen=True, eq=False)
class Resampled:
    """Column 0 is the value on all images, columns 1 to D those on the draws. NaN where a metric is undefined.

    Args:
        auc, average_precision: (C, 1 + D), one class against the rest, both tasks.
        f1, precision, recall: (C, 1 + D); macro_f1, balanced_accuracy, accuracy: (1 + D,). All NaN for a multi-label
            task.
    """

    auc: np.ndarray
    average_precision: np.ndarray
    f1: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    macro_f1: np.ndarray
    balanced_accuracy: np.ndarray
    accuracy: np.ndarray


def resample(predictions: Predictions, bootstrap: PatientBootstrap) -> Resampled:
    """Every metric on all images and on each draw; both tasks.

    Each class is sorted once; a draw is a column of image weights, so that no draw is sorted or counted again.

    Args:
        predictions: rows of known truth only.
        bootstrap: made from their patients.

    Raises:
        ValueError: when the bootstrap is for another number of images.
    """
    if len(bootstrap.patient) != len(predictions):
        raise ValueError(f"The bootstrap must be for {len(predictions)} images, got {len(bootstrap.patient)}.")
    rankings = [rank(*one_vs_rest(predictions, class_id)) for class_id in predictions.labels.ids]
    cells = _cells(predictions)
    areas, counts = [], []
    for weights in (np.ones((len(predictions), 1), dtype=np.int32), *bootstrap.weights()):
        areas.append(np.array([weighted_areas(ranking, weights) for ranking in rankings]))  # (C, 2, B)
        counts.append(cells.T @ weights)  # (C * C, N) @ (N, B)
    area = np.concatenate(areas, axis=2)
    c = len(predictions.labels)
    matrices = np.concatenate(counts, axis=1).T.reshape(-1, c, c)  # (1 + D, C, C)
    return Resampled(
        auc=area[:, 0],
        average_precision=area[:, 1],
        f1=cm.f1(matrices).T,
        precision=cm.precision(matrices).T,
        recall=cm.recall(matrices).T,
        macro_f1=cm.macro_f1(matrices),
        balanced_accuracy=cm.balanced_accuracy(matrices),
        accuracy=cm.accuracy(matrices),
    )


def _cells(predictions: Predictions) -> np.ndarray:
    """(N, C * C) 1 in the cell of the confusion matrix that an image falls into; all 0 for a multi-label task."""
    n, c = len(predictions), len(predictions.labels)
    cells = np.zeros((n, c * c))
    if predictions.task == "multiclass":
        cells[np.arange(n), predictions.truth * c + predictions.predicted] = 1
    return cells
