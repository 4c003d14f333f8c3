"""What belongs to one browser session, and what the public-demo mode changes."""

from __future__ import annotations

import os


def is_demo() -> bool:
    """Public-demo mode (``CXRLAB_DEMO=1``): no server paths, nothing is written, smaller limits."""
    return os.environ.get("CXRLAB_DEMO", "").strip().lower() in ("1", "true", "yes", "on")
