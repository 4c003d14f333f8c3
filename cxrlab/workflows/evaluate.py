"""Measure checkpoints on a labelled set: the one function behind the Evaluate page and `cxrlab evaluate`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from cxrlab import __version__
from cxrlab.catalogue import CheckpointInfo, find_checkpoint, members_of
from cxrlab.config import Preprocessing
from cxrlab.data.images import Limits
from cxrlab.labels import LabelSet
from cxrlab.metrics.report import by_group, measure
from cxrlab.predictions import Predictions
from cxrlab.progress import Cancel, Progress, check, never, silent
from cxrlab.runs import Run, RunError, RunFacts, load_run, run_id, save_run
from cxrlab.workflows.ensemble_scores import bound_note, ensemble_predictions
from cxrlab.workflows.labelled_set import LabelledSet, archive_set, manifest_set
from cxrlab.workflows.tasks import EvaluationError, Projection, common_labels, in_set, in_task

DRAWS = 2000  # of the patient bootstrap
SHOWN_ERRORS = 5  # sentences about unreadable images; the rest is counted


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


def evaluate_manifest(
    source: Path,
    checkpoints: Sequence[str | Path],
    *,
    part: str = "all",
    task: str = "",
    device: str = "auto",
    store: bool = True,
    reuse: bool = True,
    progress: Progress = silent,
    cancel: Cancel = never,
) -> Evaluation:
    """Measure checkpoints on a manifest CSV or folder.

    Args:
        source: as for ``read_manifest``. checkpoints: names, or paths of checkpoint folders.
        part: ``all``, or ``test`` or ``development`` of the benchmark split.
        task: empty: all checkpoints have the same classes, which are measured. Else one of ``labels.PROJECTIONS``:
            each checkpoint's classes are added up to those of the task.
        device: ``auto``, ``cpu`` or ``cuda``.
        store: keep the results under CXRLAB_HOME/runs.
        reuse: reopen what is stored there instead of computing it again, when nothing has changed that decides it.

    Raises:
        ManifestError, SplitError, CheckpointError, EvaluationError, CacheError, RunError: one sentence each.
        Cancelled: checkpoints that were finished before stay stored.
    """
    names = _once(checkpoints)
    labels = common_labels(names, task)
    progress(0, 1000 * len(names), "Reading the labelled set")
    dataset = manifest_set(source, labels, part=part)
    return _Session(*in_set(dataset, labels, task), device, store, reuse, progress, cancel).evaluation(names)


def evaluate_archive(
    data: bytes,
    checkpoints: Sequence[str | Path],
    *,
    name: str,
    limits: Limits | None = None,
    task: str = "",
    device: str = "auto",
    store: bool = False,
    reuse: bool = True,
    progress: Progress = silent,
    cancel: Cancel = never,
) -> Evaluation:
    """Measure checkpoints on an uploaded ZIP with a ``labels.csv``; images stay in memory, numbers are stored if asked.

    Arguments and errors as for :func:`evaluate_manifest`; also XrayError when the archive is refused.
    """
    names = _once(checkpoints)
    labels = common_labels(names, task)
    infos = [find_checkpoint(checkpoint) for checkpoint in names]
    rules = [member.card.preprocessing for info in infos for member in (members_of(info) or [info])]
    preprocessings = list(dict.fromkeys(rule for rule in rules if rule is not None))
    dataset = archive_set(data, labels, preprocessings, name=name, limits=limits, progress=progress, cancel=cancel)
    return _Session(*in_set(dataset, labels, task), device, store, reuse, progress, cancel).evaluation(names)


def evaluate_set(
    dataset: LabelledSet,
    checkpoints: Sequence[str | Path],
    *,
    device: str = "auto",
    progress: Progress = silent,
    cancel: Cancel = never,
) -> Evaluation:
    """Measure checkpoints with the set's classes on a set made before; stored, reopened where stored already."""
    return _Session(dataset, None, device, True, True, progress, cancel).evaluation(_once(checkpoints))


