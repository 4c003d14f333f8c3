"""Heatmaps that a study's runs have kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from cxrlab.results import Heatmap
from cxrlab.studies.store import MAPS_FILE


@dataclass(frozen=True, eq=False)
class KeptMap:
    """Where one learner looked on one test image.

    Args:
        system: of the run. class_id: the image's true class, which the map explains. decided: the learner's decision.
        pixels: (S, S) uint8, as the learner got it.
    """

    system: str
    class_id: str
    decided: str
    pixels: np.ndarray
    heatmap: Heatmap


def kept_maps(folder: Path) -> Iterator[KeptMap]:
    """Every map of a study's runs, run by run; runs without or with damaged maps are left out."""
    for file in sorted(folder.glob(f"runs/*/{MAPS_FILE}")):
        record = file.with_name("run.json")
        if record.exists():
            system = str(json.loads(record.read_text(encoding="utf-8"))["system"])
            yield from _maps(file, system)


def _maps(file: Path, system: str) -> Iterator[KeptMap]:
    from cxrlab.explain.cam import to_heatmap

    try:
        with np.load(file, allow_pickle=False) as saved:
            arrays = {name: saved[name] for name in ("squares", "maps", "truth", "decided", "layer")}
    except (OSError, ValueError, KeyError, BadZipFile):
        return
    for pixels, values, truth, decided in zip(
        arrays["squares"], arrays["maps"], arrays["truth"], arrays["decided"], strict=True
    ):
        heatmap = to_heatmap(values, class_id=str(truth), method="grad_cam", layer=str(arrays["layer"]))
        yield KeptMap(system, str(truth), str(decided), pixels, heatmap)
