"""The request for a training, and the card that its result carries."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cxrlab.cards import ModelCard
from cxrlab.config import Activation, Augmentation, ModelConfig, Preprocessing, TrainConfig
from cxrlab.data.manifest import Manifest, file_sha256, summarise
from cxrlab.data.splits import Split
from cxrlab.labels import LabelSet
from cxrlab.models.registry import model_spec
from cxrlab.progress import Progress, silent
from cxrlab.results import History
from cxrlab.workflows.evaluate import evaluate_manifest

if TYPE_CHECKING:
    from torch import nn

INTENDED_USE = (
    "Research and teaching: comparing networks, explanations and evaluation methods. "
    "Never a diagnosis, and never a reason to see a doctor or not to."
)


CONFIGS: dict[str, type[TrainConfig | Preprocessing | Augmentation]] = {
    "config": TrainConfig,
    "preprocessing": Preprocessing,
    "augmentation": Augmentation,
}


@dataclass(frozen=True)
class TrainRequest:
    """What to train, on what.

    Args:
        source: manifest CSV or folder. model: a registered network. name: of the checkpoint; title for people.
        labels: class ids in order; empty: those of the manifest, in the order of a known task where they fit.
        benchmark: train on the development part of the benchmark split and measure on its test part.
        validation: share of the training images held out by patient, which picks the best epoch.
        split_seed: of that draw. The same seed gives every network the same validation patients.
        task: empty, or a task of ``labels.PROJECTIONS`` whose classes the manifest's finer ones are added up to.
        pretrained: start from ImageNet weights. weights_file: start from this .safetensors, .pt or .pth file instead.
        initial: start from this checkpoint of the same network, all but its head.
        options: of the network's builder, e.g. ``head``. activation: ``softmax``, or ``binary_sigmoid`` for one node.
        recipe: which settings these are: name, profile and what was changed; empty: none of the papers'.
        domain: ``real`` or ``phantom``; empty: by the manifest's sources. domain_text: for people.
        job: which background job trains it, for the card; empty: none.
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
    initial: str = ""
    config: TrainConfig = field(default_factory=TrainConfig)
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    augmentation: Augmentation = field(default_factory=Augmentation)
    task: str = ""
    weights_file: Path | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    activation: Activation = "softmax"
    recipe: Mapping[str, Any] = field(default_factory=dict)
    domain: str = ""
    domain_text: str = ""
    licence: str = "Apache-2.0"
    references: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    job: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Everything as plain values."""
        return {
            **vars(self),
            **{name: getattr(self, name).to_json() for name in CONFIGS},
            "source": str(self.source),
            "weights_file": str(self.weights_file) if self.weights_file else None,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TrainRequest:
        """A request from what :meth:`to_json` gave. Raises ValueError for unknown or missing fields."""
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in data.items()
        }
        values |= {name: kind.from_json(data[name]) for name, kind in CONFIGS.items() if name in data}
        values |= {name: Path(data[name]) for name in ("source", "weights_file") if data.get(name)}
        try:
            return cls(**values)
        except TypeError as error:
            raise ValueError(f"The request is not one of this version: {error}.") from error

    def network(self, num_classes: int) -> ModelConfig:
        """What builds the network for so many classes again, without its weights."""
        own = {"input_size": self.preprocessing.size} if model_spec(self.model).own_size else {}
        outputs = 1 if self.activation == "binary_sigmoid" else num_classes
        return ModelConfig(self.model, outputs, options={**own, **self.options})


def training_card(
    request: TrainRequest,
    network: nn.Module,
    history: History,
    *,
    labels: LabelSet,
    dataset: str,
    part: str,
    split: Split,
    training: Manifest,
) -> ModelCard:
    """The card of a trained network, all but its metrics on a test set.

    Args:
        dataset, part: what was split. split: parts ``train`` and ``validation``. training: the rows of ``train``.
    """
    spec, summary = model_spec(request.model), summarise(training)
    domain = request.domain or ("phantom" if set(training.column("source")) == {"phantom"} else "real")
    best = history.epochs[history.best_epoch]
    return ModelCard(
        name=request.name,
        title=request.title or spec.title,
        kind="model",
        labels=labels.ids,
        domain=domain,
        domain_text=request.domain_text or {"phantom": "synthetic phantoms", "real": "real X-rays"}.get(domain, domain),
        activation=request.activation,
        model=request.network(len(labels)),
        preprocessing=request.preprocessing,
        cam_layer=spec.cam_layer,
        training_data={
            "dataset": dataset,
            "part": part,
            "images": summary.images,
            "patients": summary.patients,
            "by_class": dict(summary.by_class),
            "by_source": {source: dict(counts) for source, counts in summary.class_by_source.items()},
            "split": split.name,
            "split_digest": split.digest,
            "seed": request.split_seed,
            "validation": {"images": len(split.part("validation"))},
        },
        training={
            "config": request.config.to_json(),
            "augmentation": request.augmentation.to_json(),
            "pretrained": request.pretrained,
            "initial": request.initial,
            **_origins(request, network),
            **({"job": dict(request.job)} if request.job else {}),
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


def _origins(request: TrainRequest, network: nn.Module) -> dict[str, Any]:
    """Which recipe it was, the file it started from, and from which layer on it was trained, where there is any."""
    from cxrlab.models.freezing import freeze

    facts: dict[str, Any] = {}
    if request.recipe:
        facts["recipe"] = dict(request.recipe)
    if request.weights_file:
        facts["weights_file"] = {"name": request.weights_file.name, "sha256": file_sha256(request.weights_file)}
    if request.config.unfreeze < 1:
        facts["first_trained"] = freeze(network, request.config.unfreeze, input_size=request.preprocessing.size)
        facts["trained_parameters"] = sum(p.numel() for p in network.parameters() if p.requires_grad)
    return facts


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


def card_metrics(
    source: Path,
    folder: Path,
    *,
    part: str = "test",
    task: str = "",
    device: str = "cpu",
    reuse: bool = False,
    progress: Progress = silent,
) -> dict[str, Any]:
    """The ``metrics`` of a card: a saved checkpoint measured on a part of the benchmark split, in its task.

    ``reuse``: stored runs of the same weights on the same images are opened instead of computed again.
    """
    run = evaluate_manifest(
        source, [folder], part=part, task=task, device=device, store=False, reuse=reuse, progress=progress
    ).runs[0]
    return {
        "dataset": run.facts.dataset,
        "dataset_digest": run.facts.dataset_digest,
        "part": part,
        "images": run.report.n_images,
        "patients": run.report.n_patients,
        "report": run.report.to_json(),
        "sources": [group.to_json() for group in run.sources],
    }
