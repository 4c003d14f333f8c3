"""A server of the app on a free port with a home of its own, and a real Chromium.

The browser is the one that CHROMIUM names, else Playwright's own, else chromium or google-chrome on the PATH.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, Page, Playwright, expect, sync_playwright

from cxrlab.catalogue import CARD_FILE, read_checkpoint
from cxrlab.config import repository
from cxrlab.labels import PHANTOM4

FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
START_S = 180
TIMEOUT_MS = 120_000  # the first result imports torch; on a busy machine that takes a while


@dataclass(frozen=True)
class Server:
    """A running app: its address, its process and its home."""

    url: str
    process: subprocess.Popen[bytes]
    home: Path


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "browser" in Path(str(item.fspath)).parts:
            item.add_marker(pytest.mark.browser)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(home: Path, checkpoints: Path, **environment: str) -> Iterator[Server]:
    """`streamlit run streamlit_app.py`, as a user types it, until the block ends."""
    port, log = free_port(), home / "server.log"
    command = [sys.executable, "-m", "streamlit", "run", "streamlit_app.py"]
    options = ["--server.port", str(port), "--server.headless", "true"]
    own = {"CXRLAB_HOME": str(home), "CXRLAB_CHECKPOINTS": str(checkpoints)}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command + options, cwd=repository(), env=os.environ | own | environment, stdout=output, stderr=output
        )
    try:
        _wait_for(f"http://127.0.0.1:{port}/_stcore/health", process, log)
        yield Server(f"http://127.0.0.1:{port}", process, home)
    finally:
        process.terminate()
        process.wait(timeout=30)


def _wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"The server did not start:\n{log.read_text(errors='replace')[-2000:]}")


@pytest.fixture(scope="session")
def browser_checkpoints(built_tiny_checkpoints: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny checkpoints, and one of them again as if it were trained on phantoms."""
    root = tmp_path_factory.mktemp("browser") / "checkpoints"
    shutil.copytree(built_tiny_checkpoints, root)
    shutil.copytree(root / "tiny_shufflenet", root / "tiny_phantom")
    card = replace(
        read_checkpoint(root / "tiny_shufflenet").card,
        name="tiny_phantom",
        title="Tiny Phantom",
        domain="phantom",
        labels=PHANTOM4.ids,
    )
    (root / "tiny_phantom" / CARD_FILE).write_text(card.to_text())
    return root


@pytest.fixture(scope="session")
def server(browser_checkpoints: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all browser tests; every test is a session of its own."""
    with serving(tmp_path_factory.mktemp("browser-home"), browser_checkpoints) as running:
        yield running


def launched(playwright: Playwright) -> Browser | None:
    """The first browser that starts, or None."""
    named = [os.environ.get("CHROMIUM"), playwright.chromium.executable_path, *map(shutil.which, NAMES)]
    for path in (path for path in named if path and Path(path).is_file()):
        try:
            return playwright.chromium.launch(executable_path=path, args=FLAGS)
        except Error:
            continue
    return None


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A Chromium. Without one the browser tests fail, and say what to do."""
    with sync_playwright() as playwright:
        found = launched(playwright)
        if found is None:
            pytest.fail(
                "No Chromium was found, so the app was NOT tested in a browser. Run `playwright install chromium`, "
                "install the package chromium, or name one in CHROMIUM; `pytest -m 'not browser'` leaves these out.",
                pytrace=False,
            )
        yield found
        found.close()


@pytest.fixture
def open_page(browser: Browser, server: Server) -> Iterator[Callable[..., Page]]:
    """``open_page("Compare?sample=x")`` opens an address in a session of its own; no page may end in an exception."""
    contexts = []

    def opened(path: str = "", *, width: int = 1280, height: int = 3000) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height})
        contexts.append(context)
        context.set_default_timeout(TIMEOUT_MS)
        page = context.new_page()
        page.goto(f"{server.url}/{path}")
        page.locator("h1").wait_for()
        return page

    expect.set_options(timeout=TIMEOUT_MS)
    yield opened
    try:
        for context in contexts:
            for page in context.pages:
                assert page.get_by_test_id("stException").count() == 0, page.get_by_test_id("stException").inner_text()
    finally:
        for context in contexts:
            context.close()
