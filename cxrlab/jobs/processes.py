"""Processes and their groups: who is alive, and how a whole group ends."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

TOKEN_VARIABLE = "CXRLAB_JOB_TOKEN"  # in the environment of every process of an attempt
LOCK_FILE = ".lock"
SAME_START_S = 2.0  # start times follow the clock when it is set; a pid does not come round that fast


def host_name() -> str:
    """This machine, as it is written beside a job."""
    return socket.gethostname()


def started_at(pid: int) -> float:
    """When a process began, s since 1970; 0 when there is none. A zombie counts as none."""
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        if process.status() != psutil.STATUS_ZOMBIE:
            return process.create_time()
    return 0.0


def is_alive(pid: int, process_started: float) -> bool:
    """Is the process with this pid still the one that began then?"""
    began = started_at(pid) if pid > 0 else 0.0
    return bool(began) and abs(began - process_started) <= SAME_START_S


def is_of_an_earlier_boot(process_started: float) -> bool:
    """Did the machine start anew since?"""
    return 0 < process_started < psutil.boot_time()


def of_attempt(token: str) -> list[psutil.Process]:
    """Every live process of this user that belongs to an attempt, wherever its group."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.status() != psutil.STATUS_ZOMBIE and process.environ().get(TOKEN_VARIABLE) == token:
                found.append(process)
    return found


def signal_attempt(token: str, number: signal.Signals) -> int:
    """Send a signal to every process of an attempt; how many there were."""
    found = [process for process in of_attempt(token) if process.pid != os.getpid()] if token else []
    for process in found:
        with suppress(psutil.Error, OSError):
            process.send_signal(number)
    return len(found)


@contextmanager
def held(path: Path) -> Iterator[bool]:
    """Hold a lock file while the block runs. False where another process holds it; gone with the process."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        try:
            yield True
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)


def is_held(path: Path) -> bool:
    """Does some process hold this lock file?"""
    if not path.exists():
        return False
    with held(path) as got:
        return not got
