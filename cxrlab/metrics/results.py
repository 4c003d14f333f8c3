"""What measuring gives: frozen results, JSON both ways."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from cxrlab.metrics.confusion import ConfusionMatrix
from cxrlab.predictions import Task
from cxrlab.results import Estimate

CLASS_METRICS = ("precision", "recall", "specificity", "f1", "auc", "average_precision")
OVERALL_METRICS = ("accuracy", "majority_rate", "balanced_accuracy", "macro_f1")


@dataclass(frozen=True)
class ClassMetrics:
    """One class against the rest.

    Args:
        class_id: the class.
        n, positives, patients: images whose truth is known, those of the class, and the patients those come from.
        true_positives, false_positives: counts by highest score; None for a multi-label task.
        precision, recall, specificity, f1: of the class with the highest score; undefined for a multi-label task.
            ``recall`` is the sensitivity.
        auc, average_precision: from the scores, one against the rest.
    """

    class_id: str
    n: int
    positives: int
    patients: int
    true_positives: int | None
    false_positives: int | None
    precision: Estimate
    recall: Estimate
    specificity: Estimate
    f1: Estimate
    auc: Estimate
    average_precision: Estimate

    def to_json(self) -> dict[str, Any]:
        return {
            spec.name: estimate_to_json(value) if isinstance(value := getattr(self, spec.name), Estimate) else value
            for spec in fields(self)
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ClassMetrics:
        values: dict[str, Any] = {k: estimate_from_json(v) if isinstance(v, Mapping) else v for k, v in data.items()}
        return cls(**values)


@dataclass(frozen=True, eq=False)
class MetricReport:
    """How good one model is on one labelled set.

    Args:
        labels: class ids in order. task: ``multiclass`` or ``multilabel``.
        n_images, n_patients: with known truth, which everything rests on. n_unknown: images left out.
        draws, seed, level: of the bootstrap and the intervals.
        accuracy, balanced_accuracy, macro_f1: in [0, 1]; undefined for a multi-label task.
        majority_rate: accuracy of always saying the most frequent class.
        classes: one entry per class, in order.
        confusion: rows are the truth; None for a multi-label task.
    """

    labels: tuple[str, ...]
    task: Task
    n_images: int
    n_patients: int
    n_unknown: int
    draws: int
    seed: int
    level: float
    accuracy: Estimate
    majority_rate: Estimate
    balanced_accuracy: Estimate
    macro_f1: Estimate
    classes: tuple[ClassMetrics, ...]
    confusion: ConfusionMatrix | None

    def of_class(self, class_id: str) -> ClassMetrics:
        """The entry of one class. Raises KeyError naming the known ones."""
        for entry in self.classes:
            if entry.class_id == class_id:
                return entry
        raise KeyError(f"Unknown class {class_id!r}; the classes are {', '.join(self.labels)}.")

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; undefined numbers are null."""
        data = {spec.name: getattr(self, spec.name) for spec in fields(self)}
        data |= {name: estimate_to_json(data[name]) for name in OVERALL_METRICS}
        data["labels"] = list(self.labels)
        data["classes"] = [entry.to_json() for entry in self.classes]
        data["confusion"] = self.confusion and self.confusion.to_json()
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> MetricReport:
        """What :meth:`to_json` gave. Raises ValueError naming a field that is missing."""
        missing = [spec.name for spec in fields(cls) if spec.name not in data]
        if missing:
            raise ValueError(f"A metric report must have the fields {', '.join(missing)}; was it written by cxrlab?")
        values = {spec.name: data[spec.name] for spec in fields(cls)}
        values |= {name: estimate_from_json(data[name]) for name in OVERALL_METRICS}
        values["labels"] = tuple(data["labels"])
        values["classes"] = tuple(ClassMetrics.from_json(entry) for entry in data["classes"])
        values["confusion"] = data["confusion"] and ConfusionMatrix.from_json(data["confusion"])
        return cls(**values)


@dataclass(frozen=True, eq=False)
class GroupReport:
    """The classes within one group of images, e.g. one source.

    Args:
        column, group: e.g. ``source`` and ``ieee8023``.
        n_images, n_patients: with known truth in the group.
        classes: as in :class:`MetricReport`; estimates are undefined, and only the counts tell, where the group has
            fewer positives than asked for.
    """

    column: str
    group: str
    n_images: int
    n_patients: int
    classes: tuple[ClassMetrics, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; undefined numbers are null."""
        data = {spec.name: getattr(self, spec.name) for spec in fields(self)}
        return data | {"classes": [entry.to_json() for entry in self.classes]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> GroupReport:
        return cls(**{**data, "classes": tuple(ClassMetrics.from_json(entry) for entry in data["classes"])})


def estimate_to_json(estimate: Estimate) -> dict[str, Any]:
    """Plain JSON; NaN becomes null."""
    return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in asdict(estimate).items()}


def estimate_from_json(data: Mapping[str, Any]) -> Estimate:
    """What :func:`estimate_to_json` gave; null becomes NaN."""
    values: dict[str, Any] = {name: math.nan if value is None else value for name, value in data.items()}
    return Estimate(**values)
