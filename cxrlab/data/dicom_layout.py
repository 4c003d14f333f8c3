"""How the samples of a DICOM frame are stored, read from the header and checked."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pydicom import Dataset
from pydicom.uid import UID

from cxrlab.data.xray import TruncatedFile, UnsupportedDicom

_MONOCHROME = ("MONOCHROME1", "MONOCHROME2")
_COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
_PALETTE = "PALETTE COLOR"


@dataclass(frozen=True)
class Layout:
    """How one frame's samples are stored, checked (PS3.3 C.7.6.3).

    Args:
        rows, columns: size in pixels.
        samples: 1 (grey or palette) or 3 (colour).
        photometric: Photometric Interpretation (0028,0004).
        allocated, stored, high_bit: bits of a sample's cell, of its value, and where the value's top bit sits.
        is_signed: two's complement.
        syntax: the transfer syntax.
    """

    rows: int
    columns: int
    samples: int
    photometric: str
    allocated: int
    stored: int
    high_bit: int
    is_signed: bool
    syntax: UID


def read_layout(dataset: Dataset, name: str) -> Layout:
    """The checked layout; raises UnsupportedDicom for one that is not read, TruncatedFile where it is broken."""
    photometric = str(dataset.get("PhotometricInterpretation", "")).strip().upper()
    allocated = whole(dataset, "BitsAllocated", 0)
    stored = whole(dataset, "BitsStored", allocated)
    samples = whole(dataset, "SamplesPerPixel", 1)
    syntax = dataset.file_meta.TransferSyntaxUID
    wanted = (1,) if photometric in (*_MONOCHROME, _PALETTE) else (3,) if photometric in _COLOUR else ()
    if samples not in wanted:
        raise UnsupportedDicom(name, "has a kind of colour that is not read; export it in grey (MONOCHROME2).")
    if allocated not in (1, 8, 16):
        raise UnsupportedDicom(name, f"has {allocated} bits a pixel, which are not read; export it with 8 or 16.")
    if not 1 <= stored <= allocated:
        raise TruncatedFile(name, f"says that {stored} of {allocated} bits are used; it is damaged, export it again.")
    return Layout(
        rows=whole(dataset, "Rows", 0),
        columns=whole(dataset, "Columns", 0),
        samples=samples,
        photometric=photometric,
        allocated=allocated,
        stored=stored,
        high_bit=whole(dataset, "HighBit", stored - 1),
        is_signed=whole(dataset, "PixelRepresentation", 0) == 1,
        syntax=syntax,
    )


def whole(dataset: Dataset, keyword: str, default: int) -> int:
    """A tag's value as a whole number; ``default`` where it is absent or empty. Raises ValueError or TypeError."""
    value = dataset.get(keyword)
    if value in (None, ""):
        return default
    number = float(value)
    return int(number) if math.isfinite(number) else default
