"""The folds of studies: FLANNEL's protocol (a fixed test part, the rest cut in blocks) and the figures over folds."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from cxrlab.data.manifest import Manifest
from cxrlab.data.splits import Split, SplitError, benchmark_split, group_folds

Level = Literal["patient", "image"]


def study_folds(manifest: Manifest, *, folds: int = 5, seed: int = 0) -> list[Split]:
    """FLANNEL's protocol by patient: the benchmark test part for all, its development part cut in blocks.

    Fold j validates on block j and trains on the others; every fold is tested on the same images, and it is the
    metrics that are averaged (spec 0, "5-fold").

    Returns:
        One split a fold with the parts ``train``, ``validation`` and ``test``; no patient is in two of them.

    Raises:
        SplitError: fewer than 2 folds, or too few patients.
    """
    benchmark = benchmark_split(manifest)
    development = manifest.select(benchmark.part("development"))
    return [
        Split(
            f"benchmark test; {split.name} of the development part",
            {**split.parts, "test": benchmark.part("test")},
            manifest.digest,
            seed,
        )
        for split in group_folds(development, folds=folds, seed=seed)
    ]


def published_folds(manifest: Manifest, *, seed: int = 0) -> list[Split]:
    """FLANNEL's five folds as published: images, not patients, are shuffled once; the last 20 % are the test part.

    The cut points are int(k n) for k = 0, .16, .32, .48, .64, .80 (the authors' code). For parity with the paper only:
    images of one patient lie on both sides, see :func:`leak`.

    Raises:
        SplitError: fewer than 25 images.
    """
    n = len(manifest)
    if n < 25:
        raise SplitError(f"The published folds need at least 25 images, got {n}.")
    paths = np.array(manifest.column("path"))[np.random.default_rng(seed).permutation(n)]
    cuts = [int(share * n) for share in (0.0, 0.16, 0.32, 0.48, 0.64, 0.80)]
    blocks = [tuple(paths[start:stop].tolist()) for start, stop in itertools.pairwise(cuts)]
    test = tuple(paths[cuts[-1] :].tolist())
    found = []
    for number, block in enumerate(blocks):
        others = tuple(path for other in blocks if other is not block for path in other)
        parts = {"train": others, "validation": block, "test": test}
        found.append(Split(f"published fold {number + 1} of 5 by image, seed {seed}", parts, manifest.digest, seed))
    return found


def leak(manifest: Manifest, split: Split) -> str:
    """A sentence naming the leak when patients are in the training part and in another one; empty when none is."""
    patient = {row.path: row.patient_id for row in manifest.rows}
    trained = {patient[path] for path in split.part("train")}
    others = {part: paths for part, paths in split.parts.items() if part != "train"}
    shared = {part: sum(patient[path] in trained for path in paths) for part, paths in others.items()}
    found = [f"{count} of {len(others[part])} {part} images" for part, count in shared.items() if count]
    if not found:
        return ""
    return f"{' and '.join(found)} are of patients in the training part: figures on them are too high."


@dataclass(frozen=True)
class OverFolds:
    """A metric over folds: values in the order of the folds; ``std`` is the sample's (ddof 1), None for one fold."""

    values: tuple[float, ...]
    mean: float
    std: float | None


def over_folds(values: Sequence[float]) -> OverFolds:
    """Mean and sample standard deviation (ddof 1, as the authors' pandas) over the folds that have a value.

    Raises:
        ValueError: when there is no value.
    """
    known = np.array([value for value in values if not math.isnan(value)], dtype=np.float64)
    if not len(known):
        raise ValueError("A figure over folds needs at least one value, got none.")
    spread = float(known.std(ddof=1)) if len(known) > 1 else None
    return OverFolds(tuple(float(value) for value in values), float(known.mean()), spread)
