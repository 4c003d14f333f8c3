"""PNG, JPEG, TIFF, BMP, WebP and GIF through Pillow's own readers: one picture, grey, upright."""

from __future__ import annotations

import struct
from io import BytesIO

import numpy as np
from PIL import Image
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from cxrlab.data.libtiff import caught_complaints
from cxrlab.data.windowing import percentile_range, ramp, shown_by_percentiles, to_bytes
from cxrlab.data.xray import Decoded, Limits, MultiFrame, UnsupportedImage

# Opened by name and not by Image.open: no guessing among forty formats, and a phone's MPO is read as the JPEG it is.
_READERS: dict[str, type[ImageFile]] = {
    "PNG": PngImageFile,
    "JPEG": JpegImageFile,
    "TIFF": TiffImageFile,
    "BMP": BmpImageFile,
    "WebP": WebPImageFile,
    "GIF": GifImageFile,
}

_ORIENTATION = 0x0112  # EXIF tag; its values from 2 on:
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_BITS_PER_SAMPLE, _PHOTOMETRIC = 258, 262  # TIFF tags
_PNG_DEPTH_AT = 24  # byte of the IHDR chunk

_COLOUR = "Colour picture, turned to grey (ITU-R 601)."
_TURNED = "Turned upright by its EXIF orientation."
_TRANSPARENT = "Transparent parts are shown black."
_STRETCHED = "Shown from the 0.5th to the 99.5th percentile of its values."


def read_raster(data: bytes, kind: str, name: str, limits: Limits) -> Decoded:
    """Decode a picture whose format is known.

    Args:
        data: the file's bytes.
        kind: a key of the readers, e.g. ``PNG``.
        name: for the sentences.
        limits: ``max_pixels`` is checked between the header and the decoding.

    Raises:
        XrayError: too many pixels, several pictures, or a flavour that is not read.
        Exception: whatever Pillow raises on damaged bytes; the caller gives it its sentence.
    """
    with caught_complaints() as complaints:
        decoded = _read(data, kind, name, limits)
    if complaints:
        raise ValueError(complaints[0])
    return decoded


def _read(data: bytes, kind: str, name: str, limits: Limits) -> Decoded:
    image = _opened(data, kind, name)
    limits.check_pixels(*image.size, name)
    if getattr(image, "is_animated", False):
        raise MultiFrame(name, "holds several pictures; one file must hold one X-ray, export the one you want.")
    depth = _bit_depth(data, kind, image)
    image.load()
    upright = _upright(image, kind)
    decoded = _deep(upright, image, depth, name) if _is_deep(upright) else _shallow(upright, depth)
    return decoded if upright is image else _noted(decoded, _TURNED)


def _opened(data: bytes, kind: str, name: str) -> ImageFile:
    if kind == "PNG":
        PngImageFile(BytesIO(data)).verify()  # check sums; reading alone passes over them and shows what is left
    try:
        return _READERS[kind](BytesIO(data))
    except SyntaxError as error:
        if "cannot handle" in str(error):  # Pillow's words for a JPEG of 12 bits or 2 channels
            raise UnsupportedImage(name, f"is a {kind} of an unusual kind; export it as PNG or DICOM.") from None
        raise


def _upright(image: ImageFile, kind: str) -> Image.Image:
    # Pillow has turned a TIFF by the time it is loaded.
    if kind == "TIFF" or "exif" not in image.info:
        return image
    try:
        orientation = image.getexif().get(_ORIENTATION, 1)
    except (SyntaxError, ValueError, TypeError, KeyError, OSError, struct.error):
        return image  # broken EXIF is no reason to refuse a sound picture
    return image.transpose(_TURNS[orientation]) if orientation in _TURNS else image


def _bit_depth(data: bytes, kind: str, image: ImageFile) -> int:
    if isinstance(image, TiffImageFile):
        return int(image.tag_v2.get(_BITS_PER_SAMPLE, (1,))[0])
    if kind == "PNG" and image.mode != "P":
        return data[_PNG_DEPTH_AT]
    return 1 if image.mode == "1" else 8


def _is_deep(image: Image.Image) -> bool:
    return image.mode.startswith(("I", "F"))


def _shallow(image: Image.Image, depth: int) -> Decoded:
    if image.mode in ("L", "1"):
        return Decoded(np.asarray(image if image.mode == "L" else image.convert("L")), None, depth)
    opaque, is_see_through = _on_black(image)
    notes = (_TRANSPARENT,) if is_see_through else ()
    if not image.mode.startswith(("L", "P")):
        notes = (_COLOUR, *notes)
    # CMYK, YCbCr and Lab reach grey by way of RGB.
    opaque = opaque if opaque.mode in ("L", "LA", "P", "RGB", "RGBA") else opaque.convert("RGB")
    return Decoded(np.asarray(opaque.convert("L")), None, depth, notes=notes)


def _on_black(image: Image.Image) -> tuple[Image.Image, bool]:
    """The picture on black, and whether anything was see-through."""
    if not (image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or (image.mode == "P" and "transparency" in image.info)):
        image.info.pop("transparency", None)
        return image, False
    rgba = image.convert("RGBA")
    if np.asarray(rgba.getchannel("A")).min() == 255:
        return rgba, False
    return Image.alpha_composite(Image.new("RGBA", rgba.size, "black"), rgba), True


def _deep(image: Image.Image, file: ImageFile, depth: int, name: str) -> Decoded:
    values = np.asarray(image)
    if isinstance(file, TiffImageFile) and file.tag_v2.get(_PHOTOMETRIC) == 0:  # WhiteIsZero
        values = ((1 << depth) - 1) - values if depth <= 16 else -values
    if image.mode == "F" and not np.isfinite(values).all():
        raise UnsupportedImage(name, "has values that are no numbers (NaN or infinite); export it as PNG or DICOM.")
    if image.mode != "F" and int(values.max()) - min(int(values.min()), 0) < 65536:
        raw = (values - min(int(values.min()), 0)).astype(np.uint16)
        return Decoded(shown_by_percentiles(raw), raw, depth, notes=(_STRETCHED,))
    return Decoded(to_bytes(ramp(values, *percentile_range(values))), None, depth, notes=(_STRETCHED,))


def _noted(decoded: Decoded, note: str) -> Decoded:
    return Decoded(decoded.pixels, decoded.raw, decoded.bit_depth, notes=(*decoded.notes, note))
