"""Learning-rate range test: one pass with a growing rate, to see where the loss falls fastest."""

from __future__ import annotations

import copy
import math
import tempfile
from dataclasses import dataclass, replace
from itertools import count, islice
from pathlib import Path

import torch
from torch import nn

from cxrlab.config import Augmentation, Preprocessing, TrainConfig, in_range
from cxrlab.progress import Cancel, Cancelled, Progress, never, silent
from cxrlab.training.fit import make_fabric
from cxrlab.training.squares import LabelledSquares
from cxrlab.training.trainer import TRAIN, VALIDATION, Trainer

SMOOTHING = 0.9  # of the running mean of losses
DIVERGED = 4.0  # the test ends when the smoothed loss is so many times its smallest value


@dataclass(frozen=True)
class RangeTest:
    """Losses over rising learning rates.

    Args:
        learning_rates: of each step, ascending. losses: of each step's batch before it.
        smoothed: their running mean without start-up bias.
        suggested: the rate at which the smoothed loss falls most steeply over log(rate).
        diverged: the test ended before the largest rate because the loss had grown too large.
    """

    learning_rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    suggested: float
    diverged: bool


def find_learning_rate(
    model: nn.Module,
    train: LabelledSquares,
    *,
    num_classes: int,
    config: TrainConfig,
    preprocessing: Preprocessing,
    augmentation: Augmentation,
    lowest: float = 1e-6,
    highest: float = 1.0,
    steps: int = 100,
    accelerator: str = "auto",
    progress: Progress = silent,
    cancel: Cancel = never,
) -> RangeTest:
    """Train ``steps`` batches while the rate grows evenly in its logarithm; the model is left as it was.

    Everything else is as :func:`cxrlab.training.fit.fit` would train it: loss, sampling, augmentation, frozen parts.

    Args:
        lowest, highest: range of rates. steps: at least 10; the images are gone through as often as needed.

    Raises:
        ValueError: for a range that is none, or a set without images. Cancelled: when the user stopped it.

    Reference:
        Smith, Cyclical Learning Rates for Training Neural Networks, WACV 2017, section 3.3.
    """
    in_range("steps", steps, 10, 100_000)
    if not (0 < lowest < highest):
        raise ValueError(f"The range must go from a positive rate to a larger one, got {lowest:g} to {highest:g}.")
    if not len(train):
        raise ValueError("A range test needs training images, got 0.")
    before = copy.deepcopy(model.state_dict())
    trained = [parameter.requires_grad for parameter in model.parameters()]
    still = replace(config, schedule="constant", epochs=1, size_schedule=config.size_schedule[-1:])
    rates = [lowest * (highest / lowest) ** (step / (steps - 1)) for step in range(steps)]
    try:
        with tempfile.TemporaryDirectory() as folder, torch.random.fork_rng():
            trainer = Trainer(
                make_fabric(config, accelerator), model, {TRAIN: train, VALIDATION: train}, num_classes, still,
                preprocessing, replace(augmentation), Path(folder),
            )  # fmt: skip
            losses = _losses(trainer, rates, progress, cancel)
    finally:
        model.load_state_dict(before)
        for parameter, requires_grad in zip(model.parameters(), trained, strict=True):
            parameter.requires_grad_(requires_grad)
    return judged(rates, losses)


def _losses(trainer: Trainer, rates: list[float], progress: Progress, cancel: Cancel) -> list[float]:
    """The loss before each step, until it diverges."""
    losses: list[float] = []
    trainer.begin_training()
    batches = (rows for epoch in count() for rows in trainer.batches.of_epoch(epoch))
    for rate, rows in zip(rates, islice(batches, len(rates)), strict=True):
        if cancel():
            raise Cancelled("The range test")
        for group in trainer.optimiser.param_groups:
            group["lr"] = rate
        losses.append(trainer.step(rows, trainer.sizes[-1]))
        progress(len(losses), len(rates), f"rate {rate:.1e}, loss {losses[-1]:.3f}")
        if not math.isfinite(losses[-1]) or (len(losses) > 10 and smooth(losses)[-1] > DIVERGED * min(smooth(losses))):
            break
    return losses


def smooth(losses: list[float]) -> list[float]:
    """The exponential running mean, corrected for its start at 0."""
    mean, smoothed = 0.0, []
    for step, loss in enumerate(losses, start=1):
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        smoothed.append(mean / (1 - SMOOTHING**step))
    return smoothed


def judged(rates: list[float], losses: list[float]) -> RangeTest:
    """Rates and losses with the suggestion: the steepest fall before the smallest smoothed loss.

    Raises:
        ValueError: when the loss is not a number from the first steps on.
    """
    finite = [loss for loss in losses if math.isfinite(loss)]
    if len(finite) < 3:
        raise ValueError(f"The loss must be a number at the lowest rates, got {losses[:3]}; begin with a smaller rate.")
    smoothed = smooth(finite)
    place = [math.log(rate) for rate in rates]
    end = max(2, smoothed.index(min(smoothed)))
    slopes = [
        (smoothed[step + 1] - smoothed[step - 1]) / (place[step + 1] - place[step - 1])
        for step in range(1, min(end, len(smoothed) - 2) + 1)
    ]
    steepest = 1 + slopes.index(min(slopes))
    return RangeTest(
        tuple(rates[: len(finite)]), tuple(finite), tuple(smoothed), rates[steepest], len(losses) < len(rates)
    )
