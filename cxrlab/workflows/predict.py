"""Run files through checkpoints, one answer after the other: the function behind `cxrlab predict`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cxrlab.data.images import EXTENSIONS, Limits, Xray, XrayError, read_archive, read_xray
from cxrlab.progress import Cancel, Progress, check, never, silent
from cxrlab.workflows.compare import CAM_METHODS, CamOptions, ModelResult, compare, predict_json

__all__ = [
    "CAM_METHODS",
    "CamOptions",
    "FilePrediction",
    "Limits",
    "Unreadable",
    "XrayError",
    "image_files",
    "predict_files",
]


@dataclass(frozen=True, eq=False)
class FilePrediction:
    """What one checkpoint says of one image.

    Args:
        image: path as given; for an entry of a ZIP, the ZIP's path, a slash and the entry's name.
        xray: the image.
    """

    image: str
    xray: Xray
    result: ModelResult

    def to_json(self) -> dict[str, Any]:
        """image, sha256, checkpoint, labels, probabilities, predicted, seconds."""
        return predict_json(self.xray, [self.result])[0] | {"image": self.image}


@dataclass(frozen=True)
class Unreadable:
    """An image that was not read, with the sentence why."""

    image: str
    sentence: str


def image_files(paths: Sequence[Path]) -> tuple[Path, ...]:
    """The files meant: a folder stands for the images and ZIPs anywhere in it, by name; hidden ones are left out.

    Raises:
        XrayError: for a folder without images.
    """
    files: list[Path] = []
    for path in paths:
        found = [path]
        if path.is_dir():
            found = [file for file in sorted(path.rglob("*")) if _is_wanted(path, file)]
        if not found:
            raise XrayError(path.name, f"has no X-rays in it; they end in {', '.join(sorted(EXTENSIONS))} or .zip.")
        files += found
    return tuple(dict.fromkeys(files))


def _is_wanted(folder: Path, file: Path) -> bool:
    """By its ending; DICOM files often have none, or a number."""
    if any(part.startswith(".") for part in file.relative_to(folder).parts) or not file.is_file():
        return False
    if file.suffix.lower() in {*EXTENSIONS, ".zip"}:
        return True
    with file.open("rb") as opened:
        return opened.read(132)[128:] == b"DICM"


def predict_files(
    paths: Sequence[Path],
    checkpoints: Sequence[str | Path],
    *,
    cam: CamOptions | None = None,
    device: str = "auto",
    limits: Limits | None = None,
    progress: Progress = silent,
    cancel: Cancel = never,
) -> Iterator[FilePrediction | Unreadable]:
    """Every image with every checkpoint, in the order given; one image at a time is held decoded.

    Args:
        paths: images, folders of images, ZIPs of images.
        checkpoints: names, or paths of checkpoint folders.
        cam: heatmaps as well.

    Raises:
        XrayError: a folder without images. CheckpointError, ValueError: one sentence each.
        Cancelled: between two answers.
    """
    files = image_files(paths)
    names = tuple(dict.fromkeys(checkpoints))
    for number, file in enumerate(files):
        for image, xray in _xrays(file, limits or Limits()):
            check(cancel, "The prediction")
            progress(number, len(files), image)
            if isinstance(xray, XrayError):
                yield Unreadable(image, str(xray))
                continue
            for result in compare(xray, names, cam=cam, device=device):
                yield FilePrediction(image, xray, result)
                check(cancel, "The prediction")
    progress(len(files), len(files), f"{len(files)} files")


def _xrays(file: Path, limits: Limits) -> Iterator[tuple[str, Xray | XrayError]]:
    if file.suffix.lower() != ".zip":
        try:
            yield str(file), read_xray(file, limits=limits)
        except XrayError as error:
            yield str(file), error
        return
    try:
        for entry in read_archive(file, name=file.name, limits=limits):
            yield f"{file}/{entry.name}" if entry.name else str(file), entry
    except XrayError as error:
        yield str(file), error
