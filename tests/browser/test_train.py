"""Trainings in a real browser: one outlives page and server, and its checkpoint is there; another is stopped."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from cxrlab.data.phantom import write_phantom_set
from cxrlab.jobs.job import ALIVE
from cxrlab.jobs.processes import of_attempt
from cxrlab.jobs.queue import JobQueue
from cxrlab.workflows.access import HASH_VARIABLE, TRAIN_VARIABLE, hash_password
from tests.browser.conftest import TIMEOUT_MS, Server, serving

DEADLINE_S = 240  # of a training on a busy machine
NAME = "browser-phantom"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home of its own, with a phantom set for training; whatever still works in it afterwards is stopped."""
    home = tmp_path / "home"
    write_phantom_set(home / "set", count=32, size=128)
    yield home
    queue = JobQueue(home / "jobs")
    for job in queue.list(ALIVE):
        queue.ask_stop(job.id)
        for process in of_attempt(job.token) if job.token else []:
            process.kill()
    _end_supervisor(home)


def _end_supervisor(home: Path) -> None:
    for process in psutil.process_iter(["cmdline"]):
        if (process.info["cmdline"] or [])[-2:] == ["jobs", "supervise"] and _home_of(process) == str(home):
            process.kill()


def _home_of(process: psutil.Process) -> str:
    try:
        return process.environ().get("CXRLAB_HOME", "")
    except psutil.Error:
        return ""


@contextmanager
def visit(browser: Browser, server: Server, path: str, *, width: int = 1280) -> Iterator[Page]:
    """A page in a session of its own; none may end in an exception."""
    expect.set_options(timeout=TIMEOUT_MS)
    context = browser.new_context(viewport={"width": width, "height": 3000})
    context.set_default_timeout(TIMEOUT_MS)
    page = context.new_page()
    page.goto(f"{server.url}/{path}")
    page.locator("h1").wait_for()
    yield page
    assert page.get_by_test_id("stException").count() == 0, page.get_by_test_id("stException").inner_text()
    context.close()


def type_into(page: Page, label: str, value: str) -> None:
    field = page.get_by_label(label, exact=True).first
    field.fill(value)
    field.press("Enter")
    expect(field).to_have_value(value)


def fill_form(page: Page, home: Path, *, name: str, epochs: int) -> None:
    """A small training on the phantom set of the home."""
    form = page.locator("details", has=page.get_by_text("New training")).first
    form.wait_for()
    if form.get_attribute("open") is None:
        page.get_by_text("New training").click()
    page.get_by_text("CSV or folder").first.click()
    type_into(page, "Path of a CSV or folder on this computer", str(home / "set"))
    page.get_by_label("Network").fill("ShuffleNetV2 x0.5")
    page.get_by_role("option", name=re.compile("ShuffleNetV2 x0.5")).first.click()
    for label, value in (("Input (px)", "64"), ("Epochs", str(epochs)), ("Batch", "8")):
        type_into(page, label, value)
    type_into(page, "Name of the checkpoint", name)


def train(page: Page) -> None:
    button = page.get_by_role("button", name="Train", exact=True)
    expect(button).to_be_enabled()
    button.click()


def curve(page: Page) -> Locator:
    return page.locator(".st-key-train-curves .js-plotly-plot")


def epochs_drawn(page: Page) -> int:
    """Epochs of the first run in the loss curve, as its words for screen readers tell."""
    words = page.get_by_role("figure", name=re.compile("^Loss over the epochs")).get_attribute("aria-label") or ""
    return int(words.split(": ")[1].split()[0])


def finished(home: Path, id_: int) -> str:
    """The state in which the job ends."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        job = JobQueue(home / "jobs").get(id_)
        if not job.is_alive:
            return job.state
        time.sleep(0.5)
    raise TimeoutError(f"Job {id_} is still {job.state}.")


def test_a_training_outlives_page_and_server_and_another_is_stopped(
    browser: Browser, browser_checkpoints: Path, home: Path
) -> None:
    with serving(home, browser_checkpoints, OMP_NUM_THREADS="1") as server:
        with visit(browser, server, "Train") as page:
            fill_form(page, home, name=NAME, epochs=3)
            train(page)
            expect(page.get_by_text("Job #1 is in the queue")).to_be_visible()
            expect(page.get_by_text(re.compile(r"\bRunning$"))).to_be_visible()
            expect(curve(page).first).to_be_visible()  # the first epoch
            assert "job=1" in page.url
        server.process.kill()
        server.process.wait()
    assert finished(home, 1) == "done"
    with serving(home, browser_checkpoints, OMP_NUM_THREADS="1") as server:
        with visit(browser, server, "Train") as page:
            expect(page.get_by_text(re.compile(r"\bDone$"))).to_be_visible()
            expect(curve(page).first).to_be_visible()
            expect(
                page.get_by_role("figure", name=re.compile("^Confusion matrix, Validation after epoch 3"))
            ).to_be_visible()
            page.get_by_role("link", name="Compare it").click()
            expect(page.locator("h1")).to_have_text("Compare")
            expect(page.get_by_role("checkbox", name=re.compile("ShuffleNetV2 x0.5"), checked=True)).to_have_count(1)
            assert f"m={NAME}" in page.url
        with visit(browser, server, "Train") as page:
            fill_form(page, home, name="stopped", epochs=500)
            train(page)
            row = page.locator(".st-key-job-2")
            expect(row.get_by_text(re.compile(r"\bRunning$"))).to_be_visible()
            row.get_by_role("button", name="Cancel").click()
            expect(row.get_by_text(re.compile(r"\bStopped$"))).to_be_visible()
            expect(row.get_by_role("button", name="Resume")).to_be_visible()
    assert finished(home, 2) == "cancelled"


def test_a_curve_moves_while_it_is_watched(browser: Browser, browser_checkpoints: Path, home: Path) -> None:
    with (
        serving(home, browser_checkpoints, OMP_NUM_THREADS="1") as server,
        visit(browser, server, "Train", width=390) as page,
    ):
        fill_form(page, home, name="watched", epochs=60)
        train(page)
        expect(curve(page).first).to_be_visible()
        before = epochs_drawn(page)
        page.wait_for_function(
            "count => [...document.querySelectorAll('[role=figure]')].some(figure =>"
            " Number((figure.ariaLabel || '').match(/: (\\d+) epochs/)?.[1]) > count)",
            arg=before,
        )
        page.locator(".st-key-job-1").get_by_role("button", name="Cancel").click()
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert finished(home, 1) == "cancelled"


def test_a_server_for_others_asks_for_its_password(browser: Browser, browser_checkpoints: Path, tmp_path: Path) -> None:
    secret = {TRAIN_VARIABLE: "password", HASH_VARIABLE: hash_password("open sesame")}
    with serving(tmp_path, browser_checkpoints, **secret) as server, visit(browser, server, "Train") as page:
        expect(page.get_by_role("button", name="Train", exact=True)).to_be_disabled()
        page.get_by_label("Password", exact=True).fill("open sesame")
        page.get_by_role("button", name="Unlock").click()
        expect(page.get_by_role("button", name="Train", exact=True)).to_be_enabled()
        expect(page.get_by_label("Password", exact=True)).to_have_count(0)
