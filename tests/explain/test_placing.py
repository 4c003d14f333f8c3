"""A map is put where the network looked: properties, and the picture itself as the oracle."""

from __future__ import annotations

import numpy as np
import pytest

from cxrlab.config import Preprocessing
from cxrlab.data.transforms import resize_pixels, seen_box
from cxrlab.explain.placing import GRID, WHOLE, on_picture
from cxrlab.results import Heatmap

CASES = [
    Preprocessing(size=64),
    Preprocessing(size=64, resize="crop"),
    Preprocessing(size=64, resize="pad"),
    Preprocessing(size=64, resize_to=96),
    Preprocessing(size=64, resize="crop", resize_to=80),
    Preprocessing(size=64, resize="pad", resize_to=80),
]


def made(values: np.ndarray) -> Heatmap:
    return Heatmap(values.astype(np.float32), "covid19", "grad_cam", "layer", has_evidence=True, peak=2.0)


def test_a_stretched_picture_keeps_its_map() -> None:
    heatmap = made(np.eye(7))
    assert seen_box(30, 50, Preprocessing()) == WHOLE
    assert on_picture(heatmap, WHOLE) is heatmap


@pytest.mark.parametrize("preprocessing", CASES[1:], ids=str)
def test_a_spot_in_the_networks_square_comes_back_to_its_place_on_the_picture(preprocessing: Preprocessing) -> None:
    height, width = 200, 300
    picture = np.zeros((height, width), dtype=np.uint8)
    picture[80:110, 170:200] = 255  # centre: row 95, column 185
    square = resize_pixels(picture, preprocessing).astype(float)  # a perfect map shows the spot itself
    placed = on_picture(made(square / square.max()), seen_box(height, width, preprocessing)).values
    rows, columns = np.mgrid[:GRID, :GRID] + 0.5
    found = np.array([(placed * rows).sum(), (placed * columns).sum()]) / placed.sum() / GRID
    assert found == pytest.approx([95 / height, 185 / width], abs=0.012)


def test_borders_that_were_cut_off_stay_empty_and_added_ones_vanish() -> None:
    everywhere = made(np.ones((7, 7)))
    cut = on_picture(everywhere, seen_box(100, 200, Preprocessing(size=64, resize="crop"))).values
    assert cut[:, : GRID // 4].max() == 0
    assert cut[:, GRID // 4 : 3 * GRID // 4].min() == 1
    assert cut[:, 3 * GRID // 4 :].max() == 0
    assert on_picture(everywhere, seen_box(100, 200, Preprocessing(size=64, resize="pad"))).values.min() == 1


def test_evidence_that_lies_outside_the_picture_is_none() -> None:
    border = np.zeros((8, 8))
    border[0] = 1  # the black border above a wide picture
    placed = on_picture(made(border), seen_box(50, 200, Preprocessing(size=64, resize="pad")))
    assert not placed.has_evidence
    assert placed.values.max() == 0
