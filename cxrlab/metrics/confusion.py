"""Confusion matrices and what follows from them, for one matrix or a stack of them (as the bootstrap needs)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cxrlab.labels import LabelSet
from cxrlab.predictions import Predictions


@dataclass(frozen=True, eq=False)
class ConfusionMatrix:
    """How often each class was taken for which. Single-label tasks only.

    Args:
        labels: the C class ids, in the order of rows and columns.
        counts: (C, C) int64; rows are the truth, columns what the model said.

    Raises:
        ValueError: when the counts are not a square of whole numbers, one row per class.
    """

    labels: tuple[str, ...]
    counts: np.ndarray

    def __post_init__(self) -> None:
        counts = np.asarray(self.counts)
        if counts.shape != (len(self.labels), len(self.labels)):
            raise ValueError(
                f"Counts must have one row and one column per class ({len(self.labels)}), got shape {counts.shape}."
            )
        if counts.size and (counts.min() < 0 or (counts != np.floor(counts)).any()):
            raise ValueError("Counts must be whole numbers of 0 or more.")
        object.__setattr__(self, "counts", counts.astype(np.int64))

    @property
    def n(self) -> int:
        """Number of images."""
        return int(self.counts.sum())

    @property
    def support(self) -> np.ndarray:
        """(C,) images of each true class."""
        return self.counts.sum(axis=1)

    @property
    def predicted(self) -> np.ndarray:
        """(C,) images that the model put into each class."""
        return self.counts.sum(axis=0)

    @property
    def row_shares(self) -> np.ndarray:
        """(C, C) share of each true class in [0, 1]; NaN in the row of a class without images."""
        return _share(self.counts, self.support[:, None])

    @property
    def accuracy(self) -> float:
        """Share of right answers in [0, 1]; NaN without images."""
        return float(accuracy(self.counts))

    @property
    def majority_rate(self) -> float:
        """Accuracy of always saying the most frequent class; an accuracy near it means little."""
        return float(self.support.max() / self.n) if self.n else float("nan")

    @property
    def balanced_accuracy(self) -> float:
        """Mean recall of the classes that have images."""
        return float(balanced_accuracy(self.counts))

    @property
    def macro_f1(self) -> float:
        """Mean F1 of the classes that have images."""
        return float(macro_f1(self.counts))

    @property
    def precision(self) -> np.ndarray:
        """(C,) see :func:`precision`."""
        return precision(self.counts)

    @property
    def recall(self) -> np.ndarray:
        """(C,) sensitivity, see :func:`recall`."""
        return recall(self.counts)

    @property
    def specificity(self) -> np.ndarray:
        """(C,) see :func:`specificity`."""
        return specificity(self.counts)

    @property
    def f1(self) -> np.ndarray:
        """(C,) see :func:`f1`."""
        return f1(self.counts)

    def to_json(self) -> dict[str, Any]:
        return {"labels": list(self.labels), "counts": self.counts.tolist()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ConfusionMatrix:
        return cls(labels=tuple(data["labels"]), counts=np.array(data["counts"]))


def confusion_matrix(y_true: np.ndarray, y_pred: np.ndarray, classes: LabelSet | int) -> ConfusionMatrix:
    """Count (truth, answer) pairs of a single-label task.

    Args:
        y_true, y_pred: (N,) class indices, 0 to C - 1.
        classes: the classes, or only their number C (the ids are then "0", "1" …).

    Raises:
        ValueError: when lengths differ or an index is not a class. Rows of unknown truth must be left out before.

    Example:
        >>> confusion_matrix(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).counts.tolist()
        [[1, 1], [0, 1]]
    """
    ids = tuple(map(str, range(classes))) if isinstance(classes, int) else classes.ids
    y_true, y_pred = np.asarray(y_true), np.asarray(y_pred)
    if y_true.ndim != 1 or y_true.shape != y_pred.shape:
        raise ValueError(f"Truth and answers must both have shape (N,), got {y_true.shape} and {y_pred.shape}.")
    for name, values in (("Truth", y_true), ("Answers", y_pred)):
        if values.size and not (values.min() >= 0 and values.max() < len(ids)):
            raise ValueError(
                f"{name} must be class indices 0 to {len(ids) - 1}, got {values.min()} to {values.max()}; "
                "leave out images of unknown truth first."
            )
    cells = y_true.astype(np.int64) * len(ids) + y_pred.astype(np.int64)
    return ConfusionMatrix(ids, np.bincount(cells, minlength=len(ids) ** 2).reshape(len(ids), len(ids)))


def confusion_of(predictions: Predictions) -> ConfusionMatrix:
    """The confusion matrix of a model; images of unknown truth are left out.

    Raises:
        ValueError: for a multi-label task, where an image has no single class.
    """
    if predictions.task != "multiclass":
        raise ValueError("A confusion matrix needs one class an image; for a multi-label task use ROC and PR curves.")
    known = predictions.known
    return confusion_matrix(predictions.truth[known], predictions.predicted[known], predictions.labels)


# Below: stacks of matrices (..., C, C) in, values (...) or (..., C) out. Counts may be floats (weighted).


def accuracy(counts: np.ndarray) -> np.ndarray:
    """(...) share of right answers; NaN where there are no images."""
    return _share(_hits(counts).sum(axis=-1), counts.sum(axis=(-1, -2)))


def recall(counts: np.ndarray) -> np.ndarray:
    """(..., C) sensitivity: share of a class that was found; NaN for a class without images."""
    return _share(_hits(counts), counts.sum(axis=-1))


def precision(counts: np.ndarray) -> np.ndarray:
    """(..., C) share of the answers "this class" that were right.

    0 for a class that has images but was never answered (0/0 -> 0, the papers' rule); NaN where it has neither.
    """
    support, answered = counts.sum(axis=-1), counts.sum(axis=-2)
    return np.where((answered == 0) & (support > 0), 0.0, _share(_hits(counts), answered))


def specificity(counts: np.ndarray) -> np.ndarray:
    """(..., C) share of the images of other classes that were not put into this one; NaN without such images."""
    support, answered = counts.sum(axis=-1), counts.sum(axis=-2)
    others = counts.sum(axis=(-1, -2))[..., None] - support
    return _share(others - (answered - _hits(counts)), others)


def f1(counts: np.ndarray) -> np.ndarray:
    """(..., C) F1 = 2 TP / (2 TP + FP + FN); NaN for a class without images."""
    support, answered = counts.sum(axis=-1), counts.sum(axis=-2)
    return np.where(support > 0, _share(2 * _hits(counts), support + answered), np.nan)


def balanced_accuracy(counts: np.ndarray) -> np.ndarray:
    """(...) mean recall over the classes that have images (scikit-learn's definition); NaN without images."""
    return _mean_of_defined(recall(counts))


def macro_f1(counts: np.ndarray) -> np.ndarray:
    """(...) mean F1 over the classes that have images; NaN without images.

    A class that does not occur in the truth has no F1; images wrongly put into it count as misses of their own
    classes. With every class present this is the papers' macro-F1.
    """
    return _mean_of_defined(f1(counts))


def _hits(counts: np.ndarray) -> np.ndarray:
    return np.diagonal(counts, axis1=-2, axis2=-1)  # (..., C, C) -> (..., C)


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    part, whole = np.broadcast_arrays(np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64))
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)


def _mean_of_defined(values: np.ndarray) -> np.ndarray:
    defined = ~np.isnan(values)
    return _share(np.where(defined, values, 0.0).sum(axis=-1), defined.sum(axis=-1))
