"""The learning-rate range test."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cxrlab.config import Augmentation, Preprocessing, TrainConfig
from cxrlab.progress import Cancelled
from cxrlab.training.lr_finder import RangeTest, find_learning_rate, judged, smooth
from cxrlab.training.squares import LabelledSquares
from tests.training.networks import BackboneAndHead, bright_or_dark, seeded

CONFIG = TrainConfig(batch_size=8, optimiser="sgd", unfreeze=0.5, threads=1)


def found(network: torch.nn.Module, images: LabelledSquares | None = None, **options: object) -> RangeTest:
    given: dict[str, object] = {"steps": 40, "highest": 100.0, "accelerator": "cpu"}
    return find_learning_rate(
        network, bright_or_dark(40, 0) if images is None else images, num_classes=2, config=CONFIG,
        preprocessing=Preprocessing(size=32), augmentation=Augmentation(), **given | options,
    )  # type: ignore[arg-type]  # fmt: skip


def test_the_suggestion_lies_in_the_range_and_the_model_is_left_as_it_was() -> None:
    network = seeded(BackboneAndHead)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    random_state = torch.get_rng_state()
    test = found(network)
    assert 1e-6 < test.suggested < 100
    assert list(test.learning_rates) == sorted(test.learning_rates)
    assert len(test.learning_rates) == len(test.losses) == len(test.smoothed)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert torch.equal(torch.get_rng_state(), random_state)


def test_a_loss_that_falls_at_one_place_is_found_there() -> None:
    """A loss of 2 that goes to 1 as a logistic curve centred at 1e-3; smoothing delays it by less than a decade."""
    rates = [10 ** (-6 + 6 * step / 199) for step in range(200)]
    losses = [1 + 1 / (1 + (rate / 1e-3) ** 2) for rate in rates]
    test = judged(rates, losses)
    assert 1e-3 <= test.suggested < 1e-2
    assert not test.diverged


def test_an_exploding_loss_ends_the_test() -> None:
    test = found(seeded(BackboneAndHead), highest=1e6, steps=60)
    assert test.diverged
    assert len(test.losses) < 60
    assert np.isfinite(test.losses).all()


def test_the_running_mean_has_no_start_up_bias() -> None:
    assert smooth([2.0, 2.0, 2.0]) == pytest.approx([2.0, 2.0, 2.0])


def test_refusals() -> None:
    network = BackboneAndHead()
    with pytest.raises(ValueError, match="must go from a positive rate to a larger one, got 1e-06 to 1e-06"):
        found(network, highest=1e-6)
    with pytest.raises(ValueError, match=r"steps must be in \[10, 100000\], got 3"):
        found(network, steps=3)
    with pytest.raises(ValueError, match="needs training images, got 0"):
        found(network, LabelledSquares(np.zeros((0, 24, 24), dtype=np.uint8), np.zeros(0, dtype=int)))
    with pytest.raises(ValueError, match="must be a number at the lowest rates"):
        judged([1e-3, 1e-2, 1e-1], [float("nan")] * 3)
    with pytest.raises(Cancelled, match="The range test was cancelled"):
        found(network, cancel=lambda: True)
