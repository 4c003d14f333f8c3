"""Labelled sets to evaluate on: a manifest on disk, or an uploaded ZIP that stays in memory."""

from __future__ import annotations

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cxrlab.config import Preprocessing
from cxrlab.data.cache import build_cache
from cxrlab.data.images import Limits, XrayError, archive_text, read_archive
from cxrlab.data.manifest import Manifest, ManifestError, read_manifest
from cxrlab.data.splits import benchmark_split
from cxrlab.data.transforms import resize_pixels
from cxrlab.labels import LabelSet
from cxrlab.progress import Cancel, Progress, check, never, silent

Squares = Callable[[Preprocessing, Progress, Cancel], tuple[np.ndarray, dict[int, str]]]
LABELS_FILE = "labels.csv"


@dataclass(frozen=True, eq=False)
class LabelledSet:
    """N images with their truth, ready to be read at any input size.

    Args:
        name: for people. part: ``all`` or ``test``. digest: hash of everything that decides the numbers.
        ids, y_true, patient_ids: N each. groups: further columns, ``source`` and ``view``.
        dropped: images left out, by kind of reason.
        squares: (preprocessing, progress, cancel) -> (N, S, S) uint8 and, by position, the sentence for images
            that could not be read.
    """

    name: str
    part: str
    digest: str
    ids: tuple[str, ...]
    y_true: np.ndarray
    patient_ids: tuple[str, ...]
    groups: Mapping[str, tuple[str, ...]]
    dropped: Mapping[str, int]
    squares: Squares

    def __len__(self) -> int:
        return len(self.ids)


def manifest_set(source: Path, labels: LabelSet, *, part: str = "all") -> LabelledSet:
    """A manifest CSV or folder; ``part`` is ``all``, ``test`` or ``development`` of the benchmark split.

    Raises:
        ManifestError, SplitError: one sentence each.
    """
    manifest = read_manifest(source, labels=labels)
    dropped = Counter(dropped.reason.split(" of ")[0] for dropped in manifest.dropped)
    if part != "all":
        manifest = manifest.select(benchmark_split(manifest).part(part))
    return LabelledSet(
        name=manifest.name,
        part=part,
        digest=manifest.digest,
        ids=manifest.column("path"),
        y_true=manifest.y_true(labels),
        patient_ids=manifest.column("patient_id"),
        groups=_groups(manifest),
        dropped=dict(dropped),
        squares=_cached_squares(manifest),
    )


def _groups(manifest: Manifest) -> dict[str, tuple[str, ...]]:
    return {name: values for name in ("source", "view") if any(values := manifest.column(name))}


def _cached_squares(manifest: Manifest) -> Squares:
    def squares(preprocessing: Preprocessing, progress: Progress, cancel: Cancel) -> tuple[np.ndarray, dict[int, str]]:
        files = [row.file for row in manifest.rows]
        cache = build_cache(files, manifest.column("sha256"), preprocessing, progress=progress, cancel=cancel)
        return cache.squares, cache.errors

    return squares


def archive_set(
    data: bytes,
    labels: LabelSet,
    preprocessings: Sequence[Preprocessing],
    *,
    name: str,
    limits: Limits | None = None,
    progress: Progress = silent,
    cancel: Cancel = never,
) -> LabelledSet:
    """An uploaded ZIP with images and a ``labels.csv`` (``path,label`` and, where known, ``patient_id,source,view``).

    Nothing is written to disk. Images are read one at a time and only their squares are kept, one for each of the
    ``preprocessings`` that the checkpoints to be measured use.

    Raises:
        ManifestError: no ``labels.csv``, a missing column, or no usable image.
        XrayError: the archive as a whole was refused.
    """
    limits = limits or Limits()
    rows = _archive_rows(data, limits)
    dropped: Counter[str] = Counter()
    found: dict[str, str] = {}  # path -> sha256
    pictures: dict[Preprocessing, list[np.ndarray]] = {preprocessing: [] for preprocessing in preprocessings}
    for number, entry in enumerate(read_archive(data, limits=limits)):
        check(cancel, "Reading the archive")
        progress(number + 1, len(rows), "reading the archive")
        if isinstance(entry, XrayError):
            dropped[str(entry)] += 1
        elif (row := rows.get(_entry_key(entry.name))) is None:
            dropped["not in labels.csv"] += 1
        elif row["label"] not in labels:
            dropped[f"unknown label {row['label']!r}"] += 1
        else:
            found[row["path"]] = entry.sha256
            for preprocessing, squares in pictures.items():
                squares.append(resize_pixels(entry.pixels, preprocessing))
    if not found:
        reasons = ", ".join(f"{count} {reason}" for reason, count in dropped.items()) or "it holds no images"
        raise ManifestError(f"The ZIP has no usable image with a label ({reasons}).")
    return _in_memory(name, labels, rows, found, dropped, {key: np.stack(value) for key, value in pictures.items()})


def _archive_rows(data: bytes, limits: Limits) -> dict[str, dict[str, str]]:
    text = archive_text(data, LABELS_FILE, limits=limits)
    if text is None:
        raise ManifestError(f"The ZIP must hold a {LABELS_FILE} with the columns path and label; it has none.")
    reader = csv.DictReader(io.StringIO(text))
    missing = [column for column in ("path", "label") if column not in (reader.fieldnames or ())]
    if missing:
        raise ManifestError(
            f"{LABELS_FILE} in the ZIP must have the columns path and label; missing: {', '.join(missing)}."
        )
    rows = [{key: (value or "").strip() for key, value in row.items() if key} for row in reader]
    return {_entry_key(row["path"]): row for row in rows}


def _entry_key(path: str) -> str:
    return path.replace("\\", "/").rsplit("/", 1)[-1]


def _in_memory(
    name: str,
    labels: LabelSet,
    rows: Mapping[str, Mapping[str, str]],
    found: Mapping[str, str],
    dropped: Counter[str],
    pictures: Mapping[Preprocessing, np.ndarray],
) -> LabelledSet:
    ids = tuple(found)
    chosen = [rows[_entry_key(id_)] for id_ in ids]
    facts = "\n".join(f"{id_}\t{row['label']}\t{found[id_]}" for id_, row in zip(ids, chosen, strict=True))

    def squares(preprocessing: Preprocessing, progress: Progress, cancel: Cancel) -> tuple[np.ndarray, dict[int, str]]:
        return pictures[preprocessing], {}

    return LabelledSet(
        name=name,
        part="all",
        digest=hashlib.sha256(facts.encode()).hexdigest(),
        ids=ids,
        y_true=np.array([labels.index(row["label"]) for row in chosen], dtype=np.int64),
        patient_ids=tuple(row.get("patient_id") or id_ for id_, row in zip(ids, chosen, strict=True)),
        groups={
            column: tuple(row.get(column, "") for row in chosen)
            for column in ("source", "view")
            if any(row.get(column) for row in chosen)
        },
        dropped=dict(dropped),
        squares=squares,
    )
