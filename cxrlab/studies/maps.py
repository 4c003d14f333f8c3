"""Where the learners of a study look: Grad-CAM of the first test image of every class, kept with the run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import nn

from cxrlab.config import Preprocessing
from cxrlab.data.transforms import to_batch
from cxrlab.explain.cam import grad_cam
from cxrlab.studies.store import MAPS_FILE


def first_of_each_class(y_true: np.ndarray) -> np.ndarray:
    """Rows of the first image of every class, by class."""
    return np.unique(y_true, return_index=True)[1]


def save_maps(
    folder: Path,
    network: nn.Module,
    squares: np.ndarray,
    y_true: np.ndarray,
    class_ids: Sequence[str],
    *,
    preprocessing: Preprocessing,
    layer: str,
) -> None:
    """Write the maps for the true class of images (N, S, S) uint8: pictures, maps (N, h, w), true and decided class."""
    logits, maps = grad_cam(network, to_batch(squares, preprocessing), class_index=y_true.tolist(), layer=layer)
    ids = np.array(class_ids)
    np.savez_compressed(
        folder / MAPS_FILE,
        squares=squares,
        maps=maps.numpy(),
        truth=ids[y_true],
        decided=ids[logits.argmax(dim=1).numpy()],
        layer=np.array(layer),
    )
