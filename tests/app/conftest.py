"""The app as AppTest runs it: through the entry, with tiny checkpoints and a gallery of made-up X-rays."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from cxrlab.config import repository
from cxrlab.workflows.samples import Sample

WORKS = ("work:comparison", "work:fetch", "work:evaluate", "work:train-preview", "work:train-cost")
TIMEOUT_S = 120  # the first import of torch on a busy machine


def sample(folder: Path, id_: str, label: str, domain: str, part: str = "") -> Sample:
    """A gallery sample with a picture of noise, always the same for the same id."""
    file = folder / f"{id_}.png"
    rng = np.random.default_rng(sum(id_.encode()))
    Image.fromarray(rng.integers(0, 255, (70, 60), dtype=np.uint8)).save(file)
    return Sample(id_, f"Title of {id_}", file, label, "PA", "made up", domain, "nobody", "CC0-1.0", part)


@pytest.fixture
def gallery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Sample]:
    """Three samples: two real ones, of which one was trained on, and a phantom."""
    samples = [
        sample(tmp_path, "first", "covid19", "real", "test"),
        sample(tmp_path, "second", "normal", "real", "development"),
        sample(tmp_path, "third", "lobar", "phantom"),
    ]
    monkeypatch.setattr("cxrlab.app.inputs.list_samples", lambda: tuple(samples))
    return samples


@pytest.fixture
def open_app(tiny_checkpoints: Path, gallery: list[Sample]) -> Callable[..., AppTest]:
    """``open_app("pages/…", name=value)`` opens a page through the entry, with these query parameters."""

    def opened(file: str = "", **query: str | list[str]) -> AppTest:
        app = AppTest.from_file(str(repository() / "streamlit_app.py"), default_timeout=TIMEOUT_S).run()
        if file:
            app.switch_page(file)
            for name, value in query.items():
                app.query_params[name] = value
            app.run()
        return app

    return opened


def settled(app: AppTest) -> AppTest:
    """Run the page again until its background work has ended."""
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        works = [app.session_state[key] for key in WORKS if key in app.session_state]
        if not any(work.alive for work in works):
            return app.run()
        time.sleep(0.05)
    raise TimeoutError("The background work did not end.")


def words(app: AppTest) -> str:
    """Everything written on the page."""
    kinds = (app.title, app.subheader, app.markdown, app.caption, app.info, app.warning, app.error)
    html = [element.proto.body for element in app.get("html")]
    return "\n".join([element.value for kind in kinds for element in kind] + html)
