import hashlib
import os
import pickle
import re
import resource
import tempfile
import warnings
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO, StringIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cxrlab.data import images as im
from cxrlab.data.images import Limits, Xray, XrayError, read_xray
from tests.dicom_writer import COMPRESSED, JPEG_LS_PIXELS, JPEG_LS_STREAM, make_dicom
from tests.hostile import HostileFile, hostile_images
from tests.pictures import grey8, grey16, png, png_of_depth, saved, valid_files

SENTENCES: dict[type[XrayError], str] = {
    im.EmptyFile: r"is empty \(0 bytes\); export or upload it again\.",
    im.TruncatedFile: r"(is cut off or damaged: its \w+ data|is damaged: its header and its compressed|says that) .*; "
    r"(it is damaged, )?export .*\.",
    im.NotAnImage: r"is not a picture( but an? [\w ]+)?; PNG, JPEG, TIFF, BMP, WebP, GIF and DICOM can be read\.",
    im.WrongExtension: r"is named like a \w+ but holds a \w+; give it the right extension\.",
    im.FileTooLarge: r"(is larger than 50 MB|unpacks to more than 178 MB), the limit for one file\.",
    im.TooManyPixels: r"has (\d+ x \d+|far too many) pixels; the limit is 64 million pixels, make it smaller first\.",
    im.MultiFrame: r"(holds several pictures|is a DICOM file of several frames); one file must hold .*",
    im.UnsupportedImage: r"(is a JPEG of an unusual kind|has values that are no .*); export it as PNG or DICOM\.",
    im.UnsupportedDicom: r"(has|is) .*; (export it|choose a radiograph).*\.",
}


