"""Several processes that train one network together, one for each device, as ``torchrun`` starts them.

All draw the same batches in the same order with the same random changes; each trains on its share of every batch, and
gradients are weighted so that together they are those of the whole batch. What differs from one process: batch norm
sees the share only (its running statistics are the first process'), and dropout draws for itself.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import torch
from lightning.fabric import Fabric
from lightning.fabric.strategies import DDPStrategy
from torch import nn

from cxrlab.progress import Cancel, check, never

LOOK_S = 0.2  # between two looks at what another process does
LOST_WORDS = ("closed by peer", "reset by peer", "broken pipe", "remote process", "communicator was aborted")

Value = TypeVar("Value")


class PartnerLost(RuntimeError):
    """Another process of the team ended; the run goes on from ``last.pt`` when all are started again."""


def team_size() -> int:
    """How many processes ``torchrun`` started for one training; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first() -> bool:
    """Is this the process that writes the files? True without ``torchrun``."""
    return team_size() == 1 or int(os.environ["RANK"]) == 0


def node_count() -> int:
    """Over how many machines the team is spread, the same number of processes on each.

    Raises:
        ValueError: when the numbers differ.
    """
    local = int(os.environ.get("LOCAL_WORLD_SIZE", team_size()))
    if team_size() % local:
        raise ValueError(f"Every machine needs the same number of processes, got {team_size()} with {local} on one.")
    return team_size() // local


@contextmanager
def in_turn(cancel: Cancel = never) -> Iterator[None]:
    """What is done here once for all, such as decoding images, the first process of each machine does first.

    The machines go one after the other; the other processes then find it done. Without ``torchrun`` nothing happens.

    Raises:
        Cancelled: while waiting.
    """
    if team_size() == 1:
        yield
        return
    global _turns
    _turns += 1
    machine, leads = int(os.environ.get("GROUP_RANK", "0")), os.environ.get("LOCAL_RANK", "0") == "0"
    store, _, _ = next(torch.distributed.rendezvous("env://"))
    awaited = machine - 1 if leads else machine
    while awaited >= 0 and not store.check([f"cxrlab/{_turns}/{awaited}"]):
        check(cancel, "Training")
        time.sleep(LOOK_S)
    yield
    if leads:
        store.set(f"cxrlab/{_turns}/{machine}", "done")


_turns = 0


def end_with_parent() -> None:
    """End this process when ``torchrun`` is gone, however that came: it starts each in a session of its own."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(LOOK_S)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class Connected(DDPStrategy):
    """Fabric's connected processes without torch's wrapper around the network; :class:`Team` averages the gradients.

    The wrapper refuses outputs that no loss is made of, such as those of an auxiliary head that is left untrained.
    """

    def setup_module(self, module: nn.Module) -> nn.Module:  # type: ignore[override]
        return module


class Team:
    """The processes of one training and this one's place among them; a training by itself is a team of one.

    Every method but ``positions`` must be called by all processes at the same point.
    """

    def __init__(self, fabric: Fabric) -> None:
        self.fabric, self.rank, self.size = fabric, fabric.global_rank, fabric.world_size
        self.is_first = self.rank == 0

    def positions(self, count: int) -> np.ndarray | slice:
        """Which of a batch's images this process trains on: at least two, as batch norm needs them.

        Where its share is smaller, images are repeated, or one is taken that counts for nothing.
        """
        if self.size == 1:
            return slice(None)
        own = np.arange(self.rank, count, self.size)
        return own if len(own) > 1 else np.resize(own if len(own) else np.zeros(1, dtype=int), 2)

    def mean(self, value: torch.Tensor) -> float:
        """Of the processes' scalars."""
        if self.size == 1:
            return value.item()
        reduced = self.fabric.all_reduce(value.detach().clone(), reduce_op="mean")
        assert isinstance(reduced, torch.Tensor)
        return reduced.item()

    def any(self, flag: bool) -> bool:
        """Does one of them say yes?"""
        return self.mean(torch.tensor(float(flag), device=self.fabric.device)) > 0 if self.size > 1 else flag

    def agreed(self, value: Value) -> Value:
        """The first process' value, for all."""
        return self.fabric.broadcast(value) if self.size > 1 else value

    def gathered(self, value: Any) -> list[Any]:
        """Every process' value, in order."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        torch.distributed.all_gather_object(values, value)
        return values

    def wait(self) -> None:
        """Until all are here."""
        if self.size > 1:
            self.fabric.barrier()

    def align(self, model: nn.Module) -> None:
        """Give every process the first one's weights and running statistics of batch norm."""
        for value in model.state_dict().values() if self.size > 1 else ():
            sent = value.contiguous()
            torch.distributed.broadcast(sent, src=0)
            value.copy_(sent)

    def average_gradients(self, model: nn.Module) -> None:
        """Give every process the mean of all gradients."""
        gradients = [weight.grad for weight in model.parameters() if weight.grad is not None] if self.size > 1 else []
        if not gradients:
            return
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        torch.distributed.all_reduce(flat)
        flat /= self.size
        for gradient, mean in zip(gradients, flat.split([each.numel() for each in gradients]), strict=True):
            gradient.copy_(mean.view(gradient.shape))


def is_lost_partner(error: RuntimeError) -> bool:
    """Does the error of a collective mean that another process ended?"""
    return isinstance(error, torch.distributed.DistError) or any(word in str(error).lower() for word in LOST_WORDS)
