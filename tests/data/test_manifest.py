"""Manifests: what is read, what is dropped, and in which words."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxrlab.data.manifest import ManifestError, file_sha256, listed_image, read_manifest, summarise
from cxrlab.data.splits import benchmark_split
from cxrlab.labels import CXR4


def write_image(path: Path, grey: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((8, 8), grey, dtype=np.uint8)).save(path)


def write_manifest(folder: Path, lines: list[str], header: str = "path,label,patient_id,view,source,sex") -> Path:
    path = folder / "manifest.csv"
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for grey in range(4):
        write_image(tmp_path / f"images/{grey}.png", grey)
    return tmp_path


def test_columns_are_read_and_the_rest_is_kept(folder: Path) -> None:
    manifest = read_manifest(write_manifest(folder, ["images/0.png,normal,p1,PA,clinic,F"]))
    row = manifest.rows[0]
    assert (row.path, row.label, row.patient_id, row.view, row.source) == (
        "images/0.png",
        "normal",
        "p1",
        "PA",
        "clinic",
    )
    assert row.extra == {"sex": "F"}
    assert row.sha256 == file_sha256(folder / "images/0.png")
    assert manifest.column("sex") == ("F",)


def test_an_image_without_patient_is_its_own_patient(folder: Path) -> None:
    manifest = read_manifest(write_manifest(folder, ["images/0.png,normal,,,,"]))
    assert manifest.rows[0].patient_id == "images/0.png"


def test_dropped_rows_have_reasons(folder: Path) -> None:
    write_image(folder / "images/copy.png", 0)
    lines = [
        "images/0.png,normal,p1,PA,a,",
        "images/copy.png,normal,p2,PA,a,",
        "images/gone.png,normal,p3,PA,a,",
        "images/1.png,cat,p4,PA,a,",
        "images/0.png,normal,p1,PA,a,",
        "../outside.png,normal,p5,PA,a,",
        ",normal,p6,PA,a,",
    ]
    manifest = read_manifest(write_manifest(folder, lines), labels=CXR4)
    assert [row.path for row in manifest.rows] == ["images/0.png"]
    assert {(dropped.path, dropped.reason) for dropped in manifest.dropped} == {
        ("images/copy.png", "duplicate of images/0.png"),
        ("images/gone.png", "missing file"),
        ("images/1.png", "unknown label 'cat'"),
        ("images/0.png", "path listed twice"),
        ("../outside.png", "path outside the manifest's folder"),
        ("", "no path"),
    }
    assert summarise(manifest).dropped["duplicate"] == 1


def test_a_folder_of_class_folders_is_a_manifest(tmp_path: Path) -> None:
    write_image(tmp_path / "normal/a.png", 1)
    write_image(tmp_path / "viral/b.png", 2)
    manifest = read_manifest(tmp_path)
    assert [(row.path, row.label) for row in manifest.rows] == [("normal/a.png", "normal"), ("viral/b.png", "viral")]


def test_a_folder_with_a_csv_is_read_by_its_csv(folder: Path) -> None:
    write_manifest(folder, ["images/0.png,normal,p1,PA,a,"])
    assert len(read_manifest(folder)) == 1


def test_summary_counts(folder: Path) -> None:
    lines = ["images/0.png,normal,p1,PA,a,", "images/1.png,viral,p1,AP,b,", "images/2.png,viral,p2,AP,b,"]
    summary = summarise(read_manifest(write_manifest(folder, lines)))
    assert (summary.images, summary.patients) == (3, 2)
    assert summary.by_class == {"normal": 1, "viral": 2}
    assert summary.patients_by_class == {"normal": 1, "viral": 2}
    assert summary.class_by_source == {"a": {"normal": 1}, "b": {"viral": 2}}


def test_truth_follows_the_label_set_and_unknown_is_minus_one(folder: Path) -> None:
    manifest = read_manifest(write_manifest(folder, ["images/0.png,normal,,,,", "images/1.png,,,,,"]))
    assert manifest.y_true(CXR4).tolist() == [3, -1]


def test_digest_changes_with_content_label_and_patient(folder: Path) -> None:
    digests = set()
    for line in ("images/0.png,normal,p1,,,", "images/0.png,viral,p1,,,", "images/0.png,normal,p2,,,"):
        digests.add(read_manifest(write_manifest(folder, [line])).digest)
    write_image(folder / "images/0.png", 77)
    digests.add(read_manifest(write_manifest(folder, ["images/0.png,normal,p1,,,"])).digest)
    assert len(digests) == 4


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("file,label\na.png,normal\n", "must have the columns path and label; missing: path"),
        ("", "missing: path, label; it has none"),
        ("path,label\n", "has no usable row"),
        ("path,label\ngone.png,normal\n", "1 missing file"),
    ],
)
def test_an_unusable_manifest_says_why(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "m.csv"
    path.write_text(text)
    with pytest.raises(ManifestError, match=sentence):
        read_manifest(path)


def test_other_refusals(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"no manifest at gone\.csv"):
        read_manifest(tmp_path / "gone.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00\x01" * 40)
    with pytest.raises(ManifestError, match="must be a CSV file in UTF-8"):
        read_manifest(tmp_path / "binary.csv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ManifestError, match="one folder of images per class"):
        read_manifest(tmp_path / "empty")


def test_select_keeps_the_order_asked_for_and_names_what_is_absent(folder: Path) -> None:
    manifest = read_manifest(write_manifest(folder, ["images/0.png,normal,,,,", "images/1.png,viral,,,,"]))
    assert [row.path for row in manifest.select(["images/1.png", "images/0.png"]).rows] == [
        "images/1.png",
        "images/0.png",
    ]
    with pytest.raises(ManifestError, match=r"first images/9\.png"):
        manifest.select(["images/9.png"])


@pytest.mark.data
def test_the_real_index_gives_the_published_benchmark() -> None:
    """Counts as stated for the benchmark split: 804 images of 546 patients against 5,991 for development."""
    data = os.environ.get("CXRLAB_DATA")
    if not data:  # not a skip: without the data there is nothing to check, and conftest reports it once
        return
    manifest = read_manifest(Path(data), labels=CXR4)
    split = benchmark_split(manifest)
    test, development = manifest.select(split.part("test")), manifest.select(split.part("development"))
    assert (len(test), summarise(test).patients, len(development)) == (804, 546, 5991)
    assert Counter(test.column("label")) == {"covid19": 104, "viral": 147, "bacterial": 243, "normal": 310}
    assert Counter(development.column("label")) == {"covid19": 316, "viral": 1359, "bacterial": 2542, "normal": 1774}


def test_one_listed_image_is_found_without_looking_at_the_others(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("path,label\na.png,normal\nb.png,\nc.png,viral\n")
    assert listed_image(tmp_path, 1) == ("c.png", "viral", tmp_path / "c.png")
    assert listed_image(tmp_path, 2)[0] == "a.png"


def test_a_listed_image_needs_a_label(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("path,label\na.png,\n")
    with pytest.raises(ManifestError, match="has no labelled row"):
        listed_image(tmp_path / "manifest.csv", 0)
