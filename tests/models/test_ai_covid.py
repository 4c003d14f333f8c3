"""AI-COVID: its counts, its head, its sizes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from cxrlab.models.registry import create_model


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_parameters_of_features_and_head() -> None:
    """Spec 1.8."""
    with torch.device("meta"):
        network = create_model("ai_covid", num_classes=4)
    assert (parameters(network.features), parameters(network.classifier)) == (17_548_616, 22_523_924)
    assert network.classifier[0].in_features == 87_808


def test_order_of_the_head() -> None:
    """Dense, ReLU, batch norm; dropout before 128, 64, 32 and 16."""
    with torch.device("meta"):
        head = create_model("ai_covid", num_classes=4, input_size=32).classifier
    step = [nn.Linear, nn.ReLU, nn.BatchNorm1d]
    assert [type(layer) for layer in head] == [*step, *[nn.Dropout, *step] * 4, nn.Linear]
    assert [layer.out_features for layer in head if isinstance(layer, nn.Linear)] == [256, 128, 64, 32, 16, 4]


def test_other_sizes_have_a_head_of_their_own() -> None:
    network = create_model("ai_covid", num_classes=3, input_size=40).eval()
    assert network.classifier[0].in_features == 1792 * 4  # 40 px -> 2 x 2 places
    assert network(torch.zeros(1, 3, 40, 40)).shape == (1, 3)
    with pytest.raises(ValueError, match="This ai_covid was built for 40 x 40 px, got 64 x 64"):
        network(torch.zeros(1, 3, 64, 64))
    with pytest.raises(ValueError, match="input_size must be in"):
        create_model("ai_covid", num_classes=3, input_size=16)
