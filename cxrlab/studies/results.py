"""The table of a study: every system's figures over its folds with intervals, and paired comparisons."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from cxrlab.metrics.intervals import PatientBootstrap
from cxrlab.metrics.resampling import Resampled, resample
from cxrlab.predictions import Predictions
from cxrlab.studies.epochs import epoch_figures
from cxrlab.studies.figures import Figure, Paired
from cxrlab.studies.plan import Comparison, MemberRun, StudyPlan
from cxrlab.studies.store import StudyFolder
from cxrlab.training.folds import over_folds

DRAWS = 2000
PER_CLASS = ("f1", "auc", "precision", "recall")
OVERALL = ("macro_f1", "accuracy", "balanced_accuracy")
AP_VIEW = "AP"
LEAST_POSITIVES = 5  # fewer in a part say nothing: no row and no comparison


class StudyTable:
    """Test predictions of every system of a study, measured once each on the same bootstrap draws."""

    def __init__(self, plan: StudyPlan, folder: StudyFolder, dataset: str, *, draws: int = DRAWS) -> None:
        self.plan, self.folder, self.dataset, self.draws = plan, folder, dataset, draws
        self._runs: dict[tuple[str, str], list[str]] = {}
        for run in plan.runs:
            is_tested = not isinstance(run, MemberRun) or "test" in run.outputs
            if is_tested and folder.record(run.id) is not None:
                self._runs.setdefault((run.system, run.variant), []).append(run.id)
        self._tests = {system: [folder.predictions(id_, "test") for id_ in ids] for system, ids in self._runs.items()}
        self._all = {system: self._measured(tests) for system, tests in self._tests.items()}

    def _measured(self, tests: Sequence[Predictions]) -> list[Resampled]:
        return [resample(test, PatientBootstrap.of(test.patients, draws=self.draws)) for test in tests]

    def figures(self) -> list[Figure]:
        """Every system's figures on the test part and on its AP images."""
        whole = f"{self.dataset}, benchmark test"
        found: list[Figure] = []
        for system, tests in self._tests.items():
            found += self._figures(system, tests, self._all[system], whole)
            records = [record for id_ in self._runs[system] if (record := self.folder.record(id_))]
            found += epoch_figures(system, records, whole, len(tests[0]), len(set(tests[0].patients)))
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
            if _positives(first, class_id or "all") < LEAST_POSITIVES:
                continue
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
