import gc
import re
import tempfile
import tracemalloc
import warnings
import zipfile
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cxrlab.data import images as im
from cxrlab.data.images import Limits, Xray, XrayError, archive_text, read_archive, read_entries
from tests.data.test_images import SENTENCES, outcome
from tests.hostile import HostileFile, hostile_archives, hostile_images, zipped
from tests.pictures import saved, valid_files

ARCHIVE_SENTENCES: dict[type[XrayError], str] = {
    **SENTENCES,
    im.EmptyFile: r"is empty \(0 bytes\); (export|pack) or upload it again\.",
    im.NotAnArchive: r"is not a ZIP archive, or it is cut off; pack or upload it again\.",
    im.TooManyEntries: r"(holds|lists) \d+ files; the limit is 500, split it\.",
    im.UnpackedTooLarge: r"unpacks to more than 1 GB, the limit for one ZIP; split it\.",
    im.UnsafePath: r"has a path that leads outside the ZIP; pack the pictures with relative paths\.",
    im.EncryptedEntry: r"is protected by a password; pack it without one\.",
    im.LinkEntry: r"is a link or a device, not a file; pack the picture itself\.",
    im.NestedArchive: r"is an archive inside the ZIP; pack the pictures themselves\.",
    im.DamagedEntry: r"(can not be unpacked: its entry in the ZIP is damaged; pack it again"
    r"|is packed by a method that is not read; pack it as an ordinary ZIP \(deflate\))\.",
}

PNG, JPEG = valid_files()["grey.png"], valid_files()["grey.jpg"]


