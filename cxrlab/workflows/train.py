"""Train a checkpoint from a manifest: the one function behind `cxrlab train`."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cxrlab.cards import ModelCard, checked_name
from cxrlab.checkpoints import load_checkpoint, read_checkpoint, save_checkpoint
from cxrlab.config import Preprocessing, home
from cxrlab.data.cache import build_cache
from cxrlab.data.manifest import Manifest, read_manifest
from cxrlab.data.splits import Split, benchmark_split, hold_out
from cxrlab.labels import CXR4, PHANTOM4, LabelSet, projection_named
from cxrlab.models.registry import create_model, model_spec
from cxrlab.progress import Cancel, Cancelled, Progress, never, silent
from cxrlab.results import History
from cxrlab.sampling import Sampler
from cxrlab.workflows.training_card import TrainRequest, card_metrics, training_card
from cxrlab.workflows.training_claim import TrainingError, claim

if TYPE_CHECKING:
    from torch import nn

    from cxrlab.training.squares import LabelledSquares


@dataclass(frozen=True)
class Trained:
    """A finished training: the card as saved, its folder and its history."""

    card: ModelCard
    folder: Path
    history: History


def train(
    request: TrainRequest,
    *,
    run_folder: Path | None = None,
    checkpoints: Path | None = None,
    device: str = "auto",
    overwrite: bool = False,
    progress: Progress = silent,
    cancel: Cancel = never,
) -> Trained:
    """Train, pick the best epoch on held-out patients, save the checkpoint with a full card.

    Args:
        run_folder: state and history; default ``CXRLAB_HOME/training/<name>``. One that was interrupted is resumed.
        checkpoints: where the checkpoint folder goes; default ``CXRLAB_HOME/checkpoints``.
        overwrite: replace a checkpoint of this name, and the finished run behind it where that had other settings.

    Raises:
        TrainingError, ManifestError, SplitError, CacheError, CheckpointError: one sentence each.
        NotFinite: the loss is no number any more; ``last.pt`` keeps the state of before.
        Cancelled: the run stays in ``run_folder`` and can be resumed.

    A process that is killed at any moment leaves no checkpoint or a whole one; the same call goes on from there. Under
    ``torchrun`` all processes call this, train together and return; the first one alone writes, and the card of the
    others lacks what is measured while saving.
    """
    from cxrlab.training.fit import fit
    from cxrlab.training.team import in_turn, is_first

    target = (checkpoints or home() / "checkpoints") / checked_name(request.name)
    if target.exists() and not overwrite:
        raise TrainingError(f"A checkpoint named {request.name} exists already; choose another name or overwrite it.")
    Sampler(request.config.sampling)  # before any work: a rule that can not be read
    check_sides(request)
    run_folder = run_folder or home() / "training" / request.name
    progress = progress if is_first() else silent
    with in_turn(cancel):
        data = _TrainingData.of(request)
        network = seeded_network(request, len(data.labels))
        if is_first():
            claim(run_folder, request, data.labels, data.split, overwrite=overwrite)
        training, validation = (
            data.squares(part, request.preprocessing, progress, cancel) for part in ("train", "validation")
        )
    history = fit(
        network,
        training,
        validation,
        num_classes=len(data.labels),
        config=request.config,
        preprocessing=request.preprocessing,
        augmentation=request.augmentation,
        run_folder=run_folder,
        accelerator=device,
        progress=progress,
        cancel=cancel,
    )
    if history.stopped == "interrupted":
        raise Interrupted(run_folder)
    card = training_card(
        request,
        network,
        history,
        labels=data.labels,
        dataset=data.manifest.name,
        part=data.part,
        split=data.split,
        training=data.training,
    )
    if is_first():
        card = _measured(request, run_folder, network, card, device, progress)
        save_checkpoint(target, network, card, overwrite=overwrite)
        card = read_checkpoint(target).card
    return Trained(card, target, history)


class Interrupted(Cancelled):
    """Training was stopped by the user and can be resumed with the same command."""

    def __init__(self, run_folder: Path) -> None:
        Exception.__init__(self, f"Training was stopped; the same command resumes it from {run_folder.name}/last.pt.")


@dataclass(frozen=True, eq=False)
class _TrainingData:
    """The manifest, its classes and its split."""

    manifest: Manifest
    labels: LabelSet
    split: Split
    part: str
    squares: Callable[..., Any]

    @classmethod
    def of(cls, request: TrainRequest) -> _TrainingData:
        own = read_manifest(request.source)
        manifest, labels = _in_task(own, request)
        if request.activation == "binary_sigmoid" and len(labels) != 2:
            raise TrainingError(
                f"One sigmoid node needs 2 classes, got {', '.join(labels.ids)}; choose two with labels, or a task."
            )
        part = "development" if request.benchmark else "all"
        used = manifest.select(benchmark_split(manifest).part(part)) if request.benchmark else manifest
        kept = {row.path for row in used.rows}
        finer = replace(own, rows=tuple(row for row in own.rows if row.path in kept))  # every task: the same patients
        split = hold_out(finer, fraction=request.validation, seed=request.split_seed)
        return cls(manifest, labels, split, part, _reader(used, split, labels))

    @property
    def training(self) -> Manifest:
        return self.manifest.select(self.split.part("train"))


def _in_task(manifest: Manifest, request: TrainRequest) -> tuple[Manifest, LabelSet]:
    """The rows with their class in the request's task, and the classes."""
    if not request.task:
        labels = LabelSet.from_ids(request.labels) if request.labels else ordered_labels(manifest.label_ids)
        return manifest.with_labels(labels), labels
    task = projection_named(request.task)
    rows = tuple(replace(row, label=task.mapping.get(row.label, row.label)) for row in manifest.rows)
    return replace(manifest, rows=rows).with_labels(task.target), task.target


