"""The images of a study: one manifest, its folds, squares by path at any size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cxrlab.config import Preprocessing
from cxrlab.data.cache import build_cache
from cxrlab.data.manifest import Manifest, read_manifest
from cxrlab.data.splits import Split, benchmark_split, hold_out
from cxrlab.labels import CXR4, LabelSet
from cxrlab.predictions import Predictions
from cxrlab.progress import Cancel, Progress, never, silent
from cxrlab.studies.plan import StudyPlan
from cxrlab.training.folds import study_folds

VALIDATION_SHARE = 0.15


class StudyError(ValueError):
    """A study can not begin or go on; the text is the sentence for the user."""


@dataclass(frozen=True, eq=False)
class StudyImages:
    """Labelled images and the folds of a study.

    Args:
        labels: the classes of the study's task. splits: one a fold, with parts ``train``, ``validation``, ``test``.
        classes: class index of every path.
    """

    manifest: Manifest
    labels: LabelSet
    splits: tuple[Split, ...]
    classes: Mapping[str, int]

    def y_true(self, paths: Sequence[str]) -> np.ndarray:
        """(N,) int64 class indices."""
        return np.array([self.classes[path] for path in paths], dtype=np.int64)

    def squares(
        self,
        paths: Sequence[str],
        preprocessing: Preprocessing,
        *,
        progress: Progress = silent,
        cancel: Cancel = never,
    ) -> np.ndarray:
        """(N, S, S) uint8, from one cache for all images of the study.

        Raises:
            StudyError: when an image can not be read. CacheError, Cancelled: as ``build_cache``.
        """
        rows = self.manifest.rows
        cache = build_cache(
            [row.file for row in rows],
            self.manifest.column("sha256"),
            preprocessing,
            progress=progress,
            cancel=cancel,
        )
        for position, sentence in cache.errors.items():
            raise StudyError(f"{rows[position].path} can not be read: {sentence} Remove it from the manifest.")
        position_of = {row.path: position for position, row in enumerate(rows)}
        return cache.squares[np.array([position_of[path] for path in paths], dtype=np.int64)]

    def predictions(self, paths: Sequence[str], scores: np.ndarray, name: str) -> Predictions:
        """Scores (N, C) of images with all that is known of them."""
        chosen = self.manifest.select(paths)
        rows = {row.path: row for row in chosen.rows}
        groups = {
            column: tuple(getattr(rows[path], column) for path in paths)
            for column in ("source", "view")
            if any(chosen.column(column))
        }
        patients = tuple(rows[path].patient_id for path in paths)
        return Predictions(
            tuple(paths), self.labels, scores, self.y_true(paths), patients, checkpoint=name, groups=groups
        )


def study_images(plan: StudyPlan, source: Path, *, images: int = 0, folds: int = 5, seed: int = 0) -> StudyImages:
    """Read the manifest and draw the folds that the plan asks for.

    Args:
        images: most training images a fold, a random part by class in proportion; 0: all. A smoke test's.

    Raises:
        ManifestError, SplitError, StudyError: one sentence each.
    """
    manifest, labels, classes = _task(plan, source)
    splits = (
        study_folds(manifest, seed=seed)[:folds] if plan.protocol == "benchmark" else [_held_out(manifest, seed=seed)]
    )
    if images:
        splits = [_shortened(split, classes, images, seed) for split in splits]
    return StudyImages(manifest, labels, tuple(splits), classes)


def _task(plan: StudyPlan, source: Path) -> tuple[Manifest, LabelSet, dict[str, int]]:
    """The rows of the task, its classes, and the class of every row."""
    manifest = read_manifest(source, labels=CXR4)
    if plan.source:
        manifest = manifest.select([row.path for row in manifest.rows if row.source == plan.source])
    if not len(manifest):
        raise StudyError(f"The study {plan.name} needs images of the source {plan.source}; {source.name} has none.")
    return manifest, CXR4, {row.path: CXR4.index(row.label) for row in manifest.rows}


def _held_out(manifest: Manifest, *, seed: int) -> Split:
    """One validation part of the development part, by patient, and the benchmark test part."""
    benchmark = benchmark_split(manifest)
    held_out = hold_out(manifest.select(benchmark.part("development")), fraction=VALIDATION_SHARE, seed=seed)
    parts = {**held_out.parts, "test": benchmark.part("test")}
    return Split(f"benchmark test; {held_out.name} of the development part", parts, manifest.digest, seed)


def _shortened(split: Split, classes: Mapping[str, int], images: int, seed: int) -> Split:
    """Every part with at most ``images`` images, the classes as even as they can be."""
    parts = {part: _some(paths, classes, images, seed) for part, paths in split.parts.items()}
    return replace(split, name=f"{split.name}, {images} images a part", parts=parts)


def _some(paths: Sequence[str], classes: Mapping[str, int], images: int, seed: int) -> tuple[str, ...]:
    shuffled = [paths[row] for row in np.random.default_rng(seed).permutation(len(paths))]
    turn: dict[int, int] = {}
    order: list[tuple[int, str]] = []
    for path in shuffled:  # the first of every class, then the second of every class …
        turn[classes[path]] = turn.get(classes[path], 0) + 1
        order.append((turn[classes[path]], path))
    chosen = {path for _, path in sorted(order, key=lambda item: item[0])[:images]}
    return tuple(path for path in paths if path in chosen)
