"""The tables of an evaluation as rows for the screen, and the words that say how its numbers were made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from cxrlab.labels import LabelSet
from cxrlab.results import Estimate
from cxrlab.workflows.checkpoint_cards import ClassMetrics, GroupReport, MetricReport
from cxrlab.workflows.evaluate import Evaluation
from cxrlab.workflows.evaluation_curves import model_names
from cxrlab.workflows.evaluation_files import DECISION_RULE

PARTS = {"all": "all images", "test": "benchmark test part", "development": "development part"}
CLASS_COLUMNS = {
    "Precision": "precision",
    "Recall (sensitivity)": "recall",
    "Specificity": "specificity",
    "F1": "f1",
    "AUC": "auc",
    "Average precision": "average_precision",
}
OVERALL_COLUMNS = {
    "Accuracy": "accuracy",
    "Majority-class rate": "majority_rate",
    "Balanced accuracy": "balanced_accuracy",
    "Macro-F1": "macro_f1",
}


def set_words(evaluation: Evaluation) -> str:
    """``phantom (all images): 240 images of 96 patients``."""
    run = evaluation.runs[0]
    part = PARTS.get(run.facts.part, run.facts.part)
    return f"{run.facts.dataset} ({part}): {run.report.n_images:,} images of {run.report.n_patients:,} patients"


def when(created: str) -> str:
    """ISO 8601 in UTC as people read it: ``2026-01-31 09:05 UTC``."""
    return f"{created[:16].replace('T', ' ')} UTC"


def weights_words(evaluation: Evaluation) -> str:
    """``Network A 1a2b3c4d, Network B 5e6f7a8b``."""
    named = zip(model_names(evaluation), evaluation.runs, strict=True)
    return ", ".join(f"{name} {run.facts.checkpoint_sha256[:8]}" for name, run in named)


def provenance(evaluation: Evaluation, estimates: Iterable[Estimate] = (), *, decision: bool) -> str:
    """One line below a figure or table: set, part, decision rule, intervals, weights.

    Args:
        estimates: those shown, for their interval methods. decision: does it rest on the class decided for?
    """
    parts = [set_words(evaluation)]
    if decision:
        parts.append(f"decision by {DECISION_RULE}")
    if methods := interval_words(estimates):
        parts.append(methods)
    return " · ".join([*parts, f"weights: {weights_words(evaluation)}"])


def interval_words(estimates: Iterable[Estimate]) -> str:
    """``95 % intervals: Wilson; patient bootstrap, 2000 draws``; empty where no estimate has an interval."""
    found = [each for each in estimates if each.low == each.low]  # NaN where there is none
    methods = dict.fromkeys(_method_words(each.method) for each in found)
    return f"{found[0].level:.0%} intervals: {'; '.join(methods)}".replace("%", " %") if found else ""


def _method_words(method: str) -> str:
    """``Wilson`` or ``patient bootstrap, 2000 draws``: the kind, without what is special to one estimate."""
    if method.startswith("wilson"):
        return "Wilson"
    return method.split(" draws")[0] + " draws" if " draws" in method else method


def overall_estimates(evaluation: Evaluation) -> dict[str, dict[str, Estimate]]:
    """Estimate by column title, by model name, for the figure; the majority-class rate is the set's, not a model's."""
    return {
        name: {
            title: getattr(run.report, metric) for title, metric in OVERALL_COLUMNS.items() if metric != "majority_rate"
        }
        for name, run in zip(model_names(evaluation), evaluation.runs, strict=True)
    }


def overall_rows(evaluation: Evaluation) -> list[dict[str, Any]]:
    """One row a model."""
    return [
        {
            "Model": name,
            "Weights": run.facts.checkpoint_sha256[:8],
            **{title: str(getattr(run.report, metric)) for title, metric in OVERALL_COLUMNS.items()},
            "Images": run.report.n_images,
            "Patients": run.report.n_patients,
            "Device": run.facts.device,
        }
        for name, run in zip(model_names(evaluation), evaluation.runs, strict=True)
    ]


def class_rows(evaluation: Evaluation, class_id: str | None = None) -> list[dict[str, Any]]:
    """One row a class and model, classes in order; ``class_id``: of that class only."""
    names = dict(zip(evaluation.labels.ids, evaluation.labels.names, strict=True))
    return [
        {
            "Class": names[id_],
            "Model": name,
            "Weights": run.facts.checkpoint_sha256[:8],
            **_class_cells(run.report.of_class(id_)),
        }
        for id_ in ([class_id] if class_id else evaluation.labels.ids)
        for name, run in zip(model_names(evaluation), evaluation.runs, strict=True)
    ]


def report_rows(report: MetricReport, labels: LabelSet) -> list[dict[str, Any]]:
    """One row a class of one report, as on a card."""
    return [
        {"Class": name, **_class_cells(report.of_class(id_))}
        for id_, name in zip(labels.ids, labels.names, strict=True)
    ]


def report_estimates(report: MetricReport) -> list[Estimate]:
    """Every estimate of :func:`report_rows`."""
    return [getattr(entry, metric) for entry in report.classes for metric in CLASS_COLUMNS.values()]


def card_source_rows(sources: Sequence[GroupReport], labels: LabelSet) -> list[dict[str, Any]]:
    """One row a source and class that has images there, as on a card."""
    names = dict(zip(labels.ids, labels.names, strict=True))
    return [
        {"Source": group.group or "not given", "Class": names[entry.class_id], **_class_cells(entry)}
        for group in sources
        for entry in group.classes
        if entry.positives
    ]


def class_estimates(evaluation: Evaluation) -> list[Estimate]:
    """Every estimate of :func:`class_rows`."""
    return [
        getattr(entry, metric)
        for run in evaluation.runs
        for entry in run.report.classes
        for metric in CLASS_COLUMNS.values()
    ]


def source_rows(evaluation: Evaluation, class_id: str) -> list[dict[str, Any]]:
    """One row a source and model, for one class."""
    return [
        {
            "Source": group.group or "not given",
            "Model": name,
            "Weights": run.facts.checkpoint_sha256[:8],
            **_class_cells(next(entry for entry in group.classes if entry.class_id == class_id)),
        }
        for name, run in zip(model_names(evaluation), evaluation.runs, strict=True)
        for group in run.sources
    ]


def source_estimates(evaluation: Evaluation, class_id: str) -> list[Estimate]:
    """Every estimate of :func:`source_rows`."""
    return [
        getattr(entry, metric)
        for run in evaluation.runs
        for group in run.sources
        for entry in group.classes
        if entry.class_id == class_id
        for metric in CLASS_COLUMNS.values()
    ]


def has_sources(evaluation: Evaluation) -> bool:
    """Does the set name more than one source?"""
    return any(len(run.sources) > 1 for run in evaluation.runs)


def confusion_rows(evaluation: Evaluation, position: int) -> list[dict[str, Any]]:
    """One row a true class of one model: counts and shares by answer."""
    matrix = evaluation.runs[position].report.confusion
    if matrix is None:
        return []
    names = evaluation.labels.names
    return [
        {"Truth": truth}
        | {
            f"said {answer}": f"{count} ({'–' if share != share else f'{share:.0%}'})"
            for answer, count, share in zip(names, counts, shares, strict=True)
        }
        | {"Images": int(counts.sum())}
        for truth, counts, shares in zip(names, matrix.counts, matrix.row_shares, strict=True)
    ]


def dropped_rows(evaluation: Evaluation) -> list[dict[str, Any]]:
    """What was left out and why, most frequent first."""
    dropped: dict[str, int] = {}
    for run in evaluation.runs:
        dropped |= {reason: max(count, dropped.get(reason, 0)) for reason, count in run.facts.dropped.items()}
    return [{"Reason": reason, "Rows": count} for reason, count in sorted(dropped.items(), key=lambda item: -item[1])]


def default_class(labels: LabelSet, classes: Iterable[ClassMetrics]) -> str:
    """The class shown first: the first one that has both positive and negative images."""
    entries = {entry.class_id: entry for entry in classes}
    shown = [id_ for id_ in labels.ids if 0 < entries[id_].positives < entries[id_].n]
    return (shown or list(labels.ids))[0]


def _class_cells(entry: ClassMetrics) -> dict[str, Any]:
    return {
        "Positives": entry.positives,
        **{title: str(getattr(entry, metric)) for title, metric in CLASS_COLUMNS.items()},
        "Images": entry.n,
        "Patients (positive)": entry.patients,
    }
