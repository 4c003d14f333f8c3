"""Labelled sets to evaluate on: a manifest on disk, or an uploaded ZIP that stays in memory."""

from __future__ import annotations

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cxrlab.config import Preprocessing
from cxrlab.data.cache import build_cache
from cxrlab.data.images import Limits, Xray, XrayError, archive_text, read_entries
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


def manifest_set(
    source: Path, labels: LabelSet, *, part: str = "all", paths: Sequence[str] | None = None
) -> LabelledSet:
    """A manifest CSV or folder; ``part`` is ``all``, ``test`` or ``development`` of the benchmark split.

    Where ``paths`` are given, these rows and no others; ``part`` is then only a name for them.

    Raises:
        ManifestError, SplitError: one sentence each.
    """
    manifest = read_manifest(source, labels=labels)
    dropped = Counter(dropped.reason.split(" of ")[0] for dropped in manifest.dropped)
    if paths is not None:
        manifest = manifest.select(paths)
    elif part != "all":
        manifest = manifest.select(benchmark_split(manifest).part(part))
    return LabelledSet(
        name=manifest.name,
        part=part,
        digest=_digest(((row.path, row.label, row.patient_id, row.sha256) for row in manifest.rows), _groups(manifest)),
        ids=manifest.column("path"),
        y_true=manifest.y_true(labels),
        patient_ids=manifest.column("patient_id"),
        groups=_groups(manifest),
        dropped=dict(dropped),
        squares=_cached_squares(manifest),
    )


def _groups(manifest: Manifest) -> dict[str, tuple[str, ...]]:
    return {name: values for name in ("source", "view") if any(values := manifest.column(name))}


