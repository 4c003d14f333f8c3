"""The image cache: decoded once, resumed, repaired, never half of it used."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxrlab.config import Preprocessing
from cxrlab.data import cache as module
from cxrlab.data.cache import CacheError, build_cache, cache_key
from cxrlab.data.images import read_xray
from cxrlab.data.manifest import file_sha256
from cxrlab.data.transforms import resize_pixels
from cxrlab.progress import Cancelled

SMALL = Preprocessing(size=32)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    rng = np.random.default_rng(0)
    paths = [tmp_path / f"{number}.png" for number in range(5)]
    for path in paths:
        Image.fromarray(rng.integers(0, 256, (40, 50), dtype=np.uint8)).save(path)
    return paths


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that were decoded since the start of the test."""
    names: list[str] = []

    def counting(path: Path, **options: object) -> object:
        names.append(path.name)
        return read_xray(path)

    monkeypatch.setattr(module, "read_xray", counting)
    return names


def build(files: list[Path], **options: object) -> module.ImageCache:
    return build_cache(files, [file_sha256(path) for path in files], SMALL, **options)  # type: ignore[arg-type]


def test_squares_are_what_reading_and_resizing_gives(files: list[Path], own_home: Path) -> None:
    built = build(files)
    for path, square in zip(files, built.squares, strict=True):
        assert np.array_equal(square, resize_pixels(read_xray(path).pixels, SMALL))
    assert built.folder.parent == own_home / "cache"
    assert not built.squares.flags.writeable


def test_the_second_time_nothing_is_decoded(files: list[Path], decoded: list[str]) -> None:
    build(files)
    assert len(decoded) == 5
    build(files)
    assert len(decoded) == 5


def test_the_key_follows_content_order_and_size(files: list[Path]) -> None:
    digests = [file_sha256(path) for path in files]
    keys = {
        cache_key(digests, SMALL),
        cache_key(digests[::-1], SMALL),
        cache_key(digests, Preprocessing(size=48)),
        cache_key(digests, Preprocessing(size=32, resize="pad")),
    }
    assert len(keys) == 4
    assert cache_key(digests, Preprocessing(size=32, mean=(0.5, 0.5, 0.5))) == cache_key(digests, SMALL)


def test_a_cancelled_build_is_resumed(files: list[Path], decoded: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BLOCK", 2)
    asked = iter([False, True])
    with pytest.raises(Cancelled):
        build(files, cancel=lambda: next(asked))
    assert len(decoded) == 2
    build(files)
    assert sorted(decoded) == sorted(path.name for path in files)


def test_a_damaged_square_is_found_and_made_again(files: list[Path], decoded: list[str]) -> None:
    first = build(files)
    sound = np.array(first.squares)
    with (first.folder / "squares.u8").open("r+b") as file:
        file.seek(3 * 32 * 32 + 7)
        file.write(b"\x00\xff\x00")
    decoded.clear()
    again = build(files)
    assert decoded == ["3.png"]
    assert np.array_equal(again.squares, sound)


def test_a_cut_file_is_made_again(files: list[Path]) -> None:
    first = build(files)
    sound = np.array(first.squares)
    os.truncate(first.folder / "squares.u8", 100)
    assert np.array_equal(build(files).squares, sound)


def test_an_unreadable_image_is_named_and_black(files: list[Path]) -> None:
    files[2].write_bytes(b"not an image at all")
    built = build(files)
    assert list(built.errors) == [2]
    assert "2.png" in built.errors[2] or "image" in built.errors[2]
    assert not built.squares[2].any()


def test_progress_ends_at_the_count(files: list[Path]) -> None:
    seen: list[tuple[int, int]] = []
    build(files, progress=lambda done, total, text: seen.append((done, total)))
    assert seen[-1] == (5, 5)


def test_a_full_disk_gets_its_sentence(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(CacheError, match=r"needs 0 MB, and the disk of .* is full; free some space"):
        build(files)


def test_a_folder_that_can_not_be_written_gets_its_sentence(files: list[Path], tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(CacheError, match="can not be written"):
        build(files, folder=blocked)
