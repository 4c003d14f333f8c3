"""ZIP files of X-rays: read entry by entry in memory, nothing is ever unpacked to disk."""

from __future__ import annotations

import os
import re
import stat
import struct
import zlib
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import BinaryIO
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from cxrlab.data.decoding import decode
from cxrlab.data.files import Source, check_size, open_source, source_name
from cxrlab.data.xray import (
    DamagedEntry,
    EmptyFile,
    EncryptedEntry,
    Limits,
    LinkEntry,
    NestedArchive,
    NotAnArchive,
    TooManyEntries,
    UnpackedTooLarge,
    UnsafePath,
    Xray,
    XrayError,
    display_name,
    megabytes,
)

_SIDECARS = frozenset((".csv", ".tsv", ".txt", ".md", ".json"))
_CLUTTER = frozenset(("thumbs.db", "desktop.ini", "dicomdir"))
_ARCHIVES = frozenset((".zip", ".gz", ".tgz", ".tar", ".bz2", ".xz", ".7z", ".rar"))
_ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06")
_DRIVE = re.compile(r"^[A-Za-z]:")

_DIRECTORY_BYTES_PER_ENTRY = 2048  # far above the usual 100; bounds what a lying directory costs before it is counted
_DAMAGED = (BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError, struct.error)


def read_archive(
    source: Source, *, name: str | None = None, limits: Limits | None = None
) -> Iterator[Xray | XrayError]:
    """The X-rays of a ZIP, one at a time; a refused entry gives its XrayError (with ``.name``) and the rest goes on.

    Folders, hidden files, ``__MACOSX`` and side files (CSV, text …) are passed over.

    Args:
        source: path, bytes or binary file object; it must stay open while the iterator is used.
        name: the ZIP's name for the sentences; default is its own.
        limits: default :class:`Limits`.

    Raises:
        XrayError: at the call, when the ZIP as a whole is refused: no ZIP, too many entries, too large.
    """
    return (item for _, item in read_entries(source, name=name, limits=limits))


def read_entries(
    source: Source, *, name: str | None = None, limits: Limits | None = None
) -> Iterator[tuple[str, Xray | XrayError]]:
    """As :func:`read_archive`, with the path inside the ZIP (posix), to find an X-ray's row in ``labels.csv``."""
    limits = limits or Limits()
    shown = source_name(source, name)
    archive = _open_archive(source, shown, limits)
    entries = [entry for entry in archive.infolist() if _is_wanted(entry)]
    if len(entries) > limits.max_entries:
        says = f"holds {len(entries)} files; the limit is {limits.max_entries}, split it."
        raise TooManyEntries(shown, says)
    if sum(entry.file_size for entry in entries) > limits.max_unpacked_bytes:
        raise _too_large(shown, limits)
    return _items(archive, entries, limits)


def archive_text(
    source: Source, filename: str, *, name: str | None = None, limits: Limits | None = None, max_bytes: int = 5_000_000
) -> str | None:
    """The text of a side file such as ``labels.csv``, wherever in the ZIP it is (the uppermost wins); None if absent.

    Args:
        source: path, bytes or binary file object.
        filename: last part of the path, in any case of letters.
        name, limits: as for :func:`read_archive`.
        max_bytes: of the text.

    Returns:
        The text, decoded as UTF-8 (a byte-order mark is dropped) or else as Windows-1252.

    Raises:
        XrayError: the ZIP or the side file is refused.
    """
    limits = limits or Limits()
    with _open_archive(source, source_name(source, name), limits) as archive:
        found = [entry for entry in archive.infolist() if _last_part(entry).lower() == filename.lower()]
        found = [entry for entry in found if not entry.is_dir() and not _is_hidden(entry)]
        if not found:
            return None
        entry = min(found, key=lambda entry: entry.filename.count("/"))
        shown = display_name(entry.filename)
        _check_entry(entry, shown)
        data = _entry_bytes(archive, entry, shown, max_bytes)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def _open_archive(source: Source, name: str, limits: Limits) -> ZipFile:
    try:
        if isinstance(source, str | os.PathLike):
            with open_source(source, name, limits.max_archive_bytes) as file:
                _check_directory(file, name, limits)
            return ZipFile(source)
        stream = open_source(source, name, limits.max_archive_bytes)
        _check_directory(stream, name, limits)
        return ZipFile(stream)
    except XrayError:
        raise
    except (*_DAMAGED, MemoryError, OverflowError, IndexError):
        raise NotAnArchive(name, "is not a ZIP archive, or it is cut off; pack or upload it again.") from None


