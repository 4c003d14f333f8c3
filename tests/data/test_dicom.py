import pickle
from io import BytesIO

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.pixels import apply_voi_lut
from pydicom.pixels.encoders import RLELosslessEncoder
from pydicom.uid import JPEG2000Lossless, RLELossless

from cxrlab.data.dicom_frames import codestream_size, unpack_bits
from cxrlab.data.images import Xray, XrayError, read_xray
from cxrlab.data.windowing import Window, percentile_range, ramp
from tests.dicom_writer import (
    COMPRESSED,
    JPEG_LS_PIXELS,
    JPEG_LS_STREAM,
    NATIVE,
    SECRETS,
    jpeg_baseline,
    jpeg_lossless,
    lookup_item,
    make_dicom,
)
from tests.hostile import hostile_images
from tests.pictures import grey8, grey16


def raw_of(data: bytes) -> np.ndarray:
    raw = read_xray(data).raw
    assert raw is not None
    return raw


@pytest.mark.parametrize("syntax", NATIVE)
@pytest.mark.parametrize("pixels", [grey8(), grey16(12)], ids=["8 bits", "12 in 16 bits"])
def test_uncompressed_syntaxes_give_the_stored_values(syntax: str, pixels: np.ndarray) -> None:
    bits = 8 if pixels.dtype == np.uint8 else 12
    xray = read_xray(make_dicom(pixels, syntax=NATIVE[syntax], bits=bits), name="a.dcm")
    np.testing.assert_array_equal(xray.pixels if xray.raw is None else xray.raw, pixels)
    assert (xray.format, xray.bit_depth, xray.raw is None) == ("DICOM", bits, bits == 8)


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless], ids=["RLE", "JPEG 2000"])
@pytest.mark.parametrize("bits", [10, 12, 16])
def test_lossless_compression_changes_nothing(syntax: str, bits: int) -> None:
    pixels = grey16(bits)
    np.testing.assert_array_equal(raw_of(make_dicom(pixels, syntax=syntax, bits=bits)), pixels)
    signed = (pixels.astype(np.int32) - (1 << (bits - 1))).astype(np.int16)
    np.testing.assert_array_equal(raw_of(make_dicom(signed, syntax=syntax, bits=bits)), pixels)


@pytest.mark.parametrize("bits", [12, 16])
def test_lossless_jpeg_changes_nothing(bits: int) -> None:
    pixels = grey16(bits)
    data = make_dicom(pixels, syntax=COMPRESSED["JPEG lossless"], bits=bits, frames=jpeg_lossless(pixels, bits))
    np.testing.assert_array_equal(raw_of(data), pixels)


def test_jpeg_ls_gives_the_example_of_its_standard() -> None:
    data = make_dicom(JPEG_LS_PIXELS, syntax=COMPRESSED["JPEG-LS"], frames=JPEG_LS_STREAM)
    np.testing.assert_array_equal(read_xray(data).pixels, JPEG_LS_PIXELS)


def test_baseline_jpeg_is_close() -> None:
    data = make_dicom(grey8(), syntax=COMPRESSED["JPEG"], frames=jpeg_baseline(grey8()))
    np.testing.assert_allclose(read_xray(data).pixels.astype(int), grey8(), atol=12)


def test_rle_bytes_unpack_as_pydicoms_encoder_packs_them() -> None:
    data = np.concatenate([np.zeros(999), np.arange(300) % 256, np.repeat([7, 9], 130)]).astype(np.uint8)
    frame = RLELosslessEncoder.encode(
        data.reshape(1, -1), rows=1, columns=data.size, samples_per_pixel=1, number_of_frames=1, bits_allocated=8,
        bits_stored=8, pixel_representation=0, photometric_interpretation="MONOCHROME2", planar_configuration=0,
    )  # fmt: skip
    assert unpack_bits(frame[64:], data.size) == data.tobytes()
    with pytest.raises(ValueError, match="shorter than the picture"):
        unpack_bits(b"\x00", 5)


