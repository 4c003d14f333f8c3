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
from cxrlab.labels import CXR4, LabelSet, projection_named
from cxrlab.predictions import Predictions
from cxrlab.progress import Cancel, Progress, never, silent
from cxrlab.studies.plan import StudyPlan
from cxrlab.training.folds import study_folds


class StudyError(ValueError):
    """A study can not begin or go on; the text is the sentence for the user."""


@dataclass(frozen=True, eq=False)
class StudyImages:
    """Labelled images and the folds of a study.

    Args:
        task: name of the study's classes, see :func:`task_classes`.
        splits: one a fold, with parts ``train``, ``validation``, ``test``.
    """

    manifest: Manifest
    task: str
    splits: tuple[Split, ...]

    @property
    def labels(self) -> LabelSet:
        """The classes of the study's task."""
        return task_classes(self.task)[0]

    def part(self, fold: int, part: str, without: Sequence[str] = ()) -> tuple[str, ...]:
        """Paths of a part of a fold, without those of some classes (ids as in the manifest)."""
        paths = self.splits[fold].part(part)
        if not without:
            return paths
        label_of = {row.path: row.label for row in self.manifest.rows}
        return tuple(path for path in paths if label_of[path] not in without)

    def y_true(self, paths: Sequence[str], task: str = "") -> np.ndarray:
        """(N,) int64 class indices in the task, the study's own unless another is named."""
        labels, mapping = task_classes(task or self.task)
        label_of = {row.path: row.label for row in self.manifest.rows}
        return np.array([labels.index(mapping.get(label_of[path], label_of[path])) for path in paths], dtype=np.int64)

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

    def predictions(self, paths: Sequence[str], scores: np.ndarray, name: str, task: str = "") -> Predictions:
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
            tuple(paths),
            task_classes(task or self.task)[0],
            scores,
            self.y_true(paths, task),
            patients,
            checkpoint=name,
            groups=groups,
        )


def task_classes(task: str) -> tuple[LabelSet, Mapping[str, str]]:
    """The classes of a task, and for a class of the manifest the one it belongs to (itself where it is not named).

    Raises:
        ValueError: unless the task is ``cxr4`` or a projection of it.
    """
    if task == "cxr4":
        return CXR4, {}
    projection = projection_named(task)
    return projection.target, projection.mapping


def study_images(plan: StudyPlan, source: Path, *, images: int = 0, folds: int = 5, seed: int = 0) -> StudyImages:
    """Read the manifest and draw the folds that the plan asks for.

    Args:
        images: most training images a fold, a random part by class in proportion; 0: all. A smoke test's.

    Raises:
        ManifestError, SplitError, StudyError: one sentence each.
    """
    manifest = _manifest(plan, source)
    splits = (
        study_folds(manifest, seed=seed)[:folds]
        if plan.protocol == "benchmark"
        else [_held_out(manifest, plan.validation, seed=seed)]
    )
    if plan.training_images:
        splits = [_thinned(split, plan.training_images, seed) for split in splits]
    found = StudyImages(manifest, plan.task, tuple(splits))
    if not (images or plan.balanced_images):
        return found
    limits = dict.fromkeys(splits[0].parts, images) if images else {"train": plan.balanced_images * len(found.labels)}
    return replace(found, splits=tuple(_shortened(split, found, limits, seed) for split in splits))


def _manifest(plan: StudyPlan, source: Path) -> Manifest:
    """The rows of the plan's task, source and view. Raises StudyError when one of its classes has none."""
    manifest = read_manifest(source)
    listed, manifest = manifest.label_ids, manifest.with_labels(CXR4)
    if not len(manifest):
        raise StudyError(
            f"The study {plan.name} needs images of {', '.join(CXR4.ids)}; {source.name} has {', '.join(listed)}."
        )
    for column, wanted in (("source", plan.source), ("view", plan.view)):
        if wanted:
            manifest = manifest.select([row.path for row in manifest.rows if getattr(row, column) == wanted])
        if not len(manifest):
            raise StudyError(f"The study {plan.name} needs images of the {column} {wanted}; {source.name} has none.")
    labels, mapping = task_classes(plan.task)
    present = {mapping.get(label, label) for label in manifest.label_ids}
    if absent := [id_ for id_ in labels.ids if id_ not in present]:
        raise StudyError(f"The study {plan.name} needs images of {', '.join(absent)}; {source.name} has none.")
    return manifest


def _held_out(manifest: Manifest, share: float, *, seed: int) -> Split:
    """One validation part of the development part, by patient, and the benchmark test part."""
    benchmark = benchmark_split(manifest)
    held_out = hold_out(manifest.select(benchmark.part("development")), fraction=share, seed=seed)
    parts = {**held_out.parts, "test": benchmark.part("test")}
    return Split(f"benchmark test; {held_out.name} of the development part", parts, manifest.digest, seed)


def _shortened(split: Split, images: StudyImages, limits: Mapping[str, int], seed: int) -> Split:
    """Some parts with at most so many images, the classes as even as they can be."""
    parts = {
        part: _some(paths, images.y_true(paths), limits[part], seed) if part in limits else paths
        for part, paths in split.parts.items()
    }
    said = ", ".join(f"at most {count} {part} images" for part, count in limits.items())
    return replace(split, name=f"{split.name}, {said}", parts=parts)


def _thinned(split: Split, count: int, seed: int) -> Split:
    """At most so many training images, a random choice, so that the classes keep about their shares."""
    paths = np.array(split.part("train"))
    rows = np.sort(np.random.default_rng(seed).permutation(len(paths))[:count])
    parts = {**split.parts, "train": tuple(map(str, paths[rows]))}
    return replace(split, name=f"{split.name}, at most {count} train images", parts=parts)


def _some(paths: Sequence[str], y_true: np.ndarray, count: int, seed: int) -> tuple[str, ...]:
    """The first of every class, then the second of every class …, in a random order of the images."""
    order = np.random.default_rng(seed).permutation(len(paths))
    turns = np.zeros(len(paths), dtype=np.int64)
    for class_index in np.unique(y_true):
        of_class = order[y_true[order] == class_index]
        turns[of_class] = np.arange(len(of_class))
    chosen = order[np.argsort(turns[order], kind="stable")[:count]]
    return tuple(paths[row] for row in np.sort(chosen))
