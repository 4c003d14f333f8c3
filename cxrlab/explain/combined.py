"""The map of an ensemble: the weighted sum of its members' maps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

from cxrlab.explain.cam import to_heatmap
from cxrlab.results import Heatmap


def weighted_sum(maps: Sequence[Heatmap], weights: Sequence[float]) -> Heatmap:
    """The maps, each in [0, 1], times their weights, added at the finest one's size and scaled to [0, 1] again.

    Members' scaled maps are added, because logits of different networks have no common unit; ``peak`` is therefore the
    largest value of the sum, in [0, 1] for weights that sum to 1. Smaller maps are enlarged bilinearly.

    Weights may be negative, as FLANNEL's are: what speaks to such a member is subtracted, because its score is, and
    what falls below 0 in the sum is set to 0 (the ReLU of Grad-CAM). If no place stays above 0, there is no evidence.

    Raises:
        ValueError: when there is no map, not one weight for each, or the maps explain different classes.
    """
    if not maps or len(maps) != len(weights) or len({heatmap.class_id for heatmap in maps}) > 1:
        raise ValueError("A sum of maps needs at least one map, one weight for each, and the same class in all.")
    size = max((heatmap.values.shape for heatmap in maps), key=lambda shape: shape[0] * shape[1])
    total = torch.zeros(size)
    for heatmap, weight in zip(maps, weights, strict=True):
        values = torch.from_numpy(heatmap.values)[None, None]
        total += weight * functional.interpolate(values, size=size, mode="bilinear", align_corners=False)[0, 0]
    layer = " + ".join(dict.fromkeys(heatmap.layer for heatmap in maps))
    return to_heatmap(total, class_id=maps[0].class_id, method=maps[0].method, layer=layer)
