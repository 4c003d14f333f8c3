"""Downloads against a server on this machine: resumed, checked, refused."""

from __future__ import annotations

import errno
import hashlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from cxrlab.data.download import USER_AGENT, DownloadError, download
from cxrlab.progress import Cancelled
from tests.servers import FileServer, served

BODY = bytes(range(256)) * 1200  # 300 kB: several blocks
SHA256 = hashlib.sha256(BODY).hexdigest()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with served({"a.jpg": BODY}) as running:
        yield running


def fetch(server: FileServer, folder: Path, **options: object) -> Path:
    return download(f"{server.url}/a.jpg", folder / "a.jpg", sha256=SHA256, **options)  # type: ignore[arg-type]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_file_arrives_whole_and_alone(server: FileServer, tmp_path: Path) -> None:
    assert fetch(server, tmp_path / "new").read_bytes() == BODY
    assert names(tmp_path / "new") == ["a.jpg"]


def test_the_server_is_told_who_asks(server: FileServer, tmp_path: Path) -> None:
    fetch(server, tmp_path)
    assert server.asked == [("a.jpg", "", USER_AGENT)]
    assert USER_AGENT.startswith("cxrlab/")


def test_a_file_that_is_there_is_not_asked_for_again(server: FileServer, tmp_path: Path) -> None:
    fetch(server, tmp_path)
    fetch(server, tmp_path)
    assert len(server.asked) == 1


def test_a_damaged_file_is_fetched_again(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(BODY[:-1])
    assert fetch(server, tmp_path).read_bytes() == BODY


def test_progress_ends_at_all_bytes(server: FileServer, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    fetch(server, tmp_path, progress=lambda done, total, text: seen.append((done, total)))
    assert seen == sorted(seen)
    assert seen[-1] == (len(BODY), len(BODY))


def test_a_broken_connection_is_resumed_where_it_stopped(server: FileServer, tmp_path: Path) -> None:
    server.cut_after = 100_000
    with pytest.raises(DownloadError, match=r"broke off during a\.jpg; try again, the download goes on"):
        fetch(server, tmp_path)
    assert names(tmp_path) == [".a.jpg.part"]
    assert fetch(server, tmp_path).read_bytes() == BODY
    assert server.asked[1][1] == "bytes=100000-"


def test_a_server_without_ranges_sends_all_again(server: FileServer, tmp_path: Path) -> None:
    server.ranges = False
    (tmp_path / ".a.jpg.part").write_bytes(BODY[:1000])
    assert fetch(server, tmp_path).read_bytes() == BODY
    assert len(server.asked) == 1


@pytest.mark.parametrize("start", [b"of another file", BODY + b"longer"])
def test_a_piece_that_does_not_fit_is_thrown_away(server: FileServer, tmp_path: Path, start: bytes) -> None:
    (tmp_path / ".a.jpg.part").write_bytes(start)
    assert fetch(server, tmp_path).read_bytes() == BODY


def test_a_wrong_answer_to_a_range_does_no_harm(server: FileServer, tmp_path: Path) -> None:
    server.wrong_start = True
    (tmp_path / ".a.jpg.part").write_bytes(BODY[:1000])
    assert fetch(server, tmp_path).read_bytes() == BODY


def test_a_piece_that_is_whole_needs_no_network(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / ".a.jpg.part").write_bytes(BODY)
    assert fetch(server, tmp_path).read_bytes() == BODY
    assert not server.asked


def test_another_file_is_refused_and_not_kept(server: FileServer, tmp_path: Path) -> None:
    server.files["a.jpg"] = b"<html>please log in</html>"
    with pytest.raises(DownloadError, match=rf"is not the expected file: its sha256 must begin with {SHA256[:12]}"):
        fetch(server, tmp_path)
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("status", "sentence"),
    [(404, r"does not have a\.jpg any more \(HTTP 404\)"), (503, r"\(HTTP 503 .*try again later")],
)
def test_a_refusal_says_what_the_server_said(server: FileServer, tmp_path: Path, status: int, sentence: str) -> None:
    server.status = status
    with pytest.raises(DownloadError, match=sentence):
        fetch(server, tmp_path)
    assert names(tmp_path) == []


def test_a_file_announced_too_large_is_not_read(server: FileServer, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"a\.jpg is larger than the limit of 0\.2 MB; it was not downloaded"):
        fetch(server, tmp_path, max_bytes=200_000)
    assert names(tmp_path) == []


def test_a_closed_port_is_no_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(DownloadError, match=r"no connection to 127\.0\.0\.1:\d+ \(.*refused\); a\.jpg needs a network"):
        download(f"http://127.0.0.1:{port}/a.jpg", tmp_path / "a.jpg", sha256=SHA256)


def test_an_unknown_host_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(DownloadError, match=r"images\.example can not be found; a\.jpg needs a network connection"):
        download("http://images.example/a.jpg", tmp_path / "a.jpg", sha256=SHA256)


def test_a_silent_server_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"http://127.0.0.1:{mute.getsockname()[1]}/a.jpg"
        with pytest.raises(DownloadError, match="did not answer in time"):
            download(url, tmp_path / "a.jpg", sha256=SHA256, timeout_s=0.2)


def test_only_the_web_is_asked(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="must begin with https:// or http://, got file:///etc/hostname"):
        download("file:///etc/hostname", tmp_path / "a.jpg", sha256=SHA256)


def test_a_cancelled_download_goes_on_later(server: FileServer, tmp_path: Path) -> None:
    seen: list[int] = []
    with pytest.raises(Cancelled):
        fetch(
            server,
            tmp_path,
            progress=lambda done, total, text: seen.append(done),
            cancel=lambda: len(seen) >= 2,
        )
    assert names(tmp_path) == [".a.jpg.part"]
    assert fetch(server, tmp_path).read_bytes() == BODY
    assert server.asked[1][1] == f"bytes={seen[-1]}-"


def test_a_full_disk_is_said_and_nothing_stays(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("cxrlab.data.download._copied", full)
    with pytest.raises(DownloadError, match=r"The disk is full, a\.jpg is not stored"):
        fetch(server, tmp_path)
    assert names(tmp_path) == []


def test_a_folder_that_is_none_is_named(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(DownloadError, match=r"a\.jpg can not be stored in .*taken .*; set CXRLAB_HOME to a folder"):
        fetch(server, tmp_path / "taken")
