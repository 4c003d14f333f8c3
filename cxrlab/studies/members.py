"""Train one network of a study and keep what it says of the parts."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from cxrlab.config import Activation, Preprocessing
from cxrlab.folding import optimise
from cxrlab.inference import predict
from cxrlab.models.pepx_resnet import PepxResNet
from cxrlab.models.registry import create_model, model_spec
from cxrlab.progress import Cancel, Cancelled, Progress, never, silent
from cxrlab.studies.images import StudyImages, task_classes
from cxrlab.studies.maps import first_of_each_class, save_maps
from cxrlab.studies.plan import MemberRun
from cxrlab.studies.store import StudyFolder
from cxrlab.training.fit import LabelledSquares, fit

WEIGHTS_FILE = "backbone.safetensors"


@dataclass(frozen=True, eq=False)
class _Trained:
    """A network as ``inference.predict`` wants it."""

    model: nn.Module
    preprocessing: Preprocessing
    activation: Activation
    cam_layer: str
    temperature: float = 1.0

    def turn(self) -> AbstractContextManager[None]:
        return nullcontext()


def run_member(
    run: MemberRun,
    images: StudyImages,
    folder: StudyFolder,
    *,
    device: str = "auto",
    progress: Progress = silent,
    cancel: Cancel = never,
) -> None:
    """Train, predict, write; a run that is there already is left alone, one that was interrupted goes on.

    Raises:
        StudyError: as :meth:`StudyFolder.is_done`. Cancelled: resumable.
    """
    with folder.alone(run.id):
        if folder.is_done(run):
            return
        _trained(run, images, folder, device, progress, cancel)


def _trained(
    run: MemberRun, images: StudyImages, folder: StudyFolder, device: str, progress: Progress, cancel: Cancel
) -> None:
    started, split = time.monotonic(), images.splits[run.fold]
    paths = {part: images.part(run.fold, part, run.without) for part in split.parts}
    sets = {
        part: LabelledSquares(
            images.squares(names, run.preprocessing.whole, cancel=cancel), images.y_true(names, run.task)
        )
        for part, names in paths.items()
    }
    network = _begun(run, folder)
    history = fit(
        network,
        sets["train"],
        sets["validation"],
        num_classes=len(task_classes(run.task or images.task)[0]),
        config=run.config,
        preprocessing=run.preprocessing,
        augmentation=run.augmentation,
        run_folder=folder.run(run.id) / "training",
        accelerator=device,
        progress=progress,
        cancel=cancel,
        watched={"test": sets["test"]} if run.curves else {},
        on_epoch=_coefficients if isinstance(network, PepxResNet) else None,
    )
    if history.stopped == "interrupted":
        raise Cancelled(f"Run {run.id}")
    if run.keep_weights:
        _keep(run, network, folder)
    layer = model_spec(run.model.name).cam_layer
    trained = _Trained(optimise(network.requires_grad_(False).eval()), run.preprocessing, run.activation, layer)
    if run.maps:
        _save_maps(run, trained, images, paths["test"], folder)
    outputs = {}
    for part in run.outputs:
        squares = images.squares(paths[part], run.preprocessing, cancel=cancel)
        scores = predict(trained, squares, device=device, batch_size=64, cancel=cancel).scores
        outputs[part] = images.predictions(paths[part], scores, run.id, run.task)
    facts = facts_of(run, time.monotonic() - started) | {"history": history.to_json(), "split": split.name}
    folder.finish(run.id, facts, outputs)
    shutil.rmtree(folder.run(run.id) / "training", ignore_errors=True)  # outputs are kept rather than weights


def _coefficients(network: nn.Module) -> dict[str, float]:
    """A, B and C of every block."""
    assert isinstance(network, PepxResNet)
    return network.coefficients()


def _begun(run: MemberRun, folder: StudyFolder) -> nn.Module:
    """The network with its start values: drawn, of ImageNet, or of another run's backbone."""
    with torch.random.fork_rng():
        torch.manual_seed(run.config.seed)
        network = create_model(
            run.model.name, num_classes=run.model.num_classes, pretrained=run.pretrained, **run.model.options
        )
    if run.starts_from:
        own, given = network.state_dict(), load_file(folder.run(run.starts_from) / WEIGHTS_FILE)
        fitting = {name: value for name, value in given.items() if name in own and own[name].shape == value.shape}
        network.load_state_dict(own | fitting)
    return network


def _save_maps(
    run: MemberRun, trained: _Trained, images: StudyImages, paths: Sequence[str], folder: StudyFolder
) -> None:
    truth = images.y_true(paths, run.task)
    rows = first_of_each_class(truth)
    save_maps(
        folder.run(run.id),
        trained.model,
        images.squares([paths[row] for row in rows], run.preprocessing),
        truth[rows],
        task_classes(run.task or images.task)[0].ids,
        preprocessing=run.preprocessing,
        layer=trained.cam_layer,
    )


def _keep(run: MemberRun, network: nn.Module, folder: StudyFolder) -> None:
    """The backbone's weights, all but the last linear layer's, for the runs that start from them."""
    head = [name for name, module in network.named_modules() if isinstance(module, nn.Linear)][-1]
    state = {name: value.contiguous() for name, value in network.state_dict().items() if not name.startswith(head)}
    save_file(state, folder.run(run.id) / WEIGHTS_FILE)


def facts_of(run: Any, seconds: float) -> dict[str, Any]:
    """What every record of a run says."""
    return {
        "kind": run.to_json()["kind"],
        "system": run.system,
        "variant": run.variant,
        "fold": run.fold,
        "settings": run.to_json(),
        "history": None,
        "seconds": round(seconds, 1),
    }
