"""Inference in float32: folded batch norms, channels last and no gradients, against a plain call of the model."""

from __future__ import annotations

import copy

import torch

from benchmarks.measure import Row, interleaved
from benchmarks.networks import noise, one_thread, untrained
from cxrlab.folding import optimise
from cxrlab.inference import forward, on_device

NETWORKS = ("mobilenet_v2", "shufflenet_v2_x1_0", "efficientnet_b0", "resnet18", "densenet121")
GOALS = {1: 1.1, 8: 1.25}  # images a batch -> times faster


def rows() -> list[Row]:
    """A row for each network and batch."""
    with one_thread():
        return [_row(name, count, goal) for name in NETWORKS for count, goal in GOALS.items()]


def _row(name: str, count: int, goal: float) -> Row:
    plain, images, cpu = untrained(name), noise(count), torch.device("cpu")
    fast = optimise(copy.deepcopy(plain).requires_grad_(False))
    ratios = interleaved(lambda: plain(images), lambda: on_device(fast, images, cpu, forward), rounds=5)
    with torch.inference_mode():
        logits, ours = plain(images), forward(fast, images)
        spread = logits.std()  # untrained logits are close to 0: as wide as trained ones, so that differences show
        apart = (logits / spread).softmax(dim=1) - (ours / spread).softmax(dim=1)
    note = f"probabilities within {float(apart.abs().max()):.0e}"
    return Row("inference", f"plain call / ours: {name}, {count} at once", ratios, goal, note=note)
