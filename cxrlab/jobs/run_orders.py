"""An attempt on another machine speaks through its run folder: an order from the queue, an answer from the attempt.

SQLite's write-ahead log needs shared memory, so a queue on network storage may only be opened on one machine.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cxrlab.jobs.job import Job, JobError, State

FOLDER_VARIABLE = "CXRLAB_JOB_FOLDER"  # set where an attempt must not open the queue
ORDER_FILE = "order.json"


@dataclass(frozen=True)
class Answer:
    """What an attempt said: who it is, and at the end its verdict; an empty ``state`` is no verdict yet."""

    pid: int = 0
    process_started: float = 0.0
    host: str = ""
    state: str = ""
    exit_code: int | None = None
    reason: str = ""


def give_order(job: Job) -> None:
    """Tell the attempt how its job stands; an attempt with another token leaves."""
    job.folder.mkdir(parents=True, exist_ok=True)
    _write(job.folder / ORDER_FILE, job.to_json())


def read_answer(folder: Path, token: str) -> Answer:
    """What the attempt with this token has said so far."""
    try:
        return Answer(**json.loads(_answer_file(folder, token).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return Answer()


def forget_answers(folder: Path) -> None:
    """Remove what earlier attempts said."""
    for path in folder.glob("answer-*.json"):
        with suppress(OSError):
            path.unlink()


def desk_elsewhere() -> FolderDesk | None:
    """Whom this process asks instead of the queue: the folder that CXRLAB_JOB_FOLDER names, if it does."""
    given = os.environ.get(FOLDER_VARIABLE, "")
    return FolderDesk(Path(given)) if given else None


class FolderDesk:
    """What an attempt asks of the queue, answered from the run folder; methods as :class:`JobQueue` has them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: Job | None = None

    def get(self, id_: int) -> Job:
        """The job as the queue's machine ordered it last; as it was before while the storage does not answer.

        Raises:
            JobError: when there never was an order.
        """
        try:
            order = json.loads((self.folder / ORDER_FILE).read_text(encoding="utf-8"))
            tuples = {name: tuple(order[name]) for name in ("after", "devices")}
            self._known = Job(**order | tuples | {"folder": self.folder})
        except FileNotFoundError:
            self._known = replace(self._known, token="") if self._known else None  # deleted: nobody's attempt
        except (OSError, ValueError, TypeError):
            pass
        if self._known is None or self._known.id != id_:
            raise JobError(
                f"There is no order for job {id_} in {self.folder}; is the folder on storage that all machines share?"
            )
        return self._known

    def register(self, id_: int, *, token: str, pid: int, process_started: float, host: str = "") -> bool:
        """The process says who it is. False when it is not the current attempt."""
        return self._say(id_, token, {"pid": pid, "process_started": process_started, "host": host})

    def finish(self, id_: int, state: State, *, token: str, exit_code: int | None = None, reason: str = "") -> bool:
        """A verdict. False when the attempt is not the current one."""
        return self._say(id_, token, {"state": state, "exit_code": exit_code, "reason": reason})

    def requeue(self, id_: int, *, token: str, deaths: int, exit_code: int | None = None, reason: str = "") -> bool:
        """To be started again. False when the job shall stop, or the attempt is not the current one."""
        facts = {"state": "queued", "exit_code": exit_code, "reason": reason}
        return self.get(id_).state == "running" and self._say(id_, token, facts)

    def _say(self, id_: int, token: str, facts: Mapping[str, Any]) -> bool:
        if self.get(id_).token != token:
            return False
        _write(_answer_file(self.folder, token), {**vars(read_answer(self.folder, token)), **facts})
        return True


def _answer_file(folder: Path, token: str) -> Path:
    return folder / f"answer-{token[:12]}.json"


def _write(path: Path, data: Mapping[str, Any]) -> None:
    """Whole or not at all."""
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_text(json.dumps(data), encoding="utf-8")
    temporary.replace(path)
