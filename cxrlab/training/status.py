"""Where a run stands, in ``status.json`` of its folder: for whoever looks at it from another process."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from cxrlab.training.state import write_whole

STATUS_FILE = "status.json"
STATUS_S = 0.5  # between two writes


class Status:
    """Writes at most every 0.5 s, and when told to: a JSON object with

    ``done`` and ``total`` steps, ``epoch`` (finished) and ``epochs``, ``text`` for people, ``eta_s`` (seconds left, 0
    while unknown), ``images_per_s`` of the running epoch, ``gpu_memory`` (bytes held on this process' GPU, 0 on a
    CPU) and ``written`` (seconds since 1970).

    Args:
        sizes: side of the pictures in each epoch: larger ones take longer.
    """

    def __init__(self, folder: Path, sizes: Sequence[int], steps_per_epoch: int, device: torch.device) -> None:
        self.path, self.device = folder / STATUS_FILE, device
        self.epochs, self.steps_per_epoch = len(sizes), steps_per_epoch
        self._areas = [size * size for size in sizes]
        self._written = 0.0
        self._first, self._since = 0, time.monotonic()

    @property
    def total(self) -> int:
        """Steps of the whole run."""
        return self.epochs * self.steps_per_epoch

    def begin(self, done: int) -> None:
        """Take the time from here on; ``done`` steps were done before."""
        self._first, self._since = done, time.monotonic()

    def end_after(self, epochs: int) -> None:
        """There will be fewer epochs than planned."""
        self.epochs, self._areas = epochs, self._areas[:epochs]

    def seconds_left(self, done: int) -> float:
        """Until the end of the last epoch, at the pace of this process, validation included; 0 while unknown."""
        work = self._work(done) - self._work(self._first)
        left = self._work(self.total) - self._work(done)
        return (time.monotonic() - self._since) / work * left if work else 0.0

    def line(self, done: int, loss: float) -> str:
        """For people: which epoch, the loss so far, the time left."""
        epoch = min(self.epochs, (done - 1) // self.steps_per_epoch + 1)
        minutes = self.seconds_left(done) / 60
        return f"epoch {epoch}/{self.epochs}, loss {loss:.3f}, about {minutes:.0f} min left"

    def write(self, done: int, text: str, *, images_per_s: float = 0.0, now: bool = False) -> None:
        """Say where the run stands. A status that can not be written is left out: it decides nothing."""
        if not now and time.monotonic() - self._written < STATUS_S:
            return
        self._written = time.monotonic()
        facts = {
            "done": done,
            "total": self.total,
            "epoch": done // self.steps_per_epoch,
            "epochs": self.epochs,
            "text": text,
            "eta_s": round(self.seconds_left(done), 1),
            "images_per_s": round(images_per_s, 2),
            "gpu_memory": torch.cuda.memory_reserved(self.device) if self.device.type == "cuda" else 0,
            "written": time.time(),
        }
        with contextlib.suppress(OSError):
            write_whole(self.path, json.dumps(facts))

    def _work(self, steps: int) -> int:
        """Pixels that pass the network in the first steps of a run."""
        epochs, rest = divmod(steps, self.steps_per_epoch)
        begun = self._areas[epochs] * rest if rest else 0
        return sum(self._areas[:epochs]) * self.steps_per_epoch + begun