def test_codestream_sizes() -> None:
    assert codestream_size(jpeg_baseline(grey8())) == (*grey8().shape, 1)
    assert codestream_size(JPEG_LS_STREAM) == (4, 4, 1)
    assert codestream_size(b"\xff\xd8\xff\xff\xe0\x00\x04ab" + JPEG_LS_STREAM[2:]) == (4, 4, 1)
    assert codestream_size(b"words") is None
    assert codestream_size(b"\xff\xd8\xff\xe0\x00\x04ab") is None


def test_8_bits_without_a_window_are_shown_as_stored() -> None:
    xray = read_xray(make_dicom(grey8()))
    np.testing.assert_array_equal(xray.pixels, grey8())
    assert xray.notes == ()


def test_monochrome1_is_inverted_in_pixels_and_raw() -> None:
    np.testing.assert_array_equal(read_xray(make_dicom(grey8(), photometric="MONOCHROME1")).pixels, 255 - grey8())
    xray = read_xray(make_dicom(grey16(12), bits=12, photometric="MONOCHROME1", WindowCenter=2000, WindowWidth=3000))
    plain = read_xray(make_dicom(grey16(12), bits=12, WindowCenter=2000, WindowWidth=3000))
    np.testing.assert_array_equal(raw_of(make_dicom(grey16(12), bits=12, photometric="MONOCHROME1")), 4095 - grey16(12))
    np.testing.assert_allclose(xray.pixels, 255 - plain.pixels.astype(int), atol=1)
    assert xray.notes[0] == "MONOCHROME1: shown inverted, so that dense is bright."


def test_a_falling_rescale_turns_raw_but_not_twice() -> None:
    data = make_dicom(grey16(12), bits=12, RescaleSlope=-1, RescaleIntercept=4095)
    np.testing.assert_array_equal(raw_of(data), 4095 - grey16(12))
    assert np.corrcoef(read_xray(data).pixels.ravel(), raw_of(data).ravel())[0, 1] > 0.9


