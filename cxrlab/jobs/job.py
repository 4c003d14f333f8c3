"""A job: a row of the queue as plain data."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

State = Literal["queued", "running", "stopping", "done", "failed", "cancelled", "lost"]
Kind = Literal["train", "study", "segment", "evaluate"]
Backend = Literal["local", "ray"]

STATES: tuple[State, ...] = get_args(State)
KINDS: tuple[Kind, ...] = get_args(Kind)
ALIVE: tuple[State, ...] = ("queued", "running", "stopping")
AT_WORK: tuple[State, ...] = ("running", "stopping")
ENDED: tuple[State, ...] = ("done", "failed", "cancelled", "lost")


class JobError(ValueError):
    """A job can not be what was asked for; the text is the sentence for the user."""


@dataclass(frozen=True)
class Job:
    """One piece of work.

    Args:
        id: rising number. kind: what runs it. title: for people. config: everything the work needs, JSON.
        folder: of the run: its log, status, metrics and state to go on from; one live process at a time.
        gpus: wanted; 0: a CPU slot. priority: higher first, then the older one. after: jobs that must be done before.
        backend: who starts it; external: the name it has there.
        state: queued, running, stopping, done, failed, cancelled or lost.
        attempts: times it was started. deaths: in a row without a finished epoch between them.
        epochs: finished when it was last started. token: of the current attempt, so that an older one has no say.
        pid, process_started: of the process at work (a pid is an identity only with its start time, s since 1970).
        host, devices: where it runs, which GPUs. submitted, claimed, ended, stop_asked: s since 1970; 0: not yet.
        exit_code: of the last process. reason: one sentence on how it ended.
    """

    id: int
    kind: Kind
    title: str
    config: Mapping[str, Any]
    folder: Path
    gpus: int = 0
    priority: int = 0
    after: tuple[int, ...] = ()
    backend: Backend = "local"
    external: str = ""
    state: State = "queued"
    attempts: int = 0
    deaths: int = 0
    epochs: int = 0
    token: str = ""
    pid: int = 0
    process_started: float = 0.0
    host: str = ""
    devices: tuple[int, ...] = ()
    submitted: float = 0.0
    claimed: float = 0.0
    ended: float = 0.0
    stop_asked: float = 0.0
    exit_code: int | None = None
    reason: str = ""

    @property
    def is_alive(self) -> bool:
        """Waiting or at work."""
        return self.state in ALIVE

    @property
    def metrics_folder(self) -> Path:
        """Where its epochs are written: its folder, or the one that its config names."""
        return Path(self.config.get("metrics_folder") or self.folder)

    @classmethod
    def of_row(cls, row: sqlite3.Row) -> Job:
        """A row as :data:`TABLE` has it."""
        values = {field.name: row[field.name] for field in fields(cls)}
        values |= {name: tuple(json.loads(values[name])) for name in ("after", "devices")}
        return cls(**values | {"config": json.loads(values["config"]), "folder": Path(values["folder"])})

    def to_json(self) -> dict[str, Any]:
        """Plain values, for `cxrlab jobs --json`."""
        return {**vars(self), "config": dict(self.config), "folder": str(self.folder)}


TABLE = """
create table if not exists jobs (
    id integer primary key autoincrement, kind text not null, title text not null, config text not null,
    folder text not null default '', gpus integer not null default 0, priority integer not null default 0,
    after text not null default '[]', backend text not null default 'local', external text not null default '',
    state text not null default 'queued', attempts integer not null default 0, deaths integer not null default 0,
    epochs integer not null default 0, token text not null default '', pid integer not null default 0,
    process_started real not null default 0, host text not null default '', devices text not null default '[]',
    submitted real not null, claimed real not null default 0, ended real not null default 0,
    stop_asked real not null default 0, exit_code integer, reason text not null default ''
)
"""
