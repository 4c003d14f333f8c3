"""DICOM files for tests, written with pydicom; every one carries identifying tags that must never get out."""

from __future__ import annotations

import struct
import warnings
from io import BytesIO

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

SECRETS = {
    "PatientName": "Secret^Patient",
    "PatientID": "SECRET-77",
    "PatientBirthDate": "19010203",
    "PatientSex": "O",
    "PatientAddress": "1 Secret Street",
    "OtherPatientIDs": "SECRET-OTHER",
    "InstitutionName": "Secret Hospital",
    "InstitutionAddress": "Secret Square",
    "ReferringPhysicianName": "Secret^Doctor",
    "OperatorsName": "Secret^Operator",
    "PerformingPhysicianName": "Secret^Performer",
    "StationName": "SECRETSTATION",
    "DeviceSerialNumber": "SECRET-SERIAL",
    "AccessionNumber": "SECRETACC",
    "StudyID": "SECRETSTUDY",
    "StudyDate": "19040506",
    "StudyTime": "070809",
    "StudyDescription": "Secret study",
    "SeriesDescription": "Secret series",
    "ProtocolName": "Secret protocol",
    "PatientComments": "Secret comment",
    "ImageComments": "Secret image comment",
    "StudyInstanceUID": "1.2.826.0.1.3680043.8.498.7771",
    "SeriesInstanceUID": "1.2.826.0.1.3680043.8.498.7772",
    "SOPInstanceUID": "1.2.826.0.1.3680043.8.498.7773",
    "FrameOfReferenceUID": "1.2.826.0.1.3680043.8.498.7774",
}

NATIVE = {
    "implicit": ImplicitVRLittleEndian,
    "explicit": ExplicitVRLittleEndian,
    "big endian": ExplicitVRBigEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
}


def make_dicom(
    pixels: np.ndarray,
    *,
    syntax: UID = ExplicitVRLittleEndian,
    photometric: str = "MONOCHROME2",
    bits: int | None = None,
    frames: bytes | None = None,
    **tags: object,
) -> bytes:
    """The bytes of a DICOM file.

    Args:
        pixels: (H, W) or (H, W, 3) integers of 8 or 16 bits; the sign is taken from the type.
        syntax: transfer syntax; RLE and JPEG 2000 are compressed here, others need ``frames``.
        photometric: Photometric Interpretation.
        bits: Bits Stored; default the type's.
        frames: a codestream that stands for the pixels.
        tags: more tags by keyword; None removes one.
    """
    dataset = _dataset(pixels, photometric, bits)
    little = syntax != ExplicitVRBigEndian
    order = pixels.astype(pixels.dtype.newbyteorder("<" if little else ">"))
    dataset.PixelData = encapsulate([frames]) if frames is not None else order.tobytes() + b"\0" * (order.nbytes % 2)
    dataset["PixelData"].VR = "OB" if frames is not None or pixels.dtype.itemsize == 1 else "OW"
    dataset.file_meta.TransferSyntaxUID = syntax
    if syntax in (RLELossless, JPEG2000Lossless) and frames is None:
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.compress(syntax, generate_instance_uid=False)
    stream = BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # broken values are meant
        for keyword, value in tags.items():
            if value is None:
                del dataset[keyword]
            else:
                setattr(dataset, keyword, value)
        dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def _dataset(pixels: np.ndarray, photometric: str, bits: int | None) -> Dataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
    meta.MediaStorageSOPInstanceUID = SECRETS["SOPInstanceUID"]
    dataset = Dataset()
    dataset.file_meta = meta
    for keyword, value in SECRETS.items():
        setattr(dataset, keyword, value)
    dataset.private_block(0x0011, "SECRET MAKER", create=True).add_new(0x01, "LO", "Secret private value")
    dataset.SOPClassUID = ComputedRadiographyImageStorage
    dataset.Modality = "CR"
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.SamplesPerPixel = 1 if pixels.ndim == 2 else 3
    if pixels.ndim == 3:
        dataset.PlanarConfiguration = 0
    dataset.PhotometricInterpretation = photometric
    dataset.BitsAllocated = pixels.dtype.itemsize * 8
    dataset.BitsStored = bits or dataset.BitsAllocated
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    return dataset


def lookup_item(first: int, table: np.ndarray, bits: int) -> list[Dataset]:
    """A sequence of one lookup table: LUT Descriptor and LUT Data."""
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [len(table) % 65536, first, bits])
    item.add_new("LUTData", "US", [int(value) for value in table])
    return [item]


def jpeg_baseline(pixels: np.ndarray) -> bytes:
    """(H, W) uint8 as a JPEG of quality 95."""
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=95)
    return stream.getvalue()


def jpeg_lossless(pixels: np.ndarray, bits: int) -> bytes:
    """(H, W) as a lossless JPEG (process 14, predictor 1) after ITU-T T.81 annex H; all 17 categories in 5 bits."""
    values = pixels.astype(np.int64)
    predicted = np.empty_like(values)
    predicted[:, 1:] = values[:, :-1]
    predicted[1:, 0] = values[:-1, 0]
    predicted[0, 0] = 1 << (bits - 1)
    codes = []
    for difference in (values - predicted).ravel().tolist():
        size = abs(difference).bit_length()
        extra = difference if difference >= 0 else difference + (1 << size) - 1
        codes.append(f"{size:05b}" + (f"{extra:0{size}b}" if size else ""))
    code = "".join(codes)
    code += "1" * (-len(code) % 8)
    scan = int(code, 2).to_bytes(len(code) // 8, "big").replace(b"\xff", b"\xff\0")
    rows, columns = pixels.shape
    table = bytes([0, 0, 0, 0, 0, 17, *[0] * 11, *range(17)])
    return b"".join(
        (
            b"\xff\xd8\xff\xc3" + struct.pack(">HBHHBBBB", 11, bits, rows, columns, 1, 1, 0x11, 0),
            b"\xff\xc4" + struct.pack(">H", 2 + len(table)) + table,
            b"\xff\xda" + struct.pack(">HBBBBBB", 8, 1, 1, 0, 1, 0, 0),
            scan,
            b"\xff\xd9",
        )
    )


# ITU-T T.87 (1998), annex H.3: the example picture and its JPEG-LS codestream.
JPEG_LS_PIXELS = np.array([[0, 0, 90, 74], [68, 50, 43, 205], [64, 145, 145, 145], [100, 145, 145, 145]], np.uint8)
JPEG_LS_STREAM = bytes.fromhex(
    "ffd8 fff7 000b 08 0004 0004 01 01 11 00 ffda 0008 01 01 00 00 00 00"
    "c0 00 00 6c 80 20 8e 01 c0 00 00 57 40 00 00 6e e6 00 00 01 bc 18 00 00 05 d8 00 00 91 60 ffd9"
)

COMPRESSED = {
    "RLE": RLELossless,
    "JPEG 2000": JPEG2000Lossless,
    "JPEG lossless": JPEGLosslessSV1,
    "JPEG-LS": JPEGLSLossless,
    "JPEG": JPEGBaseline8Bit,
}
