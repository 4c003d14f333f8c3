"""An evaluation as files: metrics and predictions as CSV, everything but the scores as JSON."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cxrlab.metrics.results import CLASS_METRICS, OVERALL_METRICS, ClassMetrics
from cxrlab.results import Estimate
from cxrlab.runs import Run
from cxrlab.workflows.evaluate import Evaluation
from cxrlab.workflows.evaluation_curves import class_curves

DECISION_RULE = "highest score (argmax)"
_METRIC_COLUMNS = (
    *("checkpoint", "title", "weights_sha256", "dataset", "part", "decision", "source", "class", "metric"),
    *("value", "low", "high", "level", "interval", "n", "positives", "patients", "device"),
)


def metrics_csv(evaluation: Evaluation) -> str:
    """Every estimate in a row of its own: checkpoint, set, source, class, metric, value, interval and its method."""
    return _csv(_METRIC_COLUMNS, (row for run in evaluation.runs for row in _metric_rows(run)))


def predictions_csv(evaluation: Evaluation) -> str:
    """One row an image and checkpoint: truth, answer, score of every class."""
    ids = evaluation.labels.ids
    scores = [f"score_{id_}" for id_ in ids]
    groups = [name for name in ("source", "view") if any(name in run.predictions.groups for run in evaluation.runs)]
    columns = ("checkpoint", "weights_sha256", "image", "patient_id", *groups, "truth", "predicted", *scores)
    return _csv(columns, (row for run in evaluation.runs for row in _prediction_rows(run)))


def curves_csv(evaluation: Evaluation, class_id: str) -> str:
    """The points of the ROC and precision-recall curves of one class. Raises ValueError as ``class_curves``."""
    curves = class_curves(evaluation, class_id)
    columns = ("model", "class", "curve", "threshold", "fpr", "tpr", "recall", "precision")

    def rows() -> Iterator[Mapping[str, Any]]:
        for model, roc in curves.roc.items():
            for fpr, tpr, threshold in zip(roc.fpr, roc.tpr, roc.thresholds, strict=True):
                facts = {"threshold": float(threshold), "fpr": float(fpr), "tpr": float(tpr)}
                yield {"model": model, "class": class_id, "curve": "roc"} | facts
        for model, pr in curves.pr.items():
            for recall, precision, threshold in zip(pr.recall, pr.precision, pr.thresholds, strict=True):
                facts = {"threshold": float(threshold), "recall": float(recall), "precision": float(precision)}
                yield {"model": model, "class": class_id, "curve": "pr"} | facts

    return _csv(columns, rows())


def evaluation_to_json(evaluation: Evaluation) -> dict[str, Any]:
    """Plain JSON: what was measured on what and how, with every estimate; the scores are in :func:`predictions_csv`."""
    first = evaluation.runs[0].facts
    return {
        "dataset": first.dataset,
        "dataset_digest": first.dataset_digest,
        "part": first.part,
        "labels": list(evaluation.labels.ids),
        "decision": DECISION_RULE,
        "notes": list(evaluation.notes),
        "runs": [
            {
                "facts": {**vars(run.facts), "labels": list(run.facts.labels), "dropped": dict(run.facts.dropped)},
                "reopened": run.facts.checkpoint in evaluation.reopened,
                "report": run.report.to_json(),
                "sources": [group.to_json() for group in run.sources],
            }
            for run in evaluation.runs
        ],
    }


def evaluation_json(evaluation: Evaluation) -> str:
    """The text of :func:`evaluation_to_json`."""
    return json.dumps(evaluation_to_json(evaluation), indent=1, ensure_ascii=False) + "\n"


def _metric_rows(run: Run) -> Iterator[dict[str, Any]]:
    facts, report = run.facts, run.report
    common = {
        "checkpoint": facts.checkpoint,
        "title": facts.checkpoint_title,
        "weights_sha256": facts.checkpoint_sha256,
        "dataset": facts.dataset,
        "part": facts.part,
        "decision": DECISION_RULE,
        "device": facts.device,
    }
    whole = common | {"positives": "", "patients": report.n_patients}
    for metric in OVERALL_METRICS:
        yield whole | {"metric": metric} | _estimate(getattr(report, metric))
    for source, classes in [("", report.classes), *((group.group, group.classes) for group in run.sources)]:
        for entry in classes:
            yield from (common | {"source": source} | row for row in _class_rows(entry))


def _class_rows(entry: ClassMetrics) -> Iterator[dict[str, Any]]:
    counts = {"class": entry.class_id, "positives": entry.positives, "patients": entry.patients}
    for metric in CLASS_METRICS:
        yield counts | {"metric": metric} | _estimate(getattr(entry, metric))


def _estimate(estimate: Estimate) -> dict[str, Any]:
    numbers = {name: getattr(estimate, name) for name in ("value", "low", "high")}
    shown = {name: "" if math.isnan(number) else number for name, number in numbers.items()}
    return shown | {"level": estimate.level, "interval": estimate.method, "n": estimate.n}


def _prediction_rows(run: Run) -> Iterator[dict[str, Any]]:
    predictions = run.predictions
    ids = predictions.labels.ids
    single = predictions.task == "multiclass"
    answers = [ids[answer] for answer in predictions.predicted] if single else [""] * len(predictions)
    for row, image in enumerate(predictions.ids):
        scores = predictions.scores[row]
        yield {
            "checkpoint": run.facts.checkpoint,
            "weights_sha256": run.facts.checkpoint_sha256,
            "image": image,
            "patient_id": predictions.patients[row],
            **{name: column[row] for name, column in predictions.groups.items()},
            "truth": ids[predictions.truth[row]] if single and predictions.known[row] else "",
            "predicted": answers[row],
            **{f"score_{id_}": float(score) for id_, score in zip(ids, scores, strict=True)},
        }


def _csv(columns: Iterable[str], rows: Iterable[Mapping[str, Any]]) -> str:
    file = io.StringIO()
    writer = csv.DictWriter(file, tuple(columns), extrasaction="ignore", restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _harmless(value) for name, value in row.items()} for row in rows)
    return file.getvalue()


def _harmless(value: Any) -> Any:
    """An apostrophe before a text that a spreadsheet would run as a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t") else value
