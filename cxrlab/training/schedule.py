"""Optimisers and learning-rate schedules by name."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.optim import lr_scheduler

from cxrlab.config import TrainConfig
from cxrlab.training.state import SMALLER_IS_BETTER


def make_optimiser(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """Adam, AdamW or SGD for the parameters that train; AdamW leaves norms and biases without decay, as is usual.

    Raises:
        ValueError: when every parameter is frozen.
    """
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not trained:
        raise ValueError("A network needs parameters that train, and all of this one are frozen.")
    if config.optimiser == "adam":  # coupled L2 on everything, as the papers used it
        return torch.optim.Adam(trained, lr=config.learning_rate, weight_decay=config.weight_decay)
    if config.optimiser == "sgd":
        return torch.optim.SGD(
            trained,
            lr=config.learning_rate,
            momentum=0.9,
            nesterov=True,
            weight_decay=config.weight_decay,
        )
    decayed = [p for p in trained if p.ndim > 1]
    plain = [p for p in trained if p.ndim <= 1]
    groups: list[dict[str, Any]] = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)


def make_schedule(
    optimiser: torch.optim.Optimizer, config: TrainConfig, *, steps_per_epoch: int
) -> lr_scheduler.LRScheduler | None:
    """A schedule that is stepped after every batch; None for ``constant`` and for ``plateau`` (see below)."""
    total = max(1, config.epochs * steps_per_epoch)
    if config.schedule == "one_cycle":
        return lr_scheduler.OneCycleLR(
            optimiser,
            max_lr=config.learning_rate,
            total_steps=total + 1,
            pct_start=max(config.warmup, 1 / total),
            cycle_momentum=False,
        )
    if config.schedule == "step":
        steps = [epoch * steps_per_epoch for epoch in config.milestones] or [total // 2, int(total * 0.8)]
        return lr_scheduler.MultiStepLR(optimiser, milestones=steps, gamma=0.1)
    if config.schedule == "cosine":
        warm = int(total * config.warmup)

        def factor(step: int) -> float:
            if step < warm:
                return (step + 1) / warm
            return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warm) / max(1, total - warm))))

        return lr_scheduler.LambdaLR(optimiser, factor)
    return None


def make_plateau(optimiser: torch.optim.Optimizer, config: TrainConfig) -> lr_scheduler.ReduceLROnPlateau | None:
    """The schedule that is stepped once an epoch with the monitored value; None unless ``plateau``."""
    if config.schedule != "plateau":
        return None
    return lr_scheduler.ReduceLROnPlateau(
        optimiser,
        mode="min" if config.monitor in SMALLER_IS_BETTER else "max",
        factor=config.plateau_factor,
        patience=config.plateau_patience,
    )