@pytest.mark.parametrize("function", [None, "LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize("pixels", [grey16(12), (grey16(12).astype(np.int32) - 2048).astype(np.int16)], ids="us")
@pytest.mark.parametrize("rescale", [{}, {"RescaleSlope": 2, "RescaleIntercept": -1024}], ids=["plain", "rescale"])
def test_windows_agree_with_pydicom(function: str | None, pixels: np.ndarray, rescale: dict[str, float]) -> None:
    tags = {"WindowCenter": 700, "WindowWidth": 900, **rescale}
    if function:
        tags["VOILUTFunction"] = function
    data = make_dicom(pixels, bits=12, **tags)
    dataset = dcmread(BytesIO(data))
    slope, intercept = rescale.get("RescaleSlope", 1), rescale.get("RescaleIntercept", 0)
    values = apply_voi_lut(pixels * float(slope) + intercept, dataset)
    low, high = (slope * end + intercept for end in ((-2048, 2047) if pixels.dtype == np.int16 else (0, 4095)))
    xray = read_xray(data)
    np.testing.assert_allclose(xray.pixels, 255 * (values - low) / (high - low), atol=0.51)
    assert "Shown with the header's window: centre 700, width 900." in xray.notes


def test_a_window_of_width_one_is_a_step() -> None:
    assert Window(10, 1)(np.array([9.0, 9.5, 9.6, 11])).tolist() == [0, 0, 1, 1]
    assert not Window(10, 0.5).is_valid
    assert Window(10, 0.5, "SIGMOID").is_valid
    assert not Window(float("nan"), 5).is_valid


def test_percentiles_of_an_even_picture_span_its_few_other_values() -> None:
    values = np.zeros((100, 100))
    values[0, 0] = 5
    assert percentile_range(values) == (0, 5)
    assert ramp(np.ones((2, 2)), 1, 1).tolist() == [[0, 0], [0, 0]]


def test_the_first_of_several_windows_is_taken() -> None:
    several = make_dicom(grey16(12), bits=12, WindowCenter=[700, 9], WindowWidth=[900, 9])
    one = make_dicom(grey16(12), bits=12, WindowCenter=700, WindowWidth=900)
    np.testing.assert_array_equal(read_xray(several).pixels, read_xray(one).pixels)


@pytest.mark.parametrize(("center", "width"), [(0, -5), (0, 0), (99999, 2), (-99999, 2)])
def test_a_window_that_shows_nothing_is_passed_over(center: float, width: float) -> None:
    xray = read_xray(make_dicom(grey16(12), bits=12, WindowCenter=center, WindowWidth=width))
    np.testing.assert_array_equal(xray.pixels, read_xray(make_dicom(grey16(12), bits=12)).pixels)
    assert xray.notes[-1].startswith("No usable window in the header")


def test_a_voi_table_goes_before_the_window() -> None:
    table = np.arange(3000)[::-1] // 12  # inputs 500 … 3499 -> 8 bits, falling
    data = make_dicom(grey16(12), bits=12, VOILUTSequence=lookup_item(500, table, 8), WindowCenter=700, WindowWidth=900)
    expected = table[np.clip(grey16(12).astype(int) - 500, 0, 2999)]
    xray = read_xray(data)
    np.testing.assert_array_equal(xray.pixels, expected)
    assert xray.notes == ("Shown through the header's VOI lookup table.",)


def test_a_voi_table_may_start_below_zero() -> None:
    signed = (grey16(12).astype(np.int32) - 2048).astype(np.int16)
    table = np.arange(4096)
    xray = read_xray(make_dicom(signed, bits=12, VOILUTSequence=lookup_item(-2048, table, 12)))
    np.testing.assert_allclose(xray.pixels, grey16(12) * (255 / 4095), atol=0.51)


def test_a_modality_table_comes_before_the_window() -> None:
    table = np.minimum(np.arange(4096) * 2, 4095)
    data = make_dicom(
        grey16(12), bits=12, ModalityLUTSequence=lookup_item(0, table, 12), WindowCenter=2048, WindowWidth=4096
    )
    np.testing.assert_allclose(read_xray(data).pixels, table[grey16(12)] * (255 / 4095), atol=0.51)


def test_a_table_of_65536_entries_is_whole() -> None:
    table = np.arange(65536)[::-1]
    xray = read_xray(make_dicom(grey16(), VOILUTSequence=lookup_item(0, table, 16)))
    np.testing.assert_allclose(xray.pixels, (65535 - grey16().astype(float)) / 257, atol=0.51)


def test_signed_values_are_shifted_to_start_at_zero() -> None:
    signed = (grey16().astype(np.int32) - 32768).astype(np.int16)
    np.testing.assert_array_equal(raw_of(make_dicom(signed)), grey16())
    small = (grey8().astype(int) - 128).astype(np.int8)
    np.testing.assert_array_equal(read_xray(make_dicom(small)).pixels, grey8())


def test_bits_beside_the_value_are_ignored() -> None:
    overlay = grey16(12) | np.uint16(0x8000)
    np.testing.assert_array_equal(raw_of(make_dicom(overlay, bits=12)), grey16(12))
    high = (grey16(12) << 4 | 3).astype(np.uint16)
    np.testing.assert_array_equal(raw_of(make_dicom(high, bits=12, HighBit=15)), grey16(12))


def test_padding_does_not_count_for_the_percentiles() -> None:
    pixels = (grey16(10) + 2000).astype(np.uint16)
    pixels[:, :20] = 0
    padded = read_xray(make_dicom(pixels, bits=12, PixelPaddingValue=0)).pixels
    assert np.ptp(padded[:, 20:].astype(int)) == 255
    assert (padded[:, :20] == 0).all()


@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL"])
@pytest.mark.parametrize("syntax", ["explicit", "RLE"])
def test_colour_becomes_grey(photometric: str, syntax: str) -> None:
    colour = np.stack([grey8(), grey8() // 2, grey8() // 3], axis=2)
    transfer = {**NATIVE, **COMPRESSED}[syntax]
    xray = read_xray(make_dicom(colour, photometric=photometric, syntax=transfer))
    y, b, r = (colour[..., channel].astype(float) for channel in range(3))
    rgb = [y, b, r]
    if photometric == "YBR_FULL":  # PS3.3 C.7.6.3.1.2
        rgb = [y + 1.402 * (r - 128), y - 0.344136 * (b - 128) - 0.714136 * (r - 128), y + 1.772 * (b - 128)]
    red, green, blue = (np.clip(channel, 0, 255) for channel in rgb)
    np.testing.assert_allclose(xray.pixels, 0.299 * red + 0.587 * green + 0.114 * blue, atol=1.6)
    assert (xray.raw, xray.notes) == (None, ("Colour picture, turned to grey (ITU-R 601).",))


def test_palette_colour_becomes_grey() -> None:
    ramp_up = (np.arange(256) * 257).astype("<u2")
    tags: dict[str, object] = {}
    for colour in ("Red", "Green", "Blue"):
        tags[f"{colour}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        tags[f"{colour}PaletteColorLookupTableData"] = ramp_up.tobytes()
    np.testing.assert_array_equal(read_xray(make_dicom(grey8(), photometric="PALETTE COLOR", **tags)).pixels, grey8())


@pytest.mark.parametrize(
    ("position", "view"),
    [
        *(("AP", "AP"), ("PA", "PA"), ("pa ", "PA"), ("LL", "lateral"), ("RL", "lateral"), ("LATERAL", "lateral")),
        *(("", "unknown"), ("LLO", "unknown"), ("Secret", "unknown")),
    ],
)
def test_view_position(position: str, view: str) -> None:
    assert read_xray(make_dicom(grey8(), ViewPosition=position)).view == view


@pytest.mark.parametrize(
    ("code", "view"), [("399348003", "AP"), ("R-10214", "PA"), ("399067008", "lateral"), ("1", "unknown")]
)
def test_view_code(code: str, view: str) -> None:
    item = Dataset()
    item.CodeValue = code
    assert read_xray(make_dicom(grey8(), ViewCodeSequence=[item])).view == view


def test_body_part_is_a_term_and_never_free_text() -> None:
    assert read_xray(make_dicom(grey8(), BodyPartExamined="CHEST")).body_part == "CHEST"
    assert read_xray(make_dicom(grey8(), BodyPartExamined="knee")).body_part == "KNEE"
    assert read_xray(make_dicom(grey8(), BodyPartExamined="SECRET NAME")).body_part is None


def test_cautions_of_the_header_become_notes() -> None:
    notes = read_xray(make_dicom(grey8(), BurnedInAnnotation="YES", Modality="CT")).notes
    assert notes == (
        "The header says that text is burned into the picture; it may name the patient.",
        "The header says that this is no radiograph (modality CT).",
    )
    assert read_xray(make_dicom(grey8(), Modality="SECRET")).notes == ()


def secrets() -> list[str]:
    words = [word for value in SECRETS.values() for word in (value, value.upper(), value.lower()) if len(word) > 3]
    return [*words, "Secret", "SECRET"]


def everything_said(result: Xray | XrayError) -> str:
    parts: list[object] = [vars(result), repr(result), str(result), result.__dict__]
    if isinstance(result, XrayError):
        parts += [result.args, result.__cause__, result.__notes__ if hasattr(result, "__notes__") else ""]
    return " ".join(map(repr, parts)) + pickle.dumps(result).decode("latin-1")


def test_nothing_that_identifies_the_patient_leaves_the_reader() -> None:
    good = [make_dicom(grey8()), make_dicom(grey16(12), bits=12, WindowCenter=9, WindowWidth=99, ViewPosition="PA")]
    files = [*good, *(file.data for file in hostile_images() if file.data[128:132] == b"DICM")]
    assert len(files) > 40
    for data in files:
        try:
            result: Xray | XrayError = read_xray(data, name="scan.dcm")
        except XrayError as error:
            result = error
        said = everything_said(result)
        assert [word for word in secrets() if word in said] == []


def test_the_made_files_do_hold_the_secrets() -> None:
    dataset = dcmread(BytesIO(make_dicom(grey8())))
    assert {keyword: str(dataset[keyword].value) for keyword in SECRETS} == SECRETS
