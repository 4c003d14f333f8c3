"""Labelled sets: a folder and a ZIP of the same images are the same set; what is left out is counted by reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cxrlab.config import Preprocessing
from cxrlab.data.images import Limits, NotAnArchive, TooManyEntries
from cxrlab.data.manifest import ManifestError, label_counts
from cxrlab.data.splits import SplitError
from cxrlab.labels import CXR4, LabelSet
from cxrlab.progress import Cancelled, never, silent
from cxrlab.workflows.labelled_set import LabelledSet, archive_label_counts, archive_set, manifest_set
from tests.workflows.labelled_images import as_csv, png, rows_of, write_set, zipped, zipped_set

SMALL, LARGE = Preprocessing(size=32), Preprocessing(size=48)


def read_zip(data: bytes, labels: LabelSet = CXR4, **options: object) -> LabelledSet:
    return archive_set(data, labels, [SMALL], name="set.zip", **options)  # type: ignore[arg-type]


def test_a_zip_is_the_same_set_as_the_folder(tmp_path: Path) -> None:
    folder, upload = manifest_set(write_set(tmp_path, rows_of()), CXR4), read_zip(zipped_set(rows_of()))
    assert upload.digest == folder.digest
    assert upload.ids == folder.ids
    assert upload.patient_ids == folder.patient_ids
    assert upload.groups == folder.groups
    np.testing.assert_array_equal(upload.y_true, folder.y_true)
    np.testing.assert_array_equal(upload.squares(SMALL, silent, never)[0], folder.squares(SMALL, silent, never)[0])


def test_the_order_of_a_zip_is_that_of_its_labels() -> None:
    rows = rows_of(8)
    backwards = {row["path"]: png(number) for number, row in reversed(list(enumerate(rows)))}
    upload = read_zip(zipped(backwards | {"labels.csv": as_csv(rows)}))
    assert upload.digest == read_zip(zipped_set(rows)).digest
    assert upload.ids == tuple(row["path"] for row in rows)


@pytest.mark.parametrize("around", ["", "export/", "a/b/"])
def test_a_folder_around_everything_does_not_matter(around: str) -> None:
    assert read_zip(zipped_set(rows_of(8), around=around)).digest == read_zip(zipped_set(rows_of(8))).digest


def test_equal_file_names_in_two_folders_keep_their_own_labels() -> None:
    rows = [{"path": "sick/1.png", "label": "covid19"}, {"path": "well/1.png", "label": "normal"}]
    upload = read_zip(zipped({"well/1.png": png(1), "sick/1.png": png(0), "labels.csv": as_csv(rows)}))
    assert dict(zip(upload.ids, upload.y_true, strict=True)) == {"sick/1.png": 0, "well/1.png": 3}


def test_a_file_is_found_by_its_name_alone_where_that_is_unique() -> None:
    rows = [{"path": "far/away/1.png", "label": "covid19"}, {"path": "far/2.png", "label": "normal"}]
    assert len(read_zip(zipped({"1.png": png(0), "2.png": png(1), "labels.csv": as_csv(rows)}))) == 2


def test_several_input_sizes_are_kept_at_once() -> None:
    upload = archive_set(zipped_set(rows_of(8)), CXR4, [SMALL, LARGE], name="x")
    assert upload.squares(SMALL, silent, never)[0].shape == (8, 32, 32)
    assert upload.squares(LARGE, silent, never)[0].shape == (8, 48, 48)


def test_what_is_left_out_of_a_zip_is_counted_by_reason() -> None:
    rows = [
        *rows_of(8),
        {"path": "images/000.png", "label": "normal"},
        {"path": "gone.png", "label": "normal"},
        {"path": "copy.png", "label": "normal"},
        {"path": "other.png", "label": "fracture"},
        {"path": "broken.png", "label": "normal"},
    ]
    files = {row["path"]: png(number) for number, row in enumerate(rows_of(8))}
    files |= {"copy.png": png(0), "other.png": png(90), "extra.png": png(91), "broken.png": b"no picture"}
    files |= {"again/copy.png": png(92)}
    upload = read_zip(zipped(files | {"labels.csv": as_csv(rows)}))
    assert upload.dropped == {
        "path listed twice": 1,
        "missing file": 1,
        "duplicate": 1,
        "unknown label 'fracture'": 1,
        "not in labels.csv": 1,
        "second file for one row of labels.csv": 1,
    }
    errors = upload.squares(SMALL, silent, never)[1]
    assert list(errors) == [upload.ids.index("broken.png")]
    assert "broken.png" in errors[8]


def test_patients_default_to_the_image_and_groups_to_none() -> None:
    rows = [{"path": "1.png", "label": "covid19"}, {"path": "2.png", "label": "normal"}]
    upload = read_zip(zipped({"1.png": png(0), "2.png": png(1), "labels.csv": as_csv(rows, ("path", "label"))}))
    assert upload.patient_ids == ("1.png", "2.png")
    assert upload.groups == {}


@pytest.mark.parametrize("column", ["label", "patient_id", "source"])
def test_what_decides_the_numbers_decides_the_digest(column: str, tmp_path: Path) -> None:
    changed = [dict(row) for row in rows_of(8)]
    changed[0][column] = "normal" if column == "label" else "another"
    before = manifest_set(write_set(tmp_path / "a", rows_of(8)), CXR4)
    assert manifest_set(write_set(tmp_path / "b", changed), CXR4).digest != before.digest
    assert read_zip(zipped_set(changed)).digest != before.digest


def test_the_test_part_of_a_manifest_is_the_benchmark_split(tmp_path: Path) -> None:
    manifest = write_set(tmp_path, rows_of())
    part = manifest_set(manifest, CXR4, part="test")
    assert part.part == "test"
    assert part.ids == tuple(row["path"] for row in rows_of() if row["original_split"] == "test")
    assert part.digest != manifest_set(manifest, CXR4).digest
    with pytest.raises(SplitError, match="no part 'exam'"):
        manifest_set(manifest, CXR4, part="exam")


def test_rows_of_other_classes_are_counted(tmp_path: Path) -> None:
    covid = LabelSet.from_ids(["covid19", "normal"])
    found = manifest_set(write_set(tmp_path, rows_of()), covid)
    assert found.dropped == {"unknown label 'viral'": 6, "unknown label 'bacterial'": 6}
    assert set(found.y_true) == {0, 1}


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"1.png": png(0)}, r"must hold a labels.csv with the columns path and label; it has none"),
        ({"1.png": png(0), "labels.csv": "file,class\n1.png,normal\n"}, "missing: path, label"),
        ({"1.png": png(0), "labels.csv": ""}, "missing: path, label"),
        (
            {"1.png": png(0), "labels.csv": "path,label\n1.png,fracture\n"},
            r"no usable image.*1 unknown label 'fracture'",
        ),
        ({"1.png": b"x", "labels.csv": "path,label\n1.png,normal\n"}, r"no usable image.*1.png"),
        ({"labels.csv": "path,label\n1.png,normal\n"}, r"no usable image.*1 missing file"),
        ({"labels.csv": "path,label\n"}, r"no usable image.*holds none"),
        ({"labels.csv": 'path,label\n"' + "x" * 200_000 + '",normal\n'}, "could not be read as one"),
    ],
)
def test_a_zip_without_usable_rows_is_refused(files: dict[str, bytes | str], sentence: str) -> None:
    with pytest.raises(ManifestError, match=sentence):
        read_zip(zipped(files))


def test_a_zip_that_is_none_or_too_large_is_refused() -> None:
    with pytest.raises(NotAnArchive):
        read_zip(b"no zip")
    with pytest.raises(TooManyEntries):
        read_zip(zipped_set(rows_of(8)), limits=Limits(max_entries=3))


def test_reading_a_zip_can_be_cancelled_and_tells_where_it_is() -> None:
    said: list[tuple[int, int]] = []
    read_zip(zipped_set(rows_of(8)), progress=lambda done, total, _text: said.append((done, total)))
    assert said == [(done, 8) for done in range(1, 9)]
    with pytest.raises(Cancelled):
        read_zip(zipped_set(rows_of(8)), cancel=lambda: True)


def test_nothing_of_a_zip_is_written_to_disk(own_home: Path) -> None:
    read_zip(zipped_set(rows_of(8)))
    assert list(own_home.iterdir()) == []


def test_labels_are_counted_without_reading_images(tmp_path: Path) -> None:
    rows = [*rows_of(8), {"path": "gone.png", "label": "fracture"}, {"path": "blank.png", "label": ""}]
    manifest = tmp_path / "manifest.csv"
    manifest.write_text(as_csv(rows))
    counts = {"bacterial": 2, "covid19": 2, "fracture": 1, "normal": 2, "viral": 2}
    assert label_counts(manifest) == label_counts(tmp_path) == counts
    assert archive_label_counts(zipped({"labels.csv": as_csv(rows)})) == counts
    with pytest.raises(ManifestError, match="no manifest at"):
        label_counts(tmp_path / "nothing.csv")
