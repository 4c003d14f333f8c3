"""The sample X-rays: bundled phantoms, and 12 real ones that are downloaded when the user asks for them."""

from __future__ import annotations

import csv
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cxrlab.config import home, repository
from cxrlab.data.download import DownloadError, download
from cxrlab.data.sources import REAL_IMAGES, RealImage
from cxrlab.progress import Cancel, Cancelled, Progress, check, never, silent

__all__ = ["DownloadError", "DownloadStopped", "Sample", "SampleError", "fetch_samples", "list_samples"]

BASE_URL = "https://raw.githubusercontent.com"
WAIT_SECONDS = 0.2  # between two looks whether it is our turn
_STEPS = 1000  # of progress, an image

_turn = threading.Lock()  # two downloads at once would write into the same files


class SampleError(ValueError):
    """The bundled samples can not be listed; the text is the sentence for the user."""


class DownloadStopped(Cancelled):
    """The user stopped the download; what has arrived is kept."""

    def __init__(self, done: int, total: int) -> None:
        Exception.__init__(
            self, f"The download was stopped with {done} of {total} images; started again, it goes on from there."
        )


@dataclass(frozen=True)
class Sample:
    """One X-ray of the gallery.

    Args:
        id: stays the same, for links. title: for people; does not tell the class.
        file: where it lies. label: class id. view: AP or PA.
        source: collection. domain: ``phantom`` or ``real``.
        credit: whom to name. licence: SPDX identifier.
        part: of the benchmark split: shipped checkpoints have not seen ``test``, and may have seen ``development``;
            empty for phantoms.
        sha256: of the file's bytes; empty where it is not fixed beforehand.
    """

    id: str
    title: str
    file: Path
    label: str
    view: str
    source: str
    domain: str
    credit: str
    licence: str
    part: str = ""
    sha256: str = ""


def real_folder() -> Path:
    """``CXRLAB_HOME/samples/real``; not created here."""
    return home() / "samples" / "real"


def list_samples() -> tuple[Sample, ...]:
    """The bundled samples in the order of their manifest, then the real ones that were downloaded.

    Raises:
        SampleError: when the manifest of the bundled samples can not be read.
    """
    real = (real_sample(number) for number in range(len(REAL_IMAGES)))
    return (*_bundled(repository() / "sample_images" / "manifest.csv"), *(each for each in real if each.file.is_file()))


def real_sample(number: int, images: Sequence[RealImage] = REAL_IMAGES) -> Sample:
    """The sample that image ``number`` of ``images`` becomes, whether or not it was downloaded."""
    image = images[number]
    origin = image.collection
    id_ = f"real-{number + 1:02d}"
    return Sample(
        id=id_,
        title=f"Real {number + 1} ({origin.people}, {image.view})",
        file=real_folder() / f"{id_}{image.suffix}",
        label=image.label,
        view=image.view,
        source=origin.name,
        domain="real",
        credit=origin.credit,
        licence=origin.licence,
        part=image.part,
        sha256=image.sha256,
    )


def fetch_samples(
    *,
    progress: Progress = silent,
    cancel: Cancel = never,
    base_url: str | None = None,
    images: Sequence[RealImage] = REAL_IMAGES,
) -> tuple[Sample, ...]:
    """Download the real samples that are not there yet into ``CXRLAB_HOME/samples/real``, each checked by its sha256.

    Args:
        base_url: server of raw files with the paths ``owner/name/commit/path``; default GitHub's.
        images: which; default the 12 of ``data/sources.py``.

    Returns:
        All of them, in order.

    Raises:
        DownloadError: one sentence; images that were finished before stay.
        DownloadStopped: by the user; likewise.
    """
    server = (base_url or BASE_URL).rstrip("/")
    samples = tuple(real_sample(number, images) for number in range(len(images)))
    with _our_turn(progress, cancel):
        for number, (sample, image) in enumerate(zip(samples, images, strict=True)):
            try:
                download(
                    f"{server}/{image.url_path}",
                    sample.file,
                    sha256=image.sha256,
                    progress=_of_all(progress, number, len(images)),
                    cancel=cancel,
                )
            except Cancelled as error:
                raise DownloadStopped(number, len(images)) from error
            progress((number + 1) * _STEPS, len(images) * _STEPS, f"{number + 1} of {len(images)} real X-rays")
    return samples


def _of_all(progress: Progress, number: int, count: int) -> Progress:
    """Progress of one file as a share of all."""

    def report(done: int, total: int, text: str) -> None:
        share = done / total if total else 0
        progress(round((number + share) * _STEPS), count * _STEPS, f"Image {number + 1} of {count}, {text}")

    return report


@contextmanager
def _our_turn(progress: Progress, cancel: Cancel) -> Iterator[None]:
    while not _turn.acquire(timeout=WAIT_SECONDS):
        progress(0, 1, "Waiting: the samples are being downloaded already")
        check(cancel, "The download")
    try:
        yield
    finally:
        _turn.release()


def _bundled(manifest: Path) -> Iterator[Sample]:
    """The rows of ``sample_images/manifest.csv`` whose file is there; none where there is no manifest."""
    if not manifest.is_file():
        return
    try:
        with manifest.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                image = manifest.parent / row["path"]
                facts = {name: row[name] for name in ("label", "view", "source", "domain", "credit", "licence")}
                if image.is_file():
                    yield Sample(id=image.stem, title=row["title"], file=image, **facts)
    except (OSError, UnicodeDecodeError, csv.Error, KeyError) as error:
        raise SampleError(
            "The list of bundled samples, sample_images/manifest.csv, is damaged; get it again."
        ) from error
