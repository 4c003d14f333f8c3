"""Heatmaps over X-rays as PNG files."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from PIL import Image

from cxrlab.plots.images import overlay_heatmap
from cxrlab.results import Heatmap


def save_overlay(folder: Path, pixels: np.ndarray, heatmap: Heatmap, *, image: str, sha256: str, model: str) -> Path:
    """Write ``<image>-<start of its hash>-<model>-<class>.png`` into ``folder``, whole or not at all.

    Args:
        folder: made when needed. pixels: (H, W) uint8.
        image: name or path as given; only its last part is used. sha256: of the image file, so that two images of one
            name do not meet.

    Raises:
        OSError: when the file can not be written.
    """
    stem = Path(image.replace("\\", "/")).stem
    name = "-".join(_harmless(part) for part in (stem, sha256[:8], model, heatmap.class_id)) + ".png"
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{name}.part"
    try:
        Image.fromarray(overlay_heatmap(pixels, heatmap)).save(temporary, format="PNG")
        return temporary.replace(folder / name)
    finally:
        temporary.unlink(missing_ok=True)


def _harmless(text: str) -> str:
    """Letters, digits, dot, dash and underscore only; not hidden, at most 80 characters."""
    return re.sub(r"[^\w.-]+", "_", text).lstrip(".")[:80] or "image"
