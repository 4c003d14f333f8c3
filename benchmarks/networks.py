"""Networks and threads for the benchmarks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from cxrlab.models.registry import create_model

SIDE = 224


@contextmanager
def one_thread() -> Iterator[None]:
    """torch on one thread inside, so that processor time does not depend on how well work is spread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def untrained(name: str) -> nn.Module:
    """A network with four classes in evaluation mode, as a user would make it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return create_model(name, num_classes=4).eval()


def noise(count: int) -> torch.Tensor:
    """(count, 3, 224, 224) normal noise."""
    return torch.randn(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
