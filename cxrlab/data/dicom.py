"""DICOM radiographs: a short list of harmless tags is read, the rest of the header never becomes an object."""

from __future__ import annotations

import zlib
from io import BytesIO

from pydicom import Dataset, dcmread
from pydicom.filereader import read_dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from cxrlab.data.dicom_display import shown
from cxrlab.data.dicom_frames import decode_frame
from cxrlab.data.dicom_layout import read_layout, whole
from cxrlab.data.xray import (
    Decoded,
    FileTooLarge,
    Limits,
    MultiFrame,
    TruncatedFile,
    UnsupportedDicom,
    View,
    XrayError,
    megabytes,
)

_PREAMBLE = 132  # 128 free bytes and "DICM"

# Nothing here identifies a patient, a person, a place, a time or an object.
_PALETTES = [
    f"{colour}PaletteColorLookupTable{part}" for colour in ("Red", "Green", "Blue") for part in ("Descriptor", "Data")
]
_TAGS: list[str] = [
    "Modality",
    "ViewPosition",
    "ViewCodeSequence",
    "BodyPartExamined",
    "BurnedInAnnotation",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelPaddingValue",
    "RescaleIntercept",
    "RescaleSlope",
    "ModalityLUTSequence",
    "VOILUTSequence",
    "WindowCenter",
    "WindowWidth",
    "VOILUTFunction",
    *_PALETTES,
    "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
    "PixelData",
    "FloatPixelData",
    "DoubleFloatPixelData",
]

# View Position (0018,5101) and the codes of View Code Sequence (CID 4010, SNOMED CT and RT).
_VIEWS: dict[str, View] = {
    **dict.fromkeys(("AP", "399348003", "R-10206"), "AP"),
    **dict.fromkeys(("PA", "272479007", "R-10214", "R-40888"), "PA"),
    **dict.fromkeys(("LL", "RL", "LAT", "LATERAL", "LLAT", "RLAT"), "lateral"),
    **dict.fromkeys(("399067008", "399173006", "399198007", "R-102CD", "R-10236", "R-10232"), "lateral"),
}

# Terms of PS3.16 annex L and their usual variants; anything else in (0018,0015) is free text, and stays inside.
_BODY_PARTS = frozenset(
    (
        *("ABDOMEN", "ABDOMENPELVIS", "ANKLE", "ARM", "BREAST", "CHEST", "CHESTABDOMEN", "CLAVICLE", "CSPINE", "ELBOW"),
        *("EXTREMITY", "FEMUR", "FINGER", "FOOT", "FOREARM", "HAND", "HEAD", "HEART", "HIP", "HUMERUS", "JAW", "KNEE"),
        *("LEG", "LSPINE", "LUNG", "NECK", "PELVIS", "RIB", "SACRUM", "SCAPULA", "SHOULDER", "SKULL", "SPINE"),
        *("SSPINE", "STERNUM", "THORAX", "TIBIA", "TOE", "TSPINE", "WHOLEBODY", "WRIST"),
    )
)

_OTHER_MODALITIES = frozenset(["CT", "MG", "MR", "NM", "OP", "PT", "SM", "US", "XC"])


def read_dicom(data: bytes, name: str, limits: Limits) -> Decoded:
    """Decode a DICOM file of one frame.

    Grey pictures pass modality LUT or rescale, then VOI LUT, window or percentiles; MONOCHROME1 is inverted.

    Args:
        data: the file's bytes, with the DICM mark.
        name: for the sentences.
        limits: ``max_pixels`` is checked against Rows x Columns before decoding.

    Raises:
        XrayError: several frames, too many pixels, no picture, or a kind that is not read.
        Exception: whatever pydicom raises on damaged bytes; the caller gives it its sentence.
    """
    dataset = dcmread(BytesIO(_inflated(data, name, limits)), specific_tags=list(_TAGS))
    if "PixelData" not in dataset:
        raise _without_pixels(dataset, name)
    layout = read_layout(dataset, name)
    limits.check_pixels(layout.columns, layout.rows, name)
    if whole(dataset, "NumberOfFrames", 1) > 1:
        raise MultiFrame(name, "is a DICOM file of several frames; one file must hold one X-ray, export one frame.")
    frame = decode_frame(dataset, layout, name)
    decoded = shown(frame, dataset, layout)
    notes = (*decoded.notes, *_cautions(dataset))
    return Decoded(decoded.pixels, decoded.raw, layout.stored, _view(dataset), _body_part(dataset), notes)


def _inflated(data: bytes, name: str, limits: Limits) -> bytes:
    """The file with a deflated data set unpacked, at most to the size that the limits allow; any other as it is."""
    stream = BytesIO(data)
    stream.seek(_PREAMBLE)
    meta = read_dataset(stream, False, True, stop_when=lambda tag, _vr, _length: tag >> 16 != 2)
    if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        return data
    start, most = stream.tell(), limits.max_bytes + 2 * limits.max_pixels
    body = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data[start:], most)
    if len(body) >= most:
        raise FileTooLarge(name, f"unpacks to more than {megabytes(most)}, the limit for one file.")
    # A UID is padded with NUL, so the plain syntax fits where the deflated one stood.
    deflated, plain = DeflatedExplicitVRLittleEndian.encode(), ExplicitVRLittleEndian.encode()
    return data[:start].replace(deflated, plain.ljust(len(deflated), b"\0")) + body


def _without_pixels(dataset: Dataset, name: str) -> XrayError:
    if "FloatPixelData" in dataset or "DoubleFloatPixelData" in dataset:
        return UnsupportedDicom(name, "has floating-point pixels, which are not read; export it with whole numbers.")
    if "Rows" in dataset or len(dataset) == 0:
        return TruncatedFile(name, "is cut off or damaged: its DICOM data ends before the picture; export it again.")
    return UnsupportedDicom(name, "is a DICOM file without a picture; choose a radiograph.")


def _view(dataset: Dataset) -> View:
    words = [str(dataset.get("ViewPosition") or "")]
    words += [str(item.get("CodeValue") or "") for item in dataset.get("ViewCodeSequence") or ()]
    return next((_VIEWS[word] for word in (word.strip().upper() for word in words) if word in _VIEWS), "unknown")


def _body_part(dataset: Dataset) -> str | None:
    word = str(dataset.get("BodyPartExamined") or "").strip().upper()
    return word if word in _BODY_PARTS else None


def _cautions(dataset: Dataset) -> tuple[str, ...]:
    notes = []
    if str(dataset.get("BurnedInAnnotation") or "").strip().upper() == "YES":
        notes.append("The header says that text is burned into the picture; it may name the patient.")
    if (modality := str(dataset.get("Modality") or "").strip().upper()) in _OTHER_MODALITIES:
        notes.append(f"The header says that this is no radiograph (modality {modality}).")
    return tuple(notes)
