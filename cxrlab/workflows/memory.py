"""What a session keeps of X-rays that were compared: small pictures and results, by hash, a bounded number of each."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np
from PIL import Image

from cxrlab.data.images import Xray

if TYPE_CHECKING:
    from cxrlab.workflows.compare import ModelResult

PICTURE_PX = 512  # longest side of the pictures that are kept for the screen

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


@dataclass(frozen=True, eq=False)
class Picture:
    """An X-ray as shown: small enough to be kept for every image of a session.

    Args:
        sha256: of the file. name: for display. pixels: (h, w) uint8, at most ``PICTURE_PX`` on the longer side.
        width, height: of the file, in pixels. bit_depth, format, view, notes: as in Xray.
        sample_id: of a gallery sample; empty for an upload.
    """

    sha256: str
    name: str
    pixels: np.ndarray
    width: int
    height: int
    bit_depth: int
    format: str
    view: str
    notes: tuple[str, ...]
    sample_id: str = ""


class Bounded(Generic[Key, Value]):
    """A mapping of bounded length: the least recently used leave. Safe for a worker and a page at once.

    Raises:
        ValueError: when ``most`` is below 1.
    """

    def __init__(self, most: int) -> None:
        if most < 1:
            raise ValueError(f"A memory must hold at least 1 entry, got {most}.")
        self._most = most
        self._lock = threading.Lock()
        self._kept: OrderedDict[Key, Value] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Key) -> Value | None:
        """The value, now the most recently used; None where there is none."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def keep(self, key: Key, value: Value) -> None:
        """Remember a value, in place of the least recently used one where it is full."""
        with self._lock:
            self._kept[key] = value
            self._kept.move_to_end(key)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)


class Memory:
    """Pictures by the hash of their file, results by hashes and settings; never an array in a key."""

    def __init__(self, *, most_pictures: int = 80, most_results: int = 600) -> None:
        self.pictures: Bounded[str, Picture] = Bounded(most_pictures)
        self.results: Bounded[tuple[str, ...], ModelResult] = Bounded(most_results)


def picture_of(xray: Xray, *, sample_id: str = "") -> Picture:
    """The X-ray as shown on the screen."""
    image = Image.fromarray(xray.pixels)
    image.thumbnail((PICTURE_PX, PICTURE_PX), Image.Resampling.BOX, reducing_gap=None)
    return Picture(
        sha256=xray.sha256,
        name=xray.name,
        pixels=np.asarray(image),
        width=xray.width,
        height=xray.height,
        bit_depth=xray.bit_depth,
        format=xray.format,
        view=xray.view,
        notes=xray.notes,
        sample_id=sample_id,
    )
