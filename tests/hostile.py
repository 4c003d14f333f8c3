"""Hostile and odd files: what a browser may be given, made here, with the refusal that each must meet.

``hostile_images()`` go to ``read_xray``, ``hostile_archives()`` to ``read_archive``, ``hostile_files()`` are both.
Run ``python -m tests.hostile FOLDER`` to write them out.
"""

from __future__ import annotations

import bz2
import copy
import stat
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import (
    MPEG4HP41,
    DeflatedExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    RLELossless,
)

from cxrlab.data import images as refused
from cxrlab.data.images import XrayError
from tests.dicom_writer import jpeg_baseline, jpeg_lossless, make_dicom
from tests.pictures import chunk, grey8, grey16, png, saved, valid_files

Refusal = type[XrayError] | None


class HostileFile(NamedTuple):
    """A file and what must come of it: the error's type, or None where it is odd but can be read."""

    name: str
    data: bytes
    error: Refusal


def hostile_files() -> tuple[HostileFile, ...]:
    """All of them."""
    return (*hostile_images(), *hostile_archives())


@lru_cache(maxsize=1)
def hostile_images() -> tuple[HostileFile, ...]:
    """Files that claim to be one X-ray."""
    makers: tuple[Callable[[], Iterator[HostileFile]], ...] = (
        *(_odd, _cut, _no_picture, _misnamed, _too_many_pixels),
        *(_several_frames, _damaged, _broken_dicom, _compressed_dicom),
    )
    return tuple(file for maker in makers for file in maker())


@lru_cache(maxsize=1)
def hostile_archives() -> tuple[HostileFile, ...]:
    """ZIP files; the error is raised by the call or is the first that an entry gives."""
    return tuple(file for maker in (_bad_zips, _bad_entries, _zip_bombs) for file in maker())


