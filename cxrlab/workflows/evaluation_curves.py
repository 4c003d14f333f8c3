"""Curves of all models of an evaluation for one class, and the names that figures and tables give the models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from cxrlab.metrics.curves import PrCurve, RocCurve, class_pr, class_roc
from cxrlab.results import Estimate
from cxrlab.workflows.evaluate import Evaluation


@dataclass(frozen=True, eq=False)
class ClassCurves:
    """One class against the rest, by the models' names, in the order of the evaluation.

    Args:
        roc, pr: curves. auc, average_precision: areas with their intervals.
    """

    roc: Mapping[str, RocCurve]
    pr: Mapping[str, PrCurve]
    auc: Mapping[str, Estimate]
    average_precision: Mapping[str, Estimate]


def model_names(evaluation: Evaluation) -> tuple[str, ...]:
    """A name for each run: the checkpoint's title, with its own name behind it where two have the same title."""
    facts = [run.facts for run in evaluation.runs]
    titles = Counter(each.checkpoint_title for each in facts)
    return tuple(
        f"{each.checkpoint_title} ({each.checkpoint})" if titles[each.checkpoint_title] > 1 else each.checkpoint_title
        for each in facts
    )


def class_curves(evaluation: Evaluation, class_id: str) -> ClassCurves:
    """ROC and precision-recall curves of every model.

    Raises:
        ValueError: when the class is unknown, or the set has no image of it or nothing but images of it.
    """
    named = dict(zip(model_names(evaluation), evaluation.runs, strict=True))
    entries = {name: run.report.of_class(class_id) for name, run in named.items()}
    return ClassCurves(
        roc={name: class_roc(run.predictions, class_id) for name, run in named.items()},
        pr={name: class_pr(run.predictions, class_id) for name, run in named.items()},
        auc={name: entry.auc for name, entry in entries.items()},
        average_precision={name: entry.average_precision for name, entry in entries.items()},
    )
