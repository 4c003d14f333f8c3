"""Manifests: a CSV that names images, their classes and their patients, read with a list of what was left out."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import numpy as np

from cxrlab.labels import LabelSet

REQUIRED = ("path", "label")
OPTIONAL = ("patient_id", "view", "source", "original_split")
_IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".dcm", ".dicom"}


class ManifestError(ValueError):
    """The manifest as a whole can not be used; the text is the sentence for the user."""


@dataclass(frozen=True)
class Row:
    """One image of a manifest.

    Args:
        path: as written in the CSV, with forward slashes; the image's id everywhere.
        file: where it lies.
        label: class id; empty where unknown.
        patient_id: the image's own path where the CSV has none.
        view, source, original_split: empty where the CSV has none.
        sha256: of the file's bytes.
        extra: the remaining columns.
    """

    path: str
    file: Path
    label: str
    patient_id: str
    view: str = ""
    source: str = ""
    original_split: str = ""
    sha256: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Dropped:
    """A row that was left out, and why: ``missing file``, ``unknown label …``, ``duplicate of …``, …"""

    path: str
    reason: str


@dataclass(frozen=True)
class Manifest:
    """Usable rows in the order of the file, and the rows left out."""

    root: Path
    name: str
    rows: tuple[Row, ...]
    dropped: tuple[Dropped, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def digest(self) -> str:
        """sha256 over path, label, patient and content of every row: names the data set in splits and results."""
        text = "\n".join(f"{row.path}\t{row.label}\t{row.patient_id}\t{row.sha256}" for row in self.rows)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def label_ids(self) -> tuple[str, ...]:
        """Class ids that occur, sorted."""
        return tuple(sorted({row.label for row in self.rows if row.label}))

    def with_labels(self, labels: LabelSet) -> Manifest:
        """Only the rows whose class is in ``labels``; the others join ``dropped``."""
        kept = tuple(row for row in self.rows if row.label in labels)
        reasons = tuple(
            Dropped(row.path, f"unknown label {row.label!r}") for row in self.rows if row.label not in labels
        )
        return Manifest(self.root, self.name, kept, self.dropped + reasons)

    def select(self, paths: Sequence[str]) -> Manifest:
        """The rows with these paths, in the order of ``paths``. Raises ManifestError when one is absent."""
        by_path = {row.path: row for row in self.rows}
        absent = [path for path in paths if path not in by_path]
        if absent:
            raise ManifestError(f"{len(absent)} images are not in {self.name}, first {absent[0]}.")
        return Manifest(self.root, self.name, tuple(by_path[path] for path in paths))

    def y_true(self, labels: LabelSet) -> np.ndarray:
        """(N,) int64 class indices in ``labels``; -1 where the label is empty."""
        index = {id_: position for position, id_ in enumerate(labels.ids)} | {"": -1}
        return np.array([index[row.label] for row in self.rows], dtype=np.int64)

    def column(self, name: str) -> tuple[str, ...]:
        """Values of ``patient_id``, ``view``, ``source``, ``original_split`` or an extra column."""
        if name in OPTIONAL or name in REQUIRED:
            return tuple(getattr(row, name) for row in self.rows)
        return tuple(row.extra.get(name, "") for row in self.rows)


@dataclass(frozen=True)
class Summary:
    """Counts of a manifest: images and patients by class, source and view."""

    images: int
    patients: int
    by_class: Mapping[str, int]
    by_source: Mapping[str, int]
    by_view: Mapping[str, int]
    patients_by_class: Mapping[str, int]
    class_by_source: Mapping[str, Mapping[str, int]]
    dropped: Mapping[str, int]


def summarise(manifest: Manifest) -> Summary:
    """Count images and patients, and dropped rows by kind of reason."""
    rows = manifest.rows
    sources = sorted({row.source for row in rows})
    return Summary(
        images=len(rows),
        patients=len({row.patient_id for row in rows}),
        by_class=dict(sorted(Counter(row.label for row in rows).items())),
        by_source=dict(sorted(Counter(row.source for row in rows).items())),
        by_view=dict(sorted(Counter(row.view for row in rows).items())),
        patients_by_class={
            label: len({row.patient_id for row in rows if row.label == label}) for label in manifest.label_ids
        },
        class_by_source={
            source: dict(sorted(Counter(row.label for row in rows if row.source == source).items()))
            for source in sources
        },
        dropped=dict(Counter(dropped.reason.split(" of ")[0] for dropped in manifest.dropped)),
    )


def read_manifest(source: Path, *, labels: LabelSet | None = None) -> Manifest:
    """Read a manifest CSV, or a folder that holds one or has one folder of images per class.

    Every file is hashed; of several with the same bytes only the first is kept.

    Args:
        source: a CSV with the columns ``path,label`` and, where known, ``patient_id,view,source,original_split``;
            paths are relative to the CSV. Or a folder with ``index.csv``, ``manifest.csv`` or ``labels.csv``; or one
            whose sub-folders are named by class.
        labels: keep only these classes. None: keep every row.

    Raises:
        ManifestError: no such file, not a CSV, a missing column, or no usable row.
    """
    rows, dropped, root, name = _listed(Path(source))
    return _finished(rows, dropped, root, name, labels)


def label_counts(source: Path) -> dict[str, int]:
    """Rows of each class as listed, sorted by class; no image is looked at, so that it is quick.

    Raises:
        ManifestError: as :func:`read_manifest`.
    """
    return dict(sorted(Counter(row.label for row in _listed(Path(source))[0] if row.label).items()))


def listed_image(source: Path, place: int) -> tuple[str, str, Path]:
    """Path, label and file of one labelled row as listed, counted from 0 and round again; as quick as label_counts.

    Raises:
        ManifestError: as :func:`read_manifest`, or when no row has a label.
    """
    rows = [row for row in _listed(Path(source))[0] if row.label]
    if not rows:
        raise ManifestError(f"{Path(source).name} has no labelled row; add labels and try again.")
    row = rows[place % len(rows)]
    return row.path, row.label, row.file


def _listed(source: Path) -> tuple[list[Row], list[Dropped], Path, str]:
    """Rows, rows left out, root and name of a manifest before any file is looked at."""
    if source.is_dir():
        named = [source / name for name in ("index.csv", "manifest.csv", "labels.csv") if (source / name).is_file()]
        if not named:
            return _folder_rows(source), [], source, source.name
        source = named[0]
    rows, dropped = _csv_rows(source)
    return rows, dropped, source.parent, source.parent.name or source.stem


def _csv_rows(source: Path) -> tuple[list[Row], list[Dropped]]:
    try:
        with source.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            columns = tuple(reader.fieldnames or ())
            missing = [name for name in REQUIRED if name not in columns]
            if missing:
                raise ManifestError(
                    f"{source.name} must have the columns path and label; missing: {', '.join(missing)}; "
                    f"it has {', '.join(columns[:12]) or 'none'}. Add them and try again."
                )
            records = list(reader)
    except FileNotFoundError as error:
        raise ManifestError(f"There is no manifest at {source.name}; give the path of a CSV or a folder.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise ManifestError(f"{source.name} must be a CSV file in UTF-8; it could not be read as one.") from error
    except OSError as error:
        raise ManifestError(f"{source.name} could not be read: {error.strerror}.") from error
    rows: list[Row] = []
    dropped: list[Dropped] = []
    for record in records:
        row = _row(record, source.parent)
        (rows if isinstance(row, Row) else dropped).append(row)  # type: ignore[arg-type]
    return rows, dropped


def _row(record: Mapping[str | None, str | None], root: Path) -> Row | Dropped:
    values = {name: (value or "").strip() for name, value in record.items() if name is not None}
    path = values["path"].replace("\\", "/")
    if not path:
        return Dropped("", "no path")
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or ":" in pure.parts[0]:
        return Dropped(path, "path outside the manifest's folder")
    extra = {name: value for name, value in values.items() if name not in REQUIRED + OPTIONAL}
    known = {name: values.get(name, "") for name in OPTIONAL}
    known["patient_id"] = known["patient_id"] or path
    return Row(path=path, file=root / path, label=values["label"], extra=extra, **known)


def _folder_rows(folder: Path) -> list[Row]:
    """One sub-folder per class, images anywhere below it."""
    rows = []
    for file in sorted(folder.glob("*/**/*")):
        if file.suffix.lower() in _IMAGE_SUFFIXES and file.is_file():
            path = file.relative_to(folder).as_posix()
            rows.append(Row(path=path, file=file, label=path.split("/")[0], patient_id=path))
    if not rows:
        raise ManifestError(
            f"{folder.name} must hold a manifest.csv (path,label,…) or one folder of images per class; it has neither."
        )
    return rows


def _finished(
    rows: list[Row],
    dropped: list[Dropped],
    root: Path,
    name: str,
    labels: LabelSet | None,
) -> Manifest:
    seen: set[str] = set()
    present: list[Row] = []
    for row in rows:
        if row.path in seen:
            dropped.append(Dropped(row.path, "path listed twice"))
        elif not row.file.is_file():
            dropped.append(Dropped(row.path, "missing file"))
        else:
            present.append(row)
        seen.add(row.path)
    manifest = Manifest(root, name, tuple(_without_duplicates(present, dropped)), tuple(dropped))
    if labels is not None:
        manifest = manifest.with_labels(labels)
    if not manifest.rows:
        reasons = ", ".join(f"{count} {reason}" for reason, count in summarise(manifest).dropped.items())
        raise ManifestError(f"{name} has no usable row ({reasons or 'it is empty'}).")
    return manifest


def _without_duplicates(rows: list[Row], dropped: list[Dropped]) -> list[Row]:
    with ThreadPoolExecutor() as pool:
        digests = list(pool.map(file_sha256, (row.file for row in rows)))
    first: dict[str, str] = {}
    kept = []
    for row, digest in zip(rows, digests, strict=True):
        if digest in first:
            dropped.append(Dropped(row.path, f"duplicate of {first[digest]}"))
        else:
            first[digest] = row.path
            kept.append(replace(row, sha256=digest))
    return kept


def file_sha256(path: Path) -> str:
    """sha256 of a file's bytes, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
