"""By which classes checkpoints are measured: their own, or those of a coarser task that several kinds can meet on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from cxrlab.cards import ModelCard
from cxrlab.catalogue import find_checkpoint
from cxrlab.labels import PROJECTIONS, LabelSet, Projection, projection_named
from cxrlab.predictions import Predictions
from cxrlab.workflows.labelled_set import LabelledSet

__all__ = ["PROJECTIONS", "EvaluationError", "Projection", "common_labels", "in_set", "in_task", "projection_for"]


class EvaluationError(ValueError):
    """The checkpoints and the set do not fit each other; the text is the sentence for the user."""


def common_labels(checkpoints: Sequence[str | Path], task: str = "") -> LabelSet:
    """The classes that all these checkpoints share, in order; with a task, all classes that images of it may have.

    Raises:
        EvaluationError: when they differ, or can not be added up to the task.
    """
    if not checkpoints:
        raise EvaluationError("Choose at least one checkpoint to evaluate.")
    cards = [find_checkpoint(name).card for name in checkpoints]
    if task:
        return projection_for(task, cards).sources
    for card in cards[1:]:
        if card.labels != cards[0].labels:
            raise EvaluationError(
                f"Checkpoints measured together must have the same classes: {cards[0].name} has "
                f"{', '.join(cards[0].labels)}, {card.name} has {', '.join(card.labels)}."
            )
    return cards[0].label_set


def projection_for(task: str, cards: Sequence[ModelCard]) -> Projection:
    """The task that all these checkpoints can be measured by.

    Raises:
        EvaluationError: for an unknown task, or a checkpoint whose classes can not be added up to it, which is named.
    """
    try:
        projection = projection_named(task)
    except ValueError as error:
        raise EvaluationError(str(error)) from error
    for card in cards:
        if not card.normalised or card.task != "multiclass":
            raise EvaluationError(f"{card.name} can not be measured by {task}: its scores do not sum to 1.")
        try:
            projection.positions(card.label_set)
        except ValueError as error:
            raise EvaluationError(f"{card.name} can not be measured by this task. {error}") from error
    return projection


def in_set(dataset: LabelledSet, labels: LabelSet, task: str) -> tuple[LabelledSet, Projection | None]:
    """The set with its truth in the classes of the task; as it is without one.

    Its digest is another one for every task, so that stored runs never mix.

    Args:
        labels: the classes that ``dataset.y_true`` counts in. task: a known one, or empty.
    """
    if not task:
        return dataset, None
    projection = PROJECTIONS[task]
    positions = np.array(projection.positions(labels))
    places = sorted(f"{source}:{target}" for source, target in projection.mapping.items())
    facts = [dataset.digest, projection.name, *projection.target.ids, *places]
    digest = hashlib.sha256("|".join(facts).encode()).hexdigest()
    return replace(dataset, y_true=positions[dataset.y_true], digest=digest), projection


def in_task(predictions: Predictions, dataset: LabelledSet, projection: Projection) -> Predictions:
    """A checkpoint's own scores added up, with the truth of the set, whose classes the checkpoint need not all know."""
    rows = {id_: row for row, id_ in enumerate(dataset.ids)}
    truth = dataset.y_true[[rows[id_] for id_ in predictions.ids]]
    return replace(replace(predictions, y_true=None).projected(projection), y_true=truth)
