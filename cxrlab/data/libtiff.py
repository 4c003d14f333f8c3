"""What libtiff complains of while Pillow reads a TIFF: caught in the reading thread, instead of printed on stderr.

Pillow shows a fax- or JPEG-coded TIFF with broken lines as if it were sound; only libtiff's message tells.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import PIL

_Handler = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p)
_reading = threading.local()


@contextmanager
def caught_complaints() -> Iterator[list[str]]:
    """The formats of libtiff's messages (their arguments are left out) in this thread while the context is open.

    Stays empty, and libtiff prints, where Pillow's copy of the library is not found (builds other than the wheels).
    """
    _install()
    _reading.complaints = []
    try:
        yield _reading.complaints
    finally:
        del _reading.complaints


@_Handler
def _note(_module: bytes | None, text: bytes | None, _arguments: int | None) -> None:
    if hasattr(_reading, "complaints"):
        _reading.complaints.append((text or b"").decode("ascii", "replace"))


@lru_cache(maxsize=1)
def _install() -> None:
    package = Path(PIL.__file__).parent
    for folder in (package.parent / "pillow.libs", package / ".dylibs"):
        for path in folder.glob("libtiff*"):
            library = ctypes.CDLL(str(path))  # the copy that is loaded already
            library.TIFFSetErrorHandler.argtypes = [_Handler]
            library.TIFFSetErrorHandler.restype = ctypes.c_void_p
            library.TIFFSetErrorHandler(_note)
