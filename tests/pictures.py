"""Small picture files of every kind that is read, made for tests."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

import numpy as np
from PIL import Image

from tests.dicom_writer import make_dicom

HEIGHT, WIDTH = 33, 45


def grey8(height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """(height, width) uint8: a slope with noise, so that no format finds it trivial."""
    slope = np.add.outer(np.linspace(0, 120, height), np.linspace(0, 90, width))
    return (slope + np.random.default_rng(0).integers(0, 46, (height, width))).astype(np.uint8)


def grey16(bits: int = 16) -> np.ndarray:
    """(33, 45) uint16 with values of ``bits`` bits, both ends included."""
    values = grey8().astype(np.float64)
    values = (values - values.min()) / np.ptp(values)
    return np.rint(values * ((1 << bits) - 1)).astype(np.uint16)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    """The bytes that Pillow writes for a picture."""
    stream = BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    """One PNG chunk with its length and check sum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, depth: int, colour: int, rows: bytes, *, between: bytes = b"") -> bytes:
    """A PNG from its raw (filtered) rows; ``between`` goes before the data, e.g. a palette."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + between + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def png_of_depth(values: np.ndarray, depth: int) -> bytes:
    """A grey PNG of 1, 2, 4 or 8 bits from (H, W) values in [0, 2 ** depth)."""
    bits = np.unpackbits(values.astype(np.uint8)[..., None], axis=2)[..., 8 - depth :].reshape(len(values), -1)
    rows = b"".join(b"\0" + row.tobytes() for row in np.packbits(bits, axis=1))
    return png(values.shape[1], values.shape[0], depth, 0, rows)


def valid_files() -> dict[str, bytes]:
    """One sound file a format and flavour, by name."""
    grey = Image.fromarray(grey8())
    colour = Image.merge("RGB", (grey, grey.point(lambda value: 255 - value), grey.point(lambda value: value // 2)))
    deep = Image.fromarray(grey16())
    see_through = colour.convert("RGBA")
    see_through.putalpha(grey)
    exif = Image.Exif()
    exif[0x0112] = 6
    return {
        "grey.png": saved(grey, "PNG"),
        "bits1.png": png_of_depth(grey8() >> 7, 1),
        "bits2.png": png_of_depth(grey8() >> 6, 2),
        "bits4.png": png_of_depth(grey8() >> 4, 4),
        "bits16.png": saved(deep, "PNG"),
        "rgb.png": saved(colour, "PNG"),
        "rgb16.png": png(2, 1, 16, 2, b"\0" + struct.pack(">6H", 65535, 0, 0, 257, 257, 257)),
        "palette.png": saved(colour.quantize(16), "PNG"),
        "palette-alpha.png": saved(colour.quantize(16), "PNG", transparency=3),
        "alpha.png": saved(see_through, "PNG"),
        "grey-alpha.png": saved(see_through.convert("LA"), "PNG"),
        "grey.jpg": saved(grey, "JPEG"),
        "rgb.jpeg": saved(colour, "JPEG"),
        "cmyk.jpg": saved(colour.convert("CMYK"), "JPEG"),
        "progressive.jpg": saved(grey, "JPEG", progressive=True),
        "turned.jpg": saved(grey, "JPEG", exif=exif.tobytes()),
        "odd-exif.jpg": saved(grey, "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff garbage"),
        "phone.jpg": saved(grey, "MPO", save_all=True, append_images=[grey.resize((20, 10))]),
        "grey.tif": saved(grey, "TIFF"),
        "bits16.tiff": saved(deep, "TIFF"),
        "bits1.tif": saved(grey.convert("1"), "TIFF", compression="group4"),
        "lzw.tif": saved(deep, "TIFF", compression="tiff_lzw"),
        "zip.tif": saved(grey, "TIFF", compression="tiff_adobe_deflate"),
        "jpeg.tif": saved(grey, "TIFF", compression="jpeg"),
        "float.tif": saved(Image.fromarray(grey16().astype(np.float32) / 7), "TIFF"),
        "int32.tif": saved(Image.fromarray(grey16().astype(np.int32) * 9), "TIFF"),
        "white-is-zero.tif": saved(deep, "TIFF", tiffinfo={262: 0}),
        "grey.bmp": saved(grey, "BMP"),
        "rgb.bmp": saved(colour, "BMP"),
        "bits1.bmp": saved(grey.convert("1"), "BMP"),
        "lossy.webp": saved(colour, "WEBP"),
        "lossless.webp": saved(grey, "WEBP", lossless=True),
        "alpha.webp": saved(see_through, "WEBP", lossless=True),
        "still.gif": saved(grey, "GIF"),
        "plain.dcm": make_dicom(grey16(12), bits=12),
        "inverted.dcm": make_dicom(grey8(), photometric="MONOCHROME1"),
        "no extension": saved(grey, "PNG"),
    }
