"""Overlays as PNG files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxrlab.plots.images import overlay_heatmap
from cxrlab.reports.overlays import save_overlay
from cxrlab.results import Heatmap

PIXELS = np.full((20, 30), 100, dtype=np.uint8)
HEATMAP = Heatmap(np.eye(4, dtype=np.float32), "normal", "grad_cam", "features", True, 1.0)


def saved(folder: Path, image: str) -> Path:
    return save_overlay(folder, PIXELS, HEATMAP, image=image, sha256="0123456789abcdef", model="tiny")


def test_the_file_holds_the_overlay_that_the_app_shows(tmp_path: Path) -> None:
    with Image.open(saved(tmp_path / "new", "a.png")) as picture:
        assert np.array_equal(np.asarray(picture), overlay_heatmap(PIXELS, HEATMAP))


@pytest.mark.parametrize(
    ("image", "stem"),
    [
        ("some/where/scan 1.dcm", "scan_1"),
        ("../../etc/passwd", "passwd"),
        ("set.zip/..\\..\\.bashrc", "bashrc"),
        ("a/<b>:*?.png", "_b_"),
        ("///", "image"),
    ],
)
def test_names_are_harmless_and_stay_in_the_folder(tmp_path: Path, image: str, stem: str) -> None:
    assert saved(tmp_path, image) == tmp_path / f"{stem}-01234567-tiny-normal.png"
    assert [path.name for path in tmp_path.iterdir()] == [f"{stem}-01234567-tiny-normal.png"]


def test_a_failed_save_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_image: Image.Image, path: Path, **_: object) -> None:
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(OSError, match="No space left"):
        saved(tmp_path, "a.png")
    assert list(tmp_path.iterdir()) == []
