"""The training loop: steps, epochs, the best weights, and going on after an interrupt to the bit."""

from __future__ import annotations

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
from cxrlab.training.features import cacheable_head, head_input
from cxrlab.training.measuring import BATCH_SIZE, all_logits, measured
from cxrlab.training.objective import Objective, logits_of
from cxrlab.training.schedule import LOSSES, make_optimiser, make_plateau, make_schedule
from cxrlab.training.squares import LabelledSquares
from cxrlab.training.state import RunState, load_state, save_state, write_epochs

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
        self.head = self._cacheable_head() if augmentation.changes_nothing and len(set(self.sizes)) == 1 else None
        self.features: dict[str, torch.Tensor] = {}
        self.state = RunState()

    def run(self, progress: Progress, stop: Callable[[], bool]) -> History:
        """Epochs until the end, the patience or an interrupt."""
        self._resume()
        state, config = self.state, self.config
        if self.head is not None and not state.finished and not self._store_features(progress, stop):
            return self._history("interrupted")
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

    def begin_training(self) -> None:
        """Put the network in training mode, what is frozen in inference mode."""
        self.model.train()
        keep_frozen_in_inference_mode(self.plain_model)

    def step(self, rows: np.ndarray, size: int) -> float:
        """One optimiser step; the batch's loss."""
        rows = np.repeat(rows, 2) if len(rows) == 1 else rows  # batch norm needs two images
        output = self._output(rows, size)
        loss = self.objective(output, self.batches.y_true(rows, self.fabric.device))
        self.optimiser.zero_grad()
        self.fabric.backward(loss)
        if self.config.clip_norm:
            self.fabric.clip_gradients(self.model, self.optimiser, max_norm=self.config.clip_norm)
        self.optimiser.step()
        if self.schedule:
            self.schedule.step()
        return loss.item()

    def measure(self, name: str) -> dict[str, float]:
        """Loss and scores on one of the sets, without augmentation."""
        self.model.eval()
        images = self.sets[name]
        logits = all_logits(lambda start, stop: logits_of(self._plain_output(name, start, stop)), len(images))
        return measured(logits, images.y_true, self.objective.loss)

    def _train_epoch(self, progress: Progress, stop: Callable[[], bool]) -> bool:
        """The rest of the current epoch. False when it was interrupted before its end."""
        state = self.state
        size = self.sizes[state.epoch * len(self.sizes) // self.config.epochs]
        total = self.steps_per_epoch * self.config.epochs
        self.begin_training()
        for rows in self.batches.of_epoch(state.epoch, first_step=state.step):
            started = time.monotonic()
            loss = self.step(rows, size)
            state.step += 1
            state.loss_sum += loss * (len(rows) if self.config.reduction != "sum" else 1)
            state.images += len(rows)
            state.seconds += time.monotonic() - started
            done = state.epoch * self.steps_per_epoch + state.step
            progress(done, total, self._line(total - done))
            if stop():
                return False
        return True

    def _output(self, rows: np.ndarray, size: int) -> Any:
        """What the network, or its head on stored features, says of training images."""
        if self.features:
            return self._of_head(self.features[TRAIN][torch.from_numpy(rows)])
        return self.model(self._input(self.batches.inputs(rows, size, self.fabric.device)))

    def _plain_output(self, name: str, start: int, stop: int) -> Any:
        if self.features:
            return self._of_head(self.features[name][start:stop])
        return self.model(self._unchanged(name, start, stop))

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
        stored: dict[str, torch.Tensor] = {}
        total, done = sum(map(len, self.sets.values())), 0
        for name, images in self.sets.items():
            parts = []
            for start in range(0, len(images), BATCH_SIZE):
                batch = self._unchanged(name, start, start + BATCH_SIZE)
                with torch.no_grad():
                    features, _ = head_input(self.head, lambda batch=batch: self.model(batch))  # type: ignore[misc]
                assert features is not None
                parts.append(features.float().cpu())
                done += len(batch)
                progress(0, self.steps_per_epoch * self.config.epochs, f"features of {done} of {total} images")
                if stop():
                    return False
            stored[name] = torch.cat(parts)
        self.features = stored
        return True

    def _finish_epoch(self) -> None:
        """Validate, keep the best weights, write the line of the epoch."""
        state, metrics = self.state, self.measure(VALIDATION)
        value = -metrics[self.config.monitor] if self.config.monitor in LOSSES else metrics[self.config.monitor]
        rate = self.optimiser.param_groups[0]["lr"]
        if self.plateau:
            self.plateau.step(metrics[self.config.monitor])
        facts = metrics | self._watched()
        state.epochs.append(Epoch(state.epoch, state.loss_sum / state.images, facts, rate, round(state.seconds, 2)))
        if value > state.best_value or state.best_epoch < 0:
            state.best_value, state.best_epoch = value, state.epoch
            save_state(self.folder / "best.pt", {"model": self.plain_model.state_dict(), "epoch": state.epoch})
        write_epochs(self.folder / "metrics.jsonl", state.epochs)
        state.next_epoch()

    def _watched(self) -> dict[str, float]:
        """Facts that select nothing: scores on the watched sets, and the caller's own."""
        names = [name for name in self.sets if name not in (TRAIN, VALIDATION)]
        facts = {f"{name}_{key}": value for name in names for key, value in self.measure(name).items()}
        return facts | dict(self.on_epoch(self.plain_model) if self.on_epoch else {})

    def _save_last(self, *, mid_epoch: bool) -> None:
        saved: dict[str, Any] = {
            "run": self.state.to_json(),
            "config": self.config.to_json(),
            "model": self.plain_model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict() if self.schedule else None,
            "plateau": self.plateau.state_dict() if self.plateau else None,
        }
        if mid_epoch:
            saved |= {"generator": self.batches.generator.get_state(), "torch_rng": torch.get_rng_state()}
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
        self.state = RunState.from_json(saved["run"])
        if "generator" in saved:
            self.batches.generator.set_state(saved["generator"])
            torch.set_rng_state(saved["torch_rng"])

    def _line(self, steps_left: int) -> str:
        state = self.state
        minutes = steps_left * state.seconds / max(1, state.step) / 60
        return (
            f"epoch {state.epoch + 1}/{self.config.epochs}, loss {state.loss_sum / max(1, state.images):.3f}, "
            f"about {minutes:.0f} min left"
        )

    def _history(self, stopped: str) -> History:
        value = -self.state.best_value if self.config.monitor in LOSSES else self.state.best_value
        return History(tuple(self.state.epochs), self.config.monitor, self.state.best_epoch, value, stopped)
