"""Where a study is kept: one folder, a folder a run in it, everything written whole or not at all."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cxrlab.predictions import Predictions
from cxrlab.studies.images import StudyError
from cxrlab.studies.plan import CombinerRun, MemberRun, StudyPlan

RUN_FILE = "run.json"
STUDY_FILE = "study.json"
MAPS_FILE = "maps.npz"
SHARED_FACTS = ("dataset_digest", "labels", "scale", "view", "seed")
"""What a study and the one whose outputs it borrows must have in common, for the same folds."""


@dataclass(frozen=True)
class StudyFolder:
    """A study on disk: ``study.json``, ``runs/<id>/`` with ``run.json`` (written last) and a file a part.

    Args:
        path: the folder. borrowed: another study's folder, whose runs are read where this one has none.
    """

    path: Path
    borrowed: Path | None = None

    def run(self, id_: str) -> Path:
        """The folder of a run."""
        return self.path / "runs" / id_

    def record(self, id_: str) -> dict[str, Any] | None:
        """What a finished run wrote; None while it is not finished."""
        path = self.run(id_) / RUN_FILE
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

    def is_done(self, run: MemberRun | CombinerRun) -> bool:
        """Is the run there with the same settings? Raises StudyError when it is there with others."""
        record = self.record(run.id)
        if record is None:
            return False
        if not run.is_same(record["settings"]):
            raise StudyError(
                f"Run {run.id} was made with other settings than asked for now; choose another folder or delete it."
            )
        return True

    def predictions(self, id_: str, part: str) -> Predictions:
        """The kept outputs of a run. Raises StudyError when they are not there."""
        path = self.run(id_) / f"{part}.npz"
        if self.borrowed and not path.exists():
            path = self.borrowed / "runs" / id_ / f"{part}.npz"
        try:
            return Predictions.load(path)
        except (OSError, ValueError) as error:
            raise StudyError(
                f"The {part} outputs of run {id_} must be whole, but are not; delete its folder."
            ) from error

    def finish(self, id_: str, facts: Mapping[str, Any], outputs: Mapping[str, Predictions]) -> None:
        """Write the outputs, then the record that makes the run count as done."""
        folder = self.run(id_)
        folder.mkdir(parents=True, exist_ok=True)
        for part, predictions in outputs.items():
            temporary = folder / f".{part}.npz"
            predictions.save(temporary)
            temporary.replace(folder / f"{part}.npz")
        write_json(folder / RUN_FILE, {"id": id_, **facts, "created": now()})

    def check_borrowed(self, plan: StudyPlan, facts: Mapping[str, Any]) -> None:
        """Raise StudyError unless the borrowed folder has every output that the plan needs, for the same images."""
        if self.borrowed is None:
            return
        path = self.borrowed / STUDY_FILE
        if not path.exists():
            raise StudyError(f"{self.borrowed} must be the folder of a study whose networks are trained; it is not.")
        stored = json.loads(path.read_text(encoding="utf-8"))
        if different := [name for name in SHARED_FACTS if stored.get(name) != facts[name]]:
            raise StudyError(
                f"{self.borrowed} is of another {', '.join(different)} than this study; give the same to both."
            )
        needed = {id_ for run in plan.combiners for ids in run.members for id_ in ids}
        if missing := sorted(id_ for id_ in needed if not (self.borrowed / "runs" / id_ / RUN_FILE).exists()):
            raise StudyError(f"{self.borrowed} lacks {len(missing)} runs, first {missing[0]}; finish that study first.")

    def claim(self, facts: Mapping[str, Any], *, resume: bool) -> None:
        """Begin the study here, or go on with it.

        Raises:
            StudyError: when the folder holds another study or something else, or this one and ``resume`` is False.
        """
        path = self.path / STUDY_FILE
        if path.exists():
            if not resume:
                raise StudyError(f"{self.path.name} holds a study already; add --resume to go on with it.")
            stored = json.loads(path.read_text(encoding="utf-8"))
            wanted = json.loads(json.dumps(facts))
            different = [name for name in wanted if name != "command" and stored.get(name) != wanted[name]]
            if different:
                raise StudyError(
                    f"{self.path.name} holds a study with another {', '.join(different)}; choose another folder."
                )
            return
        if self.path.exists() and any(self.path.iterdir()):
            raise StudyError(f"{self.path.name} must be empty or hold this study; choose another folder.")
        self.path.mkdir(parents=True, exist_ok=True)
        write_json(path, {**facts, "created": now()})

    @contextmanager
    def alone(self, id_: str) -> Iterator[None]:
        """Inside the block no other process works on this run; waits for one that does."""
        folder = self.run(id_)
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write JSON, whole or not at all."""
    temporary = path.with_name(f".{path.name}")
    temporary.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    temporary.replace(path)


def now() -> str:
    """The time in UTC, ISO 8601."""
    return f"{datetime.now(UTC):%FT%TZ}"
