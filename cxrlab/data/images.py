"""Reading X-rays: one file (:func:`read_xray`) or a ZIP of them (:func:`read_archive`), guarded against bad ones."""

from __future__ import annotations

from cxrlab.data.archive import archive_text, read_archive, read_entries
from cxrlab.data.decoding import EXTENSIONS, FORMATS, decode
from cxrlab.data.files import Source, source_bytes, source_name
from cxrlab.data.xray import (
    ArchiveError,
    DamagedEntry,
    EmptyFile,
    EncryptedEntry,
    FileTooLarge,
    Limits,
    LinkEntry,
    MissingFile,
    MultiFrame,
    NestedArchive,
    NotAnArchive,
    NotAnImage,
    TooManyEntries,
    TooManyPixels,
    TruncatedFile,
    UnpackedTooLarge,
    UnsafePath,
    UnsupportedDicom,
    UnsupportedImage,
    View,
    WrongExtension,
    Xray,
    XrayError,
    display_name,
)

__all__ = [
    "EXTENSIONS",
    "FORMATS",
    "ArchiveError",
    "DamagedEntry",
    "EmptyFile",
    "EncryptedEntry",
    "FileTooLarge",
    "Limits",
    "LinkEntry",
    "MissingFile",
    "MultiFrame",
    "NestedArchive",
    "NotAnArchive",
    "NotAnImage",
    "Source",
    "TooManyEntries",
    "TooManyPixels",
    "TruncatedFile",
    "UnpackedTooLarge",
    "UnsafePath",
    "UnsupportedDicom",
    "UnsupportedImage",
    "View",
    "WrongExtension",
    "Xray",
    "XrayError",
    "archive_text",
    "display_name",
    "read_archive",
    "read_entries",
    "read_xray",
]


def read_xray(source: Source, *, name: str | None = None, limits: Limits | None = None) -> Xray:
    """Read one radiograph from a path, from bytes or from an open binary file.

    The format is found by content. 8-bit grey files give the very values that are stored; colour becomes grey by
    ITU-R 601; deeper ones are brought to 8 bits by the header's VOI window or, without one, between the 0.5th and
    99.5th percentile, and keep their values in ``raw``. No name, date, id or other identifying tag is kept.

    Args:
        source: path, bytes, or a file object (read from its start where it can be rewound; not closed).
        name: the file's name; default is the path's or the file object's own. Without a name (bytes) there is no
            extension to check.
        limits: default :class:`Limits`.

    Returns:
        The Xray, with read-only arrays.

    Raises:
        XrayError: for every file that can not be read; its text is a sentence for the user.
        TypeError: ``source`` is none of the three.
    """
    limits = limits or Limits()
    shown = source_name(source, name)
    return decode(source_bytes(source, shown, limits.max_bytes), shown, limits)
