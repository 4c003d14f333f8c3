"""Predictions: what models said about a list of images. Training, ensembles, metrics and runs meet only here."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal
from zipfile import BadZipFile

import numpy as np

from cxrlab.labels import LabelSet, Projection

Task = Literal["multiclass", "multilabel"]
UNKNOWN = -1  # single-label truth of an image whose class nobody knows


@dataclass(frozen=True, eq=False)
class Predictions:
    """Scores of one model or ensemble on N images and C classes.

    Args:
        ids: N unique image ids (paths as in the manifest, or sha256 of uploads).
        labels: the C classes, in the order of the columns of ``scores``.
        scores: (N, C) float64 in [0, 1]; the rows sum to 1 where ``normalised``.
        y_true: single-label truth (N,) int64 with -1 for unknown, or multi-label truth (N, C) float64 of 0, 1
            and NaN for unknown. None: every image unknown.
        patient_ids: N patient ids; None: every image is its own patient.
        task: ``multiclass`` (one class an image) or ``multilabel``.
        normalised: do the scores of a row sum to 1?
        checkpoint: name of the checkpoint, and ``checkpoint_sha256`` the hash of its weights.
        groups: further columns by name, N values each, e.g. ``source`` and ``view``.
        decisions: (N,) int64 decided class indices where they are more than the highest score, e.g. hard voting's rule
            for ties; None: the highest score decides.

    Raises:
        ValueError: when shapes, ranges or ids do not fit each other; the text says which and how.
    """

    ids: tuple[str, ...]
    labels: LabelSet
    scores: np.ndarray
    y_true: np.ndarray | None = None
    patient_ids: tuple[str, ...] | None = None
    task: Task = "multiclass"
    normalised: bool = True
    checkpoint: str = ""
    checkpoint_sha256: str = ""
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    decisions: np.ndarray | None = None

    def __post_init__(self) -> None:
        n, c = len(self.ids), len(self.labels)
        scores = np.asarray(self.scores, dtype=np.float64)
        if scores.shape != (n, c):
            raise ValueError(f"Scores must have shape ({n}, {c}) for {n} ids and {c} classes, got {scores.shape}.")
        if len(set(self.ids)) != n:
            raise ValueError(f"Image ids must be unique, got {n - len(set(self.ids))} repeated.")
        if scores.size and not (np.isfinite(scores).all() and scores.min() >= 0 and scores.max() <= 1 + 1e-9):
            raise ValueError("Scores must be finite and in [0, 1].")
        if self.normalised and n and not np.allclose(scores.sum(axis=1), 1, atol=1e-4):
            raise ValueError("Scores of a row must sum to 1 (or pass normalised=False).")
        object.__setattr__(self, "scores", scores)
        object.__setattr__(self, "y_true", self._checked_truth(n, c))
        if self.patient_ids is None:
            object.__setattr__(self, "patient_ids", self.ids)
        for name, column in {"patient_ids": self.patients, **self.groups}.items():
            if len(column) != n:
                raise ValueError(f"Column {name!r} must have {n} values, got {len(column)}.")
        if self.decisions is not None:
            object.__setattr__(self, "decisions", self._checked_decisions(self.decisions, n, c))

    def _checked_truth(self, n: int, c: int) -> np.ndarray:
        if self.task == "multilabel":
            truth = np.full((n, c), np.nan) if self.y_true is None else np.asarray(self.y_true, dtype=np.float64)
            if truth.shape != (n, c):
                raise ValueError(f"Multi-label truth must have shape ({n}, {c}), got {truth.shape}.")
            if not np.isin(truth[~np.isnan(truth)], (0, 1)).all():
                raise ValueError("Multi-label truth must be 0, 1 or NaN for unknown.")
            return truth
        truth = np.full(n, UNKNOWN) if self.y_true is None else np.asarray(self.y_true)
        if truth.shape != (n,):
            raise ValueError(f"Single-label truth must have shape ({n},), got {truth.shape}.")
        truth = truth.astype(np.int64)
        if n and not (truth.min() >= UNKNOWN and truth.max() < c):
            raise ValueError(f"Truth must be class indices 0 to {c - 1}, or -1 for unknown.")
        return truth

    def _checked_decisions(self, decisions: np.ndarray, n: int, c: int) -> np.ndarray:
        decided = np.asarray(decisions).astype(np.int64)
        if self.task != "multiclass" or decided.shape != (n,) or (n and not 0 <= decided.min() <= decided.max() < c):
            raise ValueError(f"Decisions must be {n} class indices 0 to {c - 1} of a multiclass task.")
        return decided

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def truth(self) -> np.ndarray:
        """The truth as an array: (N,) or (N, C), see ``y_true``."""
        assert self.y_true is not None  # set in __post_init__
        return self.y_true

    @property
    def patients(self) -> tuple[str, ...]:
        """Patient ids, N values."""
        assert self.patient_ids is not None  # set in __post_init__
        return self.patient_ids

    @property
    def predicted(self) -> np.ndarray:
        """(N,) decided class: ``decisions``, or the highest score, where ties go to the lower index.

        Raises:
            ValueError: for a multi-label task, which decides class by class.
        """
        if self.task != "multiclass":
            raise ValueError("A multi-label task has no single predicted class.")
        return self.scores.argmax(axis=1) if self.decisions is None else self.decisions

    @property
    def known(self) -> np.ndarray:
        """(N,) bool: is anything known about this image?"""
        return ~np.isnan(self.truth).all(axis=1) if self.task == "multilabel" else self.truth != UNKNOWN

    def select(self, rows: np.ndarray | Sequence[int]) -> Predictions:
        """The given rows: a boolean mask (N,) or positions, in the order given."""
        rows = np.asarray(rows)
        positions = np.flatnonzero(rows) if rows.dtype == bool else rows.astype(int)

        def taken(column: Sequence[str]) -> tuple[str, ...]:
            return tuple(column[position] for position in positions)

        return replace(
            self,
            ids=taken(self.ids),
            scores=self.scores[positions],
            y_true=self.truth[positions],
            patient_ids=taken(self.patients),
            groups={name: taken(column) for name, column in self.groups.items()},
            decisions=None if self.decisions is None else self.decisions[positions],
        )

    def projected(self, projection: Projection) -> Predictions:
        """The same images under a coarser task: scores of classes that belong together are added, the highest sum
        decides, the truth is mapped and unknown truth stays unknown.

        Raises:
            ValueError: when the task has no place for a class, or the scores are no shares of one whole.
        """
        positions = np.array(projection.positions(self.labels))
        if self.task != "multiclass" or not self.normalised:
            raise ValueError(f"Only scores that sum to 1 can be added up for the task {projection.name}.")
        belongs = positions[:, None] == np.arange(len(projection.target))  # (C, targets)
        return replace(
            self,
            labels=projection.target,
            scores=np.minimum(self.scores @ belongs.astype(np.float64), 1.0),
            y_true=np.where(self.known, positions[self.truth], UNKNOWN),
            decisions=None,
        )

    def save(self, path: Path) -> None:
        """Write one ``.npz`` file (no pickles inside), whole or not at all."""
        facts = {
            "ids": self.ids,
            "labels": self.labels.ids,
            "patient_ids": self.patients,
            "task": self.task,
            "normalised": self.normalised,
            "checkpoint": self.checkpoint,
            "checkpoint_sha256": self.checkpoint_sha256,
            "groups": dict(self.groups),
        }
        arrays = {"scores": self.scores, "y_true": self.truth, "facts": np.array(json.dumps(facts))}
        if self.decisions is not None:
            arrays["decisions"] = self.decisions
        temporary = path.with_name(path.name + ".part")
        try:
            with temporary.open("wb") as file:
                np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: Path) -> Predictions:
        """Read what :meth:`save` wrote. Raises ValueError when the file is not such a file."""
        try:
            with np.load(path, allow_pickle=False) as stored:
                facts = json.loads(str(stored["facts"]))
                scores, y_true = stored["scores"], stored["y_true"]
                decisions = stored.get("decisions")
        except (OSError, KeyError, ValueError, EOFError, BadZipFile, zlib.error) as error:
            raise ValueError(f"{path.name} must be a predictions file written by cxrlab: {error}.") from error
        return cls(
            ids=tuple(facts["ids"]),
            labels=LabelSet.from_ids(facts["labels"]),
            scores=scores,
            y_true=y_true,
            patient_ids=tuple(facts["patient_ids"]),
            task=facts["task"],
            normalised=facts["normalised"],
            checkpoint=facts["checkpoint"],
            checkpoint_sha256=facts["checkpoint_sha256"],
            groups={name: tuple(column) for name, column in facts["groups"].items()},
            decisions=decisions,
        )


def align(members: Sequence[Predictions]) -> list[Predictions]:
    """Members of an ensemble or a comparison with their rows in the order of the first one's.

    Raises:
        ValueError: when there are none, or labels, tasks, images or truths differ.
    """
    if not members:
        raise ValueError("At least one set of predictions is needed, got none.")
    first = members[0]
    aligned = [first]
    for other in members[1:]:
        if other.labels.ids != first.labels.ids or other.task != first.task:
            raise ValueError(
                f"Labels and task must be the same: {first.checkpoint or 'the first'} has "
                f"{', '.join(first.labels.ids)} ({first.task}), {other.checkpoint or 'another'} has "
                f"{', '.join(other.labels.ids)} ({other.task})."
            )
        position = {id_: row for row, id_ in enumerate(other.ids)}
        if position.keys() != set(first.ids):
            raise ValueError(
                f"Images must be the same: {len(position.keys() ^ set(first.ids))} are in only one of "
                f"{first.checkpoint or 'the first'} and {other.checkpoint or 'another'}."
            )
        ordered = other.select([position[id_] for id_ in first.ids])
        if not np.array_equal(ordered.truth, first.truth, equal_nan=True):
            raise ValueError("The same images must have the same truth in every set of predictions.")
        aligned.append(ordered)
    return aligned