def reopen(run_ids: Sequence[str]) -> Evaluation:
    """Stored runs as an evaluation. Raises RunError when one is gone or they belong to different image sets."""
    runs = tuple(load_run(id_) for id_ in run_ids)
    if not runs:
        raise RunError("Choose at least one stored result.")
    if len({(run.facts.dataset_digest, run.facts.part, run.report.labels) for run in runs}) > 1:
        raise RunError("Stored results shown together must come from the same images.")
    return Evaluation(runs[0].predictions.labels, runs, tuple(run.facts.checkpoint for run in runs))


def scoring_sha256(info: CheckpointInfo) -> str:
    """Hash of how a checkpoint's weights become scores: input, classes, activation, temperature, members, combiner."""
    card = info.card
    rule = card.preprocessing and card.preprocessing.to_json()
    facts: list[object] = [card.labels, card.activation, card.temperature, rule]
    facts += [card.voting, card.combiner_sha256] if card.is_learned else []
    members = [scoring_sha256(member) for member in members_of(info)]
    return hashlib.sha256(json.dumps([facts, members]).encode()).hexdigest()


def _once(checkpoints: Sequence[str | Path]) -> tuple[str | Path, ...]:
    """The names without repetitions, in the order given."""
    return tuple(dict.fromkeys(checkpoints))


