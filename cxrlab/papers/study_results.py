"""What a study wrote into ``results.json``: rows of metrics and paired comparisons, checked as they are read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

RESULTS_FORMAT = 1


@dataclass(frozen=True)
class StudyRow:
    """One metric of one system, over folds or seeds.

    Args:
        system, variant: spelled as in the printed tables where a paper has the system.
        dataset: what it was measured on. class_id: an id of ``cxrlab.labels``, or ``all``. metric: e.g. ``f1``.
        mean: over ``values``. std: of ``values`` with ddof 1; None for a single value.
        low, high: limits of the 95 % interval; None where there is none.
        n, patients: that the interval rests on. folds: how many values. values: one a fold or seed.
        run: id of the run, empty where several made it. positives: images of the class, where the study says it.
    """

    system: str
    variant: str
    dataset: str
    class_id: str
    metric: str
    mean: float
    std: float | None
    low: float | None
    high: float | None
    n: int
    patients: int
    folds: int
    values: tuple[float, ...]
    run: str
    positives: int | None = None


@dataclass(frozen=True)
class StudyComparison:
    """The paired difference ``a - b`` of two systems on the same images, with its 95 % interval and its test."""

    a: str
    b: str
    class_id: str
    metric: str
    difference: float
    low: float
    high: float
    p: float | None
    n: int
    patients: int
    test: str


@dataclass(frozen=True)
class StudyResults:
    """Everything a study measured, with the command that made it.

    Args:
        study: e.g. ``flannel``. scale: ``smoke``, ``lite`` or ``full``. profile: ``paper`` or ``release``.
        dataset, dataset_digest: what it ran on. command: to make it again. created: ISO 8601 in UTC.
        notes: sentences of the study, e.g. which networks stood in for the paper's.
        folder: name of its folder, for people; not in the file.
    """

    study: str
    scale: str
    profile: str
    dataset: str
    dataset_digest: str
    command: str
    created: str
    seconds: float
    rows: tuple[StudyRow, ...]
    comparisons: tuple[StudyComparison, ...]
    notes: tuple[str, ...] = ()
    folder: str = ""

    @classmethod
    def from_json(cls, data: Mapping[str, Any], *, folder: str = "") -> StudyResults:
        """What a study wrote. Raises ValueError that names the field which is missing or wrong."""
        if not isinstance(data, Mapping) or data.get("format") != RESULTS_FORMAT:
            found = data.get("format") if isinstance(data, Mapping) else type(data).__name__
            raise ValueError(f"The format must be {RESULTS_FORMAT}, got {found!r}")
        try:
            texts = {name: str(data[name]) for name in ("study", "scale", "profile", "dataset", "dataset_digest")}
            return cls(
                **texts,
                command=str(data["command"]),
                created=str(data["created"]),
                seconds=float(data["seconds"]),
                rows=tuple(_row(entry) for entry in data["rows"]),
                comparisons=tuple(_comparison(entry) for entry in data["comparisons"]),
                notes=tuple(str(note) for note in data.get("notes", ())),
                folder=folder,
            )
        except KeyError as error:
            raise ValueError(f"The field {error.args[0]!r} is missing") from error
        except (TypeError, AttributeError) as error:
            raise ValueError(f"A field has the wrong type: {error}") from error


def _row(entry: Mapping[str, Any]) -> StudyRow:
    return StudyRow(
        system=str(entry["system"]),
        variant=str(entry["variant"]),
        dataset=str(entry["dataset"]),
        class_id=str(entry["class"]),
        metric=str(entry["metric"]),
        mean=_number(entry["mean"]),
        std=_optional(entry["std"]),
        low=_optional(entry["low"]),
        high=_optional(entry["high"]),
        n=int(entry["n"]),
        patients=int(entry["patients"]),
        folds=int(entry["folds"]),
        values=tuple(_number(value) for value in entry["values"]),
        run=str(entry["run"]),
        positives=None if entry.get("positives") is None else int(entry["positives"]),
    )


def _comparison(entry: Mapping[str, Any]) -> StudyComparison:
    values = {spec.name: entry["class" if spec.name == "class_id" else spec.name] for spec in fields(StudyComparison)}
    values |= {name: _number(values[name]) for name in ("difference", "low", "high")}
    values |= {name: int(values[name]) for name in ("n", "patients")}
    values |= {name: str(values[name]) for name in ("a", "b", "class_id", "metric", "test")}
    return StudyComparison(**values | {"p": _optional(values["p"])})


def _optional(value: Any) -> float | None:
    """None for null and NaN."""
    return None if value is None or math.isnan(float(value)) else float(value)


def _number(value: Any) -> float:
    """NaN for null: a metric that is undefined, e.g. of a class without images."""
    return math.nan if value is None else float(value)
