"""A training whose loss or weights are no numbers any more ends, with what to do instead."""

from __future__ import annotations

import torch
from torch import nn

from cxrlab.config import TrainConfig


class NotFinite(ValueError):
    """The loss or the weights are infinite or not a number; the text is the sentence for the user."""


def not_finite(what: str, config: TrainConfig, epoch: int, step: int, steps: int, rate: float) -> NotFinite:
    """The error: what it was, when (counted from 1), and what may help that is not done already.

    Args:
        rate: the learning rate at that time.
    """
    advice = [f"a lower learning rate (it was {rate:.2g} then)"]
    advice += ["fp32"] if config.precision != "fp32" else []
    advice += ["clip_norm"] if not config.clip_norm else []
    return NotFinite(
        f"Training stopped because the {what} became infinite or not a number in epoch {epoch}, step {step} of "
        f"{steps}: train again with {' or '.join(advice)}."
    )


def is_finite(model: nn.Module) -> bool:
    """Are all weights and running statistics numbers?"""
    return all(bool(torch.isfinite(v).all()) for v in model.state_dict().values() if v.is_floating_point())
