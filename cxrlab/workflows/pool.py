"""Loaded models, shared by everybody in the process: a bounded number, one user of a model at a time, taking turns.

``borrow`` keeps a model in memory while it is used; the network may compute only inside its ``turn()``. Turns come in
the order in which they were asked for, and long work takes one for each batch, so a short question never waits for a
whole evaluation. Inside a turn nobody else uses the model, so hooks may sit on it and it may move between devices.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cxrlab.cards import CheckpointError
from cxrlab.catalogue import CheckpointInfo, find_checkpoint

if TYPE_CHECKING:
    from torch import nn

    from cxrlab.cards import ModelCard
    from cxrlab.checkpoints import LoadedCheckpoint
    from cxrlab.config import Activation, Preprocessing
    from cxrlab.labels import LabelSet

DEFAULT_MAX_MODELS = 8  # the five shipped networks and the three teaching ones

Loader = Callable[[CheckpointInfo], "LoadedCheckpoint"]


class Turns:
    """At most ``limit`` holders at once; the others wait in the order in which they came.

    A plain lock is not enough: a thread that gives it back and wants it again at once gets it again at once.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._changed = threading.Condition()
        self._queue: deque[object] = deque()
        self._running = 0

    @property
    def waiting(self) -> int:
        """Threads that wait now."""
        return len(self._queue)

    @contextmanager
    def take(self) -> Iterator[None]:
        """Wait for a turn and hold it."""
        ticket = object()
        with self._changed:
            self._queue.append(ticket)
            try:
                self._changed.wait_for(lambda: self._running < self._limit and self._queue[0] is ticket)
                self._running += 1
            finally:
                self._queue.remove(ticket)
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()


@dataclass(frozen=True, eq=False)
class PooledCheckpoint:
    """A loaded single model that others use too: compute only inside :meth:`turn`."""

    loaded: LoadedCheckpoint
    lock: threading.Lock
    turns: Turns

    @property
    def card(self) -> ModelCard:
        return self.loaded.card

    @property
    def model(self) -> nn.Module:
        return self.loaded.model

    @property
    def labels(self) -> LabelSet:
        return self.loaded.labels

    @property
    def preprocessing(self) -> Preprocessing:
        return self.loaded.preprocessing

    @property
    def activation(self) -> Activation:
        return self.loaded.activation

    @property
    def temperature(self) -> float:
        return self.loaded.temperature

    @property
    def cam_layer(self) -> str:
        return self.loaded.cam_layer

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Held while the network computes: nobody else uses this model, and not too many use any."""
        with self.turns.take(), self.lock:
            yield


@dataclass(eq=False)
class _Entry:
    """A model in the pool, or on its way there."""

    future: Future[LoadedCheckpoint] = field(default_factory=Future)
    lock: threading.Lock = field(default_factory=threading.Lock)
    users: int = 0


class ModelPool:
    """Loaded models by name; the least recently used leaves when there are too many and nobody uses it.

    Args:
        max_models: most models in memory (members of an ensemble count one each); more only while more are in use.
        max_forwards: most models computing at once.
        load: how a checkpoint is loaded.

    Raises:
        ValueError: when a number is below 1.
    """

    def __init__(self, *, max_models: int, max_forwards: int, load: Loader) -> None:
        if min(max_models, max_forwards) < 1:
            raise ValueError(f"A pool needs room for at least 1 model and 1 forward, got {max_models}, {max_forwards}.")
        self._max_models = max_models
        self._load = load
        self._turns = Turns(max_forwards)
        self._guard = threading.Lock()
        self._entries: OrderedDict[tuple[str, str], _Entry] = OrderedDict()

    @property
    def waiting(self) -> int:
        """How many threads wait for a turn now: more than a few means that the machine is busy."""
        return self._turns.waiting

    def __len__(self) -> int:
        return len(self._entries)

    @contextmanager
    def borrow(self, name: str | Path) -> Iterator[PooledCheckpoint]:
        """A single model by name or folder, kept in memory inside the block; loaded once for all who want it together.

        Raises:
            CheckpointError: when it can not be loaded, or is an ensemble, whose members are borrowed instead.
        """
        info = find_checkpoint(name)
        if info.card.kind != "model":
            raise CheckpointError(f"{info.name} is an ensemble; borrow its members.")
        key = (str(info.folder), info.card.to_text())  # another card is another model, even with the same weights
        with self._guard:
            is_new = key not in self._entries
            entry = self._entries.setdefault(key, _Entry())
            self._entries.move_to_end(key)
            entry.users += 1
        try:
            if is_new:
                self._fill(key, entry, info)
            yield PooledCheckpoint(entry.future.result(), entry.lock, self._turns)
        finally:
            with self._guard:
                entry.users -= 1
                self._shrink()

    def clear(self) -> None:
        """Forget every model that nobody uses."""
        with self._guard:
            for key in [key for key, entry in self._entries.items() if not entry.users]:
                del self._entries[key]

    def _fill(self, key: tuple[str, str], entry: _Entry, info: CheckpointInfo) -> None:
        with self._guard:
            self._shrink()
        try:
            entry.future.set_result(self._load(info))
        except BaseException as error:
            with self._guard:
                self._entries.pop(key, None)  # the next one tries again
            entry.future.set_exception(error)
            raise

    def _shrink(self) -> None:
        idle = [key for key, entry in self._entries.items() if not entry.users]
        for key in idle[: max(0, len(self._entries) - self._max_models)]:
            del self._entries[key]


def _load_for_inference(info: CheckpointInfo) -> LoadedCheckpoint:
    """A checkpoint made as fast as it gets, before anybody sees it."""
    from dataclasses import replace

    from cxrlab.checkpoints import load_checkpoint
    from cxrlab.folding import optimise

    loaded = load_checkpoint(info.folder)
    return replace(loaded, network=optimise(loaded.model))


def _number_from(variable: str, default: int) -> int:
    """A positive whole number from the environment. Raises ValueError for anything else."""
    text = os.environ.get(variable) or str(default)
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"{variable} must be a whole number of at least 1, got {text!r}.")
    return int(text)


pool = ModelPool(
    max_models=_number_from("CXRLAB_MAX_MODELS", DEFAULT_MAX_MODELS),
    max_forwards=_number_from("CXRLAB_MAX_FORWARDS", max(1, (os.cpu_count() or 1) // 4)),  # a forward uses many cores
    load=_load_for_inference,
)
"""The pool of this process."""
