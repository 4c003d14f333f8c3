"""Evaluation results kept on disk: listed by labelled set, reopened without computing, deleted."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from cxrlab.runs import RunError, RunFacts, delete_run, list_runs
from cxrlab.workflows.evaluate import Evaluation, reopen

__all__ = ["RunError", "RunFacts", "StoredSet", "delete_set", "is_stored", "open_set", "set_id", "stored_sets"]


@dataclass(frozen=True)
class StoredSet:
    """Stored runs on the same images.

    Args:
        id: 16 digits that name the set in links.
        dataset, part: for people. labels: class ids in order. images: evaluated.
        created: of the newest run, ISO 8601 in UTC. runs: by checkpoint title.
    """

    id: str
    dataset: str
    part: str
    labels: tuple[str, ...]
    images: int
    created: str
    runs: tuple[RunFacts, ...]


def stored_sets() -> tuple[StoredSet, ...]:
    """Every labelled set with stored results, the one with the newest first. Checkpoints of other classes on the same
    images form a set of their own, since their images of unknown classes were left out."""
    groups: dict[str, list[RunFacts]] = {}
    for facts in list_runs():
        groups.setdefault(_set_id(facts), []).append(facts)
    return tuple(_stored_set(id_, runs) for id_, runs in groups.items())


def open_set(id_: str, checkpoints: Sequence[str] = ()) -> Evaluation:
    """Stored runs on one labelled set. Raises RunError when there are none or one is damaged.

    Args:
        id_: of a :class:`StoredSet`.
        checkpoints: only these, in this order; empty: all. Those not stored are passed over.
    """
    runs = next((stored.runs for stored in stored_sets() if stored.id == id_), ())
    by_name = {facts.checkpoint: facts.id for facts in runs}
    chosen = [by_name[name] for name in checkpoints if name in by_name] or list(by_name.values())
    if not chosen:
        raise RunError("There are no stored results under this link any more; evaluate again.")
    return reopen(chosen)


def delete_set(id_: str) -> None:
    """Remove all stored runs of a set; no error when there are none."""
    for stored in stored_sets():
        if stored.id == id_:
            for facts in stored.runs:
                delete_run(facts.id)


def set_id(evaluation: Evaluation) -> str:
    """The id that this evaluation's set has, or would have, among the stored ones."""
    return _set_id(evaluation.runs[0].facts)


def is_stored(evaluation: Evaluation) -> bool:
    """Are all of its runs on disk?"""
    stored = {facts.id for facts in list_runs()}
    return all(run.facts.id in stored for run in evaluation.runs)


def _set_id(facts: RunFacts) -> str:
    return hashlib.sha256(f"{facts.dataset_digest}|{','.join(facts.labels)}".encode()).hexdigest()[:16]


def _stored_set(id_: str, runs: Sequence[RunFacts]) -> StoredSet:
    newest = max(runs, key=lambda facts: facts.created)
    return StoredSet(
        id=id_,
        dataset=newest.dataset,
        part=newest.part,
        labels=newest.labels,
        images=newest.images,
        created=newest.created,
        runs=tuple(sorted(runs, key=lambda facts: facts.checkpoint_title)),
    )
