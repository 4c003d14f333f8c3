"""The samples of a DICOM frame, decoded only where the compressed data keeps to the size that the header promises."""

from __future__ import annotations

import struct

import numpy as np
from pydicom import Dataset
from pydicom.encaps import get_frame
from pydicom.pixels import get_decoder
from pydicom.pixels.processing import convert_color_space
from pydicom.uid import RLELossless

from cxrlab.data.dicom_layout import Layout
from cxrlab.data.xray import TruncatedFile, UnsupportedDicom

_J2K_START = b"\xff\x4f\xff\x51"  # SOC and SIZ markers
_JPEG_FRAMES = frozenset((*range(0xC0, 0xD0), 0xF7)) - {0xC4, 0xC8, 0xCC}  # SOFn and JPEG-LS's SOF55
_JPEG_SIGNATURE = b"\xff\xd8"


def decode_frame(dataset: Dataset, layout: Layout, name: str) -> np.ndarray:
    """Stored values of the only frame: (rows, columns) integers, or (rows, columns, 3) RGB.

    Raises:
        UnsupportedDicom: a transfer syntax that no installed decoder reads.
        TruncatedFile: compressed data of another size than the header's, which could fill the memory.
        Exception: whatever pydicom raises on damaged bytes.
    """
    if layout.syntax == RLELossless:
        return _rle_frame(get_frame(dataset.PixelData, 0, number_of_frames=1), layout)
    try:
        decoder = get_decoder(layout.syntax)
    except NotImplementedError:
        decoder = None
    if decoder is None or not decoder.is_available:
        raise UnsupportedDicom(name, "is compressed in a way that is not read; export it as uncompressed DICOM.")
    if layout.syntax.is_encapsulated:
        found = codestream_size(get_frame(dataset.PixelData, 0, number_of_frames=1))
        if found != (layout.rows, layout.columns, layout.samples):
            raise TruncatedFile(name, "is damaged: its header and its compressed picture disagree; export it again.")
    # Unused bits are left for the display: pydicom clears the upper ones even where the value sits there.
    array, _ = decoder.as_array(dataset, index=0, correct_unused_bits=False)  # type: ignore[arg-type]
    return array


def codestream_size(frame: bytes) -> tuple[int, int, int] | None:
    """(rows, columns, samples) of a bare JPEG, JPEG-LS or JPEG 2000 codestream; None where there is none to find."""
    if frame.startswith(_J2K_START):
        right, bottom, left, top = struct.unpack_from(">4I", frame, 8)
        return bottom - top, right - left, struct.unpack_from(">H", frame, 40)[0]
    if not frame.startswith(_JPEG_SIGNATURE):
        return None
    at = 2
    while at + 10 <= len(frame) and frame[at] == 0xFF:
        marker = frame[at + 1]
        if marker in _JPEG_FRAMES:
            rows, columns, samples = struct.unpack_from(">HHB", frame, at + 5)
            return rows, columns, samples
        # Fill bytes are followed by the marker proper; every segment before the frame header has a length.
        at += 1 if marker == 0xFF else 2 + struct.unpack_from(">H", frame, at + 2)[0]
    return None


def _rle_frame(frame: bytes, layout: Layout) -> np.ndarray:
    """RLE (PS3.5 annex G): one PackBits segment a byte of a sample, high bytes first; never more than announced."""
    count, *starts = struct.unpack_from("<16I", frame)
    size, cell = layout.rows * layout.columns, layout.allocated // 8
    if layout.allocated % 8 or count != layout.samples * cell:
        raise ValueError("another number of RLE segments than the header promises")
    ends = [*starts[1:count], len(frame)]
    planes = [unpack_bits(frame[start:end], size) for start, end in zip(starts[:count], ends, strict=True)]
    # (samples * cell, size) bytes -> (samples, rows, columns): big-endian cells
    cells = np.frombuffer(b"".join(planes), np.uint8).reshape(layout.samples, cell, size)
    values = cells[:, 0] if cell == 1 else cells[:, 0].astype(np.uint16) << 8 | cells[:, 1]
    values = values.reshape(layout.samples, layout.rows, layout.columns)
    if layout.samples == 1:
        return values[0]
    colour = np.ascontiguousarray(values.transpose(1, 2, 0))
    return convert_color_space(colour, "YBR_FULL", "RGB") if layout.photometric.startswith("YBR_FULL") else colour


def unpack_bits(packed: bytes, size: int) -> bytes:
    """The first ``size`` bytes of a PackBits run-length code, using no more memory; ValueError if fewer.

    >>> unpack_bits(bytes([2, 7, 8, 9, 254, 5]), 6)
    b'\\x07\\x08\\t\\x05\\x05\\x05'
    """
    unpacked, at = bytearray(), 0
    while len(unpacked) < size and at < len(packed):
        control = packed[at]
        if control < 128:
            unpacked += packed[at + 1 : at + 2 + control]
            at += control + 2
        else:
            if control > 128:  # 128 is no operation
                unpacked += packed[at + 1 : at + 2] * (257 - control)
            at += 2 if control > 128 else 1
    if len(unpacked) < size:
        raise ValueError("an RLE segment is shorter than the picture")
    return bytes(unpacked[:size])
