"""What commands say and how they are stopped: results on standard output, everything else on standard error."""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

WARNING = "Research and teaching only, never a diagnosis."
SECONDS_BETWEEN_LINES = 10.0  # of progress where standard error is no terminal
WIDTH_OF_FILES = 240  # columns of a table that goes to a file or a pipe


def say(text: str) -> None:
    """One line on standard error."""
    typer.echo(text, err=True)


def show(text: str) -> None:
    """One line of the result, on standard output."""
    typer.echo(text)


def show_json(document: Any) -> None:
    """The one JSON document of a command with ``--json``; undefined numbers are null."""
    typer.echo(json.dumps(_finite(document), indent=1, ensure_ascii=False, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def show_table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, title: str = "") -> None:
    """A table on standard output; columns of numbers are aligned to the right."""
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for position, column in enumerate(columns):
        cells = [row[position] for row in rows]
        numeric = bool(cells) and all(isinstance(cell, int | float) or cell == "" for cell in cells)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(str, row))
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else WIDTH_OF_FILES, highlight=False)
    with console.capture() as drawn:
        console.print(table, markup=False)
    typer.echo("\n".join(line.rstrip() for line in drawn.get().splitlines()))


@dataclass
class Work:
    """Work under way, for a workflow's ``progress`` and ``cancel``."""

    report: Any
    stopping: bool = False

    def progress(self, done: int, total: int, text: str) -> None:
        """Show where the work stands."""
        self.report(done, total, text)

    def cancel(self) -> bool:
        """Did the user press Ctrl-C?"""
        return self.stopping


@contextlib.contextmanager
def working() -> Iterator[Work]:
    """Progress on standard error while the work lasts; whatever a library prints goes there too.

    The first Ctrl-C asks the work to end after its current step, the second ends it at once.
    """
    with _bar() as report, contextlib.redirect_stdout(sys.stderr):
        work = Work(report)
        with _on_interrupt(work):
            yield work


@contextlib.contextmanager
def _on_interrupt(work: Work) -> Iterator[None]:
    def stop(_number: int, _frame: FrameType | None) -> None:
        if work.stopping:
            raise KeyboardInterrupt
        work.stopping = True
        # Not through a stream: the signal may come while one is being written to.
        os.write(2, b"\nStopping after this step; press Ctrl-C again to stop at once.\n")

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def _bar() -> Iterator[Any]:
    if not sys.stderr.isatty():
        yield _Lines()
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield _Bar(bar, bar.add_task("", total=None))


@dataclass
class _Bar:
    bar: Progress
    task: TaskID

    def __call__(self, done: int, total: int, text: str) -> None:
        self.bar.update(self.task, completed=done, total=total, description=text)


@dataclass
class _Lines:
    """A line now and then, for logs; none for work that is done before the first is due."""

    last: float = field(default_factory=time.monotonic)

    def __call__(self, done: int, total: int, text: str) -> None:
        if time.monotonic() - self.last >= SECONDS_BETWEEN_LINES:
            self.last = time.monotonic()
            say(f"{done / max(1, total):4.0%} {text}")
