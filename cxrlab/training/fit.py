"""Train a classifier: one readable loop on Lightning Fabric, resumable to the bit."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.fabric import Fabric
from torch import nn

from cxrlab.config import Augmentation, Preprocessing, TrainConfig
from cxrlab.data.transforms import augment, normalise
from cxrlab.losses import class_weights, make_loss
from cxrlab.metrics.confusion import confusion_matrix
from cxrlab.progress import Cancel, Progress, never, silent
from cxrlab.results import Epoch, History
from cxrlab.training.interrupts import Interrupts
from cxrlab.training.schedule import make_optimiser, make_plateau, make_schedule
from cxrlab.training.state import load_state, save_state, write_epochs

logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # Fabric announces its precision through it

_PRECISION = {"fp32": "32-true", "bf16": "bf16-mixed"}


@dataclass(frozen=True, eq=False)
class LabelledSquares:
    """Images ready for training.

    Args:
        squares: (N, S, S) uint8, an array or a memory map.
        y_true: (N,) int class indices.
    """

    squares: np.ndarray
    y_true: np.ndarray

    def __post_init__(self) -> None:
        if self.squares.ndim != 3 or self.squares.dtype != np.uint8 or len(self.squares) != len(self.y_true):
            raise ValueError(
                f"Squares must be (N, S, S) uint8 with one label each, got {self.squares.shape} "
                f"{self.squares.dtype} and {len(self.y_true)} labels."
            )

    def __len__(self) -> int:
        return len(self.y_true)


@dataclass
class _Run:
    """Where a run stands; everything that resuming needs."""

    epoch: int = 0
    step: int = 0  # steps done within the epoch
    loss_sum: float = 0.0
    images: int = 0
    seconds: float = 0.0
    best_epoch: int = -1
    best_value: float = -math.inf
    finished: bool = False
    epochs: list[Epoch] = field(default_factory=list)


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
) -> History:
    """Train ``model`` and leave the weights of its best epoch in it.

    ``run_folder`` receives ``last.pt`` (atomically, each epoch and when interrupted), ``best.pt`` and
    ``metrics.jsonl``. When it holds a ``last.pt`` already, training goes on from there; on the CPU the weights are
    then equal to the bit to those of a run that was never interrupted.

    Args:
        model: a classifier (N, 3, S, S) -> logits (N, num_classes).
        train, validation: disjoint in patients; the caller's duty.
        accelerator: ``auto``, ``cpu`` or ``cuda``.
        progress: called after each step with (steps done, steps in all, a line with loss and time left).
        cancel: asked after each step; True ends the run resumably, like Ctrl-C or SIGTERM.

    Returns:
        History; ``stopped`` is ``interrupted`` when the run can be resumed.

    Raises:
        ValueError: empty data, a class without training images, or a damaged ``last.pt``.
    """
    if not (len(train) and len(validation)):
        raise ValueError(f"Training and validation need images, got {len(train)} and {len(validation)}.")
    run_folder.mkdir(parents=True, exist_ok=True)
    if config.threads:
        torch.set_num_threads(config.threads)
    fabric = Fabric(accelerator=accelerator, devices=1, precision=_PRECISION[config.precision])  # type: ignore[arg-type]
    with Interrupts() as interrupts, torch.random.fork_rng():
        trainer = _Trainer(
            fabric, model, train, validation, num_classes, config, preprocessing, augmentation, run_folder
        )
        return trainer.run(progress, lambda: interrupts.requested or cancel())


class _Trainer:
    """The loop's parts, built once."""

    def __init__(
        self,
        fabric: Fabric,
        model: nn.Module,
        train: LabelledSquares,
        validation: LabelledSquares,
        num_classes: int,
        config: TrainConfig,
        preprocessing: Preprocessing,
        augmentation: Augmentation,
        run_folder: Path,
    ) -> None:
        self.fabric, self.config, self.preprocessing, self.augmentation = fabric, config, preprocessing, augmentation
        self.train, self.validation, self.folder = train, validation, run_folder
        self.num_classes = num_classes
        self.sizes = config.size_schedule or (train.squares.shape[-1],)
        self.steps_per_epoch = math.ceil(len(train) / config.batch_size)
        if config.channels_last:
            model = model.to(memory_format=torch.channels_last)
        self.plain_model = model
        optimiser = make_optimiser(model, config)
        self.schedule = make_schedule(optimiser, config, steps_per_epoch=self.steps_per_epoch)
        self.plateau = make_plateau(optimiser, config)
        self.model, self.optimiser = fabric.setup(model, optimiser)
        counts = np.bincount(train.y_true, minlength=num_classes).tolist()
        self.loss = make_loss(
            config.loss,
            weights=class_weights(counts, config.class_weights),
            focal_gamma=config.focal_gamma,
            label_smoothing=config.label_smoothing,
        ).to(fabric.device)
        self.generator = torch.Generator()
        self.state = _Run()

    def run(self, progress: Progress, stop: Callable[[], bool]) -> History:
        """Epochs until the end, the patience or an interrupt."""
        self._resume()
        state, config = self.state, self.config
        while not state.finished and state.epoch < config.epochs:
            if not self._train_epoch(progress, stop):
                self._save_last(mid_epoch=True)
                return self._history("interrupted")
            self._finish_epoch()
            waited = state.epoch - 1 - state.best_epoch
            state.finished = state.epoch == config.epochs or 0 < config.patience <= waited
            self._save_last(mid_epoch=False)
        self.plain_model.load_state_dict(load_state(self.folder / "best.pt")["model"])
        return self._history("finished" if state.epoch == config.epochs else "early stopping")

    def _train_epoch(self, progress: Progress, stop: Callable[[], bool]) -> bool:
        """The rest of the current epoch. False when it was interrupted before its end."""
        state = self.state
        size = self.sizes[state.epoch * len(self.sizes) // self.config.epochs]
        total = self.steps_per_epoch * self.config.epochs
        self.model.train()
        for rows in self._batches():
            started = time.monotonic()
            loss = self._step(rows, size)
            state.step += 1
            state.loss_sum += loss * len(rows)
            state.images += len(rows)
            state.seconds += time.monotonic() - started
            done = state.epoch * self.steps_per_epoch + state.step
            progress(done, total, self._line(total - done))
            if stop():
                return False
        return True

    def _batches(self) -> Iterator[np.ndarray]:
        """Rows of the batches still to come; order and augmentation depend on (seed, epoch) alone."""
        state = self.state
        if state.step == 0:
            seed = int(np.random.SeedSequence([self.config.seed, state.epoch]).generate_state(1)[0])
            self.generator.manual_seed(seed)
            torch.manual_seed(seed)  # dropout draws from the global generator
        order = np.random.default_rng([self.config.seed, state.epoch]).permutation(len(self.train))
        for start in range(state.step * self.config.batch_size, len(order), self.config.batch_size):
            yield np.sort(order[start : start + self.config.batch_size])  # sorted: the memory map is read in order

    def _step(self, rows: np.ndarray, size: int) -> float:
        """One optimiser step; the batch's mean loss."""
        rows = np.repeat(rows, 2) if len(rows) == 1 else rows  # batch norm needs two images
        squares = torch.from_numpy(self.train.squares[rows]).to(self.fabric.device)
        grey = augment(squares, self.augmentation, size=size, generator=self.generator)
        loss = self.loss(self._logits(grey), torch.from_numpy(self.train.y_true[rows]).to(self.fabric.device))
        self.optimiser.zero_grad()
        self.fabric.backward(loss)
        if self.config.clip_norm:
            self.fabric.clip_gradients(self.model, self.optimiser, max_norm=self.config.clip_norm)
        self.optimiser.step()
        if self.schedule:
            self.schedule.step()
        return loss.item()

    def _logits(self, grey: torch.Tensor) -> torch.Tensor:
        batch = normalise(grey, self.preprocessing)  # (N, S, S) -> (N, 3, S, S)
        if self.config.channels_last:
            batch = batch.contiguous(memory_format=torch.channels_last)
        logits = self.model(batch)
        return getattr(logits, "logits", logits).float()  # Inception returns a named tuple while training

    def _validate(self) -> dict[str, float]:
        """Loss and scores on the validation images, without augmentation."""
        self.model.eval()
        logits = []
        with torch.inference_mode():
            for start in range(0, len(self.validation), 64):
                squares = torch.from_numpy(np.array(self.validation.squares[start : start + 64]))
                logits.append(self._logits(squares.to(self.fabric.device).float().div_(255)).cpu())
        together, y_true = torch.cat(logits), torch.from_numpy(self.validation.y_true)
        matrix = confusion_matrix(self.validation.y_true, together.argmax(dim=1).numpy(), self.num_classes)
        return {
            "loss": nn.functional.cross_entropy(together, y_true).item(),
            "accuracy": matrix.accuracy,
            "balanced_accuracy": matrix.balanced_accuracy,
            "macro_f1": matrix.macro_f1,
        }

    def _finish_epoch(self) -> None:
        """Validate, keep the best weights, write the line of the epoch."""
        state, metrics = self.state, self._validate()
        value = -metrics["loss"] if self.config.monitor == "loss" else metrics[self.config.monitor]
        rate = self.optimiser.param_groups[0]["lr"]
        if self.plateau:
            self.plateau.step(metrics[self.config.monitor])
        state.epochs.append(Epoch(state.epoch, state.loss_sum / state.images, metrics, rate, round(state.seconds, 2)))
        if value > state.best_value or state.best_epoch < 0:
            state.best_value, state.best_epoch = value, state.epoch
            save_state(self.folder / "best.pt", {"model": self.plain_model.state_dict(), "epoch": state.epoch})
        write_epochs(self.folder / "metrics.jsonl", state.epochs)
        state.epoch += 1
        state.step, state.loss_sum, state.images, state.seconds = 0, 0.0, 0, 0.0

    def _save_last(self, *, mid_epoch: bool) -> None:
        state = self.state
        run: dict[str, Any] = {name: value for name, value in vars(state).items() if name != "epochs"}
        run["epochs"] = [vars(epoch) for epoch in state.epochs]
        saved: dict[str, Any] = {
            "run": run,
            "config": self.config.to_json(),
            "model": self.plain_model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict() if self.schedule else None,
            "plateau": self.plateau.state_dict() if self.plateau else None,
        }
        if mid_epoch:
            saved |= {"generator": self.generator.get_state(), "torch_rng": torch.get_rng_state()}
        save_state(self.folder / "last.pt", saved)

    def _resume(self) -> None:
        """Go on from ``last.pt`` when there is one."""
        if not (self.folder / "last.pt").exists():
            return
        saved = load_state(self.folder / "last.pt")
        if TrainConfig.from_json(saved["config"]) != self.config:
            raise ValueError(
                f"{self.folder.name} holds a run with other settings; use them again or choose another folder."
            )
        self.plain_model.load_state_dict(saved["model"])
        self.optimiser.load_state_dict(saved["optimiser"])
        if self.schedule:
            self.schedule.load_state_dict(saved["schedule"])
        if self.plateau:
            self.plateau.load_state_dict(saved["plateau"])
        epochs = [Epoch(**line) for line in saved["run"].pop("epochs")]
        self.state = _Run(**saved["run"], epochs=epochs)
        if "generator" in saved:
            self.generator.set_state(saved["generator"])
            torch.set_rng_state(saved["torch_rng"])

    def _line(self, steps_left: int) -> str:
        state = self.state
        minutes = steps_left * state.seconds / max(1, state.step) / 60
        return (
            f"epoch {state.epoch + 1}/{self.config.epochs}, loss {state.loss_sum / max(1, state.images):.3f}, "
            f"about {minutes:.0f} min left"
        )

    def _history(self, stopped: str) -> History:
        value = -self.state.best_value if self.config.monitor == "loss" else self.state.best_value
        return History(tuple(self.state.epochs), self.config.monitor, self.state.best_epoch, value, stopped)
