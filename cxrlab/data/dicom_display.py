"""Stored DICOM values to 8 bits: one table from every possible stored value through modality, VOI and polarity."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image
from pydicom import Dataset
from pydicom.pixels.processing import apply_color_lut

from cxrlab.data.dicom_layout import Layout
from cxrlab.data.windowing import Window, percentile_range, ramp, to_bytes
from cxrlab.data.xray import Decoded

_INVERTED = "MONOCHROME1: shown inverted, so that dense is bright."
_COLOUR = "Colour picture, turned to grey (ITU-R 601)."
_VOI_LUT = "Shown through the header's VOI lookup table."
_PERCENTILES = "No usable window in the header: shown from the 0.5th to the 99.5th percentile of its values."
_LAST = 1 << 16


def shown(frame: np.ndarray, dataset: Dataset, layout: Layout) -> Decoded:
    """The frame as 8 bits, with the stored values (offset to 0 and of the same polarity) where it has more than 8.

    Args:
        frame: (H, W) stored values or (H, W, 3) RGB.
        dataset: the harmless tags of the header.
        layout: how the values are stored.
    """
    if layout.photometric == "PALETTE COLOR":
        colour = apply_color_lut(frame, dataset)
        return _grey(colour, 8 * colour.dtype.itemsize)
    if frame.ndim == 3:
        return _grey(frame, layout.stored)
    index = _offset_values(frame, layout)
    lowest = -(1 << (layout.stored - 1)) if layout.is_signed else 0
    values = _modality(lowest + np.arange(1 << layout.stored), dataset, layout)
    brightness, note = _voi(values, index, dataset, layout)
    is_inverted = layout.photometric == "MONOCHROME1"
    table = to_bytes(1 - brightness if is_inverted else brightness)
    notes = tuple(text for text in (_INVERTED if is_inverted else "", note) if text)
    if layout.stored <= 8:
        return Decoded(table[index], None, layout.stored, notes=notes)
    falls = bool(values[0] > values[-1]) != is_inverted
    raw = ((1 << layout.stored) - 1) - index if falls else index
    return Decoded(table[index], raw.astype(np.uint16, copy=False), layout.stored, notes=notes)


def _offset_values(frame: np.ndarray, layout: Layout) -> np.ndarray:
    """(H, W) uint16 in [0, 2 ** stored): the value's own bits (old files keep overlays above them), lowest value 0."""
    bits: np.ndarray = frame.astype(np.uint16, copy=False)
    if not layout.syntax.is_compressed and layout.high_bit >= layout.stored:
        bits = bits >> (layout.high_bit + 1 - layout.stored)
    mask = (1 << layout.stored) - 1
    sign = 1 << (layout.stored - 1) if layout.is_signed else 0
    return np.asarray((bits & np.uint16(mask)) ^ np.uint16(sign))


def _modality(values: np.ndarray, dataset: Dataset, layout: Layout) -> np.ndarray:
    """Stored values to modality units: lookup table, or slope and intercept; unchanged where those are unusable."""
    if items := dataset.get("ModalityLUTSequence"):
        return lookup(values, items[0], layout)[0]
    slope, intercept = _number(dataset, "RescaleSlope"), _number(dataset, "RescaleIntercept")
    return values * (slope or 1.0) + (intercept or 0.0)


def _voi(values: np.ndarray, index: np.ndarray, dataset: Dataset, layout: Layout) -> tuple[np.ndarray, str]:
    """Brightness in [0, 1] of every modality value, and the note: VOI LUT, else window, else percentiles.

    A window or table that leaves the picture without any contrast is passed over.
    """
    for brightness, note in _header_voi(values, dataset, layout):
        used = brightness[index[:: max(1, index.shape[0] // 512), :: max(1, index.shape[1] // 512)]]
        if np.ptp(used) > 0 or np.ptp(index) == 0:
            return brightness, note
    if layout.stored <= 8:
        return ramp(values, values.min(), values.max()), ""
    stored = index.ravel()
    padding = _number(dataset, "PixelPaddingValue")
    if padding is not None:
        is_padding = index == _offset_values(np.array([[int(padding) & 0xFFFF]]), layout)[0, 0]
        stored = stored if is_padding.all() else index[~is_padding]
    low, high = percentile_range(values[stored[:: max(1, stored.size // 1_000_000)]])
    return ramp(values, low, high), _PERCENTILES


def _header_voi(values: np.ndarray, dataset: Dataset, layout: Layout) -> list[tuple[np.ndarray, str]]:
    found = []
    if items := dataset.get("VOILUTSequence"):
        outputs, greatest = lookup(values, items[0], layout)
        found.append((outputs / greatest, _VOI_LUT))
    center, width = _number(dataset, "WindowCenter"), _number(dataset, "WindowWidth")
    function = str(dataset.get("VOILUTFunction") or "LINEAR").strip().upper()
    if center is not None and width is not None:
        window = Window(center, width, function if function in ("LINEAR_EXACT", "SIGMOID") else "LINEAR")
        if window.is_valid:
            found.append((window(values), f"Shown with the header's window: centre {center:g}, width {width:g}."))
    return found


def lookup(values: np.ndarray, item: Dataset, layout: Layout) -> tuple[np.ndarray, float]:
    """Values through a DICOM lookup table (PS3.3 C.11.1 and C.11.2): outputs as float64, and the greatest one possible.

    Args:
        values: inputs of any shape; those outside the table take its first or last entry.
        item: LUT Descriptor (entries, first input, bits) and LUT Data, as numbers or packed bytes.
        layout: tells whether the first input may be negative, and the byte order.
    """
    entries, first, bits = (int(part) for part in item.LUTDescriptor)
    entries = entries % _LAST or _LAST  # 0 stands for 65536, which does not fit its 16 bits
    first = first - _LAST if layout.is_signed and first >= _LAST // 2 else first
    data = item.LUTData
    if isinstance(data, bytes):
        order = "<" if layout.syntax.is_little_endian else ">"
        data = np.frombuffer(data, np.uint8 if len(data) < 2 * entries else f"{order}u2")
    table = np.atleast_1d(np.asarray(data, np.float64))[:entries]
    position = np.clip(np.rint(values) - first, 0, len(table) - 1).astype(np.intp)
    return table[position], float((1 << bits) - 1)


def _number(dataset: Dataset, keyword: str) -> float | None:
    """The first value of a tag as a finite number; None where there is none or it is broken."""
    try:
        value = dataset.get(keyword)
        number = float(value[0] if isinstance(value, list | tuple) or hasattr(value, "append") else value)
    except (TypeError, ValueError, IndexError, ArithmeticError):
        return None
    return number if math.isfinite(number) else None


def _grey(colour: np.ndarray, bits: int) -> Decoded:
    """(H, W, 3) RGB of ``bits`` bits to grey; Pillow's ITU-R 601 on the upper 8 bits."""
    eight = (colour >> max(0, bits - 8)).astype(np.uint8)
    return Decoded(np.asarray(Image.fromarray(eight).convert("L")), None, bits, notes=(_COLOUR,))
