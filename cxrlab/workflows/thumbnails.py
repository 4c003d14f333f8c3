"""Small pictures of X-rays for galleries."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from PIL import Image

from cxrlab.data.images import read_xray

THUMBNAIL_PX = 320


def thumbnail(path: str | Path, *, longest: int = THUMBNAIL_PX) -> bytes:
    """An X-ray as a PNG of at most ``longest`` pixels on its longer side. Raises XrayError when it can not be read."""
    image = Image.fromarray(read_xray(Path(path)).pixels)
    image.thumbnail((longest, longest), Image.Resampling.BOX)
    file = BytesIO()
    image.save(file, format="PNG")
    return file.getvalue()
