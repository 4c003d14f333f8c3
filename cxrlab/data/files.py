"""Bytes from a path, from memory or from a stream, with the size checked before they are read."""

from __future__ import annotations

import os
import stat
from contextlib import nullcontext
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from cxrlab.data.xray import FileTooLarge, MissingFile, XrayError, display_name, megabytes

Source = str | os.PathLike[str] | bytes | BinaryIO
"""A path, the bytes themselves, or a binary file object (used from its start where it can be rewound; not closed)."""


def source_name(source: Source, name: str | None) -> str:
    """The name to show: ``name`` where given, else the path's or the file object's own, else empty."""
    if name is not None:
        return display_name(name)
    if isinstance(source, str | os.PathLike):
        return display_name(os.fspath(source))
    own = getattr(source, "name", "")
    return display_name(own) if isinstance(own, str) else ""


def source_bytes(source: Source, name: str, most: int) -> bytes:
    """Everything in ``source``.

    Raises:
        FileTooLarge: it has more than ``most`` bytes; no more than that is read.
        MissingFile: it can not be opened.
        TypeError: it is no source.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        check_size(len(source), most, name)
        return bytes(source)
    with open_source(source, name, most) if isinstance(source, str | os.PathLike) else nullcontext(source) as stream:
        data = _read_all(stream, name, most + 1)
    check_size(len(data), most, name)
    return data


def open_source(source: Source, name: str, most: int) -> BinaryIO:
    """``source`` as a file that can be rewound; a path is opened, bytes are wrapped. Raises as :func:`source_bytes`."""
    if isinstance(source, str | os.PathLike):
        return _open_path(source, name, most)
    if isinstance(source, bytes | bytearray | memoryview) or not _is_seekable(source):
        return BytesIO(source_bytes(source, name, most))
    try:
        check_size(source.seek(0, os.SEEK_END), most, name)
        source.seek(0)
    except (OSError, EOFError) as error:
        raise _unreadable(name) from error
    return source


def check_size(size: int, most: int, name: str) -> None:
    """Raise FileTooLarge when ``size`` is over ``most`` bytes."""
    if size > most:
        raise FileTooLarge(name, f"is larger than {megabytes(most)}, the limit for one file.")


def _open_path(path: str | os.PathLike[str], name: str, most: int) -> BinaryIO:
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            raise MissingFile(name, "is a folder; choose a file in it.")
        if not stat.S_ISREG(status.st_mode):  # a pipe would be waited for without end
            raise MissingFile(name, "is not an ordinary file; choose a picture.")
        check_size(status.st_size, most, name)
        return Path(path).open("rb")
    except XrayError:
        raise
    except FileNotFoundError:
        raise MissingFile(name, "does not exist; check the path.") from None
    except (OSError, ValueError) as error:
        raise MissingFile(name, "could not be opened; check the path and its permissions.") from error


def _is_seekable(source: BinaryIO) -> bool:
    if not hasattr(source, "read"):
        raise TypeError(f"source must be a path, bytes or a binary file, got {type(source).__name__}.")
    try:
        return bool(source.seekable())
    except (AttributeError, OSError, ValueError):
        return False


def _read_all(stream: BinaryIO, name: str, most: int) -> bytes:
    try:
        if _is_seekable(stream):
            stream.seek(0)
        data = bytearray()
        # A raw stream may hand over less than it is asked for.
        while len(data) < most and (piece := stream.read(most - len(data))):
            if isinstance(piece, str):
                raise TypeError("source must be opened in binary mode, its read() gave text.")
            data += piece
    except (OSError, EOFError, ValueError) as error:
        raise _unreadable(name) from error
    return bytes(data)


def _unreadable(name: str) -> MissingFile:
    return MissingFile(name, "could not be read; choose or upload it again.")
