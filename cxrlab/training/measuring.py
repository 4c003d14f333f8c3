"""How good a network is on a set of images, after an epoch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from cxrlab.metrics.confusion import confusion_matrix
from cxrlab.training.team import Team

BATCH_SIZE = 64


def all_logits(forward: Callable[[int, int], torch.Tensor], count: int, team: Team) -> torch.Tensor:
    """(N, C) logits on the CPU; ``forward(start, stop)`` gives those of some rows. The team shares the work."""
    starts = range(0, count, BATCH_SIZE)
    with torch.inference_mode():
        own = [forward(start, min(start + BATCH_SIZE, count)).cpu() for start in starts[team.rank :: team.size]]
    blocks = team.gathered(own)
    return torch.cat([blocks[number % team.size][number // team.size] for number in range(len(starts))])


def confusion_counts(logits: torch.Tensor, y_true: np.ndarray) -> list[list[int]]:
    """(C, C) counts of logits (N, C); rows are the truth, columns what the network says."""
    return confusion_matrix(y_true, logits.argmax(dim=1).numpy(), logits.shape[1]).counts.tolist()


def measured(logits: torch.Tensor, y_true: np.ndarray, loss: nn.Module) -> dict[str, float]:
    """Scores of logits (N, C) in [0, 1], the cross entropy as ``loss``, the trained loss as ``objective``.

    ``f1_0`` … ``f1_<C-1>`` are the F1 of the classes, 0 where a class is neither there nor found.
    """
    matrix = confusion_matrix(y_true, logits.argmax(dim=1).numpy(), logits.shape[1])
    truth = torch.from_numpy(y_true)
    device = next((buffer.device for buffer in loss.buffers()), logits.device)
    with torch.inference_mode():
        objective = loss(logits.to(device), truth.to(device)).item()
    return {
        "loss": nn.functional.cross_entropy(logits, truth).item(),
        "accuracy": matrix.accuracy,
        "balanced_accuracy": matrix.balanced_accuracy,
        "macro_f1": matrix.macro_f1,
        "objective": objective,
        **{f"f1_{index}": float(value) for index, value in enumerate(np.nan_to_num(matrix.f1))},
    }
