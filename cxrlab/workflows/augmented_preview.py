"""One image as training sees it: as it is, and changed at random, by the code that training runs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cxrlab.data.images import read_xray
from cxrlab.data.manifest import ManifestError, listed_image
from cxrlab.data.phantom import BUNDLED_SEED, BUNDLED_SIZE, phantom_shots
from cxrlab.data.phantom_render import make_phantom
from cxrlab.data.transforms import resize_pixels
from cxrlab.progress import Cancel, Progress, check, never, silent
from cxrlab.workflows.data_sets import BUNDLED_COUNT, PHANTOM
from cxrlab.workflows.training_card import TrainRequest

VARIANTS = 9


@dataclass(frozen=True, eq=False)
class AugmentedPreview:
    """An image and what training makes of it.

    Args:
        name, label: of the image. plain: (S, S) uint8, what validation sees.
        variants: (N, S, S) uint8, each with its own draw. seed: of the draws. note: what a user must know; or empty.
    """

    name: str
    label: str
    plain: np.ndarray
    variants: np.ndarray
    seed: int
    note: str = ""


def augmented_preview(
    request: TrainRequest,
    *,
    image: int = 0,
    count: int = VARIANTS,
    progress: Progress = silent,
    cancel: Cancel = never,
) -> AugmentedPreview:
    """The image at a place of the set, changed ``count`` times as in the request's first epoch.

    Only the one image is read or drawn, so that it is quick for sets of any size.

    Args:
        image: its place as listed; beyond the end it begins anew.

    Raises:
        ManifestError, XrayError: one sentence each.
    """
    import torch

    from cxrlab.training.batches import Batches
    from cxrlab.training.squares import LabelledSquares

    progress(0, 2, "Reading one image")
    name, label, pixels = _image(request.source, image)
    check(cancel, "The preview")
    progress(1, 2, "Changing it at random")
    preprocessing = request.preprocessing
    square = resize_pixels(pixels, preprocessing.whole)
    squares = LabelledSquares(np.repeat(square[None], count, axis=0), np.zeros(count, dtype=np.int64))
    config = replace(request.config, batch_size=count, sampling=(), augmented="all")
    batches = Batches(squares, config, preprocessing, request.augmentation)
    with torch.random.fork_rng(devices=[]):
        rows = next(batches.of_epoch(0))
        grey = batches.inputs(rows, batches.side, torch.device("cpu"))
    variants = (grey * 255).round().clamp(0, 255).to(torch.uint8).numpy()
    return AugmentedPreview(name, label, resize_pixels(pixels, preprocessing), variants, config.seed, _note(request))


def _image(source: Path, place: int) -> tuple[str, str, np.ndarray]:
    """Name, label and pixels of an image of the set; the bundled phantom is drawn without its set."""
    if str(source) == PHANTOM and not source.exists():
        shots = list(phantom_shots(BUNDLED_COUNT, BUNDLED_SEED))
        patient, shot = shots[place % len(shots)]
        phantom = make_phantom(BUNDLED_SEED, patient, shot, size=BUNDLED_SIZE)
        return f"{patient:05d}-{shot}.png", phantom.label, phantom.pixels
    path, label, file = listed_image(source, place)
    if not file.is_file():
        raise ManifestError(f"{path} is listed but not there; choose another image or correct the manifest.")
    return path, label, read_xray(file).pixels


def _note(request: TrainRequest) -> str:
    if request.augmentation.changes_nothing:
        return "Augmentation is off: training sees the image as it is."
    if request.config.augmented == "minority":
        return "With these settings only images of the smallest class are changed like this."
    return ""
