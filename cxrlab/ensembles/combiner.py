"""Stage 2: a combiner fitted on members' cached probabilities, without ever running a member."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from cxrlab.ensembles.combined import Combined, Combiner, CombinerError, new_module
from cxrlab.ensembles.combiner_config import KINDS, PROFILES, CombinerConfig
from cxrlab.ensembles.flannel import NeuralWeightModule
from cxrlab.ensembles.stacking import EnsembleMLP
from cxrlab.losses import class_weights, focal_loss
from cxrlab.progress import Cancel, Progress, check, never, silent
from cxrlab.results import Epoch, History
from cxrlab.sampling import Sampler

__all__ = ["KINDS", "PROFILES", "Combined", "Combiner", "CombinerConfig", "CombinerError", "fit_combiner"]


def fit_combiner(
    probabilities: np.ndarray,
    y: np.ndarray,
    config: CombinerConfig,
    *,
    validation: tuple[np.ndarray, np.ndarray] | None = None,
    progress: Progress = silent,
    cancel: Cancel = never,
) -> Combiner:
    """Fit a combiner on members' probabilities of B images; no member is run.

    Args:
        probabilities: (B, N, M) in [0, 1]. y: (B,) true classes. config: how.
        validation: the same of other images: the epoch with the best accuracy there is kept, the first of equal ones.
            None: the last epoch is kept.
        progress: called after every epoch. cancel: asked before every epoch.

    Returns:
        The combiner with its history; the same for the same arguments.

    Raises:
        CombinerError: when shapes, values or classes do not fit. ValueError: a class without rows, where weights need
            one. Cancelled: when the user stopped it.
    """
    given, truth = _checked(probabilities, y, "probabilities")
    held_out = _checked(*validation, "validation probabilities") if validation is not None else None
    if held_out is not None and held_out[0].shape[1:] != given.shape[1:]:
        raise CombinerError(
            f"Validation probabilities must be for {given.shape[1]} members and {given.shape[2]} classes too, "
            f"got {tuple(held_out[0].shape[1:])}."
        )
    counts = torch.bincount(truth, minlength=given.shape[2]).tolist()
    alpha = class_weights(counts, config.class_weights)
    alpha = None if alpha is None else alpha.float()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        module = new_module(config.kind, *given.shape[1:], activation=config.activation)
    fitting = _Fitting(module, config, alpha)
    rows = _Rows.of(module, given, truth).at(_repeated(truth, config))
    watched = _Rows.of(module, *held_out) if held_out is not None else None
    epochs = []
    for number in range(config.epochs):
        check(cancel, "The fitting")
        epochs.append(fitting.epoch(number, rows, watched))
        progress(number + 1, config.epochs, f"epoch {number + 1} of {config.epochs}")
    return fitting.finished(config.kind, epochs)


@dataclass(frozen=True, eq=False)
class _Rows:
    """Images as the module reads them: features (B, F), computed once, probabilities (B, N, M), classes (B,)."""

    features: torch.Tensor
    probabilities: torch.Tensor
    y: torch.Tensor

    @classmethod
    def of(cls, module: NeuralWeightModule | EnsembleMLP, probabilities: torch.Tensor, y: torch.Tensor) -> _Rows:
        return cls(module.features(probabilities), probabilities, y)

    def at(self, rows: torch.Tensor) -> _Rows:
        return _Rows(self.features[rows], self.probabilities[rows], self.y[rows])

    def batches(self, size: int) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        return zip(self.features.split(size), self.probabilities.split(size), self.y.split(size), strict=True)


class _Fitting:
    """A module under way: its optimiser, its shuffling, and the best state so far."""

    def __init__(self, module: NeuralWeightModule | EnsembleMLP, config: CombinerConfig, alpha: torch.Tensor | None):
        self.module, self.config, self.alpha = module, config, alpha
        self.generator = torch.Generator().manual_seed(config.seed)
        self.optimiser = torch.optim.Adam(
            module.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
        )
        self.best, self.best_epoch, self.state = -1.0, 0, copy.deepcopy(module.state_dict())

    def epoch(self, number: int, rows: _Rows, watched: _Rows | None) -> Epoch:
        started, total = time.perf_counter(), 0.0
        shuffled = rows.at(torch.randperm(len(rows.y), generator=self.generator))
        for features, probabilities, y in shuffled.batches(self.config.batch_size):
            self.optimiser.zero_grad(set_to_none=True)
            loss = self._loss(self.module.logits(features, probabilities), y)
            loss.backward()
            self.optimiser.step()
            total += float(loss.detach()) * (len(y) if self.config.reduction == "mean" else 1)
        metrics = self._measured(watched)
        accuracy = metrics.get("accuracy", float(number))  # without validation the last epoch is the best one
        if accuracy > self.best:
            self.best, self.best_epoch, self.state = accuracy, number, copy.deepcopy(self.module.state_dict())
        seconds = time.perf_counter() - started
        return Epoch(number, total / len(rows.y), metrics, self.config.learning_rate, seconds)

    def finished(self, kind: str, epochs: list[Epoch]) -> Combiner:
        self.module.load_state_dict(self.state)
        if not all(bool(value.isfinite().all()) for value in self.state.values()):
            raise CombinerError("The fitting must give finite weights, but it did not; choose a lower learning rate.")
        monitor = "accuracy" if epochs[-1].metrics else "none"
        best = self.best if epochs[-1].metrics else float("nan")
        history = History(tuple(epochs), monitor, self.best_epoch, best, "finished")
        return Combiner(kind, self.module.requires_grad_(False).eval(), history)

    def _loss(self, logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        config = self.config
        if config.loss == "focal":
            return focal_loss(logits, y, gamma=config.gamma, alpha=self.alpha, reduction=config.reduction)
        losses = functional.cross_entropy(logits, y, weight=self.alpha, reduction="none")
        return losses.mean() if config.reduction == "mean" else losses.sum()

    def _measured(self, rows: _Rows | None) -> dict[str, float]:
        if rows is None:
            return {}
        with torch.no_grad():
            logits = self.module.logits(rows.features, rows.probabilities)
            accuracy = (logits.argmax(dim=1) == rows.y).double().mean()
            loss = functional.cross_entropy(logits, rows.y)
        return {"accuracy": float(accuracy), "cross_entropy": float(loss)}


def _checked(probabilities: np.ndarray, y: np.ndarray, name: str) -> tuple[torch.Tensor, torch.Tensor]:
    values, truth = np.asarray(probabilities), np.asarray(y)
    if values.ndim != 3 or truth.shape != values.shape[:1] or not len(values):
        raise CombinerError(
            f"The {name} must have shape (B, N, M) with B classes beside them and B >= 1, "
            f"got {values.shape} and {truth.shape}."
        )
    if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1 + 1e-6):
        raise CombinerError(f"The {name} must be finite and in [0, 1]; were logits given?")
    if not 0 <= truth.min() <= truth.max() < values.shape[2]:
        raise CombinerError(f"True classes must be 0 to {values.shape[2] - 1}; leave out images of unknown truth.")
    return torch.tensor(values, dtype=torch.float32), torch.tensor(truth, dtype=torch.int64)


def _repeated(truth: torch.Tensor, config: CombinerConfig) -> torch.Tensor:
    """Row numbers with those of oversampled classes repeated."""
    sampler = Sampler(tuple(f"{index}:{factor}" for index, factor in config.oversample), stage="2")
    return torch.from_numpy(sampler.rows(truth.numpy(), np.random.default_rng(config.seed)))
