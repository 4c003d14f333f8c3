"""Bytes to an Xray: the format by content, the guards, and one sentence for whatever a decoder trips over."""

from __future__ import annotations

import hashlib
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath

from PIL.Image import DecompressionBombError

from cxrlab.data.files import check_size
from cxrlab.data.rasters import read_raster
from cxrlab.data.xray import (
    Decoded,
    EmptyFile,
    Limits,
    NotAnImage,
    TooManyPixels,
    TruncatedFile,
    WrongExtension,
    Xray,
    XrayError,
)

FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WebP", "GIF", "DICOM")

EXTENSIONS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
    ".dib": "BMP",
    ".webp": "WebP",
    ".gif": "GIF",
    ".dcm": "DICOM",
    ".dicom": "DICOM",
    ".dic": "DICOM",
}
"""Extensions that promise a format; any other is left to the content."""

_SIGNATURES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
)

_OTHERS = (
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"PK\x05\x06", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip file"),
    (b"MZ", "a program"),
    (b"\x7fELF", "a program"),
    (b"\xff\x4f\xff\x51", "a bare JPEG 2000 picture"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 picture"),
)

_BMP_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)  # sizes in use; two letters alone would take any text from "BM" on


def content_format(data: bytes) -> str | None:
    """The format by the first bytes, one of ``FORMATS``; None where it is none of them."""
    if data[128:132] == b"DICM":
        return "DICOM"
    for signature, kind in _SIGNATURES:
        if data.startswith(signature):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    if data[:2] == b"BM" and int.from_bytes(data[14:18], "little") in _BMP_HEADERS:
        return "BMP"
    return None


def decode(data: bytes, name: str, limits: Limits) -> Xray:
    """Read one X-ray from the bytes of its file.

    Args:
        data: the whole file.
        name: the file's name as shown; an extension that promises another format is refused.
        limits: bytes and pixels.

    Raises:
        XrayError: for every file that is no readable X-ray, and nothing else.
    """
    if not data:
        raise EmptyFile(name, "is empty (0 bytes); export or upload it again.")
    check_size(len(data), limits.max_bytes, name)
    kind = _checked_format(data, name)
    with _library_warnings_off():
        decoded = _decoded(data, kind, name, limits)
    return Xray(
        pixels=decoded.pixels,
        raw=decoded.raw,
        bit_depth=decoded.bit_depth,
        view=decoded.view,
        body_part=decoded.body_part,
        sha256=hashlib.sha256(data).hexdigest(),
        format=kind,
        name=name,
        notes=decoded.notes,
    )


def _checked_format(data: bytes, name: str) -> str:
    kind = content_format(data)
    if kind is None:
        guess = next((f" but {what}" for start, what in _OTHERS if data.startswith(start)), "")
        raise NotAnImage(name, f"is not a picture{guess}; PNG, JPEG, TIFF, BMP, WebP, GIF and DICOM can be read.")
    promised = EXTENSIONS.get(PurePosixPath(name).suffix.lower(), kind)
    if promised != kind:
        raise WrongExtension(name, f"is named like a {promised} but holds a {kind}; give it the right extension.")
    return kind


def _decoded(data: bytes, kind: str, name: str, limits: Limits) -> Decoded:
    try:
        if kind == "DICOM":
            # Here because pydicom takes most of a second to import, and most X-rays are no DICOM.
            from cxrlab.data.dicom import read_dicom

            return read_dicom(data, name, limits)
        return read_raster(data, kind, name, limits)
    except XrayError:
        raise
    except DecompressionBombError:  # Pillow's own limit, which it checks earlier for some formats
        raise limits.too_many_pixels("far too many", name) from None
    except MemoryError:
        raise TooManyPixels(name, "needs more memory than there is to be shown; make it smaller first.") from None
    except Exception:  # on hostile bytes the decoders raise nearly every type that there is
        says = f"is cut off or damaged: its {kind} data could not be read to the end; export or upload it again."
        # The libraries' own words may quote the file, hence no chaining.
        raise TruncatedFile(name, says) from None


_silence = threading.Lock()
_silent_readers = 0
_saved_filters = warnings.catch_warnings()


@contextmanager
def _library_warnings_off() -> Iterator[None]:
    """No warning of a decoder gets out. Counted, because ``catch_warnings`` alone mixes up threads that overlap."""
    global _silent_readers, _saved_filters
    with _silence:
        if _silent_readers == 0:
            _saved_filters = warnings.catch_warnings()
            _saved_filters.__enter__()
            warnings.filterwarnings("ignore", module=r"(PIL|pydicom|pylibjpeg|openjpeg|libjpeg)(\.|$)")
        _silent_readers += 1
    try:
        yield
    finally:
        with _silence:
            _silent_readers -= 1
            if _silent_readers == 0:
                _saved_filters.__exit__(None, None, None)
