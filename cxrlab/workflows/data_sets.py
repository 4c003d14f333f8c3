"""Labelled sets on this computer: counted, split by patient, decoded ahead of time, made up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cxrlab.config import Preprocessing
from cxrlab.data.cache import build_cache
from cxrlab.data.manifest import Manifest, Summary, read_manifest, summarise
from cxrlab.data.phantom import BUNDLED_COUNT, bundled_phantom_set, write_phantom_set
from cxrlab.data.splits import Split, benchmark_split, group_folds, hold_out
from cxrlab.labels import LabelSet
from cxrlab.progress import Cancel, Progress, never, silent

__all__ = [
    "BUNDLED_COUNT",
    "PHANTOM",
    "CacheFacts",
    "SetSummary",
    "Split",
    "SplitKind",
    "Summary",
    "cache_set",
    "split_set",
    "summarise_set",
    "the_manifest",
    "write_phantom_set",
]

PHANTOM = "phantom"  # stands for the bundled phantom set wherever a manifest is asked for
SplitKind = Literal["benchmark", "hold-out", "folds"]


@dataclass(frozen=True)
class SetSummary:
    """A labelled set in counts. ``digest``: sha256 over its rows, which names it in splits and results."""

    name: str
    digest: str
    counts: Summary


@dataclass(frozen=True)
class CacheFacts:
    """A cache that was built.

    Args:
        folder: where it lies. images: squares in it. side: in pixels. size_bytes: of the squares.
        errors: by path, the sentence for images that could not be read.
    """

    folder: Path
    images: int
    side: int
    size_bytes: int
    errors: dict[str, str]


def the_manifest(source: Path, progress: Progress = silent, cancel: Cancel = never) -> Path:
    """``source`` itself, or the bundled phantom set (made on first use) for ``phantom`` where no file has that name."""
    if str(source) == PHANTOM and not source.exists():
        return bundled_phantom_set(progress, cancel)
    return source


def summarise_set(
    source: Path, *, labels: Sequence[str] = (), progress: Progress = silent, cancel: Cancel = never
) -> SetSummary:
    """Count images and patients of a manifest CSV or folder.

    Args:
        labels: keep only these classes; empty: all.

    Raises:
        ManifestError, ValueError: one sentence each.
    """
    manifest = _manifest(source, labels, progress, cancel)
    return SetSummary(manifest.name, manifest.digest, summarise(manifest))


def split_set(
    source: Path,
    *,
    kind: SplitKind = "benchmark",
    labels: Sequence[str] = (),
    fraction: float = 0.15,
    folds: int = 5,
    seed: int = 0,
    progress: Progress = silent,
    cancel: Cancel = never,
) -> tuple[Split, ...]:
    """Split a set by patient: the benchmark split, a hold-out, or k folds (as many splits).

    Args:
        fraction: held out, for ``hold-out``. folds: for ``folds``. seed: of the draw, for both.

    Raises:
        ManifestError, SplitError, ValueError: one sentence each.
    """
    manifest = _manifest(source, labels, progress, cancel)
    if kind == "benchmark":
        return (benchmark_split(manifest),)
    if kind == "hold-out":
        return (hold_out(manifest, fraction=fraction, seed=seed),)
    return tuple(group_folds(manifest, folds=folds, seed=seed))


def cache_set(
    source: Path,
    preprocessing: Preprocessing,
    *,
    labels: Sequence[str] = (),
    progress: Progress = silent,
    cancel: Cancel = never,
) -> CacheFacts:
    """Decode every image of a set once, so that training and evaluation need not.

    Raises:
        ManifestError, CacheError, ValueError: one sentence each. Cancelled: what was done stays.
    """
    manifest = _manifest(source, labels, progress, cancel)
    cache = build_cache(
        [row.file for row in manifest.rows],
        manifest.column("sha256"),
        preprocessing,
        progress=progress,
        cancel=cancel,
    )
    errors = {manifest.rows[row].path: sentence for row, sentence in cache.errors.items()}
    return CacheFacts(cache.folder, len(manifest), preprocessing.size, cache.squares.nbytes, errors)


def _manifest(source: Path, labels: Sequence[str], progress: Progress, cancel: Cancel) -> Manifest:
    wanted = LabelSet.from_ids(labels) if labels else None
    return read_manifest(the_manifest(source, progress, cancel), labels=wanted)
