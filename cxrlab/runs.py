"""Evaluation runs on disk: one checkpoint on one labelled set, so that nothing is computed twice."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cxrlab.config import home
from cxrlab.metrics.results import GroupReport, MetricReport
from cxrlab.predictions import Predictions

RUN_FORMAT = 1
_FACTS, _PREDICTIONS, _REPORT = "run.json", "predictions.npz", "report.json"


class RunError(ValueError):
    """A stored run can not be read or written; the text is one sentence for the user."""


@dataclass(frozen=True)
class RunFacts:
    """What a run was made from.

    Args:
        checkpoint: its name. checkpoint_title: for people. checkpoint_sha256: of its weights.
        scoring_sha256: of how the weights become scores (input, classes, activation, temperature).
        dataset: name of the labelled set. dataset_digest: hash of its paths, labels, patients and contents.
        part: ``all`` or ``test`` (of the benchmark split). labels: class ids in order.
        task: empty, or the coarser task that the checkpoint's classes were added up to.
        images: evaluated. dropped: left out, by kind of reason.
        device: where it ran. seconds: for the predictions. created: ISO 8601, UTC. version: of cxrlab.
    """

    checkpoint: str
    checkpoint_title: str
    checkpoint_sha256: str
    scoring_sha256: str
    dataset: str
    dataset_digest: str
    part: str
    labels: tuple[str, ...]
    images: int
    dropped: Mapping[str, int]
    device: str
    seconds: float
    created: str
    version: str
    task: str = ""

    @property
    def id(self) -> str:
        """Name of its folder: the same checkpoint on the same images is the same run."""
        return run_id(self.checkpoint_sha256, self.scoring_sha256, self.dataset_digest)


@dataclass(frozen=True, eq=False)
class Run:
    """One checkpoint measured on one labelled set."""

    facts: RunFacts
    predictions: Predictions
    report: MetricReport
    sources: tuple[GroupReport, ...]


def run_id(checkpoint_sha256: str, scoring_sha256: str, dataset_digest: str) -> str:
    """24 hexadecimal digits from what decides a run's numbers."""
    facts = f"{RUN_FORMAT}|{checkpoint_sha256}|{scoring_sha256}|{dataset_digest}"
    return hashlib.sha256(facts.encode()).hexdigest()[:24]


def runs_folder() -> Path:
    """``CXRLAB_HOME/runs``; not created here."""
    return home() / "runs"


def save_run(run: Run, folder: Path | None = None) -> Path:
    """Write a run, whole or not at all; an earlier one of the same id is replaced.

    Raises:
        RunError: when the folder can not be written, e.g. because the disk is full.
    """
    root = folder or runs_folder()
    target = root / run.facts.id
    try:
        root.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{run.facts.id}-", dir=root))
        try:
            _write_json(part / _FACTS, {"format": RUN_FORMAT, **vars(run.facts), "dropped": dict(run.facts.dropped)})
            _write_json(
                part / _REPORT,
                {"report": run.report.to_json(), "sources": [group.to_json() for group in run.sources]},
            )
            run.predictions.save(part / _PREDICTIONS)
            _put_in_place(part, target)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise RunError(
            f"The result can not be stored in {root} ({reason}); free some space or set CXRLAB_HOME."
        ) from error
    return target


def _put_in_place(part: Path, target: Path) -> None:
    """Rename ``part`` to ``target``; when another process was faster, its result, which is the same, stays."""
    shutil.rmtree(target, ignore_errors=True)
    try:
        os.replace(part, target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise


def list_runs(folder: Path | None = None) -> list[RunFacts]:
    """Facts of all readable runs, newest first; damaged ones are passed over, since they can be made again."""
    root = folder or runs_folder()
    found = []
    for path in root.iterdir() if root.is_dir() else ():
        if not path.name.startswith("."):
            try:
                found.append(_read_facts(path))
            except RunError:
                continue
    return sorted(found, key=lambda facts: facts.created, reverse=True)


def load_run(id_: str, folder: Path | None = None) -> Run:
    """A stored run. Raises RunError when there is none of this id or it is damaged."""
    if not id_.isalnum():
        raise RunError("A stored result is named by letters and digits only; choose one from the list.")
    path = (folder or runs_folder()) / id_
    facts = _read_facts(path)
    try:
        stored = json.loads((path / _REPORT).read_text(encoding="utf-8"))
        return Run(
            facts,
            Predictions.load(path / _PREDICTIONS),
            MetricReport.from_json(stored["report"]),
            tuple(GroupReport.from_json(group) for group in stored["sources"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"The stored result {id_} is damaged; evaluate again to replace it.") from error


def delete_run(id_: str, folder: Path | None = None) -> None:
    """Remove a stored run; no error when there is none."""
    if id_.isalnum():
        shutil.rmtree((folder or runs_folder()) / id_, ignore_errors=True)


def _read_facts(path: Path) -> RunFacts:
    try:
        data = json.loads((path / _FACTS).read_text(encoding="utf-8"))
        if data.pop("format") != RUN_FORMAT:
            raise ValueError("another format")
        return RunFacts(**data | {"labels": tuple(data["labels"])})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(f"There is no readable stored result {path.name}; evaluate again.") from error


def _write_json(path: Path, data: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
