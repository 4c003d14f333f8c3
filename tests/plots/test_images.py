"""Oracles: matplotlib's colour maps and torch's bilinear interpolation."""

import numpy as np
import pytest
import torch
from matplotlib import colormaps

from cxrlab.plots.images import COLOUR_MAPS, colour_table, enlarged, heatmap_alt_text, overlay_heatmap
from cxrlab.results import Heatmap


def heatmap(values, *, has_evidence: bool = True) -> Heatmap:
    return Heatmap(np.asarray(values, dtype=np.float32), "normal", "grad_cam", "layer4", has_evidence, 2.0)


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (50, 40), dtype=np.uint8)


@pytest.fixture
def corner() -> Heatmap:
    values = np.zeros((5, 4))
    values[0, 3] = 1
    return heatmap(values)


@pytest.mark.parametrize("name", COLOUR_MAPS)
def test_tables_follow_matplotlib(name):
    expected = colormaps[name](np.arange(256), bytes=True)[:, :3]
    difference = np.abs(colour_table(name).astype(int) - expected)
    # Plotly stores ten colours of each map; straight lines between them leave the curve by a few of 256 levels.
    assert difference.mean() <= 3
    assert difference.max() <= 16


@pytest.mark.parametrize("name", COLOUR_MAPS)
def test_lightness_rises_along_every_map(name):
    lightness = colour_table(name) @ np.array([0.299, 0.587, 0.114])
    assert (np.diff(lightness) > -0.5).all()


@pytest.mark.parametrize("shape", [(7, 7), (5, 9)])
def test_enlarging_equals_torch(shape):
    values = np.random.default_rng(0).random(shape).astype(np.float32)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(values)[None, None], size=(61, 83), mode="bilinear", align_corners=False
    )[0, 0]
    np.testing.assert_allclose(enlarged(values, 61, 83), expected, atol=1e-5)


def test_overlay_has_the_size_of_the_xray(pixels, corner):
    picture = overlay_heatmap(pixels, corner)
    assert picture.shape == (50, 40, 3)
    assert picture.dtype == np.uint8


def test_xray_is_untouched_where_the_map_is_zero(pixels, corner):
    picture = overlay_heatmap(pixels, corner, opacity=1)
    assert (picture[25:] == pixels[25:, :, None]).all()
    assert (picture[0, -1] == colour_table("inferno")[255]).all()


def test_opacity_zero_or_no_evidence_gives_the_xray(pixels, corner):
    grey = np.repeat(pixels[:, :, None], 3, axis=2)
    np.testing.assert_array_equal(overlay_heatmap(pixels, corner, opacity=0), grey)
    np.testing.assert_array_equal(overlay_heatmap(pixels, heatmap(np.zeros((5, 4)), has_evidence=False)), grey)


def test_more_opacity_moves_further_from_the_xray(pixels, corner):
    distances = [
        np.abs(overlay_heatmap(pixels, corner, opacity=opacity).astype(int) - pixels[:, :, None]).sum()
        for opacity in (0.2, 0.5, 1.0)
    ]
    assert distances == sorted(distances)


def test_flipped_inputs_give_a_flipped_overlay(pixels, corner):
    flipped = overlay_heatmap(pixels[:, ::-1], heatmap(corner.values[:, ::-1]))
    difference = flipped.astype(int) - overlay_heatmap(pixels, corner)[:, ::-1]
    assert np.abs(difference).max() <= 1


def test_strips_leave_no_seam(corner):
    tall = np.full((600, 8), 90, dtype=np.uint8)
    rows = overlay_heatmap(tall, heatmap(np.ones((3, 2))))
    assert (rows == rows[0, 0]).all()


def test_inputs_are_left_as_they_are(pixels, corner):
    before = pixels.copy()
    overlay_heatmap(pixels, corner)
    np.testing.assert_array_equal(pixels, before)


def test_alt_text_tells_the_place(corner):
    text = heatmap_alt_text(corner, model="resnet18", class_name="Normal")
    assert text.startswith("resnet18, Normal: strongest in the upper right of the picture, 5% of the area above half")


def test_alt_text_without_evidence_says_so():
    text = heatmap_alt_text(heatmap(np.zeros((2, 2)), has_evidence=False), model="resnet18", class_name="Normal")
    assert text == "resnet18: no place on the image speaks for Normal (grad_cam)."


@pytest.mark.parametrize("wrong", [np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.float32)])
def test_wrong_pixels_give_a_sentence(wrong, corner):
    with pytest.raises(ValueError, match=r"Pixels must have shape \(H, W\) and type uint8, got"):
        overlay_heatmap(wrong, corner)


def test_wrong_opacity_gives_a_sentence(pixels, corner):
    with pytest.raises(ValueError, match=r"Opacity must be in \[0, 1\], got 60"):
        overlay_heatmap(pixels, corner, opacity=60)


def test_unknown_colour_map_names_the_known_ones(pixels, corner):
    with pytest.raises(ValueError, match="must be one of inferno, viridis, cividis, magma, got 'jet'"):
        overlay_heatmap(pixels, corner, colour_map="jet")
