"""Preprocessing and augmentation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import functional as reference

from cxrlab.config import Augmentation, Preprocessing
from cxrlab.data.cache import cache_key
from cxrlab.data.transforms import augment, centre_crop, resize_pixels, to_batch

STILL = Augmentation.none()


@pytest.fixture
def picture() -> np.ndarray:
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 256, (12, 16), dtype=np.uint8))
    return np.asarray(small.resize((160, 120), Image.Resampling.BICUBIC))


def squares(count: int = 6, side: int = 48) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(1).integers(0, 256, (count, side, side), dtype=np.uint8))


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_stretch_equals_torchvision(picture: np.ndarray, interpolation: str) -> None:
    ours = resize_pixels(picture, Preprocessing(size=64, interpolation=interpolation))
    mode = {"bilinear": reference.InterpolationMode.BILINEAR, "bicubic": reference.InterpolationMode.BICUBIC}
    theirs = reference.resize(Image.fromarray(picture), [64, 64], mode[interpolation])
    assert np.array_equal(ours, np.asarray(theirs))


def test_crop_takes_the_centre_and_pad_keeps_all(picture: np.ndarray) -> None:
    crop = resize_pixels(picture, Preprocessing(size=120, resize="crop"))
    assert np.array_equal(crop, picture[:, 20:140])
    pad = resize_pixels(picture, Preprocessing(size=160, resize="pad"))
    assert np.array_equal(pad[20:140], picture)
    assert not pad[:20].any()
    assert not pad[140:].any()


def test_batch_is_normalised_as_torchvision_does(picture: np.ndarray) -> None:
    preprocessing = Preprocessing(size=64)
    square = resize_pixels(picture, preprocessing)
    ours = to_batch(square[None], preprocessing)
    theirs = reference.normalize(
        reference.to_tensor(square.copy()).expand(3, -1, -1), list(preprocessing.mean), list(preprocessing.std)
    )
    torch.testing.assert_close(ours[0], theirs)


def test_only_grey_bytes_are_resized() -> None:
    with pytest.raises(ValueError, match=r"must be a 2-D uint8 array, got 3-D uint8"):
        resize_pixels(np.zeros((4, 4, 3), dtype=np.uint8), Preprocessing())


def test_no_augmentation_changes_nothing() -> None:
    still = augment(squares(), STILL, size=48, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(still, squares().float() / 255, atol=1e-5, rtol=0)


def test_augmentation_depends_on_the_generator_alone_and_stays_in_range() -> None:
    first = augment(squares(), Augmentation(), size=48, generator=torch.Generator().manual_seed(5))
    second = augment(squares(), Augmentation(), size=48, generator=torch.Generator().manual_seed(5))
    other = augment(squares(), Augmentation(), size=48, generator=torch.Generator().manual_seed(6))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert first.min() >= 0
    assert first.max() <= 1


def test_a_certain_flip_mirrors() -> None:
    flipped = augment(squares(), replace(STILL, flip=1.0), size=48, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(flipped, squares().float().flip(2) / 255, atol=1e-5, rtol=0)


def test_each_kind_of_change_changes_something() -> None:
    for name, value in {
        "rotation_deg": 10.0, "translation": 0.1, "scale": 0.2, "brightness": 0.2, "contrast": 0.3, "gamma": 0.3,
        "noise": 0.1, "blur": 1.0, "erase": 1.0,
    }.items():  # fmt: skip
        changed = augment(
            squares(), replace(STILL, **{name: value}), size=48, generator=torch.Generator().manual_seed(0)
        )
        assert (changed - squares().float() / 255).abs().max() > 0.02, name


def test_a_smaller_size_gives_smaller_pictures() -> None:
    assert augment(squares(), STILL, size=32, generator=torch.Generator()).shape == (6, 32, 32)


def changed(augmentation: Augmentation, *, crop: int = 0, size: int = 48, seed: int = 0) -> torch.Tensor:
    return augment(squares(), augmentation, size=size, generator=torch.Generator().manual_seed(seed), crop=crop)


def test_a_certain_vertical_flip_turns_upside_down_and_both_flips_turn_by_180_degrees() -> None:
    grey = squares().float() / 255
    torch.testing.assert_close(changed(replace(STILL, vertical_flip=1.0)), grey.flip(1), atol=1e-5, rtol=0)
    both = changed(replace(STILL, vertical_flip=1.0, flip=1.0))
    torch.testing.assert_close(both, grey.flip(1, 2), atol=1e-5, rtol=0)


def test_centre_of_a_larger_square_with_the_offset_rounded_down(picture: np.ndarray) -> None:
    """336 to 299: the margin of 37 is cut 18 above and left, 19 below and right."""
    whole = resize_pixels(picture, Preprocessing(size=336, interpolation="bicubic"))
    cut = resize_pixels(picture, Preprocessing(size=299, interpolation="bicubic", resize_to=336))
    assert np.array_equal(cut, whole[18:317, 18:317])
    assert np.array_equal(centre_crop(torch.from_numpy(whole.copy()), 299).numpy(), cut)
    assert Preprocessing(size=299, resize_to=336).whole == Preprocessing(size=336)
    with pytest.raises(ValueError, match="A crop of 64 pixels needs squares at least as large, got 48"):
        centre_crop(squares(), 64)


def test_a_cropped_cache_is_not_a_resized_one() -> None:
    plain, cropped = Preprocessing(size=64), Preprocessing(size=64, resize_to=80)
    assert cache_key(["a"], plain) != cache_key(["a"], cropped)


@pytest.mark.parametrize(("where", "low", "high"), [("uniform", 0, 16), ("jitter", 5, 11), ("centre", 8, 8)])
def test_crops_lie_where_they_may(where: str, low: int, high: int) -> None:
    ramp = torch.arange(48, dtype=torch.uint8).expand(400, 48, 48)
    augmentation = replace(STILL, crop=where, crop_jitter=3)
    cut = augment(ramp, augmentation, size=32, generator=torch.Generator().manual_seed(0), crop=32)
    left = (cut[:, 0, 0] * 255).round().int()
    assert cut.shape == (400, 32, 32)
    assert (left.min(), left.max()) == (low, high)


def test_zoom_inwards_only_enlarges() -> None:
    """A bright frame at the border is pushed out, never in."""
    framed = torch.zeros(200, 48, 48, dtype=torch.uint8)
    framed[:, :4] = framed[:, -4:] = framed[:, :, :4] = framed[:, :, -4:] = 255
    lit = {
        zoom: augment(
            framed, replace(STILL, scale=0.2, zoom=zoom), size=48, generator=torch.Generator().manual_seed(0)
        ).mean(dim=(1, 2))
        for zoom in ("inwards", "linear", "log")
    }
    before = (framed[0].float() / 255).mean()
    assert (lit["inwards"] <= before + 1e-4).all()
    assert (lit["linear"] > before + 0.01).any()
    assert (lit["log"] > before + 0.01).any()


def test_what_lies_outside_is_filled_as_asked() -> None:
    ramp = torch.arange(48, dtype=torch.uint8).mul(5).expand(8, 48, 48)
    moved = {
        fill: augment(
            ramp, replace(STILL, translation=0.4, fill=fill), size=48, generator=torch.Generator().manual_seed(1)
        )
        for fill in ("border", "reflect", "black")
    }
    assert (moved["black"] == 0).sum() > (moved["border"] == 0).sum()
    assert not torch.equal(moved["border"], moved["reflect"])


def test_noise_with_a_probability_has_one_strength() -> None:
    grey = torch.full((400, 24, 24), 128, dtype=torch.uint8)
    augmentation = replace(STILL, noise=0.05, noise_probability=0.5)
    spread = augment(grey, augmentation, size=24, generator=torch.Generator().manual_seed(0)).std(dim=(1, 2))
    noisy = spread > 1e-6
    assert noisy.float().mean().item() == pytest.approx(0.5, abs=0.1)
    torch.testing.assert_close(spread[noisy], torch.full_like(spread[noisy], 0.05), atol=0.006, rtol=0)


def test_a_sheared_picture_is_slanted() -> None:
    line = torch.zeros(1, 49, 49, dtype=torch.uint8)
    line[:, 24] = 255  # a level line through the centre
    slanted = augment(line, replace(STILL, shear_deg=40), size=49, generator=torch.Generator().manual_seed(3))
    heights = slanted[0].argmax(dim=0).float()
    assert heights[24] == 24
    assert abs(heights[44] - heights[4]) > 3


def test_settings_that_change_nothing_say_so() -> None:
    assert STILL.changes_nothing
    assert replace(STILL, crop="jitter", crop_jitter=0, zoom="inwards", fill="black").changes_nothing
    for name, value in {"flip": 0.5, "vertical_flip": 0.5, "shear_deg": 1.0, "noise": 0.1, "crop": "uniform"}.items():
        assert not replace(STILL, **{name: value}).changes_nothing, name
