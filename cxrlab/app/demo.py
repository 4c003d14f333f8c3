"""Public-demo mode: what it leaves out and what it limits."""

from __future__ import annotations

import os

from cxrlab.workflows.compare_files import CAM_METHODS, CamMethod
from cxrlab.workflows.uploads import Limits


def is_demo() -> bool:
    """Public-demo mode (``CXRLAB_DEMO=1``): no server paths, nothing is written, smaller limits."""
    return os.environ.get("CXRLAB_DEMO", "").strip().lower() in ("1", "true", "yes", "on")


def limits() -> Limits:
    """What is read of an upload at most."""
    if is_demo():
        return Limits(
            max_bytes=12_000_000,
            max_pixels=16_000_000,
            max_entries=20,
            max_archive_bytes=40_000_000,
            max_unpacked_bytes=80_000_000,
        )
    return Limits()


def most_images() -> int:
    """X-rays compared at once."""
    return 10 if is_demo() else 40


def cam_methods() -> list[CamMethod]:
    """Heatmap methods on offer: in demo mode those that run no network again, as many people share the machine."""
    return [method for method in CAM_METHODS.values() if not (is_demo() and method.runs_model)]
