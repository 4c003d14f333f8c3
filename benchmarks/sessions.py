"""Many browser sessions at once on one server: does each get its own image's result, how soon, in how much memory?

Run ``python -m benchmarks.sessions --sessions 20``. Every session speaks Streamlit's protocol as a browser does and
uploads its own image; afterwards each result is compared with what the same image gives alone, in this process.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import csv
import hashlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from benchmarks.streamlit_client import Session, connect, is_kind
from cxrlab.catalogue import list_checkpoints
from cxrlab.config import repository
from cxrlab.workflows.compare_files import Answer, CamOptions, SourceFile, compare_files

TIMEOUT_S = 300.0


@dataclass(frozen=True)
class Visit:
    """What one session got: seconds from the upload to the results, the rows of its CSV, how often it polled."""

    name: str
    sha256: str
    first_s: float
    all_s: float
    rows: list[dict[str, str]]
    polls: int


def images(count: int, size_px: int) -> list[SourceFile]:
    """Different pictures: a soft blob at another place for each, with noise."""
    rows, columns = np.mgrid[:size_px, :size_px] / size_px
    found = []
    for number in range(count):
        rng = np.random.default_rng(number)
        y, x = rng.uniform(0.2, 0.8, 2)
        blob = 160 * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / rng.uniform(0.01, 0.1))
        pixels = np.clip(blob + rng.normal(60, 12, blob.shape), 0, 255).astype(np.uint8)
        file = BytesIO()
        Image.fromarray(pixels).save(file, format="PNG")
        found.append(SourceFile(f"session-{number:02d}.png", data=file.getvalue()))
    return found


@contextmanager
def server(home: Path, checkpoints: str) -> Iterator[tuple[str, psutil.Process]]:
    """The app on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "streamlit_app.py", "--server.port", str(port)]
    own = {"CXRLAB_HOME": str(home), **({"CXRLAB_CHECKPOINTS": checkpoints} if checkpoints else {})}
    process = subprocess.Popen(
        [*command, "--server.headless", "true"], cwd=repository(), env=os.environ | own, stdout=subprocess.DEVNULL
    )
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=2).close()
                break
            except OSError:
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}", psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(timeout=30)


class MemoryWatch(threading.Thread):
    """Largest resident memory of a process, in MB, looked at five times a second."""

    def __init__(self, process: psutil.Process) -> None:
        super().__init__(daemon=True)
        self.process, self.peak_mb, self.over = process, 0.0, threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.2):
            self.peak_mb = max(self.peak_mb, self.process.memory_info().rss / 1e6)


def cards_of(elements: list[object]) -> int:
    """Results that the page shows."""
    return sum(str(each).count("Score of every class") for each in elements)


async def downloaded(session: Session) -> str:
    """The table of all results; asked for again when a late poll of the page takes it away in that moment."""
    for _ in range(20):
        with contextlib.suppress(urllib.error.HTTPError):
            return await session.download("CSV")
        await asyncio.sleep(0.5)
    return await session.download("CSV")


def is_complete(elements: list[object]) -> bool:
    """Nothing is being computed any more: the page will not be drawn anew, which would make another download."""
    kinds = {str(each.WhichOneof("type")) for each in elements}  # type: ignore[attr-defined]
    return "progress" not in kinds and "download_button" in kinds


def has_uploader(elements: list[object]) -> bool:
    """Can an image be uploaded?"""
    return any(is_kind(each, "file_uploader") for each in elements)


async def visit(session: Session, file: SourceFile, names: list[str]) -> Visit:
    """Upload one image on a page that is open, and wait for every result."""
    data = file.data or b""
    started = time.perf_counter()
    await session.upload(file.name, data)
    await session.wait_until(lambda found: cards_of(found) > 0, seconds=TIMEOUT_S)
    first = time.perf_counter() - started
    await session.wait_until(lambda found: cards_of(found) >= len(names), seconds=TIMEOUT_S)
    whole = time.perf_counter() - started
    await session.wait_until(lambda found: not session.running and is_complete(found), seconds=TIMEOUT_S)
    rows = list(csv.DictReader((await downloaded(session)).splitlines()))
    return Visit(file.name, hashlib.sha256(data).hexdigest(), first, whole, rows, session.polls)


async def all_visits(url: str, files: list[SourceFile], names: list[str]) -> list[Visit]:
    """Every session opens the page; then all upload at the same moment."""
    query = "source=Upload&" + "&".join(f"m={name}" for name in names)
    async with AsyncExitStack() as stack:
        sessions = [await stack.enter_async_context(connect(url, "Compare", query)) for _ in files]
        await asyncio.gather(*(each.wait_until(has_uploader, seconds=TIMEOUT_S) for each in sessions))
        jobs = (visit(each, file, names) for each, file in zip(sessions, files, strict=True))
        return list(await asyncio.gather(*jobs))


def mixed_up(visits: list[Visit], files: list[SourceFile], names: list[str]) -> list[str]:
    """A line for every result that is not the one that its image gives alone."""
    expected = {
        (event.sha256, event.result.checkpoint): event.result
        for event in compare_files(files, names, cam=CamOptions())
        if isinstance(event, Answer)
    }
    wrong = []
    for each in visits:
        if {row["image_sha256"] for row in each.rows} != {each.sha256} or len(each.rows) != len(names):
            wrong.append(f"{each.name}: the rows are not of this image")
            continue
        for row in each.rows:
            result = expected[each.sha256, row["checkpoint"]]
            scores = [float(row[label]) for label in result.labels.ids]
            if not np.allclose(scores, result.scores, atol=1e-4):
                wrong.append(f"{each.name}, {row['checkpoint']}: {scores} instead of {result.scores.tolist()}")
    return wrong


def main() -> int:
    """Run the sessions and print one JSON document. Returns 1 when a result was mixed up."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--size", type=int, default=1024, help="side of the images in pixels")
    parser.add_argument("--checkpoint", action="append", help="default: the first five single models")
    given = parser.parse_args()
    names = given.checkpoint or [info.name for info in list_checkpoints() if info.card.kind == "model"][:5]
    names = [info.name for info in list_checkpoints() if info.name in names]
    files = images(given.sessions, given.size)
    with (
        tempfile.TemporaryDirectory() as home,
        server(Path(home), os.environ.get("CXRLAB_CHECKPOINTS", "")) as (url, process),
    ):
        watch = MemoryWatch(process)
        watch.start()
        visits = asyncio.run(all_visits(url, files, names))
        watch.over.set()
        after_mb = process.memory_info().rss / 1e6
    wrong = mixed_up(visits, files, names)
    first, whole = ([getattr(each, name) for each in visits] for name in ("first_s", "all_s"))
    report = {
        "sessions": given.sessions,
        "checkpoints": names,
        "image_px": given.size,
        "first_result_s": {"p50": round(float(np.median(first)), 2), "p95": round(float(np.quantile(first, 0.95)), 2)},
        "all_results_s": {"p50": round(float(np.median(whole)), 2), "p95": round(float(np.quantile(whole, 0.95)), 2)},
        "polls_per_session": round(float(np.mean([each.polls for each in visits])), 1),
        "server_peak_mb": round(watch.peak_mb),
        "server_after_mb": round(after_mb),
        "mixed_up": wrong,
        "load_average": os.getloadavg(),
        "cpus": os.cpu_count(),
    }
    print(json.dumps(report, indent=2))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
