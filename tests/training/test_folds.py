"""Folds: FLANNEL's sizes, no patient on two sides, and figures over folds against the paper's own (spec 1.1, 3.6)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cxrlab.data.manifest import Manifest, Row
from cxrlab.data.splits import SplitError
from cxrlab.training.folds import leak, over_folds, published_folds, study_folds


def made_up(images: int, *, images_each: int = 2) -> Manifest:
    labels = ("covid19", "viral", "bacterial", "normal")
    return Manifest(
        Path(),
        "made up",
        tuple(
            Row(
                f"{number}.png",
                Path(f"{number}.png"),
                labels[(number // images_each) % 4],
                f"p{number // images_each}",
                source="a",
            )
            for number in range(images)
        ),
    )


@pytest.mark.parametrize(
    ("n", "validation", "train", "test"),
    [
        (5508, (881, 881, 881, 882, 881), (3525, 3525, 3525, 3524, 3525), 1102),  # spec 1.1, the paper's sizes
        (6413, (1026,) * 5, (4104,) * 5, 1283),  # spec 3.6, the authors' second data set
    ],
)
def test_published_folds_have_the_published_sizes(
    n: int, validation: tuple[int, ...], train: tuple[int, ...], test: int
) -> None:
    splits = published_folds(made_up(n))
    assert tuple(len(split.part("validation")) for split in splits) == validation
    assert tuple(len(split.part("train")) for split in splits) == train
    assert {len(split.part("test")) for split in splits} == {test}


def test_published_folds_share_one_test_part_and_cut_the_rest_into_blocks() -> None:
    manifest = made_up(101)
    splits = published_folds(manifest, seed=3)
    assert len({split.part("test") for split in splits}) == 1
    blocks = [path for split in splits for path in split.part("validation")]
    assert sorted([*blocks, *splits[0].part("test")]) == sorted(manifest.column("path"))
    for split in splits:
        assert not set(split.part("train")) & {*split.part("validation"), *split.part("test")}
    assert published_folds(manifest, seed=3) == splits
    assert published_folds(manifest, seed=4) != splits


def test_a_split_by_image_is_called_a_leak_and_one_by_patient_is_not() -> None:
    manifest = made_up(400)
    by_image, by_patient = published_folds(manifest)[0], study_folds(manifest)[0]
    assert "are of patients in the training part" in leak(manifest, by_image)
    assert leak(manifest, by_patient) == ""


def test_study_folds_test_on_the_benchmark_part_and_keep_patients_together() -> None:
    manifest = made_up(400)
    patient = {row.path: row.patient_id for row in manifest.rows}
    splits = study_folds(manifest, folds=5, seed=1)
    assert len({split.part("test") for split in splits}) == 1
    for split in splits:
        sides = [{patient[path] for path in paths} for paths in split.parts.values()]
        assert sum(map(len, sides)) == len(set().union(*sides))
    blocks = [path for split in splits for path in split.part("validation")]
    assert sorted([*blocks, *splits[0].part("test")]) == sorted(manifest.column("path"))


def test_too_few_images_are_refused() -> None:
    with pytest.raises(SplitError, match="at least 25 images, got 24"):
        published_folds(made_up(24))


def test_figures_over_folds_are_those_of_the_spec() -> None:
    found = over_folds([0.80, 0.82, 0.78, 0.85, 0.83])  # spec 3.6: ddof 1, as the authors' pandas
    assert found.mean == pytest.approx(0.816)
    assert found.std == pytest.approx(0.027018512, abs=1e-9)


def test_one_fold_has_no_spread_and_an_undefined_fold_is_left_out() -> None:
    assert over_folds([0.5]).std is None
    assert over_folds([0.5, float("nan"), 0.7]).mean == pytest.approx(0.6)
    with pytest.raises(ValueError, match="at least one value"):
        over_folds([float("nan")])


def test_numpy_is_the_oracle_of_the_spread() -> None:
    values = np.random.default_rng(0).uniform(size=7)
    assert over_folds(values.tolist()).std == pytest.approx(values.std(ddof=1))
