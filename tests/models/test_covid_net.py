"""COVID-Net: counts of blocks and presets, and the wiring of its stages against plain sums."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from cxrlab.models.covid_net import Pepx, Stage
from cxrlab.models.registry import create_model


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("inputs", "outputs", "expected"),
    [(64, 256, 14_160), (256, 256, 117_312), (512, 1024, 595_584), (2048, 2048, 7_361_024)],
)
def test_parameters_of_a_block(inputs: int, outputs: int, expected: int) -> None:
    """Spec 3.1."""
    with torch.device("meta"):
        assert parameters(Pepx(inputs, outputs)) == expected


@pytest.mark.parametrize(
    ("preset", "num_classes", "expected", "gmacs"),
    [
        ("flannel", 4, 29_117_972, 4.8537),
        ("flannel", 3, 29_017_619, 4.8536),
        ("large", 3, 134_253_843, 6.2406),
        ("compact", 3, 12_067_963, 0.4181),
        ("compact_small", 3, 11_941_971, 0.3516),
    ],
)
def test_parameters_and_multiplications_of_the_presets(
    preset: str, num_classes: int, expected: int, gmacs: float
) -> None:
    """Spec 1.7."""
    with torch.device("meta"):
        network = create_model("covid_net", num_classes=num_classes, preset=preset).eval()
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network(torch.empty(1, 3, 224, 224))
    assert parameters(network) == expected
    assert counter.get_total_flops() / 2e9 == pytest.approx(gmacs, abs=1.1e-4)


def test_a_block_reads_the_sum_of_all_outputs_before_it() -> None:
    """By hand; each output is pooled by itself between stages, which is not the pool of their sum."""
    stage = Stage(8, 12, 3, halve=True, long_range=False, norm=False)
    before = [torch.randn(1, 8, 8, 8), torch.randn(1, 8, 8, 8)]
    pooled = functional.max_pool2d(before[0], 2) + functional.max_pool2d(before[1], 2)
    first = stage.blocks[0](pooled)
    second = stage.blocks[1](first)
    third = stage.blocks[2](first + second)
    assert all(torch.allclose(one, two) for one, two in zip(stage(before), (first, second, third), strict=True))


def test_the_long_range_convolution_stands_beside_the_blocks() -> None:
    stage = Stage(8, 12, 2, halve=True, long_range=True, norm=True).eval()
    before = [torch.randn(1, 8, 8, 8), torch.randn(1, 8, 8, 8)]
    around = functional.max_pool2d(stage.long_range(before[0] + before[1]), 2)
    first = stage.blocks[0](functional.max_pool2d(before[0], 2) + functional.max_pool2d(before[1], 2))
    second = stage.blocks[1](around + first)
    assert all(torch.allclose(one, two) for one, two in zip(stage(before), (around, first, second), strict=True))


def test_shapes_behind_stem_and_features() -> None:
    """Spec 3.7: 64 x 56 x 56 behind the stem, 2048 x 7 x 7 before the classifier."""
    with torch.device("meta"):
        network = create_model("covid_net", num_classes=4).eval()
        shapes: list[tuple[int, ...]] = []
        network.features.stages[0].register_forward_pre_hook(lambda _m, inputs: shapes.append(inputs[0][0].shape[1:]))
        shapes.append(network.features(torch.empty(1, 3, 224, 224)).shape[1:])
    assert shapes == [(64, 56, 56), (2048, 7, 7)]


@pytest.mark.parametrize("preset", ["compact", "compact_small", "flannel", "large"])
def test_every_preset_trains_at_a_size_of_its_own(preset: str) -> None:
    network = create_model("covid_net", num_classes=3, preset=preset, input_size=32).train()
    network(torch.randn(2, 3, 32, 32)).square().sum().backward()
    assert all(value.grad is not None and value.grad.isfinite().all() for value in network.parameters())


def test_refusals() -> None:
    with pytest.raises(ValueError, match="preset must be one of flannel, large, compact, compact_small, got 'huge'"):
        create_model("covid_net", num_classes=3, preset="huge")
    with pytest.raises(ValueError, match="input_size must be a multiple of 32, got 100"):
        create_model("covid_net", num_classes=3, preset="compact", input_size=100)
    with pytest.raises(ValueError, match=r"input_size must be in \[32, 1024\]"):
        create_model("covid_net", num_classes=3, preset="compact", input_size=4096)
    with pytest.raises(ValueError, match="no ImageNet weights for covid_net"):
        create_model("covid_net", num_classes=3, pretrained=True)
    network = create_model("covid_net", num_classes=3, preset="compact", input_size=64)
    with pytest.raises(ValueError, match="built for 64 x 64 px, got 96 x 96; build it with input_size=96"):
        network(torch.zeros(1, 3, 96, 96))
