"""Splits by patient: the benchmark split behind every published figure, hold-outs and folds."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cxrlab.data.manifest import Manifest


class SplitError(ValueError):
    """A split can not be made or read; the text is the sentence for the user."""


@dataclass(frozen=True)
class Split:
    """Image paths by part; no patient is in two parts (checked when made from a manifest).

    Args:
        name: e.g. ``benchmark`` or ``hold-out 0.15, seed 0``.
        seed: of the draw; None where nothing was drawn.
        parts: paths by part name, in manifest order.
        manifest_digest: which data set was split.
    """

    name: str
    parts: Mapping[str, tuple[str, ...]]
    manifest_digest: str
    seed: int | None = None

    @property
    def digest(self) -> str:
        """sha256 over the parts: names the split in cards and results."""
        text = json.dumps({part: list(paths) for part, paths in sorted(self.parts.items())})
        return hashlib.sha256(text.encode()).hexdigest()

    def part(self, name: str) -> tuple[str, ...]:
        """Paths of one part. Raises SplitError naming the parts there are."""
        if name not in self.parts:
            raise SplitError(f"Split {self.name!r} has no part {name!r}; it has {', '.join(self.parts)}.")
        return self.parts[name]

    def save(self, path: Path) -> None:
        """Write JSON with seed and hashes, whole or not at all."""
        data = {
            "format": 1,
            "name": self.name,
            "seed": self.seed,
            "manifest_digest": self.manifest_digest,
            "digest": self.digest,
            "parts": {part: list(paths) for part, paths in self.parts.items()},
        }
        temporary = path.with_name(path.name + ".part")
        try:
            temporary.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: Path) -> Split:
        """Read what :meth:`save` wrote. Raises SplitError when it was changed or is no split."""
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            split = cls(
                name=data["name"],
                parts={part: tuple(paths) for part, paths in data["parts"].items()},
                manifest_digest=data["manifest_digest"],
                seed=data["seed"],
            )
            stored = data["digest"]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise SplitError(
                f"{path.name} must be a split file written by cxrlab; it could not be read as one."
            ) from error
        if split.digest != stored:
            raise SplitError(f"{path.name} was changed after it was written: its hash does not fit its parts.")
        return split


def check_patients(manifest: Manifest, split: Split) -> None:
    """Raise SplitError when a patient is in two parts or a path is unknown."""
    patient = {row.path: row.patient_id for row in manifest.rows}
    owner: dict[str, str] = {}
    for part, paths in split.parts.items():
        for path in paths:
            if path not in patient:
                raise SplitError(f"{path} of split {split.name!r} is not in {manifest.name}.")
            other = owner.setdefault(patient[path], part)
            if other != part:
                raise SplitError(f"Patient {patient[path]} is in both {other} and {part} of split {split.name!r}.")


def benchmark_split(manifest: Manifest) -> Split:
    """The split of every figure that this project publishes.

    Test: rows whose ``original_split`` is ``test``, and, in sources that have no original split, the patients whose
    sha256 of the id is divisible by 5. The rest is development data.

    Raises:
        SplitError: when a patient ends on both sides or a side is empty.
    """
    with_original = {row.source for row in manifest.rows if row.original_split}
    test: list[str] = []
    development: list[str] = []
    for row in manifest.rows:
        if row.source in with_original:
            is_test = row.original_split == "test"
        else:
            is_test = int(hashlib.sha256(row.patient_id.encode()).hexdigest(), 16) % 5 == 0
        (test if is_test else development).append(row.path)
    return _checked(
        manifest, Split("benchmark", {"development": tuple(development), "test": tuple(test)}, manifest.digest)
    )


def hold_out(manifest: Manifest, *, fraction: float, seed: int) -> Split:
    """Parts ``train`` and ``validation``: about ``fraction`` of the images are held out, by patient, classes and
    sources in proportion.

    A class with fewer images than 1 / fraction can be missing on the validation side.

    Raises:
        SplitError: fraction outside (0, 0.5], or too few patients.
    """
    if not 0 < fraction <= 0.5:
        raise SplitError(f"The held-out fraction must be in (0, 0.5], got {fraction}.")
    held_out = _folds(manifest, round(1 / fraction), seed)[0]
    parts = {
        "train": tuple(row.path for row, held in zip(manifest.rows, held_out, strict=True) if not held),
        "validation": tuple(row.path for row, held in zip(manifest.rows, held_out, strict=True) if held),
    }
    return _checked(manifest, Split(f"hold-out {fraction:g} by patient, seed {seed}", parts, manifest.digest, seed))


def group_folds(manifest: Manifest, *, folds: int, seed: int) -> list[Split]:
    """Stratified k-fold by patient: fold j validates on block j and trains on the others.

    With few patients in a class the proportions can not be kept exactly (scikit-learn's StratifiedGroupKFold).

    Raises:
        SplitError: fewer than 2 folds or fewer patients than folds.
    """
    splits = []
    for number, held_out in enumerate(_folds(manifest, folds, seed)):
        parts = {
            "train": tuple(row.path for row, held in zip(manifest.rows, held_out, strict=True) if not held),
            "validation": tuple(row.path for row, held in zip(manifest.rows, held_out, strict=True) if held),
        }
        name = f"fold {number + 1} of {folds} by patient, seed {seed}"
        splits.append(_checked(manifest, Split(name, parts, manifest.digest, seed)))
    return splits


def _folds(manifest: Manifest, folds: int, seed: int) -> list[np.ndarray]:
    """(N,) bool masks of the held-out rows, one a fold."""
    from sklearn.model_selection import StratifiedGroupKFold

    patients = [row.patient_id for row in manifest.rows]
    if folds < 2 or len(set(patients)) < folds:
        raise SplitError(
            f"{folds} folds need at least 2 folds and {folds} patients, got {len(set(patients))} patients."
        )
    strata = [f"{row.label}|{row.source}" for row in manifest.rows]
    _, codes = np.unique(strata, return_inverse=True)
    masks = []
    if np.bincount(codes).max() < folds:
        raise SplitError(
            f"{folds} folds need a class with {folds} images in one source, got {np.bincount(codes).max()}."
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class rarer than the folds: said in the docstrings
        for _, held_out in StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(codes, codes, patients):
            mask = np.zeros(len(manifest), dtype=bool)
            mask[held_out] = True
            masks.append(mask)
    return masks


def _checked(manifest: Manifest, split: Split) -> Split:
    empty = [part for part, paths in split.parts.items() if not paths]
    if empty:
        raise SplitError(f"Part {empty[0]} of split {split.name!r} is empty; {manifest.name} is too small for it.")
    check_patients(manifest, split)
    return split
