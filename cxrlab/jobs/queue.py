"""The queue: one SQLite file, the only truth about jobs; every change of state is one transaction."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from cxrlab.config import home, one_of
from cxrlab.jobs.job import ALIVE, AT_WORK, ENDED, KINDS, TABLE, Backend, Job, JobError, Kind, State

FILE = "queue.sqlite"
BUSY_S = 60.0  # another process may hold the file for so long
ORDER = "priority desc, submitted, id"


class JobQueue:
    """Jobs in a folder, by default ``CXRLAB_HOME/jobs``; every process and thread may have its own queue of it.

    Raises:
        JobError: in every method, when the file can not be read or written, or is no queue.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or home() / "jobs"
        self.path = self.folder / FILE

    def submit(
        self,
        kind: Kind,
        config: Mapping[str, Any],
        *,
        title: str = "",
        gpus: int = 0,
        priority: int = 0,
        after: Sequence[int] = (),
        backend: Backend = "local",
        folder: Path | None = None,
    ) -> Job:
        """Put a job at the end of its priority.

        Args:
            folder: its run folder; by default ``jobs/runs/<id>``. Two living jobs can not share one.

        Raises:
            JobError: for a folder in use, or an ``after`` that is not there. ValueError: for another kind.
        """
        one_of("kind", kind, KINDS)
        if gpus < 0:
            raise JobError(f"A job needs 0 or more GPUs, got {gpus}.")
        with self._writing() as db:
            for earlier in after:
                _existing(db, earlier)
            if folder is not None:
                _check_free(db, folder)
            values = (kind, title or kind, json.dumps(config), gpus, priority, json.dumps(list(after)), backend)
            row = db.execute(
                "insert into jobs (kind, title, config, gpus, priority, after, backend, submitted)"
                " values (?, ?, ?, ?, ?, ?, ?, ?)",
                (*values, time.time()),
            )
            id_ = int(row.lastrowid or 0)
            place = folder or self.folder / "runs" / str(id_)
            db.execute("update jobs set folder = ? where id = ?", (str(place), id_))
            return _existing(db, id_)

    def get(self, id_: int) -> Job:
        """Raises JobError when there is no such job."""
        with self._reading() as db:
            return _existing(db, id_)

    def list(self, states: Sequence[State] = ()) -> list[Job]:
        """Jobs in the order in which they are started; only those in ``states``, if any are given."""
        if not self.path.exists():
            return []
        marks = ", ".join("?" * len(states))
        where = f"where state in ({marks})" if states else ""
        with self._reading() as db:
            return [Job.of_row(row) for row in db.execute(f"select * from jobs {where} order by {ORDER}", (*states,))]

    def claim(self, id_: int, *, token: str, host: str, devices: Sequence[int] = (), epochs: int = 0) -> bool:
        """queued -> running, for one caller only. False when somebody else was faster or it is not queued any more."""
        return self._change(
            id_,
            ("queued",),
            {
                "state": "running", "token": token, "host": host, "devices": json.dumps(list(devices)),
                "epochs": epochs, "claimed": time.time(), "pid": 0, "process_started": 0.0, "ended": 0.0,
                "stop_asked": 0.0, "exit_code": None, "reason": "",
            },
            "attempts = attempts + 1",
        )  # fmt: skip

    def register(self, id_: int, *, token: str, pid: int, process_started: float, host: str = "") -> bool:
        """The process of an attempt says who it is. False when the attempt is not the current one: it must end."""
        values: dict[str, Any] = {"pid": pid, "process_started": process_started}
        return self._change(id_, AT_WORK, values | ({"host": host} if host else {}), token=token)

    def finish(self, id_: int, state: State, *, token: str, exit_code: int | None = None, reason: str = "") -> bool:
        """running or stopping -> an end, by the current attempt. False when it has no say."""
        values = {"state": state, "ended": time.time(), "exit_code": exit_code, "reason": reason}
        return self._change(id_, AT_WORK, values, token=token)

    def requeue(self, id_: int, *, token: str, deaths: int, exit_code: int | None = None, reason: str = "") -> bool:
        """running -> queued after a death without a verdict; its place in the order stays."""
        values = {
            "state": "queued", "deaths": deaths, "exit_code": exit_code, "reason": reason, "pid": 0, "token": "",
            "external": "",
        }  # fmt: skip
        return self._change(id_, ("running",), values, token=token)

    def note_external(self, id_: int, external: str, *, token: str) -> bool:
        """The name of the current attempt at its backend."""
        return self._change(id_, AT_WORK, {"external": external}, token=token)

    def ask_stop(self, id_: int) -> State:
        """queued -> cancelled; running -> stopping, which the process sees. The state afterwards."""
        now = time.time()
        gone = {"state": "cancelled", "ended": now, "reason": "Cancelled before it began."}
        if not self._change(id_, ("queued",), gone):
            self._change(id_, ("running",), {"state": "stopping", "stop_asked": now})
        return self.get(id_).state

    def resume(self, id_: int) -> Job:
        """An ended job waits again, to go on from what its folder holds.

        Raises:
            JobError: when it is alive or done, or another living job has its folder.
        """
        with self._writing() as db:
            job = _existing(db, id_)
            if job.state not in ENDED or job.state == "done":
                raise JobError(f"Only a job that failed or was stopped can be resumed, job {id_} is {job.state}.")
            _check_free(db, job.folder)
            db.execute(
                "update jobs set state = 'queued', deaths = 0, reason = '', exit_code = null, ended = 0, pid = 0,"
                " token = '', external = '', stop_asked = 0 where id = ?",
                (id_,),
            )
            return _existing(db, id_)

    def remove(self, id_: int) -> Job:
        """Take an ended job out of the list; its folder is the caller's. Raises JobError while it is alive."""
        with self._writing() as db:
            job = _existing(db, id_)
            if job.is_alive:
                raise JobError(f"Job {id_} is {job.state}; cancel it before deleting it.")
            waiting = [each.id for each in _all(db) if id_ in each.after and each.is_alive]
            if waiting:
                raise JobError(f"Job {id_} is awaited by job {waiting[0]}; cancel that one first.")
            db.execute("delete from jobs where id = ?", (id_,))
            return job

    def prioritise(self, id_: int, priority: int) -> bool:
        """Another place in the order, for a job that waits."""
        return self._change(id_, ("queued",), {"priority": priority})

    def fail_waiting(self, id_: int, reason: str) -> bool:
        """queued -> failed, for a job that can never start."""
        return self._change(id_, ("queued",), {"state": "failed", "ended": time.time(), "reason": reason})

    def lose(self, id_: int, reason: str, *, token: str) -> bool:
        """running or stopping -> lost: nobody can say what became of it."""
        return self._change(id_, AT_WORK, {"state": "lost", "ended": time.time(), "reason": reason}, token=token)

    def _change(
        self,
        id_: int,
        states: Sequence[State],
        values: Mapping[str, Any],
        counted: str = "",
        *,
        token: str | None = None,
    ) -> bool:
        """Set values where the job is in one of the states, and the attempt is the one named. Did it happen?"""
        sets = ", ".join([*(f"{name} = ?" for name in values), *([counted] if counted else [])])
        where = f"id = ? and state in ({', '.join('?' * len(states))})" + (
            " and token = ?" if token is not None else ""
        )
        with self._writing() as db:
            _existing(db, id_)
            given = (*values.values(), id_, *states, *(() if token is None else (token,)))
            return db.execute(f"update jobs set {sets} where {where}", given).rowcount == 1

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(self._connected()) as db:
                yield db
        except sqlite3.Error as error:
            raise JobError(f"The queue {self.path} can not be read ({error}); see whether the disk is full.") from error

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction that nobody else writes beside."""
        try:
            with closing(self._connected()) as db:
                db.execute("begin immediate")
                try:
                    yield db
                except BaseException:
                    db.execute("rollback")
                    raise
                db.execute("commit")
        except sqlite3.Error as error:
            raise JobError(
                f"The queue {self.path} can not be written ({error}); see whether the disk is full."
            ) from error

    def _connected(self) -> sqlite3.Connection:
        self.folder.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None)
        db.row_factory = sqlite3.Row
        db.execute(f"pragma busy_timeout = {int(BUSY_S * 1000)}")
        db.execute("pragma journal_mode = wal")
        db.execute(TABLE)
        return db


def _existing(db: sqlite3.Connection, id_: int) -> Job:
    row = db.execute("select * from jobs where id = ?", (id_,)).fetchone()
    if row is None:
        raise JobError(f"There is no job {id_}; `cxrlab jobs list` shows those there are.")
    return Job.of_row(row)


def _all(db: sqlite3.Connection) -> list[Job]:
    return [Job.of_row(row) for row in db.execute("select * from jobs")]


def _check_free(db: sqlite3.Connection, folder: Path) -> None:
    marks = ", ".join("?" * len(ALIVE))
    row = db.execute(f"select id from jobs where folder = ? and state in ({marks})", (str(folder), *ALIVE)).fetchone()
    if row is not None:
        raise JobError(f"Job {row['id']} works in {folder.name} already; cancel it first or choose another folder.")