def zipped(entries: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A ZIP with these entries."""
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return stream.getvalue()


def _odd() -> Iterator[HostileFile]:
    """Unusual, but sound."""
    yield from (HostileFile(f"odd-{name}", data, None) for name, data in valid_files().items())
    grey = Image.fromarray(grey8())
    yield HostileFile("one-pixel.png", saved(grey.crop((0, 0, 1, 1)), "PNG"), None)
    yield HostileFile("one-row.jpg", saved(grey.resize((3000, 1)), "JPEG"), None)
    yield HostileFile("all-black-16.png", saved(Image.fromarray(np.zeros((9, 9), np.uint16)), "PNG"), None)
    yield HostileFile("trailing-garbage.png", saved(grey, "PNG") + b"garbage" * 100, None)
    yield HostileFile("trailing-zip.jpg", saved(grey, "JPEG") + zipped({"evil.txt": b"x"}), None)
    yield HostileFile("<img src=x onerror=alert(1)>.png", saved(grey, "PNG"), None)
    yield HostileFile("a\u202egnp.exe\x07.png", saved(grey, "PNG"), None)
    yield HostileFile(f"{'long' * 80}.png", saved(grey, "PNG"), None)


def _cut() -> Iterator[HostileFile]:
    """Every format cut off at several places."""
    names = ("grey.png", "bits16.png", "grey.jpg", "progressive.jpg", "grey.tif", "lzw.tif", "grey.bmp")
    names = (*names, "lossy.webp", "lossless.webp", "still.gif", "plain.dcm")
    for name in names:
        data, (stem, end) = valid_files()[name], name.split(".")
        for percent in (30, 60, 90):
            piece = data[: len(data) * percent // 100]
            yield HostileFile(f"cut-{stem}-{percent}.{end}", piece, refused.TruncatedFile)
        yield HostileFile(f"cut-{stem}-2-bytes.{end}", data[:2], refused.NotAnImage)
    yield HostileFile("cut-signature.png", valid_files()["grey.png"][:8], refused.TruncatedFile)
    yield HostileFile("cut-header.png", valid_files()["grey.png"][:20], refused.TruncatedFile)
    yield HostileFile("cut-start.jpg", valid_files()["grey.jpg"][:3], refused.TruncatedFile)
    yield HostileFile("cut-header.dcm", valid_files()["plain.dcm"][:400], refused.TruncatedFile)
    yield HostileFile("cut-mark.dcm", valid_files()["plain.dcm"][:132], refused.TruncatedFile)
    for name in ("grey.png", "grey.jpg", "bits1.tif"):
        yield HostileFile(f"zeros-from-half-{name}", _half_zero(valid_files()[name]), refused.TruncatedFile)


def _half_zero(data: bytes) -> bytes:
    return data[: len(data) // 2].ljust(len(data), b"\0")


def _no_picture() -> Iterator[HostileFile]:
    yield HostileFile("empty.png", b"", refused.EmptyFile)
    yield HostileFile("empty.dcm", b"", refused.EmptyFile)
    yield HostileFile("empty", b"", refused.EmptyFile)
    texts = {
        "text.txt": b"only words",
        "text.png": b"only words",
        "page.jpg": b"<html><script>alert(1)</script></html>",
        "drawing.png": b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
        "paper.jpg": b"%PDF-1.7 ...",
        "packed.png": zipped({"a.png": b"x"}),
        "packed.dcm": b"\x1f\x8b\x08\0" + bytes(50),
        "program.png": b"MZ" + bytes(300),
        "script.bmp": b"BMW is a car maker, this is no picture",
        "zeros.png": bytes(5000),
        "zeros.dcm": bytes(5000),
        "noise.jpg": np.random.default_rng(1).bytes(5000),
        "postscript.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage",
        "pickle.png": b"cos\nsystem\n(S'true'\ntR.",
        "riff.webp": b"RIFF\x24\0\0\0WAVEfmt " + bytes(40),
        "bare.jp2": b"\xff\x4f\xff\x51" + bytes(60),
        "no-preamble.dcm": valid_files()["plain.dcm"][132:],
    }
    yield from (HostileFile(name, data, refused.NotAnImage) for name, data in texts.items())
    yield HostileFile(
        "larger-than-50-MB.png", saved(Image.new("L", (4, 4)), "PNG").ljust(50_000_001, b"\0"), refused.FileTooLarge
    )


def _misnamed() -> Iterator[HostileFile]:
    files = valid_files()
    pairs = {"is-jpeg.png": "grey.jpg", "is-png.jpg": "grey.png", "is-dicom.png": "plain.dcm", "is-png.dcm": "grey.png"}
    pairs |= {
        "is-gif.jpeg": "still.gif",
        "is-webp.png": "lossy.webp",
        "is-bmp.tif": "grey.bmp",
        "IS-TIFF.BMP": "grey.tif",
    }
    yield from (HostileFile(name, files[kind], refused.WrongExtension) for name, kind in pairs.items())
    yield HostileFile("unknown.xyz", files["grey.png"], None)
    yield HostileFile("1.2.840.10008.77", files["plain.dcm"], None)


def _too_many_pixels() -> Iterator[HostileFile]:
    """A few kB that would fill the memory, each refused by what its header says."""
    bomb = refused.TooManyPixels
    yield HostileFile("bomb-header.png", png(60000, 60000, 8, 0, bytes(1000)), bomb)
    yield HostileFile("bomb-greatest.png", png(2**31 - 1, 2**31 - 1, 16, 6, bytes(1000)), bomb)
    yield HostileFile("bomb-just-over.png", png(8001, 8000, 1, 0, bytes(8000 * 1002)), bomb)
    yield HostileFile("bomb-wide.png", png(64_000_001, 1, 8, 0, bytes(10)), bomb)
    jpeg = bytearray(saved(Image.new("L", (16, 16)), "JPEG"))
    at = jpeg.index(b"\xff\xc0")
    jpeg[at + 5 : at + 9] = struct.pack(">HH", 65000, 65000)
    yield HostileFile("bomb.jpg", bytes(jpeg), bomb)
    yield HostileFile("bomb.gif", b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0, 0, 0) + _GIF_FRAME, bomb)
    bitmap = bytearray(saved(Image.new("L", (16, 16)), "BMP"))
    bitmap[18:26] = struct.pack("<ii", 60000, 60000)
    yield HostileFile("bomb.bmp", bytes(bitmap), bomb)
    tiff = saved(Image.new("L", (16, 16)), "TIFF")
    for tag in (256, 257):
        tiff = tiff.replace(struct.pack("<HHII", tag, 4, 1, 16), struct.pack("<HHII", tag, 4, 1, 60000))
    yield HostileFile("bomb.tif", tiff, bomb)
    webp = b"VP8X" + struct.pack("<IB3x", 10, 0) + (16382).to_bytes(3, "little") * 2
    frame = saved(Image.new("L", (16, 16)), "WEBP")[12:]
    body = b"WEBP" + webp + frame
    yield HostileFile("bomb.webp", b"RIFF" + struct.pack("<I", len(body)) + body, bomb)
    yield HostileFile("bomb.dcm", make_dicom(grey8(), Rows=65000, Columns=65000), bomb)
    frames = jpeg_baseline(grey8())
    lying = bytearray(frames)
    at = lying.index(b"\xff\xc0")
    lying[at + 5 : at + 9] = struct.pack(">HH", 65000, 65000)
    data = make_dicom(grey8(), syntax=JPEGBaseline8Bit, frames=bytes(lying))
    yield HostileFile("bomb-inside-jpeg.dcm", data, refused.TruncatedFile)
    data = bytearray(make_dicom(grey8(), syntax=JPEG2000Lossless))
    at = data.index(b"\xff\x4f\xff\x51")
    data[at + 8 : at + 16] = struct.pack(">II", 60000, 60000)
    yield HostileFile("bomb-inside-jpeg2000.dcm", bytes(data), refused.TruncatedFile)
    yield HostileFile("bomb-deflated.dcm", _deflated_bomb(), refused.FileTooLarge)
    yield HostileFile("bomb-rle.dcm", _rle(b"\x81\x55" * 200_000), None)


_GIF_FRAME = b"," + struct.pack("<HHHHB", 0, 0, 65535, 65535, 0) + b"\x02\x02\x44\x01\x00;"


def _deflated_bomb() -> bytes:
    data = make_dicom(grey8(), syntax=DeflatedExplicitVRLittleEndian, Rows=None)
    start = data.index(b"1.2.840.10008.1.2.1.99") + 22
    packer = zlib.compressobj(1, zlib.DEFLATED, -15)
    zeros = bytes(20_000_000)
    return data[:start] + b"".join(packer.compress(zeros) for _ in range(9)) + packer.flush()


def _rle(segment: bytes) -> bytes:
    frame = struct.pack("<16I", 1, 64, *[0] * 14) + segment
    return make_dicom(grey8(), syntax=RLELossless, frames=frame + b"\0" * (len(frame) % 2))


def _several_frames() -> Iterator[HostileFile]:
    grey = Image.fromarray(grey8())
    pages = [grey.point(lambda value: value // 2), grey.point(lambda value: 255 - value)]
    for kind, end in (("GIF", "gif"), ("WEBP", "webp"), ("TIFF", "tif"), ("PNG", "png")):
        data = saved(grey, kind, save_all=True, append_images=pages)
        yield HostileFile(f"frames.{end}", data, refused.MultiFrame)
    stack = np.concatenate([grey8()] * 3)
    yield HostileFile("frames.dcm", make_dicom(stack, Rows=grey8().shape[0], NumberOfFrames=3), refused.MultiFrame)
    yield HostileFile("one-frame.dcm", make_dicom(grey8(), NumberOfFrames=1), None)


def _damaged() -> Iterator[HostileFile]:
    grey, cut = Image.fromarray(grey8()), refused.TruncatedFile
    yield HostileFile("no-size.png", png(0, 0, 8, 0, b""), cut)
    yield HostileFile("depth-7.png", png(4, 4, 7, 0, bytes(20)), cut)
    yield HostileFile("no-data.png", saved(grey, "PNG")[:33] + chunk(b"IEND", b""), cut)
    yield HostileFile("no-palette.png", png(4, 4, 8, 3, bytes(20)), None)
    yield HostileFile("text-bomb.png", png(4, 4, 8, 0, bytes(20), between=_text_bomb()), cut)
    yield HostileFile("bad-check-sum.png", saved(grey, "PNG")[:29] + b"\0\0\0\0" + saved(grey, "PNG")[33:], cut)
    jpeg = saved(grey, "JPEG")
    at = jpeg.index(b"\xff\xc0")
    yield HostileFile("bits12.jpg", jpeg[: at + 4] + b"\x0c" + jpeg[at + 5 :], refused.UnsupportedImage)
    yield HostileFile("no-frame.jpg", jpeg[:at] + b"\xff\xd9", cut)
    yield HostileFile("header-only.jpg", jpeg[: jpeg.index(b"\xff\xda")], cut)
    yield HostileFile("loop.tif", b"II*\0\x08\0\0\0\0\0\x08\0\0\0", cut)
    yield HostileFile("no-directory.tif", b"II*\0\xff\xff\xff\x7f", cut)
    yield HostileFile(
        "nan.tif", saved(Image.fromarray(np.full((5, 5), np.nan, np.float32)), "TIFF"), refused.UnsupportedImage
    )
    yield HostileFile(
        "negative-height.bmp", b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 9, -9, 1, 24, *[0] * 6), cut
    )
    yield HostileFile("bits3.bmp", b"BM" + struct.pack("<IHHIIiiHHIIiiII", 99, 0, 0, 54, 40, 9, 9, 1, 3, *[0] * 6), cut)
    yield HostileFile("no-frame.gif", b"GIF89a" + struct.pack("<HHBBB", 5, 5, 0, 0, 0) + b";", cut)
    yield HostileFile("nothing.webp", b"RIFF\x04\0\0\0WEBP", cut)


def _text_bomb() -> bytes:
    return chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(20_000_000)))


def _broken_dicom() -> Iterator[HostileFile]:
    cut, unsupported, deep = refused.TruncatedFile, refused.UnsupportedDicom, grey16(12)
    yield HostileFile("no-pixels.dcm", make_dicom(deep, PixelData=None), cut)
    yield HostileFile("report.dcm", make_dicom(deep, PixelData=None, Rows=None), unsupported)
    yield HostileFile("float.dcm", make_dicom(deep, PixelData=None, FloatPixelData=bytes(5940)), unsupported)
    yield HostileFile("no-rows.dcm", make_dicom(deep, Rows=None), cut)
    yield HostileFile("zero-rows.dcm", make_dicom(deep, Rows=0), cut)
    yield HostileFile("too-few-pixels.dcm", make_dicom(deep, Rows=1000), cut)
    yield HostileFile("too-many-pixels.dcm", make_dicom(deep, Rows=10), None)
    yield HostileFile("bits-32.dcm", make_dicom(deep, BitsAllocated=32, BitsStored=32), unsupported)
    yield HostileFile("bits-0.dcm", make_dicom(deep, BitsStored=0), cut)
    yield HostileFile("bits-17.dcm", make_dicom(deep, BitsStored=17), cut)
    yield HostileFile("no-photometric.dcm", make_dicom(deep, PhotometricInterpretation=None), unsupported)
    yield HostileFile("hsv.dcm", make_dicom(deep, PhotometricInterpretation="HSV"), unsupported)
    yield HostileFile("four-samples.dcm", make_dicom(deep, SamplesPerPixel=4), unsupported)
    yield HostileFile("palette-missing.dcm", make_dicom(grey8(), photometric="PALETTE COLOR"), cut)
    yield HostileFile(
        "window-no-number.dcm",
        _patched(make_dicom(deep, bits=12, WindowCenter="1234", WindowWidth="4321"), b"4321", b"4x!1"),
        None,
    )
    yield HostileFile("window-negative.dcm", make_dicom(deep, bits=12, WindowCenter=0, WindowWidth=-5), None)
    yield HostileFile("window-far-away.dcm", make_dicom(deep, bits=12, WindowCenter=99999, WindowWidth=2), None)
    yield HostileFile("slope-zero.dcm", make_dicom(deep, bits=12, RescaleSlope=0, RescaleIntercept=1), None)
    yield HostileFile(
        "slope-huge.dcm", make_dicom(deep, bits=12, RescaleSlope="1e300", RescaleIntercept="-1e300"), None
    )
    yield HostileFile("mpeg.dcm", make_dicom(deep, syntax=MPEG4HP41, frames=b"\0\0\0\x01" + bytes(99)), unsupported)
    unknown = make_dicom(deep).replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.9.9.9\0")
    yield HostileFile("unknown-syntax.dcm", unknown, unsupported)
    yield HostileFile("deep-sequences.dcm", _deep_sequences(), cut)
    yield HostileFile("noise-after-mark.dcm", bytes(128) + b"DICM" + np.random.default_rng(2).bytes(4000), cut)


def _patched(data: bytes, old: bytes, new: bytes) -> bytes:
    assert data.count(old) == 1
    return data.replace(old, new)


def _deep_sequences() -> bytes:
    """A VOI LUT in a VOI LUT in a VOI LUT … of undefined lengths, 5,000 deep."""
    data = make_dicom(grey8(), PixelData=None)
    start = struct.pack("<HH2sHI", 0x0028, 0x3010, b"SQ", 0, 0xFFFFFFFF) + struct.pack(
        "<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF
    )
    return data + start * 5000


def _compressed_dicom() -> Iterator[HostileFile]:
    cut, deep = refused.TruncatedFile, grey16(12)
    baseline = jpeg_baseline(grey8())
    yield HostileFile("half-jpeg.dcm", make_dicom(grey8(), syntax=JPEGBaseline8Bit, frames=baseline[:300]), cut)
    yield HostileFile("no-jpeg.dcm", make_dicom(grey8(), syntax=JPEGBaseline8Bit, frames=bytes(500)), cut)
    other = jpeg_baseline(grey8(20, 20))
    yield HostileFile("other-size-jpeg.dcm", make_dicom(grey8(), syntax=JPEGBaseline8Bit, frames=other), cut)
    colour = saved(Image.new("RGB", (45, 33)), "JPEG")
    yield HostileFile("colour-jpeg.dcm", make_dicom(grey8(), syntax=JPEGBaseline8Bit, frames=colour), cut)
    lossless = jpeg_lossless(deep, 12)
    yield HostileFile("lossless.dcm", make_dicom(deep, syntax=JPEGLosslessSV1, bits=12, frames=lossless), None)
    yield HostileFile("rle-short.dcm", _rle(b"\x05abcdef"), cut)
    yield HostileFile("rle-no-header.dcm", make_dicom(grey8(), syntax=RLELossless, frames=b"\x01\0\0\0"), cut)
    wild = struct.pack("<16I", 1, 0xFFFFFF00, *[0] * 14)
    yield HostileFile("rle-offset.dcm", make_dicom(grey8(), syntax=RLELossless, frames=wild), cut)
    empty = make_dicom(grey8(), syntax=JPEGBaseline8Bit, frames=baseline, PixelData=encapsulate([b"\0\0"]))
    yield HostileFile("empty-fragment.dcm", empty, cut)
    data = make_dicom(grey8(), syntax=JPEGBaseline8Bit, frames=baseline)
    yield HostileFile("cut-in-fragment.dcm", data[:-600], cut)


def _bad_zips() -> Iterator[HostileFile]:
    sound = zipped({"a.png": valid_files()["grey.png"], "b.jpg": valid_files()["grey.jpg"]})
    yield HostileFile("sound.zip", sound, None)
    yield HostileFile("nothing-in-it.zip", zipped({}), None)
    yield HostileFile("empty.zip", b"", refused.EmptyFile)
    yield HostileFile("text.zip", b"only words", refused.NotAnArchive)
    yield HostileFile("picture.zip", valid_files()["grey.png"], refused.NotAnArchive)
    for percent in (5, 50, 95):
        yield HostileFile(f"cut-{percent}.zip", sound[: len(sound) * percent // 100], refused.NotAnArchive)
    at = sound.index(b"PK\x01\x02")
    yield HostileFile("directory-noise.zip", sound[:at] + b"\xff" * 20 + sound[at + 20 :], refused.NotAnArchive)
    yield HostileFile("501-files.zip", zipped({f"{index}.png": b"x" for index in range(501)}), refused.TooManyEntries)
    yield HostileFile("40000-files.zip", _repeated(b"x", 40_000), refused.TooManyEntries)
    end = sound.index(b"PK\x05\x06")
    lying = sound[: end + 8] + struct.pack("<HHI", 65535, 65535, 0xFFFFFFFF) + sound[end + 16 :]
    yield HostileFile("lying-count.zip", lying, refused.TooManyEntries)


def _bad_entries() -> Iterator[HostileFile]:
    picture = valid_files()["grey.png"]
    for index, path in enumerate(
        ("../a.png", "../../etc/passwd", "/etc/a.png", "C:\\a.png", "b\\..\\..\\a.png", "x/../../a.csv")
    ):
        yield HostileFile(f"outside-{index}.zip", zipped({path: picture}), refused.UnsafePath)
    yield HostileFile(
        "nul-in-path.zip", zipped({"aXb.png": picture}).replace(b"aXb.png", b"a\0b.png"), refused.UnsafePath
    )
    yield HostileFile("nested.zip", zipped({"inner.zip": zipped({"a.png": picture})}), refused.NestedArchive)
    yield HostileFile("nested-hidden.zip", zipped({"inner.png": zipped({"a.png": picture})}), refused.NestedArchive)
    yield HostileFile("nested-tar.zip", zipped({"inner.tar.gz": b"\x1f\x8b"}), refused.NestedArchive)
    yield HostileFile("password.zip", _encrypted(zipped({"a.png": picture})), refused.EncryptedEntry)
    yield HostileFile("link.zip", _special("a.png", b"/etc/passwd", stat.S_IFLNK), refused.LinkEntry)
    yield HostileFile("device.zip", _special("a.png", b"", stat.S_IFCHR), refused.LinkEntry)
    yield HostileFile("bzip2.zip", zipped({"a.png": picture}, zipfile.ZIP_BZIP2), refused.DamagedEntry)
    yield HostileFile("lzma.zip", zipped({"a.png": picture}, zipfile.ZIP_LZMA), refused.DamagedEntry)
    stored = zipped({"a.png": picture}, zipfile.ZIP_STORED)
    flipped = stored.replace(picture, picture[:-20] + bytes(20))
    yield HostileFile("check-sum.zip", flipped, refused.DamagedEntry)
    deflated = zipped({"a.png": picture})
    yield HostileFile("deflate-noise.zip", deflated[:60] + b"\xff" * 200 + deflated[260:], refused.DamagedEntry)
    yield HostileFile("empty-entry.zip", zipped({"a.png": b""}), refused.EmptyFile)
    yield HostileFile("text-entry.zip", zipped({"a.png": b"only words"}), refused.NotAnImage)
    yield HostileFile("cut-entry.zip", zipped({"a.png": picture[:400]}), refused.TruncatedFile)
    yield HostileFile("misnamed-entry.zip", zipped({"a.jpg": picture}), refused.WrongExtension)
    yield HostileFile("bomb-entry.zip", zipped({"a.png": png(60000, 60000, 8, 0, bytes(99))}), refused.TooManyPixels)
    clutter = {
        "__MACOSX/._a.png": b"x",
        ".DS_Store": b"x",
        "labels.csv": b"path,label",
        "notes.txt": b"x",
        "Thumbs.db": b"x",
    }
    yield HostileFile("clutter.zip", zipped({**clutter, "d/": b"", "a.png": picture}), None)


def _zip_bombs() -> Iterator[HostileFile]:
    yield HostileFile("60-MB-of-zeros.zip", zipped({"a.png": bytes(60_000_000)}), refused.FileTooLarge)
    yield HostileFile("4-GB-declared.zip", _declared(zipped({"a.png": b"x"}), 0xFFFFFFF0), refused.UnpackedTooLarge)
    small = _declared(zipped({"a.png": bytes(1_000_000)}), 10)
    yield HostileFile("10-bytes-declared.zip", small, refused.DamagedEntry)
    yield HostileFile("overlapping.zip", _repeated(bytes(40_000_000), 400), refused.UnpackedTooLarge)
    bomb = bz2.compress(bytes(30_000_000))
    assert len(bomb) < 1000
    yield HostileFile("bzip2-bomb.zip", zipped({"a.png": bytes(30_000_000)}, zipfile.ZIP_BZIP2), refused.DamagedEntry)


def _repeated(data: bytes, times: int) -> bytes:
    """One packed entry that the directory lists many times."""
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("a.png", data)
        archive.filelist.extend(copy.copy(archive.filelist[0]) for _ in range(times - 1))
    return stream.getvalue()


def _declared(data: bytes, size: int) -> bytes:
    """The ZIP with another unpacked size in its directory (of one entry)."""
    at = data.index(b"PK\x01\x02") + 24
    return data[:at] + struct.pack("<I", size) + data[at + 4 :]


def _encrypted(data: bytes) -> bytes:
    changed = bytearray(data)
    for start, flags_at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        changed[data.index(start) + flags_at] |= 1
    return bytes(changed)


def _special(name: str, data: bytes, kind: int) -> bytes:
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        entry = zipfile.ZipInfo(name)
        entry.create_system, entry.external_attr = 3, (kind | 0o777) << 16
        archive.writestr(entry, data)
    return stream.getvalue()


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for file in hostile_files():
        if file.name.isascii() and file.name.isprintable() and len(file.name) < 100:
            (folder / file.name).write_bytes(file.data)