def _digest(rows: Iterable[tuple[str, ...]], groups: Mapping[str, tuple[str, ...]]) -> str:
    """Hash of path, label, patient and content of every row, and of the groups that are measured apart."""
    facts = ["\t".join(row) for row in rows] + [f"{name}\t{chr(31).join(column)}" for name, column in groups.items()]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()


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
    ``preprocessings`` that the checkpoints to be measured use. Paths are those inside the ZIP; a folder around
    everything does not matter.

    Raises:
        ManifestError: no ``labels.csv``, a missing column, or no usable image.
        XrayError: the archive as a whole was refused.
        Cancelled: when ``cancel`` said so.
    """
    limits = limits or Limits()
    gathered = _Gathered(_archive_rows(data, limits), labels, preprocessings)
    for number, (path, entry) in enumerate(read_entries(data, name=name, limits=limits)):
        check(cancel, "Reading the archive")
        gathered.add(path, entry)
        progress(min(number + 1, len(gathered.rows)), len(gathered.rows), f"reading the ZIP: {number + 1} images")
    return gathered.finished(name)


def archive_label_counts(data: bytes, *, limits: Limits | None = None) -> dict[str, int]:
    """Rows of each class in the ``labels.csv`` of a ZIP. Raises as :func:`archive_set`."""
    rows = _archive_rows(data, limits or Limits())
    return dict(sorted(Counter(row["label"] for row in rows if row["label"]).items()))


def _archive_rows(data: bytes, limits: Limits) -> list[dict[str, str]]:
    text = archive_text(data, LABELS_FILE, limits=limits)
    if text is None:
        raise ManifestError(f"The ZIP must hold a {LABELS_FILE} with the columns path and label; it has none.")
    try:
        reader = csv.DictReader(io.StringIO(text))
        missing = [column for column in ("path", "label") if column not in (reader.fieldnames or ())]
        rows = [{key: (value or "").strip() for key, value in row.items() if key} for row in reader]
    except csv.Error as error:
        raise ManifestError(f"{LABELS_FILE} in the ZIP must be a CSV file; it could not be read as one.") from error
    if missing:
        raise ManifestError(
            f"{LABELS_FILE} in the ZIP must have the columns path and label; missing: {', '.join(missing)}."
        )
    return [row | {"path": row["path"].replace("\\", "/").removeprefix("./")} for row in rows]


class _Gathered:
    """Images of a ZIP as they come, joined with their rows of ``labels.csv``."""

    def __init__(
        self, listed: Sequence[Mapping[str, str]], labels: LabelSet, preprocessings: Sequence[Preprocessing]
    ) -> None:
        self.labels, self.preprocessings = labels, preprocessings
        self.dropped: Counter[str] = Counter()
        self.rows: dict[str, Mapping[str, str]] = {}
        for row in listed:
            if row["path"] in self.rows:
                self.dropped["path listed twice"] += 1
            self.rows.setdefault(row["path"], row)
        names = Counter(_last_part(path) for path in self.rows)
        self._by_name = {_last_part(path): path for path in self.rows if names[_last_part(path)] == 1}
        self._seen: set[str] = set()  # paths that had a file, and contents
        self._contents: dict[str, str] = {}  # path -> sha256, empty where unreadable
        self._errors: dict[str, str] = {}
        self._squares: dict[str, list[np.ndarray]] = {}

    def add(self, entry_path: str, entry: Xray | XrayError) -> None:
        """One file of the ZIP: kept, or counted with the reason why not."""
        path = self._row_path(entry_path)
        if path is None:
            self.dropped["not in labels.csv"] += 1
        elif path in self._seen:
            self.dropped["second file for one row of labels.csv"] += 1
        else:
            self._seen.add(path)
            self._keep(path, entry)

    def _keep(self, path: str, entry: Xray | XrayError) -> None:
        label = self.rows[path]["label"]
        if isinstance(entry, Xray) and entry.sha256 in self._seen:
            self.dropped["duplicate"] += 1
        elif label not in self.labels:
            self.dropped[f"unknown label {label!r}"] += 1
        elif isinstance(entry, XrayError):
            self._contents[path], self._errors[path] = "", str(entry)
            self._squares[path] = [np.zeros((rule.size, rule.size), np.uint8) for rule in self.preprocessings]
        else:
            self._contents[path] = entry.sha256
            self._squares[path] = [resize_pixels(entry.pixels, rule) for rule in self.preprocessings]
        if isinstance(entry, Xray):
            self._seen.add(entry.sha256)

    def _row_path(self, entry_path: str) -> str | None:
        """The longest end of the entry's path that is listed, else the only listed path with its file name."""
        parts = entry_path.replace("\\", "/").split("/")
        ends = ("/".join(parts[start:]) for start in range(len(parts)))
        return next((end for end in ends if end in self.rows), self._by_name.get(parts[-1]))

    def finished(self, name: str) -> LabelledSet:
        """The set in the order of ``labels.csv``. Raises ManifestError when no image is usable."""
        if missing := sum(path not in self._seen for path in self.rows):
            self.dropped["missing file"] += missing
        ids = tuple(path for path in self.rows if path in self._contents)
        if len(self._errors) == len(ids):
            reasons = [f"{count} {reason}" for reason, count in self.dropped.items()] + list(self._errors.values())[:1]
            raise ManifestError(f"The ZIP has no usable image with a label ({', '.join(reasons) or 'it holds none'}).")
        chosen = [self.rows[path] for path in ids]
        patients = tuple(row.get("patient_id") or row["path"] for row in chosen)
        columns = {column: tuple(row.get(column, "") for row in chosen) for column in ("source", "view")}
        groups = {column: values for column, values in columns.items() if any(values)}
        facts = (
            (row["path"], row["label"], patient, self._contents[row["path"]])
            for row, patient in zip(chosen, patients, strict=True)
        )
        return LabelledSet(
            name=name,
            part="all",
            digest=_digest(facts, groups),
            ids=ids,
            y_true=np.array([self.labels.index(row["label"]) for row in chosen], dtype=np.int64),
            patient_ids=patients,
            groups=groups,
            dropped=dict(self.dropped),
            squares=self._reader(ids),
        )

    def _reader(self, ids: tuple[str, ...]) -> Squares:
        errors = {row: self._errors[path] for row, path in enumerate(ids) if path in self._errors}

        def squares(
            preprocessing: Preprocessing, _progress: Progress, _cancel: Cancel
        ) -> tuple[np.ndarray, dict[int, str]]:
            position = list(self.preprocessings).index(preprocessing)
            return np.stack([self._squares[path][position] for path in ids]), errors

        return squares


def _last_part(path: str) -> str:
    return path.rsplit("/", 1)[-1]
