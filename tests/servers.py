"""A small HTTP server of files on 127.0.0.1 for tests of downloads, with every fault a real one can have."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class FileServer:
    """What is served and how, and what was asked for.

    Args:
        files: content by path, without the leading slash.
        ranges: does it understand Range? cut_after: bytes of a body after which the connection is dropped, once.
        status: answer with this instead of 200. announced: another Content-Length than the true one.
        wrong_start: answer a Range with the file's beginning under status 206.
        asked: (path, Range header or "", User-Agent) of every request.
    """

    files: dict[str, bytes]
    ranges: bool = True
    cut_after: int = 0
    status: int = 200
    announced: int = 0
    wrong_start: bool = False
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    url: str = ""


@contextmanager
def served(files: dict[str, bytes]) -> Iterator[FileServer]:
    """A running server on a free port; ``url`` is its address."""
    server = FileServer(files)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            _answer(self, server)

        def log_message(self, format: str, *args: object) -> None:
            pass

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.url = f"http://127.0.0.1:{listening.server_port}"
    thread = threading.Thread(target=listening.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        listening.shutdown()
        listening.server_close()
        thread.join()


def _answer(request: BaseHTTPRequestHandler, server: FileServer) -> None:
    path, wanted = request.path.lstrip("/"), request.headers.get("Range", "")
    server.asked.append((path, wanted, request.headers.get("User-Agent", "")))
    body = server.files.get(path)
    if body is None or server.status != 200:
        request.send_error(404 if body is None else server.status)
        return
    start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and server.ranges else 0
    if start > len(body):
        request.send_error(416)
        return
    rest = body if server.wrong_start else body[start:]
    request.send_response(206 if start else 200)
    request.send_header("Content-Length", str(server.announced or len(rest)))
    if start:
        request.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
    request.end_headers()
    cut, server.cut_after = server.cut_after, 0
    request.wfile.write(rest[:cut] if cut else rest)
