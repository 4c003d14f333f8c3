"""Small labelled sets on disk and as ZIPs, for the tests of evaluations."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from cxrlab.labels import CXR4, LabelSet

COLUMNS = ("path", "label", "patient_id", "source", "original_split")


def png(seed: int, size: int = 40) -> bytes:
    """A picture that no other seed gives."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (5, 5), dtype=np.uint8)).resize(
        (size, size), Image.Resampling.BICUBIC
    )
    file = io.BytesIO()
    coarse.save(file, "PNG")
    return file.getvalue()


def rows_of(count: int = 24, labels: LabelSet = CXR4) -> list[dict[str, str]]:
    """Rows of ``count`` images: classes in turn, two images a patient, two sources, every fourth patient in test."""
    return [
        {
            "path": f"images/{number:03d}.png",
            "label": labels.ids[(number // 2) % len(labels)],
            "patient_id": f"p{number // 2}",
            "source": "left" if number < count // 2 else "right",
            "original_split": "test" if number // 2 % 4 == 0 or number // 2 % 4 == 3 else "train",
        }
        for number in range(count)
    ]


def as_csv(rows: Sequence[Mapping[str, str]], columns: Sequence[str] = COLUMNS) -> str:
    """Rows as the text of a manifest."""
    file = io.StringIO()
    writer = csv.DictWriter(file, columns, extrasaction="ignore", restval="")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def write_set(folder: Path, rows: Sequence[Mapping[str, str]]) -> Path:
    """The images and their manifest in a folder; the path of the CSV."""
    for number, row in enumerate(rows):
        file = folder / row["path"]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(png(number))
    manifest = folder / "manifest.csv"
    manifest.write_text(as_csv(rows))
    return manifest


def zipped(files: Mapping[str, bytes | str]) -> bytes:
    """The bytes of a ZIP."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for path, data in files.items():
            archive.writestr(path, data)
    return file.getvalue()


def zipped_set(rows: Sequence[Mapping[str, str]], *, around: str = "") -> bytes:
    """The set of :func:`write_set` as a ZIP, with a folder ``around`` everything if wanted."""
    files: dict[str, bytes | str] = {f"{around}{row['path']}": png(number) for number, row in enumerate(rows)}
    return zipped(files | {f"{around}labels.csv": as_csv(rows)})
