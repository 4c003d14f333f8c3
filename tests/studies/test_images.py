"""Images of a study: folds, tasks, balanced and shortened parts."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from cxrlab.studies.images import StudyError, study_images
from cxrlab.studies.plan import StudyPlan


def test_parts_of_a_fold_have_their_classes(tiny_plan: StudyPlan, manifest_file: Path) -> None:
    images = study_images(tiny_plan, manifest_file, folds=2)
    assert len(images.splits) == 2
    test = images.part(0, "test")
    label_of = {row.path: row.label for row in images.manifest.rows}
    assert [images.labels.ids[code] for code in images.y_true(test)] == [label_of[path] for path in test]


def test_a_projected_task_maps_every_image(tiny_plan: StudyPlan, manifest_file: Path) -> None:
    images = study_images(replace(tiny_plan, task="covid_vs_rest", protocol="hold_out"), manifest_file)
    paths = images.part(0, "train")
    label_of = {row.path: row.label for row in images.manifest.rows}
    expected = [0 if label_of[path] == "covid19" else 1 for path in paths]
    assert images.y_true(paths).tolist() == expected
    assert images.y_true(paths, "cxr4").max() == 3
    assert not {label_of[path] for path in images.part(0, "train", without=("covid19",))} & {"covid19"}


def test_the_training_part_can_be_balanced_and_every_part_shortened(tiny_plan: StudyPlan, manifest_file: Path) -> None:
    balanced = study_images(replace(tiny_plan, balanced_images=5), manifest_file)
    assert set(Counter(balanced.y_true(balanced.part(0, "train")).tolist()).values()) == {5}
    assert len(balanced.part(0, "test")) > 20
    short = study_images(tiny_plan, manifest_file, images=8)
    assert {len(paths) for paths in short.splits[0].parts.values()} == {8}
    assert set(Counter(short.y_true(short.part(0, "test")).tolist()).values()) == {2}


def test_fewer_training_images_keep_the_classes_shares(tiny_plan: StudyPlan, manifest_file: Path) -> None:
    whole = study_images(tiny_plan, manifest_file)
    fewer = study_images(replace(tiny_plan, training_images=10), manifest_file)
    assert len(fewer.part(0, "train")) == 10
    assert set(fewer.part(0, "train")) < set(whole.part(0, "train"))
    assert fewer.part(0, "validation") == whole.part(0, "validation")
    assert fewer.part(0, "test") == whole.part(0, "test")
    assert "at most 10 train images" in fewer.splits[0].name


def test_losses_with_class_weights_are_compared_on_unbalanced_images() -> None:
    from cxrlab.studies.catalogue import plan_study
    from cxrlab.studies.plan import scale_named

    assert plan_study("efficientnet-focal", scale_named("lite")).balanced_images == 0


def test_the_plan_says_how_much_is_held_out(tiny_plan: StudyPlan, manifest_file: Path) -> None:
    few, many = (
        study_images(replace(tiny_plan, protocol="hold_out", validation=share), manifest_file).splits[0]
        for share in (0.1, 0.5)
    )
    assert len(many.part("validation")) > 2 * len(few.part("validation"))
    assert few.part("test") == many.part("test")


def test_a_source_that_is_not_there_is_said(tiny_plan: StudyPlan, manifest_file: Path) -> None:
    with pytest.raises(StudyError, match=r"needs images of the source kermany; index\.csv has none"):
        study_images(replace(tiny_plan, source="kermany"), manifest_file)


def test_an_unknown_task_is_said(tiny_plan: StudyPlan, manifest_file: Path) -> None:
    with pytest.raises(ValueError, match="Task must be one of covid_vs_rest"):
        _ = study_images(replace(tiny_plan, task="five_class"), manifest_file).labels


def test_a_manifest_without_the_study_s_classes_is_refused(
    tiny_plan: StudyPlan, manifest_file: Path, tmp_path: Path
) -> None:
    for name, old, new in (("other", "covid19|viral|bacterial|normal", "clear"), ("some", "covid19", "normal")):
        copy = tmp_path / name
        shutil.copytree(manifest_file.parent, copy)
        (copy / "index.csv").write_text(re.sub(old, new, manifest_file.read_text()))
    with pytest.raises(StudyError, match=r"tiny needs images of covid19, viral, .*; index.csv has clear\.$"):
        study_images(tiny_plan, tmp_path / "other" / "index.csv")
    with pytest.raises(StudyError, match=r"The study tiny needs images of covid19; index.csv has none\."):
        study_images(tiny_plan, tmp_path / "some" / "index.csv")
