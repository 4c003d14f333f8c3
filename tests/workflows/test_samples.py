"""The sample X-rays: the bundled list, and the download of the real ones from a server on this machine."""

from __future__ import annotations

import hashlib
import os
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cxrlab.data.manifest import read_manifest
from cxrlab.data.sources import REAL_IMAGES
from cxrlab.data.splits import benchmark_split
from cxrlab.labels import CXR4, KNOWN_LABELS
from cxrlab.workflows import samples
from cxrlab.workflows.samples import DownloadError, DownloadStopped, SampleError, fetch_samples, list_samples
from tests.servers import FileServer, served

BODIES = {image.url_path: f"picture {number}".encode() * 9000 for number, image in enumerate(REAL_IMAGES)}
IMAGES = tuple(replace(image, sha256=hashlib.sha256(BODIES[image.url_path]).hexdigest()) for image in REAL_IMAGES)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with served(dict(BODIES)) as running:
        yield running


def stored(home: Path) -> list[str]:
    return sorted(path.name for path in (home / "samples" / "real").iterdir())


def test_bundled_samples_have_files_and_credits() -> None:
    bundled = [sample for sample in list_samples() if sample.domain == "phantom"]
    assert len({sample.id for sample in bundled}) == len(bundled)
    for sample in bundled:
        assert sample.file.is_file()
        assert sample.label in KNOWN_LABELS
        assert sample.credit
        assert sample.licence


def test_the_real_list_is_open_and_names_its_authors() -> None:
    assert len(REAL_IMAGES) == 12
    assert {image.collection.licence for image in REAL_IMAGES} <= {"CC-BY-3.0", "CC-BY-4.0"}
    assert Counter(image.label for image in REAL_IMAGES) == {"covid19": 7, "normal": 5}
    for image in REAL_IMAGES:
        assert len(image.sha256) == 64
        assert len(image.collection.commit) == 40
        assert image.collection.credit
        assert image.collection.address.startswith("https://")


def test_titles_do_not_tell_the_class(server: FileServer) -> None:
    for sample in fetch_samples(base_url=server.url, images=IMAGES):
        assert sample.label not in sample.title
        assert sample.label not in sample.file.name


def test_fetched_samples_join_the_list(server: FileServer, own_home: Path) -> None:
    before = list_samples()
    fetched = fetch_samples(base_url=server.url + "/", images=IMAGES)
    assert [sample.id for sample in list_samples()[len(before) :]] == [sample.id for sample in fetched]
    assert [sample.file.read_bytes() for sample in fetched] == list(BODIES.values())
    assert len(stored(own_home)) == 12


def test_nothing_is_asked_of_the_network_by_listing(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "BASE_URL", server.url)
    list_samples()
    assert not server.asked


def test_only_what_is_missing_is_fetched(server: FileServer) -> None:
    fetch_samples(base_url=server.url, images=IMAGES[:5])
    fetch_samples(base_url=server.url, images=IMAGES)
    assert len(server.asked) == 12


def test_progress_rises_to_the_end(server: FileServer) -> None:
    seen: list[tuple[int, int]] = []
    fetch_samples(base_url=server.url, images=IMAGES, progress=lambda done, total, text: seen.append((done, total)))
    assert seen == sorted(seen)
    assert seen[-1][0] == seen[-1][1]


def test_a_wrong_file_stops_with_its_sentence_and_keeps_the_others(server: FileServer, own_home: Path) -> None:
    server.files[IMAGES[3].url_path] = b"something else"
    with pytest.raises(DownloadError, match=r"real-04\.jpg is not the expected file"):
        fetch_samples(base_url=server.url, images=IMAGES)
    assert stored(own_home) == ["real-01.jpg", "real-02.jpeg", "real-03.jpg"]


def test_a_cancelled_download_says_how_far_it_came(server: FileServer, own_home: Path) -> None:
    with pytest.raises(DownloadStopped, match="stopped with 2 of 12 images; started again, it goes on"):
        fetch_samples(base_url=server.url, images=IMAGES, cancel=lambda: len(server.asked) > 2)
    assert [name for name in stored(own_home) if not name.startswith(".")] == ["real-01.jpg", "real-02.jpeg"]
    fetch_samples(base_url=server.url, images=IMAGES)
    assert len(stored(own_home)) == 12


def test_two_sessions_at_once_do_not_disturb_each_other(server: FileServer, own_home: Path) -> None:
    workers = [
        threading.Thread(target=fetch_samples, kwargs={"base_url": server.url, "images": IMAGES}) for _ in range(3)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(server.asked) == len(stored(own_home)) == 12


def test_a_damaged_list_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sample_images").mkdir()
    (tmp_path / "sample_images" / "manifest.csv").write_text("path;label\na.png;clear\n")
    monkeypatch.setattr(samples, "repository", lambda: tmp_path)
    with pytest.raises(SampleError, match=r"sample_images/manifest\.csv, is damaged"):
        list_samples()


@pytest.mark.data
def test_the_real_list_agrees_with_the_data_set() -> None:
    """Hash, class, view, licence and part as in the index of the real X-rays, where ``CXRLAB_DATA`` names them."""
    data = os.environ.get("CXRLAB_DATA")
    if not data:
        return
    manifest = read_manifest(Path(data), labels=CXR4)
    test = set(benchmark_split(manifest).part("test"))
    rows = {row.extra["original_path"]: row for row in manifest.rows}
    for image in REAL_IMAGES:
        row = rows[f"{image.collection.repository}:{image.path}"]
        assert (image.sha256, image.label, image.view) == (row.extra["sha256_of_original"], row.label, row.view)
        assert image.collection.licence.replace("CC-BY-", "CC BY ") in row.extra["licence_note"]
        assert image.part == ("test" if row.path in test else "development")
        assert image.collection.name == row.source