def items(data: bytes, name: str = "", limits: Limits | None = None) -> list[Xray | XrayError]:
    """All entries, or the one error of the whole; every warning is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return list(read_archive(data, name=name, limits=limits))
        except XrayError as error:
            return [error]


@pytest.mark.parametrize("file", hostile_archives(), ids=lambda file: file.name)
def test_hostile_archive_meets_its_sentence(
    file: HostileFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    errors = [item for item in items(file.data, file.name) if isinstance(item, XrayError)]
    assert [type(error) for error in errors[:1]] == ([file.error] if file.error else [])
    for error in errors[:1]:
        assert error.name
        assert re.fullmatch(re.escape(error.name) + " " + ARCHIVE_SENTENCES[type(error)], str(error)), str(error)
        assert "/" not in error.name
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []


def test_every_hostile_picture_meets_the_same_inside_a_zip() -> None:
    files = [file for file in hostile_images() if file.error is not im.FileTooLarge and "." in file.name]
    files = [file for file in files if not file.name.endswith(".txt")]
    wanted = Limits(max_entries=10_000)
    for start in range(0, len(files), 50):
        part = files[start : start + 50]
        found = items(zipped({f"{index}-{file.name}": file.data for index, file in enumerate(part)}), limits=wanted)
        for file, item in zip(part, found, strict=True):
            alone = outcome(file.data, item.name)
            # A ZIP by content has its own sentence as an entry.
            expected = im.NestedArchive if file.data.startswith(b"PK") else type(alone)
            assert type(item) is expected, file.name


def test_entries_come_in_order_and_errors_do_not_stop_the_rest() -> None:
    data = zipped({"a.png": PNG, "b.png": b"words", "sub/c.jpg": JPEG})
    first, second, third = items(data)
    assert isinstance(first, Xray)
    assert isinstance(second, im.NotAnImage)
    assert isinstance(third, Xray)
    assert [first.name, second.name, third.name] == ["a.png", "b.png", "c.jpg"]
    assert [path for path, _ in read_entries(data)] == ["a.png", "b.png", "sub/c.jpg"]


def test_side_files_and_clutter_are_passed_over() -> None:
    clutter = ["__MACOSX/._a.png", ".hidden.png", ".git/a.png", "labels.csv", "README.TXT", "Thumbs.db", "DICOMDIR"]
    data = zipped({**dict.fromkeys(clutter, b"x"), "folder/": b"", "a.png": PNG})
    assert [item.name for item in items(data)] == ["a.png"]


def test_path_stream_and_bytes_give_the_same(tmp_path: Path) -> None:
    data = zipped({"a.png": PNG, "b.jpg": JPEG})
    path = tmp_path / "set.zip"
    path.write_bytes(data)
    stream = BytesIO(data)
    readings = [
        [item.sha256 for item in read_archive(source) if isinstance(item, Xray)]
        for source in (path, str(path), data, stream)
    ]
    assert readings[0] == [item.sha256 for item in items(data) if isinstance(item, Xray)]
    assert all(reading == readings[0] for reading in readings)
    assert not stream.closed


def test_entries_are_decoded_one_at_a_time() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (800, 1000), dtype=np.uint8)
    picture = saved(Image.fromarray(noise), "PNG", compress_level=1)
    bad = picture[:-9000]
    data = zipped({f"{index}.png": bad if index % 2 else picture for index in range(20)}, zipfile.ZIP_STORED)
    errors = []
    tracemalloc.start()
    try:
        for item in read_archive(data):
            if isinstance(item, XrayError):
                errors.append(item)
            del item
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(errors) == 10
    assert peak < 6 * noise.nbytes  # 20 entries would be 20 times and more, also through the tracebacks of errors


def test_an_archive_that_is_left_early_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "set.zip"
    path.write_bytes(zipped({"a.png": PNG, "b.png": PNG}))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_archive(path)
        entries = read_archive(path)
        next(entries)
        del entries
        gc.collect()


def test_limits_of_archives(tmp_path: Path) -> None:
    data = zipped({f"{index}.png": PNG for index in range(3)})
    with pytest.raises(im.TooManyEntries, match=r"^set\.zip holds 3 files; the limit is 2, split it\.$"):
        read_archive(data, name="set.zip", limits=Limits(max_entries=2))
    with pytest.raises(im.UnpackedTooLarge, match=r"^The file unpacks to more than 1 kB, the limit for one ZIP"):
        read_archive(data, limits=Limits(max_unpacked_bytes=1000))
    path = tmp_path / "set.zip"
    path.write_bytes(data)
    for source in (data, path, BytesIO(data)):
        with pytest.raises(im.FileTooLarge, match="is larger than 1 kB"):
            read_archive(source, limits=Limits(max_archive_bytes=500))
    assert {type(item) for item in items(data, limits=Limits(max_bytes=100))} == {im.FileTooLarge}
    assert {type(item) for item in items(data, limits=Limits(max_pixels=100))} == {im.TooManyPixels}


def test_missing_archives_have_sentences(tmp_path: Path) -> None:
    with pytest.raises(im.MissingFile, match=r"^gone\.zip does not exist"):
        read_archive(tmp_path / "gone.zip")
    with pytest.raises(im.MissingFile, match="is a folder"):
        read_archive(tmp_path)


def test_zip64_directories_are_counted_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 1)
    few = zipped({"a.png": PNG, "b.png": PNG})
    assert b"PK\x06\x06" in few
    assert len(items(few)) == 2
    many = zipped({f"{'long' * 20}{index}.png": b"x" for index in range(9000)})
    with pytest.raises(im.TooManyEntries, match="lists 9000 files; the limit is 500"):
        read_archive(many)


def test_side_text_is_found_wherever_it_is() -> None:
    data = zipped({"set/labels.csv": b"inner", "set/deep/labels.csv": b"deepest", "a.png": PNG})
    assert archive_text(data, "labels.csv") == "inner"
    assert archive_text(zipped({"Labels.CSV": "ä".encode()}), "labels.csv") == "ä"
    assert archive_text(zipped({"labels.csv": b"\xef\xbb\xbfpath,label"}), "labels.csv") == "path,label"
    assert archive_text(zipped({"labels.csv": "Größe".encode("cp1252")}), "labels.csv") == "Größe"


def test_side_text_that_is_absent_or_hidden_is_none() -> None:
    assert archive_text(zipped({"a.png": PNG}), "labels.csv") is None
    assert archive_text(zipped({"__MACOSX/labels.csv": b"x", "labels.csv/": b""}), "labels.csv") is None


def test_side_text_is_guarded() -> None:
    with pytest.raises(im.FileTooLarge, match=r"^labels\.csv is larger than 5 MB"):
        archive_text(zipped({"labels.csv": bytes(5_000_001)}), "labels.csv")
    with pytest.raises(im.UnsafePath):
        archive_text(zipped({"../labels.csv": b"x"}), "labels.csv")
    with pytest.raises(im.NotAnArchive):
        archive_text(b"words", "labels.csv")


@settings(max_examples=200, deadline=None, derandomize=True)
@given(places=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=6))
def test_changed_bytes_never_raise_anything_else(places: list[tuple[float, int]]) -> None:
    data = bytearray(zipped({"a.png": PNG[:300], "b.jpg": JPEG[:300], "labels.csv": b"path,label"}))
    for where, value in places:
        data[int(where * len(data))] = value
    for item in items(bytes(data)):
        assert isinstance(item, Xray | XrayError)
    with suppress(XrayError):
        archive_text(bytes(data), "labels.csv")