def _check_directory(file: BinaryIO, name: str, limits: Limits) -> None:
    """Refuse a directory that is too long to be listed, before ZipFile lists it."""
    size = file.seek(0, 2)
    if size == 0:
        raise EmptyFile(name, "is empty (0 bytes); pack or upload it again.")
    tail_size = min(size, 22 + 65535 + 20)  # the end record, its comment, and the locator of a ZIP64 record before it
    file.seek(size - tail_size)
    tail = file.read(tail_size)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0:
        raise BadZipFile
    count, length = struct.unpack_from("<HI", tail, at + 10)
    if at >= 20 and tail[at - 20 : at - 16] == b"PK\x06\x07":
        file.seek(struct.unpack_from("<Q", tail, at - 12)[0])
        record = file.read(56)
        if record[:4] == b"PK\x06\x06":
            count, length = struct.unpack_from("<QQ", record, 32)
    file.seek(0)
    if length > limits.max_entries * _DIRECTORY_BYTES_PER_ENTRY:
        raise TooManyEntries(name, f"lists {count} files; the limit is {limits.max_entries}, split it.")


def _items(archive: ZipFile, entries: list[ZipInfo], limits: Limits) -> Iterator[tuple[str, Xray | XrayError]]:
    with archive:
        for entry in entries:
            yield entry.filename, _item(archive, entry, limits)


def _item(archive: ZipFile, entry: ZipInfo, limits: Limits) -> Xray | XrayError:
    name = display_name(entry.filename)
    try:
        _check_entry(entry, name)
        return _decoded(_entry_bytes(archive, entry, name, limits.max_bytes), name, limits)
    except XrayError as error:
        # Its traceback would keep the entry's bytes alive for as long as the error is.
        error.__context__ = error.__cause__ = None
        return error.with_traceback(None)


def _decoded(data: bytes, name: str, limits: Limits) -> Xray:
    if data.startswith(_ZIP_STARTS):
        raise _nested(name)
    return decode(data, name, limits)


def _entry_bytes(archive: ZipFile, entry: ZipInfo, name: str, most: int) -> bytes:
    """An entry's bytes, at most ``most``.

    ZipFile hands out no more than the size in the directory and checks the sum of what came out, so that the sizes
    that were added up before hold for what is read.
    """
    check_size(entry.file_size, most, name)
    try:
        with archive.open(entry) as file:
            data = file.read(most + 1)
    except _DAMAGED:
        raise DamagedEntry(name, "can not be unpacked: its entry in the ZIP is damaged; pack it again.") from None
    check_size(len(data), most, name)
    return data


def _check_entry(entry: ZipInfo, name: str) -> None:
    path = entry.orig_filename.replace("\\", "/")
    if path.startswith("/") or _DRIVE.match(path) or ".." in path.split("/") or "\0" in path:
        raise UnsafePath(name, "has a path that leads outside the ZIP; pack the pictures with relative paths.")
    if entry.flag_bits & 0x1:
        raise EncryptedEntry(name, "is protected by a password; pack it without one.")
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise LinkEntry(name, "is a link or a device, not a file; pack the picture itself.")
    if PurePosixPath(path).suffix.lower() in _ARCHIVES:
        raise _nested(name)
    # bzip2 and LZMA give out any amount for a few bytes; deflate is read in bounded pieces.
    if entry.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        raise DamagedEntry(name, "is packed by a method that is not read; pack it as an ordinary ZIP (deflate).")


def _is_wanted(entry: ZipInfo) -> bool:
    """False for what is passed over. Sizes of the rest count, and a path that leads outside is always told."""
    path = entry.orig_filename.replace("\\", "/")
    if ".." in path.split("/"):
        return True
    if entry.is_dir() or _is_hidden(entry) or _last_part(entry).lower() in _CLUTTER:
        return False
    return PurePosixPath(path).suffix.lower() not in _SIDECARS


def _is_hidden(entry: ZipInfo) -> bool:
    parts = entry.filename.replace("\\", "/").split("/")
    return "__MACOSX" in parts or any(part.startswith(".") and part not in (".", "..") for part in parts)


def _last_part(entry: ZipInfo) -> str:
    return entry.filename.replace("\\", "/").rsplit("/", 1)[-1]


def _nested(name: str) -> NestedArchive:
    return NestedArchive(name, "is an archive inside the ZIP; pack the pictures themselves.")


def _too_large(name: str, limits: Limits) -> UnpackedTooLarge:
    most = megabytes(limits.max_unpacked_bytes)
    return UnpackedTooLarge(name, f"unpacks to more than {most}, the limit for one ZIP; split it.")
