"""What a run keeps on disk: ``last.pt`` to go on from, ``best.pt`` to use, ``metrics.jsonl`` and more to look at."""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cxrlab.results import Epoch, History

SMALLER_IS_BETTER = ("loss", "objective")  # of the monitored values


@dataclass
class RunState:
    """Where a run stands; with the weights and the optimiser, everything that resuming needs."""

    epoch: int = 0
    step: int = 0  # steps done within the epoch
    loss_sum: float = 0.0
    images: int = 0
    seconds: float = 0.0
    best_epoch: int = -1
    best_value: float = -math.inf
    finished: bool = False
    epochs: list[Epoch] = field(default_factory=list)
    confusion: list[list[int]] = field(default_factory=list)  # of the last validation, truth by row

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> RunState:
        """A state from what :meth:`to_json` gave."""
        return cls(**{**data, "epochs": [Epoch(**line) for line in data["epochs"]]})

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "epochs": [vars(epoch) for epoch in self.epochs]}

    def history(self, monitor: str, stopped: str) -> History:
        """The state for a reader."""
        value = -self.best_value if monitor in SMALLER_IS_BETTER else self.best_value
        return History(tuple(self.epochs), monitor, self.best_epoch, value, stopped)

    def next_epoch(self) -> None:
        """Count the epoch as done."""
        self.epoch += 1
        self.step, self.loss_sum, self.images, self.seconds = 0, 0.0, 0, 0.0


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write a state whole or not at all: to a temporary file, flushed to disk, then renamed."""
    temporary = path.with_name(path.name + ".part")
    try:
        with temporary.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def load_state(path: Path) -> dict[str, Any]:
    """Read a state without unpickling objects. Raises ValueError when the file is damaged."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many types for damaged files
        raise ValueError(
            f"{path.name} must be a training state written by cxrlab, but it can not be read "
            f"({type(error).__name__}); delete it to start the run again."
        ) from error


def write_whole(path: Path, text: str) -> None:
    """Write a small file whole or not at all."""
    temporary = path.with_name(path.name + ".part")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_epochs(path: Path, epochs: list[Epoch]) -> None:
    """Write the history as one JSON object a line, whole or not at all."""
    write_whole(path, "".join(json.dumps(asdict(epoch)) + "\n" for epoch in epochs))


def write_results(folder: Path, state: RunState, model: nn.Module) -> None:
    """Write what follows from a state after an epoch: ``best.pt``, ``metrics.jsonl`` and ``confusion.json``.

    The last one holds the number of labels, the counts of the last validation and after which epoch (from 0) it was.
    """
    if state.step == 0 and state.best_epoch == state.epoch - 1:
        save_state(folder / "best.pt", {"model": model.state_dict(), "epoch": state.best_epoch})
    write_epochs(folder / "metrics.jsonl", state.epochs)
    if state.confusion:
        facts = {"labels": len(state.confusion), "counts": state.confusion, "epoch": state.epochs[-1].epoch}
        write_whole(folder / "confusion.json", json.dumps(facts) + "\n")


def read_epochs(path: Path) -> list[Epoch]:
    """The history so far; empty when the run has not finished an epoch."""
    if not path.exists():
        return []
    return [Epoch(**json.loads(line)) for line in path.read_text().splitlines() if line.strip()]
