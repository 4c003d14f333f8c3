"""How deep pixel values become 8 bits: VOI windows of DICOM (PS3.3 C.11.2) and robust percentiles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_LOW, _HIGH = 0.5, 99.5  # per cent; leaves out markers and the direct beam, which would flatten the lungs
_SAMPLE = 1_000_000  # pixels that the percentiles rest on at most


@dataclass(frozen=True)
class Window:
    """A VOI window in modality units.

    Args:
        center: Window Center (0028,1050).
        width: Window Width (0028,1051).
        function: ``LINEAR``, ``LINEAR_EXACT`` or ``SIGMOID``.
    """

    center: float
    width: float
    function: str = "LINEAR"

    @property
    def is_valid(self) -> bool:
        """True where the standard allows the width: at least 1 for LINEAR, else positive."""
        finite = bool(np.isfinite(self.center) and np.isfinite(self.width))
        return finite and (self.width >= 1 if self.function == "LINEAR" else self.width > 0)

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Brightness in [0, 1] of modality ``values`` of any shape (PS3.3 C.11.2.1.2 and C.11.2.1.3)."""
        if self.function == "SIGMOID":
            exponent = np.clip(-4 * (values - self.center) / self.width, -700, 700)
            return np.asarray(1 / (1 + np.exp(exponent)))
        if self.function == "LINEAR_EXACT":
            return np.clip((values - self.center) / self.width + 0.5, 0, 1)
        if self.width == 1:  # the linear part has no extent
            return np.where(values <= self.center - 0.5, 0.0, 1.0)
        return np.clip((values - (self.center - 0.5)) / (self.width - 1) + 0.5, 0, 1)


def percentile_range(values: np.ndarray) -> tuple[float, float]:
    """The 0.5th and 99.5th percentile of an (H, W) array, on an even sample of at most about a million pixels.

    Where they are equal (a nearly even picture) the least and greatest value of the sample.
    """
    step = max(1, int(np.ceil(np.sqrt(values.size / _SAMPLE))))
    sample = values[::step, ::step] if values.ndim == 2 else values[::step]
    low, high = np.percentile(sample, (_LOW, _HIGH))
    if low == high:
        low, high = sample.min(), sample.max()
    return float(low), float(high)


def ramp(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Brightness in [0, 1], rising evenly from ``low`` to ``high``; all 0 where they are equal."""
    span = float(high) - float(low)
    return np.clip((values.astype(np.float64) - low) / span, 0, 1) if span > 0 else np.zeros(values.shape)


def to_bytes(brightness: np.ndarray) -> np.ndarray:
    """[0, 1] -> uint8, rounded to the nearest."""
    return np.rint(brightness * 255).astype(np.uint8)


def shown_by_percentiles(raw: np.ndarray) -> np.ndarray:
    """(H, W) uint16 -> (H, W) uint8 between its 0.5th and 99.5th percentile."""
    low, high = percentile_range(raw)
    table = to_bytes(ramp(np.arange(65536), low, high))
    return np.asarray(table[raw])
