"""Train a classifier: one readable loop on Lightning Fabric, resumable to the bit."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import torch
from lightning.fabric import Fabric
from torch import nn

from cxrlab.config import Augmentation, Preprocessing, TrainConfig
from cxrlab.progress import Cancel, Progress, never, silent
from cxrlab.results import History
from cxrlab.training.interrupts import Interrupts
from cxrlab.training.squares import LabelledSquares
from cxrlab.training.team import Connected, PartnerLost, end_with_parent, is_lost_partner, node_count, team_size
from cxrlab.training.trainer import TRAIN, VALIDATION, OnEpoch, Trainer

__all__ = ["LabelledSquares", "fit", "make_fabric"]

logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # Fabric announces its precision through it

_PRECISION = {"fp32": "32-true", "bf16": "bf16-mixed"}


def fit(
    model: nn.Module,
    train: LabelledSquares,
    validation: LabelledSquares,
    *,
    num_classes: int,
    config: TrainConfig,
    preprocessing: Preprocessing,
    augmentation: Augmentation,
    run_folder: Path,
    accelerator: str = "auto",
    progress: Progress = silent,
    cancel: Cancel = never,
    watched: Mapping[str, LabelledSquares] | None = None,
    on_epoch: OnEpoch | None = None,
) -> History:
    """Train ``model`` and leave the weights of its best epoch in it.

    ``run_folder`` receives ``last.pt`` (atomically, each epoch and when interrupted), ``best.pt``,
    ``metrics.jsonl``, ``confusion.json`` and ``status.json``. When it holds a ``last.pt`` already, training goes on
    from there; on the CPU the weights are then equal to the bit to those of a run that was never interrupted, however
    it ended. With ``config.unfreeze`` below 1 a part of the backbone is frozen first; a backbone that is frozen whole
    and whose images are never changed runs only once.

    Under ``torchrun`` all processes call this and train one network together (see :mod:`cxrlab.training.team`):
    ``config.batch_size`` is that of all of them, one device each; the first one writes the files and tells progress,
    and each asks its ``cancel``.

    Args:
        model: a classifier (N, 3, S, S) -> logits (N, num_classes), or (N, 1) for one sigmoid node of two classes.
        train, validation: disjoint in patients; the caller's duty.
        accelerator: ``auto``, ``cpu`` or ``cuda``.
        progress: called after each step with (steps done, steps in all, a line with loss and time left).
        cancel: asked after each step; True ends the run resumably, like Ctrl-C or SIGTERM.
        watched: further sets that are measured after every epoch, as ``<name>_loss``, ``<name>_accuracy`` … in the
            epoch's metrics; they never select anything.
        on_epoch: more facts for the epoch's metrics, from the model after it.

    Returns:
        History, with the metrics of :func:`cxrlab.training.measuring.measured` for each epoch; ``stopped`` is
        ``interrupted`` when the run can be resumed.

    Raises:
        ValueError: empty data, a class without training images, a watched set with a taken name, a damaged
            ``last.pt``, or (:class:`cxrlab.training.finite.NotFinite`) a loss that is no number any more.
        OSError: when a file can not be written; the ``last.pt`` of before stays whole.
        PartnerLost: when another process of the team ended; ``last.pt`` stays as well.
    """
    if not (len(train) and len(validation)):
        raise ValueError(f"Training and validation need images, got {len(train)} and {len(validation)}.")
    sets = {TRAIN: train, VALIDATION: validation}
    if taken := [name for name, images in (watched or {}).items() if name in sets or not len(images)]:
        raise ValueError(f"Watched sets need images and names of their own, got {', '.join(taken)}.")
    run_folder.mkdir(parents=True, exist_ok=True)
    fabric = make_fabric(config, accelerator)
    with Interrupts() as interrupts, torch.random.fork_rng():
        trainer = Trainer(
            fabric, model, sets | dict(watched or {}), num_classes, config, preprocessing, augmentation, run_folder,
            on_epoch,
        )  # fmt: skip
        try:
            return trainer.run(progress, lambda: interrupts.requested or cancel())
        except RuntimeError as error:
            if team_size() > 1 and is_lost_partner(error):
                raise PartnerLost("Another process of this training ended; start all of them again.") from error
            raise


def make_fabric(config: TrainConfig, accelerator: str) -> Fabric:
    """One device with the precision of the settings; also sets the number of threads they ask for.

    Under ``torchrun`` the device of this process, connected with the others: NCCL on GPUs, gloo on CPUs.

    Raises:
        ValueError: when the machines of a team have different numbers of processes.
    """
    if config.threads:
        torch.set_num_threads(config.threads)
    precision = _PRECISION[config.precision]
    if team_size() == 1:
        return Fabric(accelerator=accelerator, devices=1, precision=precision)  # type: ignore[arg-type]
    fabric = Fabric(
        accelerator=accelerator,
        devices=team_size() // node_count(),
        num_nodes=node_count(),
        strategy=Connected(),
        precision=precision,  # type: ignore[arg-type]
    )
    end_with_parent()
    fabric.launch()
    return fabric
