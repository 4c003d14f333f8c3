"""How long a training takes and what memory it needs, from a few steps of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from cxrlab.progress import Cancel, Progress, check
from cxrlab.training.features import head_input
from cxrlab.training.measuring import BATCH_SIZE
from cxrlab.training.trainer import TRAIN, VALIDATION, Trainer

STEPS = 2  # timed for each figure, after one that is not
FEW = 8  # images in a step on a CPU, whose time is proportional to them; a GPU gets whole batches
STATES = {"adam": 2, "adamw": 2, "sgd": 1}  # what an optimiser keeps, in weights that train


@dataclass(frozen=True)
class Probed:
    """Seconds of all steps, and of everything with validations; bytes at the largest size."""

    training_s: float
    seconds: float
    memory_bytes: int


class Probe:
    """Times steps of a trainer whose images may be made up; its weights are of no use afterwards.

    Args:
        held: bytes of the GPU's memory in use before the trainer was made.
    """

    def __init__(self, trainer: Trainer, progress: Progress, cancel: Cancel, *, held: int = 0) -> None:
        self.trainer, self.progress, self.cancel, self.held = trainer, progress, cancel, held
        self.device = trainer.fabric.device
        trainer.schedule = None  # it ends with the last step of a run, and short runs have fewer than are timed
        self.batch = min(trainer.config.batch_size, trainer.batches.rows_per_epoch)
        self.count = self.batch if self.device.type == "cuda" else min(FEW, self.batch)
        self.rows = np.arange(self.count) % len(trainer.sets[TRAIN])
        self.parts = len(set(trainer.sizes)) + 1
        self.timed = 0

    def run(self) -> Probed:
        """Time a validation, and steps at each size. Raises Cancelled."""
        trainer = self.trainer
        held_out = len(trainer.sets[VALIDATION])
        forward, once = self._forward_seconds(), 0.0
        if trainer.head is not None:  # the backbone runs once, then its stored features train the head
            once, forward = forward * (len(trainer.sets[TRAIN]) + held_out), 0.0
            self._make_up_features()
        steps = {size: self._step_seconds(size) for size in sorted(set(trainer.sizes))}
        images = trainer.batches.rows_per_epoch
        training = sum(steps[side] * images / self.count for side in trainer.sides)
        memory = self._memory(max(trainer.sizes))
        return Probed(training, once + training + forward * held_out * trainer.config.epochs, memory)

    def _step_seconds(self, size: int) -> float:
        self.trainer.begin_training()
        return self._fastest(lambda: self.trainer.step(self.rows, size), f"a step at {size} px")

    def _forward_seconds(self) -> float:
        """Of one image of the validation."""
        self.trainer.model.eval()
        count = min(self.count, BATCH_SIZE, len(self.trainer.sets[VALIDATION]))
        with torch.inference_mode():
            return self._fastest(lambda: self.trainer.plain_output(VALIDATION, 0, count), "a validation") / count

    def _fastest(self, work: Callable[[], object], what: str) -> float:
        """Seconds; the first time, in which memory is taken and kernels are chosen, does not count."""
        seconds = []
        for _ in range(STEPS + 1):
            check(self.cancel, "The estimate")
            self.progress(self.timed, self.parts * (STEPS + 1), f"timing {what}")
            started = time.perf_counter()
            work()
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)
            seconds.append(time.perf_counter() - started)
            self.timed += 1
        return min(seconds[1:])

    def _make_up_features(self) -> None:
        """Features of one image, for all."""
        trainer = self.trainer
        assert trainer.head is not None
        with torch.no_grad():
            kept, _ = head_input(trainer.head, lambda: trainer.plain_output(TRAIN, 0, 1))
        assert kept is not None
        one = kept[:1].float().cpu()
        trainer.features = {name: one.expand(len(images), *one.shape[1:]) for name, images in trainer.sets.items()}

    def _memory(self, size: int) -> int:
        """Bytes at the peak: measured on a GPU; elsewhere weights, gradients, optimiser and what a step keeps."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device) - self.held
        model = self.trainer.plain_model
        weights = sum(value.numel() * value.element_size() for value in model.state_dict().values())
        trained = sum(p.numel() * p.element_size() for p in model.parameters() if p.requires_grad)
        kept = self._kept_bytes(size) * self.batch // self.count
        return weights + trained * (1 + STATES[self.trainer.config.optimiser]) + kept

    def _kept_bytes(self, size: int) -> int:
        """What a forward keeps for the backward, weights not counted."""
        own = {value.untyped_storage().data_ptr() for value in self.trainer.plain_model.state_dict().values()}
        kept: dict[int, int] = {}

        def keep(tensor: torch.Tensor) -> torch.Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in own:
                kept[storage.data_ptr()] = storage.nbytes()
            return tensor

        self.trainer.begin_training()
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            self.trainer.step(self.rows, size)
        return sum(kept.values())