@dataclass(eq=False)
class _Session:
    """One evaluation under way: what was predicted once is used again by the ensembles."""

    dataset: LabelledSet
    projection: Projection | None
    device: str
    store: bool
    reuse: bool
    progress: Progress
    cancel: Cancel
    notes: list[str] = field(default_factory=list)
    _done: dict[str, _Predicted] = field(default_factory=dict)
    _squares: dict[Preprocessing, tuple[np.ndarray, dict[int, str]]] = field(default_factory=dict)
    _position: int = 0
    _count: int = 1
    _reported: int = 0

    def evaluation(self, checkpoints: Sequence[str | Path]) -> Evaluation:
        runs, reopened = [], []
        self._count = len(checkpoints)
        for self._position, name in enumerate(checkpoints):
            info = find_checkpoint(name)
            run = self._stored(info)
            if run:
                reopened.append(info.name)
            else:
                run = self._run(info)
            if self.store and info.name not in reopened:
                save_run(run)
            runs.append(run)
        return Evaluation(runs[0].predictions.labels, tuple(runs), tuple(reopened), tuple(self.notes))

    def _stored(self, info: CheckpointInfo) -> Run | None:
        """The run of this checkpoint on these images if it was stored, under the names that things have now."""
        if not self.reuse:
            return None
        try:
            run = load_run(run_id(info.card.weights_sha256, scoring_sha256(info), self.dataset.digest))
        except RunError:
            return None
        facts = replace(
            run.facts,
            checkpoint=info.name,
            checkpoint_title=info.card.title,
            dataset=self.dataset.name,
            part=self.dataset.part,
        )
        return replace(run, facts=facts, predictions=replace(run.predictions, checkpoint=info.name))

    def _run(self, info: CheckpointInfo) -> Run:
        predicted = self._predicted(info)
        predictions = predicted.predictions
        if self.projection:
            predictions = in_task(predictions, self.dataset, self.projection)
        self._phase(0.9, 1.0)(0, 1, f"{info.card.title}: intervals from {DRAWS} bootstrap draws")
        check(self.cancel, "The evaluation")
        unreadable = len(self.dataset) - len(predictions)
        facts = RunFacts(
            checkpoint=info.name,
            checkpoint_title=info.card.title,
            checkpoint_sha256=info.card.weights_sha256,
            scoring_sha256=scoring_sha256(info),
            dataset=self.dataset.name,
            dataset_digest=self.dataset.digest,
            part=self.dataset.part,
            labels=predictions.labels.ids,
            task=self.projection.name if self.projection else "",
            images=len(predictions),
            dropped=dict(self.dataset.dropped) | ({"unreadable image": unreadable} if unreadable else {}),
            device=predicted.device,
            seconds=round(predicted.seconds, 3),
            created=f"{datetime.now(UTC):%FT%TZ}",
            version=__version__,
        )
        report = measure(predictions, draws=DRAWS)
        sources = by_group(predictions, "source", draws=DRAWS) if "source" in predictions.groups else ()
        check(self.cancel, "The evaluation")
        return Run(facts, predictions, report, sources)

    def _predicted(self, info: CheckpointInfo) -> _Predicted:
        """What a checkpoint says of the images; members of an ensemble are predicted once for all."""
        key = run_id(info.card.weights_sha256, scoring_sha256(info), self.dataset.digest)
        if key not in self._done:
            if info.card.kind == "model":
                self._done[key] = self._from_store(info) or self._predict(info)
            else:
                parts = [self._predicted(member) for member in members_of(info)]
                named = ensemble_predictions(info, [part.predictions for part in parts])
                self._note(*bound_note(info.card))
                devices = " and ".join(dict.fromkeys(part.device for part in parts))
                self._done[key] = _Predicted(named, sum(part.seconds for part in parts), devices)
        return self._done[key]

    def _from_store(self, info: CheckpointInfo) -> _Predicted | None:
        run = None if self.projection else self._stored(info)  # a stored run of a task has lost the finer classes
        return _Predicted(run.predictions, run.facts.seconds, run.facts.device) if run else None

    def _predict(self, info: CheckpointInfo) -> _Predicted:
        from cxrlab.inference import predict
        from cxrlab.workflows.pool import pool

        card, dataset = info.card, self.dataset
        squares, errors = self._read(card.preprocessing or Preprocessing())  # a model's card has one
        readable = np.array([row for row in range(len(dataset)) if row not in errors], dtype=int)
        self._phase(0.3, 0.9)(0, 1, f"{card.title}: loading")
        with pool.borrow(info.folder) as loaded:
            progress = self._phase(0.3, 0.9, f"{card.title}: image")
            predicted = predict(loaded, squares, device=self.device, progress=progress, cancel=self.cancel)
        self._note(*predicted.notes)
        predictions = Predictions(
            ids=dataset.ids,
            labels=card.label_set,
            scores=predicted.scores,
            y_true=None if self.projection else dataset.y_true,
            patient_ids=dataset.patient_ids,
            task=card.task,
            normalised=card.normalised,
            checkpoint=info.name,
            checkpoint_sha256=card.weights_sha256,
            groups=dataset.groups,
        )
        return _Predicted(predictions.select(readable), predicted.seconds, predicted.device)

    def _read(self, preprocessing: Preprocessing) -> tuple[np.ndarray, dict[int, str]]:
        """The images at one input size, read once. Raises EvaluationError when none could be read."""
        if preprocessing not in self._squares:
            squares, errors = self.dataset.squares(preprocessing, self._phase(0.0, 0.3, "Reading image"), self.cancel)
            sentences = list(errors.values())
            if len(errors) == len(self.dataset):
                raise EvaluationError(f"None of the {len(errors)} images could be read. The first: {sentences[0]}")
            more = f" And {len(errors) - SHOWN_ERRORS} more images." if len(errors) > SHOWN_ERRORS else ""
            if errors:
                self._note(f"Left out, because they could not be read: {' '.join(sentences[:SHOWN_ERRORS])}{more}")
            self._squares[preprocessing] = squares, errors
        return self._squares[preprocessing]

    def _note(self, *notes: str) -> None:
        self.notes.extend(note for note in notes if note not in self.notes)

    def _phase(self, low: float, high: float, what: str = "") -> Progress:
        """Progress of one phase as a share of the whole evaluation, which never runs backwards."""

        def report(done: int, total: int, text: str) -> None:
            share = low + (high - low) * done / max(1, total)
            self._reported = max(self._reported, round(1000 * (self._position + share)))
            self.progress(self._reported, 1000 * self._count, f"{what} {done} of {total}" if what else text)

        return report


@dataclass(frozen=True, eq=False)
class _Predicted:
    predictions: Predictions
    seconds: float
    device: str
