"""Train one network of a study and keep what it says of the parts."""

from __future__ import annotations

import shutil
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from cxrlab.config import Activation, Preprocessing
from cxrlab.folding import optimise
from cxrlab.inference import predict
from cxrlab.models.registry import create_model, model_spec
from cxrlab.progress import Cancel, Cancelled, Progress, never, silent
from cxrlab.studies.images import StudyImages
from cxrlab.studies.plan import MemberRun
from cxrlab.studies.store import StudyFolder
from cxrlab.training.fit import LabelledSquares, fit


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
        if folder.is_done(run.id, run.to_json()):
            return
        _trained(run, images, folder, device, progress, cancel)


def _trained(
    run: MemberRun, images: StudyImages, folder: StudyFolder, device: str, progress: Progress, cancel: Cancel
) -> None:
    started, split = time.monotonic(), images.splits[run.fold]
    sets = {
        part: LabelledSquares(images.squares(paths, run.preprocessing, cancel=cancel), images.y_true(paths))
        for part, paths in split.parts.items()
    }
    network = _seeded(run)
    history = fit(
        network,
        sets["train"],
        sets["validation"],
        num_classes=len(images.labels),
        config=run.config,
        preprocessing=run.preprocessing,
        augmentation=run.augmentation,
        run_folder=folder.run(run.id) / "training",
        accelerator=device,
        progress=progress,
        cancel=cancel,
    )
    if history.stopped == "interrupted":
        raise Cancelled(f"Run {run.id}")
    trained = _Trained(
        optimise(network.requires_grad_(False).eval()),
        run.preprocessing,
        "softmax",
        model_spec(run.model.name).cam_layer,
    )
    outputs = {
        part: images.predictions(split.part(part), _scores(trained, sets[part].squares, device, cancel), run.id)
        for part in run.outputs
    }
    facts = facts_of(run, time.monotonic() - started) | {"history": history.to_json(), "split": split.name}
    folder.finish(run.id, facts, outputs)
    shutil.rmtree(folder.run(run.id) / "training", ignore_errors=True)  # outputs are kept rather than weights


def _seeded(run: MemberRun) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(run.config.seed)
        return create_model(
            run.model.name, num_classes=run.model.num_classes, pretrained=run.pretrained, **run.model.options
        )


def _scores(trained: _Trained, squares: np.ndarray, device: str, cancel: Cancel) -> np.ndarray:
    return predict(trained, squares, device=device, batch_size=64, cancel=cancel).scores


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
