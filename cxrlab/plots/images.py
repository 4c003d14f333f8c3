"""Heatmaps over X-rays, in colours that are even for the eye and safe for colour-blind ones."""

from __future__ import annotations

from functools import cache

import numpy as np
import plotly.colors
from PIL import Image

from cxrlab.results import Heatmap

# Perceptually uniform tables (van der Walt and Smith 2015; cividis: Nuñez, Anderton and Renslow 2018).
COLOUR_MAPS = ("inferno", "viridis", "cividis", "magma")
STRIP_ROWS = 256


@cache
def colour_table(name: str) -> np.ndarray:
    """256 colours of a map, (256, 3) uint8, from weak to strong; read-only.

    Raises:
        ValueError: for another name; the text lists those that exist.
    """
    if name not in COLOUR_MAPS:
        raise ValueError(f"Colour map must be one of {', '.join(COLOUR_MAPS)}, got {name!r}.")
    stops = getattr(plotly.colors.sequential, name.capitalize())
    anchors = np.array([plotly.colors.hex_to_rgb(colour) for colour in stops], dtype=float)
    places = np.linspace(0, 1, len(anchors))
    table = np.stack([np.interp(np.linspace(0, 1, 256), places, anchors[:, channel]) for channel in range(3)], axis=1)
    table = np.round(table).astype(np.uint8)
    table.flags.writeable = False
    return table


def enlarged(values: np.ndarray, height: int, width: int) -> np.ndarray:
    """(h, w) float32 -> (height, width) float32, bilinear between cell centres, the borders continued."""
    cells = Image.fromarray(np.ascontiguousarray(values, dtype=np.float32))
    return np.asarray(cells.resize((width, height), Image.Resampling.BILINEAR))


def overlay_heatmap(
    pixels: np.ndarray, heatmap: Heatmap, *, opacity: float = 0.6, colour_map: str = "inferno"
) -> np.ndarray:
    """An X-ray with a heatmap over it. Colour covers a place in proportion to its value, so that bone and lung stay
    visible where the model found nothing.

    Args:
        pixels: (H, W) uint8.
        heatmap: its values cover the whole picture; without evidence the X-ray comes back as it is.
        opacity: cover at value 1, in [0, 1]. colour_map: one of ``COLOUR_MAPS``.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ValueError: when pixels are not (H, W) uint8, opacity is out of range or the colour map is unknown.
    """
    pixels = np.asarray(pixels)
    if pixels.ndim != 2 or pixels.dtype != np.uint8:
        raise ValueError(f"Pixels must have shape (H, W) and type uint8, got {pixels.shape} and {pixels.dtype}.")
    if not 0 <= opacity <= 1:
        raise ValueError(f"Opacity must be in [0, 1], got {opacity}.")
    table = colour_table(colour_map)
    picture = np.repeat(pixels[:, :, None], 3, axis=2)
    if not heatmap.has_evidence or opacity == 0:
        return picture
    strength = np.clip(enlarged(heatmap.values, *pixels.shape), 0, 1)
    for start in range(0, len(picture), STRIP_ROWS):  # strips, so that a large X-ray is never held in floats as a whole
        strip = slice(start, start + STRIP_ROWS)
        colour = table[np.round(strength[strip] * 255).astype(np.uint8)]  # (rows, W) -> (rows, W, 3)
        cover = (opacity * strength[strip])[:, :, None]
        picture[strip] = np.round(picture[strip] + cover * (colour - picture[strip].astype(np.float32)))
    return picture


def heatmap_alt_text(heatmap: Heatmap, *, model: str, class_name: str) -> str:
    """Where the strongest place is, in words; sides are those of the picture, not of the patient."""
    if not heatmap.has_evidence:
        return f"{model}: no place on the image speaks for {class_name} ({heatmap.method})."
    h, w = heatmap.values.shape
    row, column = np.unravel_index(int(heatmap.values.argmax()), (h, w))
    vertical = ("upper", "middle", "lower")[int(3 * (row + 0.5) / h)]
    horizontal = ("left", "centre", "right")[int(3 * (column + 0.5) / w)]
    share = float((heatmap.values >= 0.5).mean())
    return (
        f"{model}, {class_name}: strongest in the {vertical} {horizontal} of the picture, "
        f"{share:.0%} of the area above half of the peak ({heatmap.method})."
    )
