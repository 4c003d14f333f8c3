"""A map of what the network got, put where that lies on the whole picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cxrlab.results import Heatmap

WHOLE = (0.0, 0.0, 1.0, 1.0)
GRID = 64  # cells a side of a map that was moved; maps have 3 to 28


def on_picture(heatmap: Heatmap, box: tuple[float, float, float, float]) -> Heatmap:
    """The map as one of the whole picture: nothing where the network saw nothing, and no added borders.

    Args:
        heatmap: covers the network's square. box: where that lies, see ``data.transforms.seen_box``.

    Returns:
        The same map when the square is the whole picture; otherwise (64, 64) values, bilinear between cell centres,
        scaled so that the strongest place on the picture is 1. ``peak`` stays that of the network's square.
    """
    if np.allclose(box, WHOLE):
        return heatmap
    left, top, right, bottom = box
    centres = (np.arange(GRID) + 0.5) / GRID
    across, inside_x = _cells(centres, left, right, heatmap.values.shape[1])
    down, inside_y = _cells(centres, top, bottom, heatmap.values.shape[0])
    values = down @ heatmap.values @ across.T * np.outer(inside_y, inside_x)
    largest = float(values.max(initial=0.0))
    scaled = values / largest if largest > 0 else values
    return replace(heatmap, values=scaled.astype(np.float32), has_evidence=largest > 0)


def _cells(centres: np.ndarray, start: float, stop: float, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(GRID, count) shares of the map's cells at each centre along one side, and (GRID,) whether it is inside."""
    shares = (centres - start) / (stop - start)
    place = np.clip(shares * count - 0.5, 0, count - 1)
    lower = np.minimum(place.astype(np.int64), max(count - 2, 0))
    weights = np.zeros((len(centres), count))
    rows = np.arange(len(centres))
    weights[rows, lower] = 1 - (place - lower)
    weights[rows, np.minimum(lower + 1, count - 1)] += place - lower
    return weights, (shares >= 0) & (shares <= 1)
