"""Many X-rays x many checkpoints, one answer after the other; what was computed before is not computed again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

from cxrlab.catalogue import find_checkpoint
from cxrlab.data.images import Limits, Xray, XrayError, display_name, read_archive, read_xray
from cxrlab.explain.methods import CAM_METHODS, CamMethod
from cxrlab.progress import Cancel, Progress, check, never, silent
from cxrlab.workflows.compare import CamOptions, ModelResult, compare
from cxrlab.workflows.memory import Memory, Picture, picture_of

__all__ = [
    "CAM_METHODS",
    "Answer",
    "CamMethod",
    "CamOptions",
    "Event",
    "ModelResult",
    "Refused",
    "SourceFile",
    "compare_files",
]

CODE_VERSION = 1  # part of every memory key: raise it when the same input gives another result


@dataclass(frozen=True)
class SourceFile:
    """A file to read: a sample's path, or the bytes of an upload. Exactly one of ``path`` and ``data`` is given.

    ``key`` tells one upload from another of the same name.
    """

    name: str
    path: Path | None = None
    data: bytes | None = None
    sample_id: str = ""
    key: str = ""

    @property
    def is_archive(self) -> bool:
        return self.name.lower().endswith(".zip")


@dataclass(frozen=True)
class Refused:
    """A file that was not read, with the sentence why."""

    sentence: str


@dataclass(frozen=True, eq=False)
class Answer:
    """What one checkpoint said of one picture."""

    sha256: str
    result: ModelResult


Event = Picture | Refused | Answer


def compare_files(
    files: Sequence[SourceFile],
    checkpoints: Sequence[str],
    *,
    cam: CamOptions | None,
    device: str = "auto",
    limits: Limits | None = None,
    most_images: int = 40,
    memory: Memory | None = None,
    progress: Progress = silent,
    cancel: Cancel = never,
) -> Iterator[Event]:
    """Run X-rays through checkpoints: each picture as soon as it is read, then its answers one by one.

    Args:
        files: images and ZIPs of images; one at a time is held decoded.
        checkpoints: names, in the order wanted (answers from ``memory`` come first).
        cam: heatmaps as well; None: probabilities only.
        limits: for reading. most_images: further ones are refused with a sentence.
        memory: of the session; default is a new one.

    Raises:
        CheckpointError: a checkpoint can not be used. Cancelled: between two answers.
    """
    memory = memory or Memory()
    keys = {name: _key(name, cam, device) for name in checkpoints}
    reading = _Reading(files, limits or Limits(), memory, list(keys.values()))
    seen: dict[str, str] = {}
    for item in reading:
        check(cancel, "The comparison")
        if isinstance(item, Refused):
            yield item
            continue
        picture, open_xray = item
        if picture.sha256 in seen:
            yield Refused(f"{picture.name} is the same file as {seen[picture.sha256]}; it is shown once.")
            continue
        if len(seen) == most_images:
            yield Refused(
                f"Only the first {most_images} X-rays are compared at once; {picture.name} and later are left out."
            )
            return
        seen[picture.sha256] = picture.name
        memory.pictures.keep(picture.sha256, picture)
        yield picture
        done = (len(seen) - 1) * len(keys)
        for answer in _answers(picture, open_xray, keys, memory, cam, device):
            yield answer
            done += 1
            total = max(reading.expected, len(seen)) * len(keys)
            progress(done, total, f"{answer.result.title} on {picture.name}: {done} of {total} results")
            check(cancel, "The comparison")


def _answers(
    picture: Picture,
    open_xray: Callable[[], Xray],
    keys: dict[str, tuple[str, ...]],
    memory: Memory,
    cam: CamOptions | None,
    device: str,
) -> Iterator[Answer]:
    known = {name: memory.results.get((picture.sha256, *key)) for name, key in keys.items()}
    for result in known.values():
        if result is not None:
            yield Answer(picture.sha256, result)
    missing = [name for name, result in known.items() if result is None]
    if not missing:
        return
    xray = open_xray()
    for options in dict.fromkeys(_cam_of(name, cam) for name in missing):
        names = [name for name in missing if _cam_of(name, cam) == options]
        for name, result in zip(names, compare(xray, names, cam=options, device=device), strict=True):
            memory.results.keep((picture.sha256, *keys[name]), result)
            yield Answer(picture.sha256, result)


def _cam_of(name: str, cam: CamOptions | None) -> CamOptions | None:
    """The heatmap wanted of one checkpoint: of its own decision where it does not know the class that is asked for."""
    if cam and cam.class_id and cam.class_id not in find_checkpoint(name).card.labels:
        return replace(cam, class_id=None)
    return cam


def _key(name: str, cam: CamOptions | None, device: str) -> tuple[str, ...]:
    """Everything a result depends on besides the image."""
    shown = (cam.method, cam.class_id or "") if cam else ("", "")
    card = hashlib.sha256(find_checkpoint(name).card.to_text().encode()).hexdigest()  # weights and how they are used
    return (name, card, *shown, device, str(CODE_VERSION))


class _Reading:
    """Iterates over pictures with a way to open each in full; knows how many images it expects."""

    def __init__(
        self, files: Sequence[SourceFile], limits: Limits, memory: Memory, keys: list[tuple[str, ...]]
    ) -> None:
        self.expected = len(files)
        self._files, self._limits, self._memory, self._keys = files, limits, memory, keys

    def __iter__(self) -> Iterator[tuple[Picture, Callable[[], Xray]] | Refused]:
        for file in self._files:
            try:
                yield from self._archive(file) if file.is_archive else self._single(file)
            except XrayError as error:
                yield Refused(str(error))

    def _single(self, file: SourceFile) -> Iterator[tuple[Picture, Callable[[], Xray]]]:
        def opened() -> Xray:
            return read_xray(source, name=file.name, limits=self._limits)

        source = file.path if file.path is not None else file.data or b""
        known = self._memory.pictures.get(_sha256(source))
        if known and all(self._memory.results.get((known.sha256, *key)) for key in self._keys):
            yield replace(known, name=display_name(file.name), sample_id=file.sample_id), opened
            return
        xray = opened()
        yield picture_of(xray, sample_id=file.sample_id), lambda: xray

    def _archive(self, file: SourceFile) -> Iterator[tuple[Picture, Callable[[], Xray]] | Refused]:
        source = file.path if file.path is not None else file.data or b""
        items = read_archive(source, name=file.name, limits=self._limits)
        self.expected += _count(source) - 1
        for item in items:
            if isinstance(item, XrayError):
                yield Refused(f"{file.name}: {item}")
            else:
                xray = item
                yield picture_of(xray), lambda xray=xray: xray  # type: ignore[misc]


def _sha256(source: Path | bytes) -> str:
    """Hash of a file's bytes; empty where it can not be read, which reading itself then says in a sentence."""
    try:
        data = source.read_bytes() if isinstance(source, Path) else source
    except OSError:
        return ""
    return hashlib.sha256(data).hexdigest()


def _count(archive: Path | bytes) -> int:
    """About how many images a ZIP holds that was accepted already."""
    with ZipFile(archive if isinstance(archive, Path) else BytesIO(archive)) as opened:
        return max(1, sum(not name.endswith("/") for name in opened.namelist()))
