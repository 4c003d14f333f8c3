"""Measure checkpoints on a labelled set: the one function behind the Evaluate page and `cxrlab evaluate`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from cxrlab import __version__
from cxrlab.cards import ModelCard
from cxrlab.catalogue import CheckpointInfo, find_checkpoint, members_of
from cxrlab.config import Preprocessing
from cxrlab.labels import LabelSet
from cxrlab.metrics.report import by_group, measure
from cxrlab.predictions import Predictions
from cxrlab.progress import Cancel, Progress, check, never, silent
from cxrlab.runs import Run, RunError, RunFacts, load_run, run_id, save_run
from cxrlab.workflows.labelled_set import LabelledSet, archive_set, manifest_set

DRAWS = 2000  # of the patient bootstrap


class EvaluationError(ValueError):
    """The checkpoints and the set do not fit each other; the text is the sentence for the user."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Runs of several checkpoints on the same images, in the order asked for.

    Args:
        runs: one a checkpoint. reopened: names of those that were stored already and not computed again.
        notes: sentences about the way it ran, e.g. that the GPU's memory did not suffice.
    """

    labels: LabelSet
    runs: tuple[Run, ...]
    reopened: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def common_labels(checkpoints: Sequence[str]) -> LabelSet:
    """The classes that all these checkpoints share, in order. Raises EvaluationError when they differ."""
    if not checkpoints:
        raise EvaluationError("Choose at least one checkpoint to evaluate.")
    cards = [find_checkpoint(name).card for name in checkpoints]
    for card in cards[1:]:
        if card.labels != cards[0].labels:
            raise EvaluationError(
                f"Checkpoints measured together must have the same classes: {cards[0].name} has "
                f"{', '.join(cards[0].labels)}, {card.name} has {', '.join(card.labels)}."
            )
    return cards[0].label_set


def evaluate_manifest(
    source: Path,
    checkpoints: Sequence[str],
    *,
    part: str = "all",
    device: str = "auto",
    store: bool = True,
    progress: Progress = silent,
    cancel: Cancel = never,
) -> Evaluation:
    """Measure checkpoints on a manifest CSV or folder. ``part``: ``all``, or ``test`` of the benchmark split.

    Results are stored under CXRLAB_HOME/runs and reopened, not computed again, when nothing has changed.

    Raises:
        ManifestError, SplitError, CheckpointError, EvaluationError, CacheError, RunError: one sentence each.
        Cancelled: checkpoints that were finished before stay stored.
    """
    dataset = manifest_set(source, common_labels(checkpoints), part=part)
    return _evaluate(dataset, checkpoints, device, store, progress, cancel)


def evaluate_archive(
    data: bytes,
    checkpoints: Sequence[str],
    *,
    name: str,
    device: str = "auto",
    store: bool = False,
    progress: Progress = silent,
    cancel: Cancel = never,
) -> Evaluation:
    """Measure checkpoints on an uploaded ZIP with a labels.csv; images stay in memory, numbers are stored if asked.

    Raises: as :func:`evaluate_manifest`, and XrayError when the archive is refused.
    """
    infos = [find_checkpoint(checkpoint) for checkpoint in checkpoints]
    labels = common_labels(checkpoints)
    needed = {member.card.preprocessing for info in infos for member in (members_of(info) or [info])}
    preprocessings = [preprocessing for preprocessing in needed if preprocessing is not None]
    dataset = archive_set(data, labels, preprocessings, name=name, progress=progress, cancel=cancel)
    return _evaluate(dataset, checkpoints, device, store, progress, cancel)


def reopen(run_ids: Sequence[str]) -> Evaluation:
    """Stored runs as an evaluation. Raises RunError when one is gone or they belong to different image sets."""
    runs = tuple(load_run(id_) for id_ in run_ids)
    if not runs:
        raise RunError("Choose at least one stored result.")
    if len({(run.facts.dataset_digest, run.facts.part) for run in runs}) > 1:
        raise RunError("Stored results shown together must come from the same images.")
    return Evaluation(runs[0].predictions.labels, runs, tuple(run.facts.checkpoint for run in runs))


def _evaluate(
    dataset: LabelledSet, checkpoints: Sequence[str], device: str, store: bool, progress: Progress, cancel: Cancel
) -> Evaluation:
    session = _Session(dataset, device, progress, cancel)
    runs, reopened = [], []
    for name in checkpoints:
        info = find_checkpoint(name)
        stored = _stored(info, dataset) if store else None
        if stored:
            reopened.append(name)
        run = stored or session.run(info)
        if store and not stored:
            save_run(run)
        runs.append(run)
    return Evaluation(runs[0].predictions.labels, tuple(runs), tuple(reopened), tuple(session.notes))


def _stored(info: CheckpointInfo, dataset: LabelledSet) -> Run | None:
    try:
        run = load_run(run_id(info.card.weights_sha256, dataset.digest))
    except RunError:
        return None
    named = replace(run.facts, checkpoint=info.name, checkpoint_title=info.card.title)
    return replace(run, facts=named, predictions=replace(run.predictions, checkpoint=info.name))


class _Session:
    """One evaluation under way: what was predicted once is used again by the ensembles."""

    def __init__(self, dataset: LabelledSet, device: str, progress: Progress, cancel: Cancel) -> None:
        self.dataset, self.device, self.progress, self.cancel = dataset, device, progress, cancel
        self.notes: list[str] = []
        self._done: dict[str, tuple[Predictions, float, str]] = {}
        self._squares: dict[Preprocessing, tuple[np.ndarray, dict[int, str]]] = {}

    def run(self, info: CheckpointInfo) -> Run:
        predictions, seconds, device = self._predictions(info)
        self.progress(0, 1, f"{info.card.title}: intervals from {DRAWS} bootstrap draws")
        check(self.cancel, "The evaluation")
        unreadable = len(self.dataset) - len(predictions)
        facts = RunFacts(
            checkpoint=info.name,
            checkpoint_title=info.card.title,
            checkpoint_sha256=info.card.weights_sha256,
            dataset=self.dataset.name,
            dataset_digest=self.dataset.digest,
            part=self.dataset.part,
            images=len(predictions),
            dropped=dict(self.dataset.dropped) | ({"unreadable image": unreadable} if unreadable else {}),
            device=device,
            seconds=round(seconds, 3),
            created=f"{datetime.now(UTC):%FT%TZ}",
            version=__version__,
        )
        report = measure(predictions, draws=DRAWS)
        sources = by_group(predictions, "source", draws=DRAWS) if "source" in predictions.groups else ()
        return Run(facts, predictions, report, sources)

    def _predictions(self, info: CheckpointInfo) -> tuple[Predictions, float, str]:
        """Predictions, seconds and device; members of an ensemble are predicted once for all."""
        from cxrlab.ensembles.voting import vote

        if info.card.weights_sha256 not in self._done:
            if info.card.kind == "model":
                result = self._predict(info)
            else:
                parts = [self._predictions(member) for member in members_of(info)]
                voted = vote([part[0] for part in parts], how=info.card.voting, weights=info.card.weights)
                named = replace(voted, checkpoint=info.name, checkpoint_sha256=info.card.weights_sha256)
                result = named, sum(part[1] for part in parts), parts[0][2]
            self._done[info.card.weights_sha256] = result
        return self._done[info.card.weights_sha256]

    def _predict(self, info: CheckpointInfo) -> tuple[Predictions, float, str]:
        from cxrlab.inference import predict
        from cxrlab.workflows.pool import pool

        card, dataset = info.card, self.dataset
        assert card.preprocessing is not None  # a model's card has one
        if card.preprocessing not in self._squares:
            self._squares[card.preprocessing] = dataset.squares(card.preprocessing, self.progress, self.cancel)
        squares, errors = self._squares[card.preprocessing]
        readable = np.array([row for row in range(len(dataset)) if row not in errors], dtype=int)
        started = time.perf_counter()
        with pool.borrow(info.name) as loaded:
            predicted = predict(loaded, squares, device=self.device, progress=self._titled(card), cancel=self.cancel)
        self.notes.extend(note for note in predicted.notes if note not in self.notes)
        predictions = Predictions(
            ids=dataset.ids,
            labels=card.label_set,
            scores=predicted.scores,
            y_true=dataset.y_true,
            patient_ids=dataset.patient_ids,
            task=card.task,
            normalised=card.normalised,
            checkpoint=info.name,
            checkpoint_sha256=card.weights_sha256,
            groups=dataset.groups,
        )
        return predictions.select(readable), time.perf_counter() - started, predicted.device

    def _titled(self, card: ModelCard) -> Progress:
        return lambda done, total, text: self.progress(done, total, f"{card.title}: {done} of {total} images")
