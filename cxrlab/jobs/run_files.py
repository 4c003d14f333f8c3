"""What a run writes into its folder while it works, as readers find it: some lines may be half-written."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LOG_FILE = "log.txt"
STATUS_FILE = "status.json"
METRICS_FILE = "metrics.jsonl"
TAIL_BYTES = 64_000
PROGRESS_LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ")


@dataclass(frozen=True)
class RunStatus:
    """Where a run stands, as it said last.

    Args:
        done, total: steps. epoch: finished ones; epochs: planned. text: for people. eta_s: seconds left.
        images_per_s: 0: unknown. gpu_memory: bytes held, 0 on a CPU. written: s since 1970.
    """

    done: int = 0
    total: int = 0
    epoch: int = 0
    epochs: int = 0
    text: str = ""
    eta_s: float = 0.0
    images_per_s: float = 0.0
    gpu_memory: int = 0
    written: float = 0.0

    @property
    def share(self) -> float:
        """Done of all, in [0, 1]."""
        return min(1.0, self.done / self.total) if self.total else 0.0


def read_status(folder: Path) -> RunStatus | None:
    """None while there is none that can be read."""
    try:
        data = json.loads((folder / STATUS_FILE).read_text(encoding="utf-8"))
        return RunStatus(**{name: data[name] for name in RunStatus.__dataclass_fields__ if name in data})
    except (OSError, ValueError, TypeError):
        return None


def write_status(folder: Path, **facts: float | str) -> None:
    """Write where a run stands, whole or not at all; fields as :class:`RunStatus` has them."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{STATUS_FILE}.part"
    temporary.write_text(json.dumps({**facts, "written": time.time()}), encoding="utf-8")
    temporary.replace(folder / STATUS_FILE)


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """A dictionary for each finished epoch; a last line without its end is left out."""
    try:
        text = (folder / METRICS_FILE).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    lines = []
    for line in text.splitlines():
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict):
            lines.append(found)
    return lines


def finished_epochs(folder: Path) -> int:
    """How many epochs the run has behind it."""
    return len(read_metrics(folder))


def read_log(folder: Path, offset: int = 0) -> tuple[str, int]:
    """The log from a byte on, and where to go on from; a negative offset counts from the end."""
    try:
        with (folder / LOG_FILE).open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size + offset) if offset < 0 else min(offset, size))
            data = file.read()
            return data.decode("utf-8", errors="replace"), file.tell()
    except OSError:
        return "", 0


def last_words(folder: Path) -> str:
    """The last line of the log that is not empty, for the reason of a failure; empty where it only tells progress."""
    text, _ = read_log(folder, -TAIL_BYTES)
    last = next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")
    return "" if PROGRESS_LINE.match(last) else last


def log_line(text: str) -> str:
    """A line about progress, as it stands in the log."""
    return f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n"