def _reader(manifest: Manifest, split: Split, labels: LabelSet) -> Callable[..., Any]:
    def squares(part: str, preprocessing: Preprocessing, progress: Progress, cancel: Cancel) -> Any:
        from cxrlab.training.fit import LabelledSquares

        rows = manifest.select(split.part(part))
        files = [row.file for row in rows.rows]
        cache = build_cache(files, rows.column("sha256"), preprocessing.whole, progress=progress, cancel=cancel)
        if cache.errors:
            row, sentence = next(iter(cache.errors.items()))
            raise TrainingError(
                f"{len(cache.errors)} images can not be read, first {rows.rows[row].path}: {sentence} "
                "Remove them from the manifest and try again."
            )
        return LabelledSquares(cache.squares, rows.y_true(labels))

    return squares


def ordered_labels(ids: tuple[str, ...]) -> LabelSet:
    """Classes in the order of the known task that holds them all, else alphabetically."""
    for known in (CXR4, PHANTOM4):
        if set(ids) <= set(known.ids):
            return LabelSet.from_ids([id_ for id_ in known.ids if id_ in ids])
    return LabelSet.from_ids(sorted(ids))


def check_sides(request: TrainRequest) -> None:
    """Raise TrainingError when the network can not see images as small as the request's."""
    spec = model_spec(request.model)
    side = min(request.config.size_schedule or (request.preprocessing.size,))
    if side < spec.smallest_size:
        raise TrainingError(f"The input of {spec.name} must be at least {spec.smallest_size} px, got {side}.")


def training_squares(
    request: TrainRequest, progress: Progress = silent, cancel: Cancel = never
) -> tuple[str, int, LabelledSquares]:
    """Name of the data set, number of classes and images of a request's training part. Raises as :func:`train`."""
    check_sides(request)
    data = _TrainingData.of(request)
    return data.manifest.name, len(data.labels), data.squares("train", request.preprocessing, progress, cancel)


def labelled_parts(request: TrainRequest) -> tuple[LabelSet, np.ndarray, np.ndarray]:
    """The classes, and (N,) class indices of the training and the validation images. Raises as :func:`train`."""
    data = _TrainingData.of(request)
    train_part, validation = (
        data.manifest.select(data.split.part(part)).y_true(data.labels) for part in ("train", "validation")
    )
    return data.labels, train_part, validation


def seeded_network(request: TrainRequest, num_classes: int) -> nn.Module:
    """The network of a request with its start values: drawn by the seed, of ImageNet, a file or a checkpoint."""
    import torch

    wanted = request.network(num_classes)
    with torch.random.fork_rng():
        torch.manual_seed(request.config.seed)
        network = create_model(
            wanted.name,
            num_classes=wanted.num_classes,
            pretrained=request.pretrained,
            weights_file=request.weights_file,
            **wanted.options,
        )
    if request.initial:
        _start_from(network, request)
    return network


def _start_from(network: nn.Module, request: TrainRequest) -> None:
    """Copy the weights of a checkpoint of the same network, all but the head. Raises TrainingError for another one."""
    source = load_checkpoint(request.initial)
    if source.card.model is None or source.card.model.name != request.model:
        raise TrainingError(f"{request.initial} must be a checkpoint of {request.model} to start from; choose another.")
    own = network.state_dict()
    heads = tuple(f"{head}." for head in model_spec(request.model).heads) or tuple(list(own)[-2:])
    given = source.model.state_dict().items()
    kept = {
        name: value for name, value in given if name in own and own[name].shape == value.shape
        and not name.startswith(heads)
    }  # fmt: skip
    network.load_state_dict(own | kept)


def _measured(
    request: TrainRequest, run_folder: Path, network: nn.Module, card: ModelCard, device: str, progress: Progress
) -> ModelCard:
    """The card with metrics on the benchmark's test part where there is one, of the weights as they are saved."""
    if not request.benchmark:
        return card
    folder = run_folder / "unmeasured" / card.name
    save_checkpoint(folder, network, card, overwrite=True)
    metrics = card_metrics(request.source, folder, task=request.task, device=device, progress=progress)
    shutil.rmtree(folder.parent)
    return replace(card, metrics=metrics)
