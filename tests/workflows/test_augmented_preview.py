"""The preview of augmentation: what training's own batches give, seeded."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cxrlab.config import Augmentation, Preprocessing, TrainConfig
from cxrlab.data.manifest import ManifestError
from cxrlab.training.batches import Batches
from cxrlab.training.squares import LabelledSquares
from cxrlab.workflows.augmented_preview import augmented_preview
from cxrlab.workflows.training_card import TrainRequest
from tests.workflows.labelled_images import rows_of, write_set


@pytest.fixture
def request_(tmp_path: Path) -> TrainRequest:
    manifest = write_set(tmp_path / "set", rows_of())
    return TrainRequest(manifest, "resnet18", "one", preprocessing=Preprocessing(size=48), config=TrainConfig(seed=5))


def test_variants_are_those_of_the_training_batches(request_: TrainRequest) -> None:
    preview = augmented_preview(request_, image=1)
    squares = LabelledSquares(np.repeat(preview.plain[None], 9, axis=0), np.zeros(9, dtype=np.int64))
    config = replace(request_.config, batch_size=9)
    batches = Batches(squares, config, request_.preprocessing, request_.augmentation)
    rows = next(batches.of_epoch(0))
    expected = batches.inputs(rows, 48, torch.device("cpu")).numpy()
    assert np.abs(preview.variants / 255 - expected).max() <= 0.5 / 255 + 1e-6


def test_the_seed_decides_and_each_variant_differs(request_: TrainRequest) -> None:
    first, again = augmented_preview(request_), augmented_preview(request_)
    np.testing.assert_array_equal(first.variants, again.variants)
    assert len({variant.tobytes() for variant in first.variants}) == 9
    other = augmented_preview(replace(request_, config=TrainConfig(seed=6)))
    assert (other.variants != first.variants).any()


def test_without_augmentation_every_variant_is_the_image(request_: TrainRequest) -> None:
    preview = augmented_preview(replace(request_, augmentation=Augmentation.none()))
    assert (preview.variants == preview.plain).all()
    assert "Augmentation is off" in preview.note


def test_crops_are_cut_from_the_larger_square(request_: TrainRequest) -> None:
    cropped = replace(
        request_,
        preprocessing=Preprocessing(size=32, resize_to=48),
        augmentation=Augmentation.none(crop="uniform"),
    )
    preview = augmented_preview(cropped)
    assert preview.variants.shape == (9, 32, 32)
    assert len({variant.tobytes() for variant in preview.variants}) > 1


def test_the_state_of_the_global_generator_stays(request_: TrainRequest) -> None:
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    augmented_preview(request_)
    assert torch.equal(torch.rand(3), expected)


def test_the_bundled_phantom_is_drawn_without_its_set(own_home: Path) -> None:
    preview = augmented_preview(TrainRequest(Path("phantom"), "resnet18", "one"), image=3)
    assert preview.label == "lobar"
    assert not list(own_home.iterdir())


def test_an_image_that_is_not_there_is_said(request_: TrainRequest) -> None:
    first = request_.source.parent / augmented_preview(request_).name
    first.unlink()
    with pytest.raises(ManifestError, match="is listed but not there"):
        augmented_preview(request_)