def outcome(data: bytes, name: str) -> Xray | XrayError:
    """What a user gets, with every warning an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return read_xray(data, name=name)
        except XrayError as error:
            return error


def pillow_grey(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(data)).convert("L"))


@pytest.mark.parametrize("file", hostile_images(), ids=lambda file: ascii(file.name)[1:41])
def test_hostile_file_meets_its_sentence(
    file: HostileFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    result = outcome(file.data, file.name)
    assert type(result) is (file.error or Xray), str(result)
    assert result.name == im.display_name(file.name)
    if file.error is not None:
        assert re.fullmatch(re.escape(result.name) + " " + SENTENCES[file.error], str(result)), str(result)
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []


def test_there_are_at_least_sixty_hostile_files() -> None:
    refused = [file for file in hostile_images() if file.error is not None]
    assert len(refused) >= 60
    assert {file.error for file in refused} == set(SENTENCES)


def test_bombs_are_refused_without_filling_the_memory() -> None:
    bombs = [file for file in hostile_images() if file.name.startswith("bomb")]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for file in bombs:
        outcome(file.data, file.name)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # kB


@pytest.mark.parametrize(
    "name", ["grey.png", "grey.jpg", "progressive.jpg", "grey.tif", "zip.tif", "grey.bmp", "still.gif"]
)
def test_grey_of_8_bits_is_exactly_what_is_stored(name: str) -> None:
    xray = read_xray(valid_files()[name], name=name)
    np.testing.assert_array_equal(xray.pixels, pillow_grey(valid_files()[name]))
    assert (xray.bit_depth, xray.raw, xray.view, xray.body_part, xray.notes) == (8, None, "unknown", None, ())


@pytest.mark.parametrize("name", ["rgb.png", "rgb.jpeg", "rgb.bmp", "palette.png", "lossy.webp", "lossless.webp"])
def test_colour_becomes_grey_by_itu_r_601(name: str) -> None:
    rgb = np.asarray(Image.open(BytesIO(valid_files()[name])).convert("RGB")).astype(float)
    grey = rgb @ (0.299, 0.587, 0.114)
    np.testing.assert_allclose(read_xray(valid_files()[name]).pixels, grey, atol=0.51)


def test_cmyk_becomes_grey_by_way_of_rgb() -> None:
    data = valid_files()["cmyk.jpg"]
    expected = np.asarray(Image.open(BytesIO(data)).convert("RGB").convert("L"))
    np.testing.assert_array_equal(read_xray(data).pixels, expected)


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_shallow_png_spans_black_to_white(depth: int) -> None:
    values = grey8() >> (8 - depth)
    xray = read_xray(png_of_depth(values, depth))
    np.testing.assert_array_equal(xray.pixels, np.rint(values * (255 / (2**depth - 1))))
    assert xray.bit_depth == depth


@pytest.mark.parametrize("name", ["bits16.png", "bits16.tiff", "lzw.tif"])
def test_16_bits_are_kept_for_window_and_level(name: str) -> None:
    xray = read_xray(valid_files()[name])
    assert xray.raw is not None
    np.testing.assert_array_equal(xray.raw, grey16())
    assert (xray.bit_depth, xray.raw.dtype, xray.pixels.min(), xray.pixels.max()) == (16, np.uint16, 0, 255)
    assert "0.5th to the 99.5th percentile" in xray.notes[0]
    order = np.argsort(xray.raw, axis=None)
    assert (np.diff(xray.pixels.ravel()[order].astype(int)) >= 0).all()


def test_16_bits_are_shown_between_the_percentiles() -> None:
    low, high = np.percentile(grey16(), (0.5, 99.5))
    expected = np.rint(np.clip((grey16() - low) / (high - low), 0, 1) * 255)
    np.testing.assert_array_equal(read_xray(valid_files()["bits16.png"]).pixels, expected)


def test_a_bright_marker_does_not_flatten_a_deep_picture() -> None:
    values = grey16(10)
    values[:1, :5] = 65535
    assert np.ptp(read_xray(saved(Image.fromarray(values), "PNG")).pixels[2:].astype(int)) > 200


def test_white_is_zero_is_turned_over() -> None:
    raw = read_xray(valid_files()["white-is-zero.tif"]).raw
    assert raw is not None
    np.testing.assert_array_equal(raw, 65535 - grey16())


@pytest.mark.parametrize(("name", "depth"), [("float.tif", 32), ("int32.tif", 32)])
def test_numbers_beyond_16_bits_are_shown_but_not_kept(name: str, depth: int) -> None:
    xray = read_xray(valid_files()[name])
    assert (xray.bit_depth, xray.raw) == (depth, None)
    np.testing.assert_allclose(xray.pixels, read_xray(valid_files()["bits16.png"]).pixels, atol=1)


def test_16_bit_colour_is_reduced() -> None:
    xray = read_xray(valid_files()["rgb16.png"])
    assert (xray.bit_depth, xray.raw, xray.pixels.tolist()) == (16, None, [[76, 1]])


@pytest.mark.parametrize("name", ["alpha.png", "grey-alpha.png", "alpha.webp"])
def test_transparent_parts_are_black(name: str) -> None:
    image = Image.open(BytesIO(valid_files()[name]))
    alpha = np.asarray(image.convert("RGBA"))[..., 3] / 255
    grey = np.asarray(image.convert("RGB").convert("L")) * alpha
    xray = read_xray(valid_files()[name])
    np.testing.assert_allclose(xray.pixels, grey, atol=2)
    assert "Transparent parts are shown black." in xray.notes


def test_opaque_alpha_changes_nothing() -> None:
    grey = Image.fromarray(grey8())
    xray = read_xray(saved(grey.convert("RGBA"), "PNG"))
    np.testing.assert_array_equal(xray.pixels, grey8())


@pytest.mark.parametrize(
    ("orientation", "turn"),
    [
        (1, lambda a: a),
        (2, np.fliplr),
        (3, lambda a: np.rot90(a, 2)),
        (4, np.flipud),
        (5, np.transpose),
        (6, lambda a: np.rot90(a, -1)),
        (7, lambda a: np.rot90(a, 2).T),
        (8, np.rot90),
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation_is_applied(orientation: int, turn: object, kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    grey = Image.fromarray(grey8())
    options = {"lossless": True} if kind == "WEBP" else {}
    plain = read_xray(saved(grey, kind, **options)).pixels
    xray = read_xray(saved(grey, kind, exif=exif, **options))
    np.testing.assert_array_equal(xray.pixels, turn(plain))  # type: ignore[operator]
    assert (xray.height, xray.width) == xray.pixels.shape


def test_broken_exif_is_passed_over() -> None:
    np.testing.assert_array_equal(
        read_xray(valid_files()["odd-exif.jpg"]).pixels, read_xray(valid_files()["grey.jpg"]).pixels
    )


def test_exif_that_can_not_be_parsed_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: Image.Image) -> None:
        raise SyntaxError("not a TIFF header")

    monkeypatch.setattr(Image.Image, "getexif", fails)
    assert read_xray(valid_files()["turned.jpg"]).pixels.shape == grey8().shape


def test_a_phones_multi_picture_jpeg_gives_its_first_picture() -> None:
    xray = read_xray(valid_files()["phone.jpg"], name="phone.jpg")
    assert (xray.format, xray.pixels.shape) == ("JPEG", grey8().shape)


def test_path_bytes_and_streams_give_the_same(tmp_path: Path) -> None:
    data, path = valid_files()["grey.png"], tmp_path / "scan.png"
    path.write_bytes(data)
    with path.open("rb") as file:
        file.read()
        readings = [read_xray(path), read_xray(str(path)), read_xray(data), read_xray(BytesIO(data)), read_xray(file)]
        assert not file.closed
    assert len({(x.sha256, x.pixels.tobytes()) for x in readings}) == 1
    assert readings[0].sha256 == hashlib.sha256(data).hexdigest()
    assert [x.name for x in readings] == ["scan.png", "scan.png", "", "", "scan.png"]


class _Pipe(BytesIO):
    """A stream that can not be rewound and hands over a little at a time."""

    def seekable(self) -> bool:
        return False

    def read(self, size: int | None = -1) -> bytes:
        return super().read(min(size or 7, 7))


def test_a_stream_that_trickles_is_read_to_its_end() -> None:
    assert read_xray(_Pipe(valid_files()["grey.png"])).width == grey8().shape[1]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("a.png", "a.png"),
        ("C:\\Users\\me\\a.png", "a.png"),
        ("/home/me/a.png", "a.png"),
        ("a\nb\x1b[31m.png", "a_b_[31m.png"),
        ("a\u202egnp.png", "a_gnp.png"),
        ("x" * 200 + ".png", "x" * 50 + "…" + "x" * 25 + ".png"),
        ("", ""),
    ],
)
def test_names_are_shown_without_folders_and_control_characters(given: str, shown: str) -> None:
    assert read_xray(valid_files()["grey.png"], name=given).name == shown


def test_a_nameless_file_has_a_sentence_too() -> None:
    with pytest.raises(im.NotAnImage, match=r"^The file is not a picture; PNG, "):
        read_xray(b"words")


def test_missing_files_have_sentences(tmp_path: Path) -> None:
    with pytest.raises(im.MissingFile, match=r"^gone\.png does not exist; check the path\.$"):
        read_xray(tmp_path / "gone.png")
    with pytest.raises(im.MissingFile, match="is a folder; choose a file in it"):
        read_xray(tmp_path)
    with pytest.raises(im.MissingFile, match="is not an ordinary file; choose a picture"):
        read_xray("/dev/null")
    with pytest.raises(im.MissingFile, match="could not be opened; check the path"):
        read_xray("a\0b.png")
    with pytest.raises(im.MissingFile, match="could not be opened; check the path"):
        read_xray("n" * 5000)
    closed = (tmp_path / "a").open("w+b")
    closed.close()
    with pytest.raises(im.MissingFile, match=r"^a could not be read; choose or upload it again"):
        read_xray(closed)


def test_a_source_of_another_kind_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="source must be a path, bytes or a binary file, got int"):
        read_xray(7)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="binary mode"):
        read_xray(StringIO("text"))  # type: ignore[arg-type]


def test_limits_hold_for_every_source(tmp_path: Path) -> None:
    data, limits = valid_files()["grey.png"], Limits(max_bytes=100)
    path = tmp_path / "scan.png"
    path.write_bytes(data)
    for source in (path, data, BytesIO(data), _Pipe(data)):
        with pytest.raises(im.FileTooLarge, match=r"is larger than 1 kB, the limit for one file\."):
            read_xray(source, limits=limits)
    with pytest.raises(im.TooManyPixels, match=r"has 45 x 33 pixels; the limit is 0\.001 million pixels"):
        read_xray(data, limits=Limits(max_pixels=1000))
    assert read_xray(data, limits=Limits(max_pixels=45 * 33, max_bytes=len(data))).width == 45
    with pytest.raises(ValueError, match="max_pixels must be at least 1, got 0"):
        Limits(max_pixels=0)


def test_a_large_file_is_not_read_before_it_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "large.png"
    with path.open("wb") as file:
        file.truncate(10**12)
    monkeypatch.setattr(Path, "open", lambda *_: pytest.fail("opened"))
    with pytest.raises(im.FileTooLarge):
        read_xray(path)


def test_the_greatest_allowed_picture_is_read() -> None:
    data = png(8000, 8000, 1, 0, b"\0" * (8000 * 1001))
    assert read_xray(data).pixels.shape == (8000, 8000)


def test_extensions_of_the_same_format_and_unknown_ones_pass() -> None:
    for name in ("a.JPG", "a.jpeg", "a.jfif", "a", "a.xray", "a.png.jpg"):
        assert read_xray(valid_files()["grey.jpg"], name=name).format == "JPEG"


def test_arrays_are_read_only_also_after_pickling() -> None:
    xray = read_xray(valid_files()["bits16.png"])
    for copy in (xray, pickle.loads(pickle.dumps(xray))):
        assert copy.raw is not None
        for array in (copy.pixels, copy.raw):
            with pytest.raises(ValueError, match="read-only"):
                array[0, 0] = 1
    assert "array" not in repr(xray)


def test_an_xray_checks_its_arrays() -> None:
    pixels = np.zeros((3, 4), np.uint8)
    facts = {"bit_depth": 8, "view": "unknown", "body_part": None, "sha256": "", "format": "PNG"}
    with pytest.raises(ValueError, match="pixels must be 2-D uint8, got 3-D uint8"):
        Xray(pixels=pixels[None], raw=None, **facts)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"raw must be uint16 of shape \(3, 4\), got uint8"):
        Xray(pixels=pixels, raw=pixels, **facts)  # type: ignore[arg-type]


def test_errors_survive_pickling() -> None:
    error = outcome(b"", "a.png")
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), copy.name) == (im.EmptyFile, str(error), "a.png")


def test_memory_that_runs_out_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("cxrlab.data.decoding.read_raster", fails)
    with pytest.raises(im.TooManyPixels, match="needs more memory than there is"):
        read_xray(valid_files()["grey.png"])


def test_threads_share_the_silence_and_leave_the_filters_as_they_were() -> None:
    noisy = [file for file in hostile_images() if file.name.endswith((".dcm", ".tif"))] * 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        before = list(warnings.filters)
        with ThreadPoolExecutor(8) as pool:
            results = list(pool.map(lambda file: outcome_without_filters(file.data, file.name), noisy))
        assert list(warnings.filters) == before
    assert [type(result) for result in results] == [file.error or Xray for file in noisy]


def outcome_without_filters(data: bytes, name: str) -> Xray | XrayError:
    try:
        return read_xray(data, name=name)
    except XrayError as error:
        return error


FUZZED = {
    **{name: data for name, data in valid_files().items() if len(data) < 20_000},
    "rle.dcm": make_dicom(grey16(12), syntax=COMPRESSED["RLE"], bits=12),
    "j2k.dcm": make_dicom(grey16(12), syntax=COMPRESSED["JPEG 2000"], bits=12),
    "jls.dcm": make_dicom(JPEG_LS_PIXELS, syntax=COMPRESSED["JPEG-LS"], frames=JPEG_LS_STREAM),
}


@settings(max_examples=400, deadline=None, derandomize=True)
@given(
    name=st.sampled_from(sorted(FUZZED)),
    places=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=8),
    kept=st.floats(0.02, 1) | st.just(1.0),
)
def test_changed_bytes_never_raise_anything_else(name: str, places: list[tuple[float, int]], kept: float) -> None:
    data = bytearray(FUZZED[name])
    for where, value in places:
        data[int(where * len(data))] = value
    result = outcome(bytes(data[: max(1, int(kept * len(data)))]), name if "." in name else "")
    assert isinstance(result, Xray | XrayError)
    assert str(result)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    start=st.sampled_from([data[:size] for data in FUZZED.values() for size in (4, 30, 140)]),
    rest=st.binary(max_size=300),
)
def test_noise_after_a_true_start_never_raises_anything_else(start: bytes, rest: bytes) -> None:
    assert isinstance(outcome(start + rest, "noise"), Xray | XrayError)


def test_real_xrays_are_read_as_pillow_reads_them(tmp_path: Path) -> None:
    """Every 20th of the real X-rays where ``CXRLAB_DATA`` names their folder, else made-up ones."""
    folder = Path(os.environ.get("CXRLAB_DATA") or tmp_path)
    for seed in range(40):
        (tmp_path / f"{seed}.jpg").write_bytes(saved(Image.fromarray(grey8(20 + seed, 99 - seed)), "JPEG"))
    for file in sorted(folder.rglob("*.jpg"))[::20]:
        np.testing.assert_array_equal(read_xray(file).pixels, pillow_grey(file.read_bytes()))
