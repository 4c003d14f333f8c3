"""The table of a study: every system's figures over its folds with intervals, and paired comparisons."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from cxrlab.metrics.intervals import PatientBootstrap
from cxrlab.metrics.resampling import Resampled, resample
from cxrlab.predictions import Predictions
from cxrlab.studies.plan import Comparison, StudyPlan
from cxrlab.studies.store import StudyFolder
from cxrlab.training.folds import over_folds

DRAWS = 2000
PER_CLASS = ("f1", "auc", "precision", "recall")
OVERALL = ("macro_f1", "accuracy", "balanced_accuracy")
AP_VIEW = "AP"
LEAST_POSITIVES = 5  # fewer in a part say nothing: no row


@dataclass(frozen=True)
class Figure:
    """A line of the table: a metric of a system over its folds, all tested on the same images.

    Args:
        system, variant: as the paper's table has them. dataset: with the part. class_id: or ``all``.
        mean, std: over folds, ddof 1. low, high: 95 % patient bootstrap of the mean over folds.
        n, positives, patients: of the test images. values: fold by fold. run: id where there is one run only.
    """

    system: str
    variant: str
    dataset: str
    class_id: str
    metric: str
    mean: float
    std: float | None
    low: float
    high: float
    n: int
    positives: int
    patients: int
    folds: int
    values: tuple[float, ...]
    run: str

    def to_json(self) -> dict[str, object]:
        data = asdict(self)
        return {("class" if name == "class_id" else name): value for name, value in data.items()}


@dataclass(frozen=True)
class Paired:
    """A paired comparison: mean over folds of a minus b, its 95 % interval and two-sided p, from the same draws."""

    a: str
    b: str
    class_id: str
    metric: str
    difference: float
    low: float
    high: float
    p: float
    n: int
    patients: int
    test: str

    def to_json(self) -> dict[str, object]:
        data = asdict(self)
        return {("class" if name == "class_id" else name): value for name, value in data.items()}


class StudyTable:
    """Test predictions of every system of a study, measured once each on the same bootstrap draws."""

    def __init__(self, plan: StudyPlan, folder: StudyFolder, dataset: str, *, draws: int = DRAWS) -> None:
        self.plan, self.dataset, self.draws = plan, dataset, draws
        self._runs: dict[tuple[str, str], list[str]] = {}
        for run in plan.runs:
            if folder.record(run.id) is not None:
                self._runs.setdefault((run.system, run.variant), []).append(run.id)
        self._tests = {system: [folder.predictions(id_, "test") for id_ in ids] for system, ids in self._runs.items()}
        self._all = {system: self._measured(tests) for system, tests in self._tests.items()}

    def _measured(self, tests: Sequence[Predictions]) -> list[Resampled]:
        return [resample(test, PatientBootstrap.of(test.patients, draws=self.draws)) for test in tests]

    def figures(self) -> list[Figure]:
        """Every system's figures on the test part and on its AP images."""
        found = [
            figure
            for system, tests in self._tests.items()
            for figure in self._figures(system, tests, self._all[system], f"{self.dataset}, benchmark test")
        ]
        for system, tests in self._tests.items():
            views = [_with_view(test, AP_VIEW) for test in tests]
            if views and 0 < len(views[0]) < len(tests[0]):
                found += self._figures(
                    system, views, self._measured(views), f"{self.dataset}, benchmark test, AP views only"
                )
        return found

    def _figures(
        self, system: tuple[str, str], tests: Sequence[Predictions], sampled: Sequence[Resampled], dataset: str
    ) -> Iterator[Figure]:
        first = tests[0]
        bootstrap = PatientBootstrap.of(first.patients, draws=self.draws)
        ids = self._runs[system]
        for class_id, metric in _metrics(first):
            values = np.stack([_values(one, first, class_id, metric) for one in sampled])  # (F, 1 + D)
            if np.isnan(values[:, 0]).any():
                continue
            over, mean = over_folds(values[:, 0].tolist()), values.mean(axis=0)
            estimate = bootstrap.interval(float(mean[0]), mean[1:], len(first))
            yield Figure(
                *system,
                dataset,
                class_id,
                metric,
                mean=over.mean,
                std=over.std,
                low=estimate.low,
                high=estimate.high,
                n=len(first),
                positives=_positives(first, class_id),
                patients=bootstrap.n_patients,
                folds=len(tests),
                values=over.values,
                run=ids[0] if len(ids) == 1 else "",
            )

    def comparisons(self) -> list[Paired]:
        """The plan's pairs of systems that both have runs."""
        return [
            paired
            for comparison in self.plan.comparisons
            if comparison.a in self._tests and comparison.b in self._tests
            for paired in self._paired(comparison)
        ]

    def _paired(self, comparison: Comparison) -> Iterator[Paired]:
        first = self._tests[comparison.a][0]
        bootstrap = PatientBootstrap.of(first.patients, draws=self.draws)
        for name in comparison.metrics:
            metric, _, class_id = name.partition(":")
            a, b = (
                np.stack([_values(one, first, class_id or "all", metric) for one in self._all[system]]).mean(axis=0)
                for system in (comparison.a, comparison.b)
            )
            difference = a - b
            estimate = bootstrap.interval(float(difference[0]), difference[1:], len(first))
            yield Paired(
                ", ".join(comparison.a),
                ", ".join(comparison.b),
                class_id or "all",
                metric,
                difference=float(difference[0]),
                low=estimate.low,
                high=estimate.high,
                p=two_sided(difference[1:]),
                n=len(first),
                patients=bootstrap.n_patients,
                test=f"paired patient bootstrap of the mean over folds, {self.draws} draws",
            )


def two_sided(sampled: np.ndarray) -> float:
    """p of "no difference" from bootstrap differences: twice the smaller share beyond 0, at least 1 / (draws + 1)."""
    defined = sampled[~np.isnan(sampled)]
    if not len(defined):
        return math.nan
    beyond = min((defined <= 0).sum(), (defined >= 0).sum())
    return float(min(1.0, 2 * (beyond + 1) / (len(defined) + 1)))


def _metrics(predictions: Predictions) -> Iterator[tuple[str, str]]:
    """(class, metric) of every line, classes with few images left out."""
    for class_id in predictions.labels.ids:
        if _positives(predictions, class_id) >= LEAST_POSITIVES:
            for metric in PER_CLASS:
                yield class_id, metric
    for metric in OVERALL:
        yield "all", metric


def _values(sampled: Resampled, predictions: Predictions, class_id: str, metric: str) -> np.ndarray:
    """(1 + D,) a metric on all images and on every draw."""
    values: np.ndarray = getattr(sampled, metric)
    return values if class_id == "all" else values[predictions.labels.index(class_id)]


def _positives(predictions: Predictions, class_id: str) -> int:
    if class_id == "all":
        return len(predictions)
    return int((predictions.truth == predictions.labels.index(class_id)).sum())


def _with_view(predictions: Predictions, view: str) -> Predictions:
    """The images of a view; none where views are unknown."""
    views = np.array(predictions.groups.get("view", ("",) * len(predictions)))
    return predictions.select(np.flatnonzero(views == view))
