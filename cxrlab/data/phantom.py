"""Sets of synthetic chest radiographs on disk: written whole or not at all, with masks and a manifest.

The picture maker is :func:`make_phantom`; it can be imported from here.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cxrlab.config import home, in_range, repository
from cxrlab.data.phantom_render import DIFFICULTY, PhantomImage, make_phantom, patient_label, stream
from cxrlab.labels import PHANTOM4
from cxrlab.progress import Cancel, Progress, check, never, silent

__all__ = [
    "BUNDLED_COUNT",
    "BUNDLED_SEED",
    "BUNDLED_SIZE",
    "RECIPE_VERSION",
    "SAMPLES",
    "SAMPLE_SEED",
    "TRAINING_SEED",
    "PhantomImage",
    "bundled_phantom_set",
    "make_phantom",
    "make_sample",
    "phantom_shots",
    "write_phantom_set",
    "write_samples",
]

RECIPE_VERSION = 1  # raised whenever the same numbers give other pixels, so that stored sets are made anew
BUNDLED_COUNT, BUNDLED_SEED, BUNDLED_SIZE = 240, 0, 512
TRAINING_SEED = 1  # the teaching checkpoints saw patients of this seed only
SAMPLE_SEED = 2
MOST_SHOTS = 4
COLUMNS = (
    "path",
    "label",
    "patient_id",
    "view",
    "source",
    "lung_mask",
    "lesion_mask",
    "marker",
    "strength",
    "seed",
    "patient",
    "shot",
)

SAMPLES = (
    (5, "AP"),
    (8, "PA"),
    (2, "PA"),
    (7, "AP"),
    (0, "PA"),
    (10, "PA"),
    (3, "PA"),
    (9, "AP"),
    (4, "AP"),
    (11, "AP"),
    (6, "AP"),
    (1, "PA"),
)
"""The bundled sample pictures: (patient of SAMPLE_SEED, view). The class follows from the patient."""

SAMPLE_COLUMNS = ("path", "label", "patient_id", "view", "source", "domain", "title", "credit", "licence")


def phantom_shots(count: int, seed: int) -> Iterator[tuple[int, int]]:
    """(patient, shot) of a set: 1 to 4 pictures a patient, classes as equal as ``count`` allows.

    Args:
        count: number of pictures, at least 1. seed: of the set.
    """
    names = PHANTOM4.ids
    left = {name: count // len(names) + (position < count % len(names)) for position, name in enumerate(names)}
    patient = 0
    while any(left.values()):
        label = patient_label(patient)
        shots = min(left[label], int(stream(seed, patient, 9).integers(1, MOST_SHOTS + 1)))
        left[label] -= shots
        yield from ((patient, shot) for shot in range(shots))
        patient += 1


def write_phantom_set(
    out: Path | str,
    *,
    count: int = BUNDLED_COUNT,
    seed: int = BUNDLED_SEED,
    size: int = 512,
    difficulty: float = DIFFICULTY,
    marker_class: str | None = None,
    marker_probability: float = 1.0,
    progress: Progress = silent,
    cancel: Cancel = never,
) -> Path:
    """Write ``count`` radiographs with masks and ``manifest.csv`` into a new folder.

    Pictures are 8-bit PNG under ``images/``. ``masks/`` holds per picture a lung mask (0 outside, 128 the patient's
    right lung, 255 the left) and a lesion mask (0, 255). Paths in the manifest are relative to it. The folder appears
    only when everything is in it. Each picture is ``make_phantom(seed, patient, shot, …)`` of its row.

    Args:
        out: a folder that does not exist yet or is empty.
        count: 1 to 100,000 pictures. The other arguments are those of :func:`make_phantom`.
        progress, cancel: see :mod:`cxrlab.progress`.

    Returns:
        The path of ``manifest.csv``.

    Raises:
        ValueError: a number out of range. FileExistsError: ``out`` holds something. Cancelled: nothing is left.
    """
    out = Path(out)
    in_range("count", count, 1, 100_000)
    refuse_occupied(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    options: dict[str, Any] = {
        "size": size,
        "difficulty": difficulty,
        "marker_class": marker_class,
        "marker_probability": marker_probability,
    }
    shots = list(phantom_shots(count, seed))
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as folder:
        work = Path(folder) / "set"
        (work / "images").mkdir(parents=True)
        (work / "masks").mkdir()
        rows = []
        for done, (patient, shot) in enumerate(shots):
            check(cancel, "Making the phantom set")
            progress(done, count, f"Phantom {done + 1} of {count}")
            rows.append(store(work, make_phantom(seed, patient, shot, **options)))
        write_rows(work / "manifest.csv", COLUMNS, rows)
        facts = {"recipe": RECIPE_VERSION, "count": count, "seed": seed, **options}
        (work / "phantom.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
        refuse_occupied(out)
        os.replace(work, out)  # an empty folder may be replaced, a filled one never
    progress(count, count, "Phantom set complete")
    return out / "manifest.csv"


def refuse_occupied(out: Path) -> None:
    """Raise FileExistsError unless ``out`` is absent or an empty folder."""
    if out.is_dir() and not any(out.iterdir()):
        return
    if out.exists():
        raise FileExistsError(
            f"The phantom set needs a new or empty folder, {out} has something in it; choose another one."
        )


def store(work: Path, phantom: PhantomImage) -> dict[str, Any]:
    """Write one picture and its masks; returns its row of the manifest."""
    name = f"{phantom.patient:05d}-{phantom.shot}.png"
    lungs = np.where(phantom.left_mask, 255, np.where(phantom.right_mask, 128, 0)).astype(np.uint8)
    row = {
        "path": f"images/{name}",
        "lung_mask": f"masks/{name[:-4]}-lungs.png",
        "lesion_mask": f"masks/{name[:-4]}-lesion.png",
    }
    Image.fromarray(phantom.pixels).save(work / row["path"], compress_level=4)
    Image.fromarray(lungs).save(work / row["lung_mask"])
    Image.fromarray(phantom.lesion_mask.astype(np.uint8) * 255).save(work / row["lesion_mask"])
    facts = {name: getattr(phantom, name) for name in ("label", "patient_id", "view", "seed", "patient", "shot")}
    return row | facts | {"source": "phantom", "marker": int(phantom.marker), "strength": f"{phantom.strength:.4f}"}


def write_rows(path: Path, columns: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
    """Write a CSV with LF line ends."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def bundled_phantom_set(progress: Progress = silent, cancel: Cancel = never) -> Path:
    """The set of 240 radiographs, seed 0, in ``CXRLAB_HOME/samples``; made on first use, anew when it is damaged.

    Two processes may ask at once: each makes its own copy and the first to finish wins.

    Returns:
        The path of ``manifest.csv``.
    """
    folder = home() / "samples" / f"phantom-{BUNDLED_COUNT}-seed{BUNDLED_SEED}-v{RECIPE_VERSION}"
    if is_complete(folder, BUNDLED_COUNT):
        return folder / "manifest.csv"
    if folder.exists():
        broken = Path(tempfile.mkdtemp(prefix=".broken-", dir=folder.parent))
        os.replace(folder, broken)
        shutil.rmtree(broken, ignore_errors=True)
    try:
        return write_phantom_set(
            folder, count=BUNDLED_COUNT, seed=BUNDLED_SEED, size=BUNDLED_SIZE, progress=progress, cancel=cancel
        )
    except OSError:
        if is_complete(folder, BUNDLED_COUNT):  # another process was faster
            return folder / "manifest.csv"
        raise


