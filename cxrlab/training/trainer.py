"""The training loop: steps, epochs, the best weights, and going on after an interrupt to the bit."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.fabric import Fabric
from torch import nn

from cxrlab.config import Augmentation, Preprocessing, TrainConfig
from cxrlab.data.transforms import normalise
from cxrlab.models.freezing import freeze, keep_frozen_in_inference_mode
from cxrlab.progress import Progress
from cxrlab.results import Epoch, History
from cxrlab.training.batches import Batches, centred
from cxrlab.training.features import cacheable_head, stored_features
from cxrlab.training.finite import is_finite, not_finite
from cxrlab.training.measuring import all_logits, confusion_counts, measured
from cxrlab.training.objective import Objective, logits_of
from cxrlab.training.schedule import make_optimiser, make_plateau, make_schedule
from cxrlab.training.squares import LabelledSquares
from cxrlab.training.state import SMALLER_IS_BETTER, RunState, load_state, save_state, write_results
from cxrlab.training.status import Status
from cxrlab.training.team import Team

TRAIN, VALIDATION = "train", "validation"
OnEpoch = Callable[[nn.Module], Mapping[str, float]]


class Trainer:
    """The loop's parts, built once.

    Args:
        sets: ``train``, ``validation`` and those that are only watched, by name.
        on_epoch: more facts of an epoch, from the model after it.
    """

    def __init__(
        self,
        fabric: Fabric,
        model: nn.Module,
        sets: Mapping[str, LabelledSquares],
        num_classes: int,
        config: TrainConfig,
        preprocessing: Preprocessing,
        augmentation: Augmentation,
        run_folder: Path,
        on_epoch: OnEpoch | None = None,
    ) -> None:
        self.fabric, self.config, self.preprocessing = fabric, config, preprocessing
        self.team = Team(fabric)
        self.sets, self.folder, self.on_epoch = sets, run_folder, on_epoch
        self.batches = Batches(sets[TRAIN], config, preprocessing, augmentation)
        self.sizes = config.size_schedule or (self.batches.side,)
        self.steps_per_epoch = self.batches.steps_per_epoch
        if config.unfreeze < 1:
            freeze(model, config.unfreeze, input_size=self.batches.side)
        if config.channels_last:
            model = model.to(memory_format=torch.channels_last)
        self.plain_model = model
        optimiser = make_optimiser(model, config)
        self.schedule = make_schedule(optimiser, config, steps_per_epoch=self.steps_per_epoch)
        self.plateau = make_plateau(optimiser, config)
        self.model, self.optimiser = fabric.setup(model, optimiser)
        self.objective = Objective(model, config, self.batches.counts(num_classes), fabric.device)
        still = augmentation.changes_nothing and len(set(self.sizes)) == 1
        self.head = self._cacheable_head() if still else None
        self.features: dict[str, torch.Tensor] = {}
        self.state = RunState()
        self.sides = [self.sizes[epoch * len(self.sizes) // config.epochs] for epoch in range(config.epochs)]
        self.status = Status(run_folder, self.sides, self.steps_per_epoch, fabric.device)

    def run(self, progress: Progress, stop: Callable[[], bool]) -> History:
        """Epochs until the end, the patience or an interrupt."""
        self.team.align(self.plain_model)
        self._resume()
        state, config = self.state, self.config
        self.status.begin(self._done)
        if self.head is not None and not state.finished and not self._store_features(progress, stop):
            return self._history("interrupted")
        while not state.finished and state.epoch < config.epochs:
            if not self._train_epoch(progress, stop):
                self._save_last(mid_epoch=True)
                return self._history("interrupted")
            self._finish_epoch()
        self.team.wait()
        self.plain_model.load_state_dict(load_state(self.folder / "best.pt")["model"])
        return self._history("finished" if state.epoch == config.epochs else "early stopping")

    def begin_training(self) -> None:
        """Put the network in training mode, what is frozen in inference mode."""
        self.model.train()
        keep_frozen_in_inference_mode(self.plain_model)

    def step(self, rows: np.ndarray, size: int) -> float:
        """One optimiser step; the whole batch's loss. Where that or its gradients are not finite, NaN and no step."""
        rows = np.repeat(rows, 2) if len(rows) == 1 else rows  # batch norm needs two images
        own, scale = self.team.positions(len(rows)), 1.0
        if self.team.size > 1:
            scale = self.objective.scale(self.batches.images.y_true[rows], self.team.rank, self.team.size)
        output = self._output(rows, size, own)
        loss = self.objective(output, self.batches.y_true(rows[own], self.fabric.device), scale=scale)
        self.optimiser.zero_grad()
        self.fabric.backward(loss)
        self.team.average_gradients(self.plain_model)
        norm = None
        if self.config.clip_norm:
            norm = self.fabric.clip_gradients(
                self.model, self.optimiser, max_norm=self.config.clip_norm, error_if_nonfinite=False
            )
        value = self.team.mean(loss)
        if not math.isfinite(value) or (norm is not None and not math.isfinite(norm)):
            return math.nan
        self.optimiser.step()
        if self.schedule:
            self.schedule.step()
        return value

    def logits(self, name: str) -> torch.Tensor:
        """(N, C) logits of one of the sets, without augmentation."""
        self.model.eval()
        count = len(self.sets[name])
        return all_logits(lambda start, stop: logits_of(self.plain_output(name, start, stop)), count, self.team)

    def _train_epoch(self, progress: Progress, stop: Callable[[], bool]) -> bool:
        """The rest of the current epoch. False when it was interrupted before its end."""
        state = self.state
        self.begin_training()
        for rows in self.batches.of_epoch(state.epoch, first_step=state.step, rank=self.team.rank):
            started = time.monotonic()
            loss = self.step(rows, self.sides[state.epoch])
            state.step += 1
            self._check(math.isfinite(loss), "loss")
            state.loss_sum += loss * (len(rows) if self.config.reduction != "sum" else 1)
            state.images += len(rows)
            state.seconds += time.monotonic() - started
            self._tell(progress, self.status.line(self._done, state.loss_sum / state.images))
            if self.team.any(stop()):
                return False
        return True

    @property
    def _done(self) -> int:
        """Steps behind the run."""
        return self.state.epoch * self.steps_per_epoch + self.state.step

    def _tell(self, progress: Progress, text: str, *, now: bool = False) -> None:
        """Say where the run stands, to the caller and in ``status.json``."""
        if not self.team.is_first:
            return
        state = self.state
        self.status.write(self._done, text, images_per_s=state.images / max(state.seconds, 1e-9), now=now)
        progress(self._done, self.status.total, text)

    def _output(self, rows: np.ndarray, size: int, own: np.ndarray | slice) -> Any:
        """What the network, or its head on stored features, says of this process' images of a batch."""
        if self.features:
            return self._of_head(self.features[TRAIN][torch.from_numpy(rows[own])])
        return self.model(self._input(self.batches.inputs(rows, size, self.fabric.device)[own]))

    def plain_output(self, name: str, start: int, stop: int) -> Any:
        """The same of some images of a set, without augmentation."""
        if self.features:
            return self._of_head(self.features[name][start:stop])
        return self._forward(self._unchanged(name, start, stop))

    def _forward(self, batch: torch.Tensor) -> Any:
        """The network's output where no gradients are wanted and no process waits for others."""
        with self.fabric.autocast():
            return self.plain_model(batch)

    def _of_head(self, features: torch.Tensor) -> Any:
        assert self.head is not None
        with self.fabric.autocast():
            return self.head(features.to(self.fabric.device))

    def _unchanged(self, name: str, start: int, stop: int) -> torch.Tensor:
        """Network input of some images, without augmentation: their centre where crops are cut."""
        squares = torch.from_numpy(np.array(self.sets[name].squares[start:stop])).to(self.fabric.device)
        side = self.batches.crop or squares.shape[-1]
        return self._input(centred(squares, side, side))

    def _input(self, grey: torch.Tensor) -> torch.Tensor:
        batch = normalise(grey, self.preprocessing)  # (N, S, S) -> (N, 3, S, S)
        return batch.contiguous(memory_format=torch.channels_last) if self.config.channels_last else batch

    def _cacheable_head(self) -> nn.Module | None:
        images = sum(map(len, self.sets.values()))
        return cacheable_head(self.plain_model, self._unchanged(TRAIN, 0, 2), images)

    def _store_features(self, progress: Progress, stop: Callable[[], bool]) -> bool:
        """One pass of the frozen backbone over all images. False when it was interrupted."""
        assert self.head is not None
        self.model.eval()
        self.features = stored_features(
            self.head,
            lambda name, start, stop: self._forward(self._unchanged(name, start, stop)),
            {name: len(images) for name, images in self.sets.items()},
            tell=lambda text: self._tell(progress, text),
            stop=stop,
        )
        return bool(self.features)

    def _finish_epoch(self) -> None:
        """Validate, keep the best weights, write the line of the epoch."""
        state, config = self.state, self.config
        self.team.align(self.plain_model)
        logits, y_true = self.logits(VALIDATION), self.sets[VALIDATION].y_true
        metrics = self.team.agreed(measured(logits, y_true, self.objective.loss))
        self._check(math.isfinite(metrics["loss"]), "loss on the validation images")
        value = -metrics[config.monitor] if config.monitor in SMALLER_IS_BETTER else metrics[config.monitor]
        rate = self.optimiser.param_groups[0]["lr"]
        if self.plateau:
            self.plateau.step(metrics[config.monitor])
        facts = metrics | self._watched()
        state.epochs.append(Epoch(state.epoch, state.loss_sum / state.images, facts, rate, round(state.seconds, 2)))
        state.confusion = confusion_counts(logits, y_true)
        if value > state.best_value or state.best_epoch < 0:
            state.best_value, state.best_epoch = value, state.epoch
        state.next_epoch()
        waited = state.epoch - 1 - state.best_epoch
        state.finished = state.epoch == config.epochs or 0 < config.patience <= waited
        self._save_last(mid_epoch=False)
        self._write_results()

    def _write_results(self) -> None:
        """What follows from ``last.pt`` after an epoch. It comes after it, and again when a run goes on from there."""
        state = self.state
        if not self.team.is_first or not state.epochs:
            return
        write_results(self.folder, state, self.plain_model)
        if state.finished:
            self.status.end_after(state.epoch)
        self.status.write(self._done, f"epoch {state.epoch}/{self.config.epochs} done", now=True)

    def _watched(self) -> dict[str, float]:
        """Facts that select nothing: scores on the watched sets, and the caller's own."""
        names = [name for name in self.sets if name not in (TRAIN, VALIDATION)]
        facts: dict[str, float] = {}
        for name in names:
            scores = measured(self.logits(name), self.sets[name].y_true, self.objective.loss)
            facts |= {f"{name}_{key}": value for key, value in scores.items()}
        return facts | dict(self.on_epoch(self.plain_model) if self.on_epoch else {})

    def _save_last(self, *, mid_epoch: bool) -> None:
        generators = self.team.gathered(torch.get_rng_state()) if mid_epoch else []
        if self.team.is_first:
            self._check(is_finite(self.plain_model), "weights")
            saved: dict[str, Any] = {"run": self.state.to_json(), "config": self.config.to_json()}
            saved |= {name: part.state_dict() if part else None for name, part in self._parts.items()}
            if generators:
                saved |= {"generator": self.batches.generator.get_state(), "torch_rng": generators[0]}
                saved |= {"others_rng": generators[1:]} if generators[1:] else {}
            save_state(self.folder / "last.pt", saved)
        self.team.wait()

    @property
    def _parts(self) -> dict[str, Any]:
        """What has a state of its own."""
        model, optimiser = self.plain_model, self.optimiser
        return {"model": model, "optimiser": optimiser, "schedule": self.schedule, "plateau": self.plateau}

    def _check(self, good: bool, what: str) -> None:
        """Raise NotFinite, before anything is saved, where ``what`` is not finite."""
        if not good:
            epochs, step = divmod(self._done - 1, self.steps_per_epoch)
            rate = self.optimiser.param_groups[0]["lr"]
            raise not_finite(what, self.config, epochs + 1, step + 1, self.steps_per_epoch, rate)

    def _resume(self) -> None:
        """Go on from ``last.pt`` when there is one."""
        if not (self.folder / "last.pt").exists():
            return
        saved = load_state(self.folder / "last.pt")
        if TrainConfig.from_json(saved["config"]) != self.config:
            raise ValueError(
                f"{self.folder.name} holds a run with other settings; use them again or choose another folder."
            )
        for name, part in self._parts.items():
            if part:
                part.load_state_dict(saved[name])
        self.state = RunState.from_json(saved["run"])
        if "generator" in saved:
            self.batches.generator.set_state(saved["generator"])
            states = [saved["torch_rng"], *saved.get("others_rng", [])]
            torch.set_rng_state(states[self.team.rank % len(states)])
        self._write_results()

    def _history(self, stopped: str) -> History:
        return self.state.history(self.config.monitor, stopped)
