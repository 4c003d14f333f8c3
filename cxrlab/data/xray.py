"""An X-ray in memory, the limits for reading one, and every way in which reading is refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

View = Literal["AP", "PA", "lateral", "unknown"]

_LONGEST_NAME = 80  # characters shown of a file name


def display_name(name: object) -> str:
    """Last part of a path with control and direction-changing characters replaced, at most 80 characters.

    >>> display_name("../../scan 1.png")
    'scan 1.png'
    """
    last = str(name).replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
    clean = "".join(letter if letter.isprintable() else "_" for letter in last).strip()
    return clean if len(clean) <= _LONGEST_NAME else f"{clean[:50]}…{clean[-29:]}"


class XrayError(ValueError):
    """A file that is refused. ``str(error)`` is the sentence for the user: the file's name and what is wrong.

    Args:
        name: the file's name as shown; empty where it is unknown ("The file" is written then).
        says: the rest of the sentence.
    """

    def __init__(self, name: str, says: str) -> None:
        super().__init__(name, says)
        self.name = name
        self.says = says

    def __str__(self) -> str:
        return f"{self.name or 'The file'} {self.says}"


class MissingFile(XrayError):
    """There is no such file, it is a folder or a device, or it can not be opened."""


class EmptyFile(XrayError):
    """The file has no bytes."""


class TruncatedFile(XrayError):
    """A known format that can not be read to the end: cut off or damaged."""


class NotAnImage(XrayError):
    """The content is none of the formats that are read."""


class WrongExtension(XrayError):
    """The name promises another format than the content has."""


class FileTooLarge(XrayError):
    """More bytes than the limit."""


class TooManyPixels(XrayError):
    """More pixels than the limit, found before decoding, or more than the memory holds."""


class MultiFrame(XrayError):
    """An animation, a multi-page picture or a DICOM series in one file."""


class UnsupportedImage(XrayError):
    """A known format in a flavour that is not read."""


class UnsupportedDicom(UnsupportedImage):
    """A DICOM file without a picture, or with one that is not read."""


class ArchiveError(XrayError):
    """A ZIP, or an entry of one, that is refused."""


class NotAnArchive(ArchiveError):
    """The content is no ZIP, or its directory is damaged."""


class TooManyEntries(ArchiveError):
    """More files in the ZIP than the limit."""


class UnpackedTooLarge(ArchiveError):
    """The ZIP's files together are larger than the limit, by its directory or by what came out."""


class UnsafePath(ArchiveError):
    """The entry's path leads outside the ZIP."""


class EncryptedEntry(ArchiveError):
    """The entry is protected by a password."""


class LinkEntry(ArchiveError):
    """The entry is a link or a device, not a file."""


class NestedArchive(ArchiveError):
    """The entry is an archive itself."""


class DamagedEntry(ArchiveError):
    """The entry can not be unpacked: damaged, or packed by an unusual method."""


@dataclass(frozen=True)
class Limits:
    """What is read at most.

    Args:
        max_bytes: of one file, packed or not. A 16-bit radiograph of 3000 x 3000 pixels has 18 MB.
        max_pixels: width x height, checked before decoding.
        max_entries: readable files in a ZIP.
        max_archive_bytes: of a ZIP as it is.
        max_unpacked_bytes: of all files of a ZIP together, checked by its directory and again while reading.
    """

    max_bytes: int = 50_000_000
    max_pixels: int = 64_000_000
    max_entries: int = 500
    max_archive_bytes: int = 500_000_000
    max_unpacked_bytes: int = 1_000_000_000

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value!r}.")

    def check_pixels(self, width: int, height: int, name: str) -> None:
        """Raise TooManyPixels when the size is over the limit, TruncatedFile when it is no size at all."""
        if width < 1 or height < 1:
            raise TruncatedFile(name, f"says that it has {width} x {height} pixels; it is damaged, export it again.")
        if width * height > self.max_pixels:
            raise self.too_many_pixels(f"{width} x {height}", name)

    def too_many_pixels(self, how_many: str, name: str) -> TooManyPixels:
        """The error for a picture of ``how_many`` pixels."""
        limit = f"{self.max_pixels / 1e6:.3g} million pixels"
        return TooManyPixels(name, f"has {how_many} pixels; the limit is {limit}, make it smaller first.")


def megabytes(size: int) -> str:
    """A size in words, rounded to three digits: ``50 MB``; at least ``1 kB``."""
    for factor, unit in ((1e9, "GB"), (1e6, "MB")):
        if size >= factor:
            return f"{size / factor:.3g} {unit}"
    return f"{max(size / 1e3, 1):.3g} kB"


@dataclass(frozen=True)
class Decoded:
    """What a format's reader hands back: the picture and the few facts that may leave the file.

    Args:
        pixels: (H, W) uint8, bright = dense.
        raw: (H, W) uint16 or None.
        bit_depth: bits of one stored sample.
        view, body_part, notes: as in :class:`Xray`.
    """

    pixels: np.ndarray
    raw: np.ndarray | None
    bit_depth: int
    view: View = "unknown"
    body_part: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Xray:
    """One radiograph, without anything that names the patient. Its arrays are read-only.

    Args:
        pixels: (H, W) uint8, for the screen and the models; bright = dense.
        raw: (H, W) uint16 of the same orientation and polarity, for window and level; None where the file has 8 bits.
            Its values are the stored ones shifted so that the lowest possible is 0, in [0, 2 ** bit_depth - 1].
        bit_depth: bits of one stored sample: 1 to 16 (32 for floating-point TIFF).
        view: projection by the header.
        body_part: DICOM's term, e.g. ``CHEST``; None where the header has none.
        sha256: of the file's bytes, hexadecimal.
        format: ``PNG``, ``JPEG``, ``TIFF``, ``BMP``, ``WebP``, ``GIF`` or ``DICOM``.
        name: the file's name, for display only; empty where it is unknown.
        notes: sentences on what was done to show the picture (inverted, windowed, turned …).
    """

    pixels: np.ndarray = field(repr=False)
    raw: np.ndarray | None = field(repr=False)
    bit_depth: int
    view: View
    body_part: str | None
    sha256: str
    format: str
    name: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.pixels.ndim != 2 or self.pixels.dtype != np.uint8:
            raise ValueError(f"pixels must be 2-D uint8, got {self.pixels.ndim}-D {self.pixels.dtype}.")
        if self.raw is not None and (self.raw.shape != self.pixels.shape or self.raw.dtype != np.uint16):
            raise ValueError(f"raw must be uint16 of shape {self.pixels.shape}, got {self.raw.dtype} {self.raw.shape}.")
        self._freeze()

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Copies that went through pickle (caches, worker processes) stay read-only too.
        self.__dict__.update(state)
        self._freeze()

    def _freeze(self) -> None:
        self.pixels.setflags(write=False)
        if self.raw is not None:
            self.raw.setflags(write=False)

    @property
    def width(self) -> int:
        """Columns of the picture as shown, in pixels."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Rows of the picture as shown, in pixels."""
        return int(self.pixels.shape[0])