def is_complete(folder: Path, count: int) -> bool:
    """Whether a stored set has its manifest and every file that it names, none of them empty."""
    try:
        with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        files = [folder / row[column] for row in rows for column in ("path", "lung_mask", "lesion_mask")]
        return len(rows) == count and all(file.stat().st_size > 60 for file in files)
    except (OSError, KeyError, csv.Error, UnicodeDecodeError):
        return False


def make_sample(number: int) -> PhantomImage:
    """Bundled sample ``number`` (0 to 11) as it lies in ``sample_images/``."""
    patient, view = SAMPLES[number]
    return make_phantom(SAMPLE_SEED, patient, 0, view=view)


def write_samples(out: Path | str | None = None) -> Path:
    """Write the 12 sample pictures with manifest and credits; default: the repository's ``sample_images/``.

    Returns:
        The path of ``manifest.csv``.
    """
    out = repository() / "sample_images" if out is None else Path(out)
    out.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(len(SAMPLES)):
        phantom = make_sample(number)
        name = f"phantom-{number + 1:02d}.png"
        Image.fromarray(phantom.pixels).save(out / name, optimize=True)
        rows.append(
            {
                "path": name,
                "label": phantom.label,
                "patient_id": phantom.patient_id,
                "view": phantom.view,
                "source": "phantom",
                "domain": "phantom",
                "title": f"Phantom {number + 1} ({phantom.view})",
                "credit": "made by cxrlab, no patient",
                "licence": "CC0-1.0",
            }
        )
    write_rows(out / "manifest.csv", SAMPLE_COLUMNS, rows)
    (out / "CREDITS.md").write_text(CREDITS, encoding="utf-8")
    return out / "manifest.csv"


CREDITS = """# Sample images

The pictures in this folder are synthetic chest radiographs. They show nobody: `cxrlab.data.phantom.write_samples()`
draws them from numbers, and the same call gives the same pixels again. The classes (clear, lobar, interstitial,
peripheral) name drawn patterns, no diseases.

- Author: the cxrlab project
- Licence: CC0 1.0, public domain dedication <https://creativecommons.org/publicdomain/zero/1.0/>
- Facts of each picture: `manifest.csv`
"""
