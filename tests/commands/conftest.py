"""The command line in this process, and a small labelled set."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from cxrlab.cli import app
from cxrlab.labels import CXR4

Run = Callable[..., Result]


@pytest.fixture
def run() -> Run:
    """``run("predict", path, "--json")``: a result with exit_code, stdout and stderr."""
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="session")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest of 40 noise images of 20 patients in 4 classes and 2 sources."""
    folder = tmp_path_factory.mktemp("labelled")
    rng = np.random.default_rng(0)
    rows = []
    for number in range(40):
        Image.fromarray(rng.integers(0, 256, (48, 40), dtype=np.uint8)).save(folder / f"{number:02d}.png")
        patient = number // 2
        label, source = CXR4.ids[patient % 4], "ab"[patient % 2]
        rows.append([f"{number:02d}.png", label, f"p{patient}", "PA", source])
    with (folder / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["path", "label", "patient_id", "view", "source"], *rows])
    return folder / "manifest.csv"
