"""Train a checkpoint from a manifest: the one function behind `cxrlab train`."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cxrlab.cards import ModelCard, checked_name
from cxrlab.checkpoints import find_checkpoint, save_checkpoint
from cxrlab.config import Augmentation, ModelConfig, Preprocessing, TrainConfig, home
from cxrlab.data.cache import build_cache
from cxrlab.data.manifest import Manifest, read_manifest, summarise
from cxrlab.data.splits import Split, benchmark_split, hold_out
from cxrlab.labels import CXR4, PHANTOM4, LabelSet
from cxrlab.models.registry import create_model, model_spec
from cxrlab.progress import Cancel, Cancelled, Progress, never, silent
from cxrlab.results import History
from cxrlab.workflows.evaluate import evaluate_manifest

if TYPE_CHECKING:
    from torch import nn

INTENDED_USE = (
    "Research and teaching: comparing networks, explanations and evaluation methods. "
    "Never a diagnosis, and never a reason to see a doctor or not to."
)


class TrainingError(ValueError):
    """The training can not begin; the text is the sentence for the user."""


@dataclass(frozen=True)
class TrainRequest:
    """What to train, on what.

    Args:
        source: manifest CSV or folder. model: a registered network. name: of the checkpoint; title for people.
        labels: class ids in order; empty: those of the manifest, in the order of a known task where they fit.
        benchmark: train on the development part of the benchmark split and measure on its test part.
        validation: share of the training images held out by patient, which picks the best epoch.
        split_seed: of that draw. The same seed gives every network the same validation patients.
        domain: ``real`` or ``phantom``; empty: by the manifest's sources. domain_text: for people.
        licence, references, limits: for the card.
    """

    source: Path
    model: str
    name: str
    title: str = ""
    labels: tuple[str, ...] = ()
    benchmark: bool = False
    validation: float = 0.15
    split_seed: int = 0
    pretrained: bool = False
    config: TrainConfig = TrainConfig()
    preprocessing: Preprocessing = Preprocessing()
    augmentation: Augmentation = Augmentation()
    domain: str = ""
    domain_text: str = ""
    licence: str = "Apache-2.0"
    references: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()


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
        overwrite: replace a checkpoint of this name.

    Raises:
        TrainingError, ManifestError, SplitError, CacheError, CheckpointError: one sentence each.
        Cancelled: the run stays in ``run_folder`` and can be resumed.
    """
    from cxrlab.training.fit import fit

    target = (checkpoints or home() / "checkpoints") / checked_name(request.name)
    if target.exists() and not overwrite:
        raise TrainingError(f"A checkpoint named {request.name} exists already; choose another name or overwrite it.")
    run_folder = run_folder or home() / "training" / request.name
    data = _TrainingData.of(request)
    _claim(run_folder, request, data)
    network = _seeded_network(request, len(data.labels))
    history = fit(
        network,
        data.squares("train", request.preprocessing, progress, cancel),
        data.squares("validation", request.preprocessing, progress, cancel),
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
    card = _card(request, data, history, network)
    save_checkpoint(target, network, card, overwrite=overwrite)
    return Trained(_measured(request, data, target, network, card, device, progress), target, history)


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
        manifest = read_manifest(request.source)
        labels = LabelSet.from_ids(request.labels) if request.labels else ordered_labels(manifest.label_ids)
        manifest = manifest.with_labels(labels)
        part = "development" if request.benchmark else "all"
        used = manifest.select(benchmark_split(manifest).part(part)) if request.benchmark else manifest
        split = hold_out(used, fraction=request.validation, seed=request.split_seed)
        return cls(manifest, labels, split, part, _reader(used, split, labels))

    @property
    def training(self) -> Manifest:
        return self.manifest.select(self.split.part("train"))


def _reader(manifest: Manifest, split: Split, labels: LabelSet) -> Callable[..., Any]:
    def squares(part: str, preprocessing: Preprocessing, progress: Progress, cancel: Cancel) -> Any:
        from cxrlab.training.fit import LabelledSquares

        rows = manifest.select(split.part(part))
        files = [row.file for row in rows.rows]
        cache = build_cache(files, rows.column("sha256"), preprocessing, progress=progress, cancel=cancel)
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


def _seeded_network(request: TrainRequest, num_classes: int) -> nn.Module:
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(request.config.seed)
        return create_model(request.model, num_classes=num_classes, pretrained=request.pretrained)


def _claim(run_folder: Path, request: TrainRequest, data: _TrainingData) -> None:
    """Write what the run is for, with its split; refuse a folder that is for something else."""
    facts = {
        "model": request.model,
        "pretrained": request.pretrained,
        "labels": list(data.labels.ids),
        "preprocessing": request.preprocessing.to_json(),
        "augmentation": request.augmentation.to_json(),
        "split_digest": data.split.digest,
    }
    run_folder.mkdir(parents=True, exist_ok=True)
    path = run_folder / "run.json"
    if not path.exists():
        data.split.save(run_folder / "split.json")
        path.write_text(json.dumps(facts, indent=1) + "\n")
    stored = json.loads(path.read_text())
    different = [name for name, value in facts.items() if stored.get(name) != json.loads(json.dumps(value))]
    if different:
        raise TrainingError(
            f"{run_folder.name} holds a run with another {', '.join(different)}; choose another folder or delete it."
        )


def _card(request: TrainRequest, data: _TrainingData, history: History, network: nn.Module) -> ModelCard:
    spec, summary = model_spec(request.model), summarise(data.training)
    domain = request.domain or ("phantom" if set(data.training.column("source")) == {"phantom"} else "real")
    best = history.epochs[history.best_epoch]
    return ModelCard(
        name=request.name,
        title=request.title or spec.title,
        kind="model",
        labels=data.labels.ids,
        domain=domain,
        domain_text=request.domain_text or {"phantom": "synthetic phantoms", "real": "real X-rays"}.get(domain, domain),
        model=ModelConfig(request.model, len(data.labels)),
        preprocessing=request.preprocessing,
        cam_layer=spec.cam_layer,
        training_data={
            "dataset": data.manifest.name,
            "part": data.part,
            "images": summary.images,
            "patients": summary.patients,
            "by_class": dict(summary.by_class),
            "by_source": {source: dict(counts) for source, counts in summary.class_by_source.items()},
            "split": data.split.name,
            "split_digest": data.split.digest,
            "seed": request.split_seed,
            "validation": {"images": len(data.split.part("validation"))},
        },
        training={
            "config": request.config.to_json(),
            "augmentation": request.augmentation.to_json(),
            "pretrained": request.pretrained,
            "history": {
                "epochs": len(history.epochs),
                "best_epoch": history.best_epoch + 1,
                "validation": best.metrics,
                "seconds": round(sum(epoch.seconds for epoch in history.epochs)),
            },
        },
        licence=request.licence,
        references=request.references or (spec.paper,),
        intended_use=INTENDED_USE,
        limits=request.limits + entanglement(summary.class_by_source),
        seconds_per_image=_seconds_per_image(network, request.preprocessing.size),
    )


def entanglement(class_by_source: Mapping[str, Mapping[str, int]]) -> tuple[str, ...]:
    """A sentence for every class of which at least 90 % come from one of several sources."""
    totals: Counter[str] = Counter()
    for counts in class_by_source.values():
        totals.update(counts)
    found = [
        f"{counts[label]} of {totals[label]} {label} images come from {source}"
        for label in sorted(totals)
        for source, counts in class_by_source.items()
        if len(class_by_source) > 1 and counts.get(label, 0) >= 0.9 * totals[label]
    ]
    if not found:
        return ()
    return (
        f"Class and source are entangled: {'; '.join(found)}. The network may tell the source (hospital, age group, "
        "picture format) instead of the disease, and its figures on other data will be lower.",
    )


def _seconds_per_image(network: nn.Module, size: int) -> float:
    """Median time of one image through the network on one CPU thread."""
    import torch

    threads = torch.get_num_threads()
    network = network.cpu().eval()
    image = torch.zeros(1, 3, size, size)
    seconds = []
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            for _ in range(7):
                started = time.perf_counter()
                network(image)
                seconds.append(time.perf_counter() - started)
    finally:
        torch.set_num_threads(threads)
    return round(float(np.median(seconds)), 4)


def _measured(
    request: TrainRequest,
    data: _TrainingData,
    folder: Path,
    network: nn.Module,
    card: ModelCard,
    device: str,
    progress: Progress,
) -> ModelCard:
    """Measure the weights as they were saved, on the benchmark's test part where there is one, and save the card."""
    if not request.benchmark:
        return find_checkpoint(folder).card
    measured = replace(card, metrics=card_metrics(request.source, folder, device=device, progress=progress))
    return save_checkpoint(folder, network, measured, overwrite=True)


def card_metrics(source: Path, folder: Path, *, part: str = "test", device: str = "cpu", progress: Progress = silent) -> dict[str, Any]:
    """The ``metrics`` of a card: a saved checkpoint measured on a part of the benchmark split."""
    run = evaluate_manifest(source, [str(folder)], part=part, device=device, store=False, progress=progress).runs[0]
    return {
        "dataset": run.facts.dataset,
        "dataset_digest": run.facts.dataset_digest,
        "part": part,
        "images": run.report.n_images,
        "patients": run.report.n_patients,
        "report": run.report.to_json(),
        "sources": [group.to_json() for group in run.sources],
    }
