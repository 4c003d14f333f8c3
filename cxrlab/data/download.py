"""Download one file over HTTP: resumed where it broke off, checked against its sha256, whole or not there."""

from __future__ import annotations

import errno
import hashlib
import http.client
import socket
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from cxrlab import __version__
from cxrlab.progress import Cancel, Progress, check, never, silent

USER_AGENT = f"cxrlab/{__version__}"
_BLOCK = 64 * 1024  # bytes between two looks at cancel


class DownloadError(OSError):
    """A download failed; the text is one sentence for the user."""


def download(
    url: str,
    target: Path,
    *,
    sha256: str,
    max_bytes: int = 20_000_000,
    timeout_s: float = 20.0,
    progress: Progress = silent,
    cancel: Cancel = never,
) -> Path:
    """Fetch ``url`` into ``target``, which appears only once its checksum is right.

    What has arrived is kept beside it in ``.<name>.part``: after a broken connection or a cancel, the next call asks
    the server for the rest only, and starts over where the server can not do that.

    Args:
        url: http or https. sha256: of the whole file, hexadecimal.
        max_bytes: a larger file is refused as soon as that is known.
        timeout_s: seconds without an answer or a byte.
        progress: bytes done and in all (0 while the server has not said).

    Returns:
        ``target``; nothing is asked of the network when it is there already with this checksum.

    Raises:
        DownloadError: no connection, an answer other than the file, too large, another checksum, or a disk that can
            not be written; one sentence each.
        Cancelled: when ``cancel`` said so.
    """
    part = target.with_name(f".{target.name}.part")
    try:
        if target.is_file() and _sha256(target) == sha256:
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        resumed = part.is_file() and part.stat().st_size > 0
        if not (resumed and _sha256(part) == sha256):
            _fetch(url, part, target.name, max_bytes, timeout_s, progress, cancel)
            if resumed and _sha256(part) != sha256:  # the first half was of another file
                part.unlink()
                _fetch(url, part, target.name, max_bytes, timeout_s, progress, cancel)
        return _finished(part, target, sha256)
    except DownloadError:
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            part.unlink(missing_ok=True)
            raise DownloadError(
                f"The disk is full, {target.name} is not stored; free some space or set CXRLAB_HOME to another disk."
            ) from error
        reason = error.strerror or error
        raise DownloadError(
            f"{target.name} can not be stored in {target.parent} ({reason}); set CXRLAB_HOME to a folder of yours."
        ) from error


def _finished(part: Path, target: Path, sha256: str) -> Path:
    found = _sha256(part)
    if found != sha256:
        part.unlink()
        raise DownloadError(
            f"{target.name} is not the expected file: its sha256 must begin with {sha256[:12]}, got {found[:12]}; "
            "it was not kept."
        )
    part.replace(target)
    return target


def _fetch(
    url: str, part: Path, name: str, max_bytes: int, timeout_s: float, progress: Progress, cancel: Cancel
) -> None:
    """Bring ``part`` up to the whole file, whatever it holds already."""
    start = part.stat().st_size if part.is_file() else 0
    check(cancel, "The download")
    try:
        with _opened(url, start, timeout_s) as answer:
            if answer.status != http.HTTPStatus.PARTIAL_CONTENT:
                start = 0  # the server sends the file from its beginning
            length = int(answer.headers.get("Content-Length") or 0)
            total = start + length if length else 0
            _check_size(total, max_bytes, part, name)
            with part.open("r+b" if start else "wb") as file:
                file.seek(start)
                file.truncate()
                for done in _copied(answer, file, start, cancel):
                    _check_size(done, max_bytes, part, name)
                    progress(done, total, f"{name}: {done / 1e6:.1f} MB")
            if part.stat().st_size < total:
                raise http.client.IncompleteRead(b"")
    except urllib.error.HTTPError as error:
        if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or not start:
            raise DownloadError(_refused(name, url, error)) from error
        part.unlink()  # longer than the file itself: not a piece of it
        _fetch(url, part, name, max_bytes, timeout_s, progress, cancel)
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError, ssl.SSLError) as error:
        raise DownloadError(_broken(name, url, error, part)) from error


def _opened(url: str, start: int, timeout_s: float) -> http.client.HTTPResponse:
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise DownloadError(f"An address must begin with https:// or http://, got {url}.")
    headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    request = urllib.request.Request(url, headers=headers)
    answer: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=timeout_s)
    return answer


def _copied(answer: http.client.HTTPResponse, file: BinaryIO, done: int, cancel: Cancel) -> Iterator[int]:
    """Copy block by block; the bytes in ``file`` after each."""
    while block := answer.read(_BLOCK):
        check(cancel, "The download")
        file.write(block)
        done += len(block)
        yield done


def _check_size(size: int, max_bytes: int, part: Path, name: str) -> None:
    if size > max_bytes:
        part.unlink(missing_ok=True)
        raise DownloadError(f"{name} is larger than the limit of {max_bytes / 1e6:g} MB; it was not downloaded.")


def _refused(name: str, url: str, error: urllib.error.HTTPError) -> str:
    host = urllib.parse.urlsplit(url).netloc
    if error.code in (http.HTTPStatus.NOT_FOUND, http.HTTPStatus.GONE):
        return f"{host} does not have {name} any more (HTTP {error.code}); update cxrlab or get the image by hand."
    return f"{host} did not hand out {name} (HTTP {error.code} {error.reason}); try again later."


def _broken(name: str, url: str, error: Exception, part: Path) -> str:
    host = urllib.parse.urlsplit(url).netloc
    if not isinstance(error, urllib.error.URLError) and part.is_file() and part.stat().st_size:
        return f"The connection to {host} broke off during {name}; try again, the download goes on where it stopped."
    reason = getattr(error, "reason", error)
    if isinstance(reason, socket.gaierror):
        return f"{host} can not be found; {name} needs a network connection, check it and try again."
    if isinstance(reason, TimeoutError):
        return f"{host} did not answer in time; check the network connection and try again."
    words = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
    return f"There is no connection to {host} ({words}); {name} needs a network, check it and try again."


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
