"""Preprocessing and augmentation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import functional as reference

from cxrlab.config import Augmentation, Preprocessing
from cxrlab.data.transforms import augment, resize_pixels, to_batch

STILL = Augmentation(
    rotation_deg=0, translation=0, scale=0, flip=0, brightness=0, contrast=0, gamma=0, noise=0, blur=0, erase=0
)


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
