"""Heads of the papers: sizes, order of their layers, start values."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from cxrlab.models.heads import dense_head


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("name", "in_features", "num_classes", "expected"),
    [
        ("mlp_512_64_32", 2048, 1, 1_084_033),  # spec 1.10: EfficientNetB5 and ResNet50
        ("mlp_512_64_32", 512, 1, 297_601),  # VGG19
        ("mlp_512_64_32", 1024, 1, 559_745),  # DenseNet121
        ("mlp_64_64_64_32_32", 1280, 2, 93_506),  # spec 1.11: MobileNetV2
        ("mlp_64_64_64_32_32", 2048, 2, 142_658),  # InceptionV3, ResNet50V2, Xception
    ],
)
def test_parameters_of_the_papers_heads(name: str, in_features: int, num_classes: int, expected: int) -> None:
    head = dense_head(name, in_features, num_classes)
    assert parameters(head) == expected
    assert head(torch.zeros(3, in_features)).shape == (3, num_classes)


def test_layers_of_the_s3_head() -> None:
    """Spec 3.1: 1,049,088 + 32,832 + 2,080 + 33."""
    assert [parameters(each) for each in dense_head("mlp_512_64_32", 2048, 1) if parameters(each)] == [
        *(1_049_088, 32_832, 2_080, 33)
    ]


def test_layers_of_the_s4_head() -> None:
    """Spec 3.1: 81,984 + 4,160 + 4,160 + 2,080 + 1,056 + 66."""
    head = dense_head("mlp_64_64_64_32_32", 1280, 2)
    assert [parameters(each) for each in head if parameters(each)] == [81_984, 4_160, 4_160, 2_080, 1_056, 66]


def test_dropout_stands_where_the_papers_draw_it() -> None:
    kinds = {name: [type(each) for each in dense_head(name, 8, 2)] for name in ("mlp_512_64_32", "mlp_64_64_64_32_32")}
    step = [nn.Linear, nn.ReLU]
    assert kinds["mlp_512_64_32"] == [nn.Dropout, *step, nn.Dropout, *step, nn.Dropout, *step, nn.Linear]
    assert kinds["mlp_64_64_64_32_32"] == [nn.Dropout, *step * 5, nn.Dropout, nn.Linear]


def test_start_values_are_those_of_keras() -> None:
    first = next(each for each in dense_head("mlp_512_64_32", 1024, 1) if isinstance(each, nn.Linear))
    limit = (6 / (1024 + 512)) ** 0.5
    assert 0.99 * limit < float(first.weight.detach().abs().max()) <= limit
    assert not first.bias.detach().any()


@pytest.mark.parametrize("name", ["linear", "mlp_1"])
def test_an_unknown_head_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"head must be one of mlp_512_64_32, mlp_64_64_64_32_32, got '{name}'"):
        dense_head(name, 8, 2)
