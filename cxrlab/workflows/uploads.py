"""What a page needs to know of reading files: the formats, the limits, the errors. Without torch."""

from __future__ import annotations

from cxrlab.data.images import EXTENSIONS, FORMATS, Limits, XrayError

__all__ = ["EXTENSIONS", "FORMATS", "Limits", "XrayError"]
