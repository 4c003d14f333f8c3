"""Splits: no patient on two sides, proportions kept, files that tell when they were changed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxrlab.data.manifest import Manifest, Row
from cxrlab.data.splits import Split, SplitError, benchmark_split, check_patients, group_folds, hold_out


def made_up(patients: int = 60, images_each: int = 3, seed: int = 0) -> Manifest:
    rng = np.random.default_rng(seed)
    rows = []
    for patient in range(patients):
        label = ["normal", "viral", "covid19"][patient % 3]
        for shot in range(int(rng.integers(1, images_each + 1))):
            path = f"{patient}-{shot}.png"
            rows.append(Row(path, Path(path), label, f"p{patient}", source="ab"[patient % 2]))
    return Manifest(Path(), "made up", tuple(rows))


def patients_of(manifest: Manifest, paths: tuple[str, ...]) -> set[str]:
    return {row.patient_id for row in manifest.select(paths).rows}


@settings(max_examples=20, deadline=None)
@given(patients=st.integers(60, 120), fraction=st.sampled_from([0.1, 0.2, 0.33, 0.5]), seed=st.integers(0, 99))
def test_hold_out_shares_all_images_and_no_patient(patients: int, fraction: float, seed: int) -> None:
    manifest = made_up(patients, seed=seed)
    split = hold_out(manifest, fraction=fraction, seed=seed)
    train, validation = split.part("train"), split.part("validation")
    assert sorted(train + validation) == sorted(manifest.column("path"))
    assert not patients_of(manifest, train) & patients_of(manifest, validation)


def test_hold_out_keeps_the_classes_in_proportion_and_depends_on_the_seed_alone() -> None:
    manifest = made_up(300)
    split = hold_out(manifest, fraction=0.2, seed=1)
    validation = manifest.select(split.part("validation"))
    for label in manifest.label_ids:
        share = validation.column("label").count(label) / manifest.column("label").count(label)
        assert share == pytest.approx(0.2, abs=0.05)
    assert hold_out(manifest, fraction=0.2, seed=1) == split
    assert hold_out(manifest, fraction=0.2, seed=2) != split


def test_folds_validate_on_every_image_once() -> None:
    manifest = made_up()
    folds = group_folds(manifest, folds=5, seed=0)
    assert sorted(path for fold in folds for path in fold.part("validation")) == sorted(manifest.column("path"))
    for fold in folds:
        assert not patients_of(manifest, fold.part("train")) & patients_of(manifest, fold.part("validation"))


def test_benchmark_takes_the_original_test_part_where_there_is_one_and_hashes_elsewhere() -> None:
    rows = [
        Row("a.png", Path("a"), "normal", "k1", source="k", original_split="test"),
        Row("b.png", Path("b"), "normal", "k2", source="k", original_split="train"),
        *(Row(f"{n}.png", Path("x"), "viral", f"h{n}", source="h") for n in range(40)),
    ]
    split = benchmark_split(Manifest(Path(), "made up", tuple(rows)))
    assert "a.png" in split.part("test")
    assert "b.png" in split.part("development")
    for number in range(40):
        by_rule = int(hashlib.sha256(f"h{number}".encode()).hexdigest(), 16) % 5 == 0
        assert (f"{number}.png" in split.part("test")) == by_rule


def test_a_saved_split_comes_back_and_tells_when_it_was_changed(tmp_path: Path) -> None:
    split = hold_out(made_up(), fraction=0.2, seed=3)
    path = tmp_path / "split.json"
    split.save(path)
    assert Split.load(path) == split
    data = json.loads(path.read_text())
    assert (data["seed"], data["digest"]) == (3, split.digest)
    data["parts"]["train"].append(data["parts"]["validation"].pop())
    path.write_text(json.dumps(data))
    with pytest.raises(SplitError, match="was changed after it was written"):
        Split.load(path)
    assert [file.name for file in tmp_path.iterdir()] == ["split.json"]


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"name": 1}', "\x00"])
def test_a_file_that_is_no_split_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "split.json"
    path.write_text(text)
    with pytest.raises(SplitError, match="must be a split file"):
        Split.load(path)


def test_a_patient_on_two_sides_is_found() -> None:
    rows = tuple(Row(f"{shot}.png", Path("x"), "normal", "same") for shot in range(2))
    manifest = Manifest(Path(), "made up", rows)
    first, second = manifest.column("path")
    split = Split("bad", {"train": (first,), "validation": (second,)}, manifest.digest)
    with pytest.raises(SplitError, match="is in both train and validation"):
        check_patients(manifest, split)
    with pytest.raises(SplitError, match=r"gone\.png of split 'bad' is not in made up"):
        check_patients(manifest, replace(split, parts={"train": ("gone.png",)}))


def test_refusals() -> None:
    manifest = made_up()
    with pytest.raises(SplitError, match=r"fraction must be in \(0, 0\.5\], got 0\.7"):
        hold_out(manifest, fraction=0.7, seed=0)
    with pytest.raises(SplitError, match="200 folds need at least 2 folds and 200 patients, got 60"):
        group_folds(manifest, folds=200, seed=0)
    with pytest.raises(SplitError, match="50 folds need a class with 50 images in one source"):
        group_folds(manifest, folds=50, seed=0)
    with pytest.raises(SplitError, match="has no part 'test'; it has train, validation"):
        hold_out(manifest, fraction=0.2, seed=0).part("test")
    one_sided = Manifest(Path(), "tiny", (Row("a.png", Path("a"), "x", "p", source="s", original_split="train"),))
    with pytest.raises(SplitError, match="Part test of split 'benchmark' is empty"):
        benchmark_split(one_sided)
