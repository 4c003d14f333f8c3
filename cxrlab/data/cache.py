"""Images decoded once: squares in a uint8 memory map, keyed by the files' content and the way they are resized."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cxrlab.config import Preprocessing, home
from cxrlab.data.images import XrayError, read_xray
from cxrlab.data.transforms import resize_pixels
from cxrlab.progress import Cancel, Cancelled, Progress, never, silent

_BLOCK = 64  # images between two looks at cancel


class CacheError(OSError):
    """The cache can not be written; the text is the sentence for the user."""


@dataclass(frozen=True, eq=False)
class ImageCache:
    """Decoded squares of a list of files.

    Args:
        squares: (N, S, S) uint8, a read-only memory map in the order of the files.
        errors: for the files that could not be read, position -> the sentence; their squares are black.
        folder: where it lies.
    """

    squares: np.ndarray
    errors: dict[int, str]
    folder: Path


def cache_key(digests: Sequence[str], preprocessing: Preprocessing) -> str:
    """Name of the cache folder: a hash of the files' contents, in order, and of how their pixels become squares."""
    rule = f"1|{preprocessing.size}|{preprocessing.resize}|{preprocessing.interpolation}|"
    rule += f"from {preprocessing.resize_to}|" if preprocessing.resize_to else ""
    return hashlib.sha256((rule + "|".join(digests)).encode()).hexdigest()[:24]


def build_cache(
    files: Sequence[Path],
    digests: Sequence[str],
    preprocessing: Preprocessing,
    *,
    folder: Path | None = None,
    progress: Progress = silent,
    cancel: Cancel = never,
) -> ImageCache:
    """Decode and resize every file, in parallel; what is there already and undamaged is not decoded again.

    Each square carries a checksum that is written after it: an interrupted build is resumed, and a damaged square
    is found and made again. Two processes may build the same cache at once: they write the same bytes.

    Args:
        files: the N images. digests: sha256 of each file's bytes.
        folder: parent of the cache folder; default ``CXRLAB_HOME/cache``.

    Raises:
        CacheError: when the disk is full or the folder can not be written. What was done stays for the next try.
        Cancelled: when ``cancel`` said so; likewise.
    """
    target = (folder or home() / "cache") / cache_key(digests, preprocessing)
    side, count = preprocessing.size, len(files)
    try:
        target.mkdir(parents=True, exist_ok=True)
        squares = _mapped(target / "squares.u8", (count, side, side), np.uint8)
        checksums = _mapped(target / "checksums.u32", (count,), np.uint32)
        (target / "facts.json").write_text(json.dumps({"images": count, "size": side, "resize": preprocessing.resize}))
    except OSError as error:
        raise _cache_error(error, target, count * side * side) from error
    wanted = [row for row in range(count) if not _sound(squares, checksums, row)]
    errors: dict[int, str] = {}

    def decode(row: int) -> None:
        try:
            squares[row] = resize_pixels(read_xray(files[row]).pixels, preprocessing)
        except XrayError as error:
            squares[row], errors[row] = 0, str(error)
            return
        checksums[row] = _checksum(squares[row])

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(wanted), _BLOCK):
            if cancel():
                raise Cancelled("Reading the images")
            list(pool.map(decode, wanted[start : start + _BLOCK]))
            progress(count - len(wanted) + min(start + _BLOCK, len(wanted)), count, "reading images")
    squares.flush()
    checksums.flush()
    return ImageCache(np.memmap(target / "squares.u8", np.uint8, "r", shape=(count, side, side)), errors, target)


def _mapped(path: Path, shape: tuple[int, ...], dtype: type) -> np.memmap:
    """A writable map of exactly this shape; a file of another length is made anew, all zero.

    The space is reserved first: writing to a sparse map on a full disk would kill the process.
    """
    length = int(np.prod(shape)) * np.dtype(dtype).itemsize
    with path.open("r+b" if path.exists() else "w+b") as file:
        if os.fstat(file.fileno()).st_size != length:
            file.truncate(0)
            if hasattr(os, "posix_fallocate") and length:
                os.posix_fallocate(file.fileno(), 0, length)
            file.truncate(length)
    return np.memmap(path, dtype, "r+", shape=shape)


def _checksum(square: np.ndarray) -> int:
    """CRC-32 of a square, never 0: 0 stands for not done."""
    return zlib.crc32(square.tobytes()) or 1


def _sound(squares: np.ndarray, checksums: np.ndarray, row: int) -> bool:
    return bool(checksums[row]) and int(checksums[row]) == _checksum(squares[row])


def _cache_error(error: OSError, target: Path, size: int) -> CacheError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return CacheError(
            f"The image cache needs {size / 1e6:.0f} MB, and the disk of {target.parent} is full; "
            "free some space or set CXRLAB_HOME to another disk."
        )
    return CacheError(
        f"The image cache {target.parent} can not be written ({error.strerror}); set CXRLAB_HOME to a folder of yours."
    )
