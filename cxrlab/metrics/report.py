"""Everything measured about one model on one labelled set, each number with its interval."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

import numpy as np

from cxrlab.metrics.confusion import ConfusionMatrix, confusion_of
from cxrlab.metrics.curves import one_vs_rest
from cxrlab.metrics.intervals import PatientBootstrap, undefined, wilson
from cxrlab.metrics.resampling import Resampled, resample
from cxrlab.metrics.results import CLASS_METRICS, OVERALL_METRICS, ClassMetrics, GroupReport, MetricReport
from cxrlab.predictions import Predictions
from cxrlab.results import Estimate

NO_SINGLE_ANSWER = "undefined: a multi-label task has no single answer"


def measure(predictions: Predictions, *, draws: int = 2000, seed: int = 0, level: float = 0.95) -> MetricReport:
    """Measure a model on a labelled set. Takes both tasks; images of unknown truth are left out and counted.

    Proportions (accuracy, precision, recall, specificity) have Wilson's interval, which takes images as independent;
    its method says so where a patient has several. F1, macro-F1, balanced accuracy, AUC and average precision have a
    percentile interval over patients drawn with replacement, all from the same draws. For a multi-label task, only AUC
    and average precision are defined, over the images whose truth is known for that class.

    Args:
        draws, seed: of the bootstrap. level: coverage in (0, 1).

    Raises:
        ValueError: when no truth is known, or draws or level are out of range.
    """
    known = predictions.select(predictions.known)
    if not len(known):
        raise ValueError("Measuring needs at least one image of known truth, got none; has the set labels?")
    bootstrap = PatientBootstrap.of(known.patients, draws=draws, seed=seed)
    counted = confusion_of(known) if known.task == "multiclass" else None
    resampled = resample(known, bootstrap)
    return MetricReport(
        labels=known.labels.ids,
        task=known.task,
        n_images=len(known),
        n_patients=bootstrap.n_patients,
        n_unknown=len(predictions) - len(known),
        draws=draws,
        seed=seed,
        level=level,
        **_overall(counted, resampled, bootstrap, level),
        classes=tuple(_class_metrics(known, c, counted, resampled, bootstrap, level) for c in known.labels.ids),
        confusion=counted,
    )


def by_group(
    predictions: Predictions,
    column: str,
    *,
    min_positives: int = 10,
    draws: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[GroupReport, ...]:
    """The classes within each group of images, e.g. per source, groups in alphabetical order.

    Within a group that holds one class only, specificity, AUC and average precision are undefined: the set then cannot
    tell the class from the group. Takes both tasks; arguments as :func:`measure`.

    Args:
        column: a name in ``predictions.groups``.
        min_positives: a class with fewer images in the group has counts and no estimates.

    Raises:
        ValueError: when there is no such column; the text names those that exist.
    """
    if column not in predictions.groups:
        known = ", ".join(predictions.groups) or "none"
        raise ValueError(f"Unknown column {column!r}; the predictions have {known}.")
    values = np.asarray(predictions.groups[column], dtype=np.str_)
    return tuple(_group_reports(predictions, column, values, min_positives, (draws, seed, level)))


def _overall(
    counted: ConfusionMatrix | None, resampled: Resampled, bootstrap: PatientBootstrap, level: float
) -> dict[str, Estimate]:
    if counted is None:
        return {name: undefined(0, NO_SINGLE_ANSWER, level=level) for name in OVERALL_METRICS}
    method, n = _wilson_method(bootstrap), counted.n
    right, most = int(np.trace(counted.counts)), int(counted.support.max())
    balanced, macro = resampled.balanced_accuracy, resampled.macro_f1
    return {
        "accuracy": wilson(right, n, level=level, method=method),
        "majority_rate": wilson(most, n, level=level, method=method),
        "balanced_accuracy": bootstrap.interval(float(balanced[0]), balanced[1:], n, level=level),
        "macro_f1": bootstrap.interval(float(macro[0]), macro[1:], n, level=level),
    }


def _class_metrics(
    predictions: Predictions,
    class_id: str,
    counted: ConfusionMatrix | None,
    resampled: Resampled,
    bootstrap: PatientBootstrap,
    level: float,
) -> ClassMetrics:
    truth, _ = one_vs_rest(predictions, class_id)
    column, n = predictions.labels.index(class_id), int((~np.isnan(truth)).sum())
    patients = len(np.unique(bootstrap.patient[truth == 1]))

    def area(values: np.ndarray) -> Estimate:
        return bootstrap.interval(float(values[column, 0]), values[column, 1:], n, level=level)

    by_answer = _by_answer(counted, column, resampled, bootstrap, level)
    return ClassMetrics(
        class_id=class_id,
        n=n,
        positives=int((truth == 1).sum()),
        patients=patients,
        true_positives=None if counted is None else int(counted.counts[column, column]),
        false_positives=None if counted is None else int(counted.predicted[column] - counted.counts[column, column]),
        **by_answer,
        auc=area(resampled.auc),
        average_precision=area(resampled.average_precision),
    )


def _by_answer(
    counted: ConfusionMatrix | None, column: int, resampled: Resampled, bootstrap: PatientBootstrap, level: float
) -> dict[str, Estimate]:
    """Metrics of one class that rest on the class with the highest score."""
    if counted is None:
        names = ("precision", "recall", "specificity", "f1")
        return {name: undefined(0, NO_SINGLE_ANSWER, level=level) for name in names}
    method, n = _wilson_method(bootstrap), counted.n
    hits, support, answered = (int(x[column]) for x in (counted.counts.diagonal(), counted.support, counted.predicted))
    never = Estimate(0.0, float("nan"), float("nan"), 0, "0 by rule: the class was never answered", level)
    precision = wilson(hits, answered, level=level, method=method)
    return {
        "precision": never if support and not answered else precision,
        "recall": wilson(hits, support, level=level, method=method),
        "specificity": wilson(n - support - (answered - hits), n - support, level=level, method=method),
        "f1": bootstrap.interval(float(resampled.f1[column, 0]), resampled.f1[column, 1:], n, level=level),
    }


def _wilson_method(bootstrap: PatientBootstrap) -> str:
    repeated = bootstrap.n_patients < len(bootstrap.patient)
    return "wilson, images of one patient taken as independent" if repeated else "wilson"


def _group_reports(
    predictions: Predictions, column: str, values: np.ndarray, min_positives: int, how: tuple[int, int, float]
) -> Iterator[GroupReport]:
    for group in np.unique(values[predictions.known]):
        inside = predictions.select(predictions.known & (values == group))
        report = measure(inside, draws=how[0], seed=how[1], level=how[2])
        classes = tuple(
            entry if entry.positives >= min_positives else _counts_only(entry, min_positives)
            for entry in report.classes
        )
        yield GroupReport(column, str(group), report.n_images, report.n_patients, classes)


def _counts_only(entry: ClassMetrics, min_positives: int) -> ClassMetrics:
    values = {spec.name: getattr(entry, spec.name) for spec in fields(entry)}
    reason = f"undefined: fewer than {min_positives} positives"
    return ClassMetrics(**values | {m: undefined(values[m].n, reason, level=values[m].level) for m in CLASS_METRICS})
