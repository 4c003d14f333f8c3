"""Which layers are frozen, counted as Keras and as this library count, and how frozen ones compute."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from cxrlab.models.freezing import freeze, keep_frozen_in_inference_mode, keras_layers
from cxrlab.models.heads import dense_head
from cxrlab.models.registry import create_model

LIGHT = ["shufflenet_v2_x0_5", "resnet18", "efficientnet_b0"]


def s4_network() -> nn.Module:
    """MobileNetV2 with the head of the lightweight-networks paper."""
    network = create_model("mobilenet_v2", num_classes=2)
    network.classifier = dense_head("mlp_64_64_64_32_32", 1280, 2)
    return network


@pytest.mark.parametrize(
    ("unfreeze", "frozen", "trainable", "first"),
    [
        (1 / 3, 367_616, 1_949_762, "features.12.conv.1.1"),  # from block_11_depthwise_BN on
        (0.44, 214_656, 2_102_722, "features.10.conv.2"),  # block_9_project
        (0.55, 106_112, 2_211_266, "features.8.conv.2"),  # block_7_project
        (0.0, 2_223_872, 93_506, "classifier.1"),
        (1.0, 0, 2_317_378, "features.0.0"),
    ],
)
def test_mobilenet_is_frozen_as_in_keras(unfreeze: float, frozen: int, trainable: int, first: str) -> None:
    """Spec 1.11, whose first row reproduces the paper's Fig. 10."""
    network = s4_network()
    assert freeze(network, unfreeze) == first
    counts = {True: 0, False: 0}
    for parameter in network.parameters():
        counts[parameter.requires_grad] += parameter.numel()
    assert counts == {True: trainable, False: frozen}


def test_keras_lists_154_layers() -> None:
    """Spec 1.11; the 102nd is the depth-wise convolution of block 11, the 86th and 69th as named there."""
    network = s4_network()
    layers = keras_layers(network)  # type: ignore[arg-type]
    assert len(layers) == 154
    assert layers[101] is network.get_submodule("features.12.conv.1.0")
    assert layers[85] is network.get_submodule("features.10.conv.1.1")  # block_9_depthwise_BN
    assert layers[68] is network.get_submodule("features.8.conv.1.2")  # block_7_depthwise_relu
    assert {layer for layer in layers if layer} == {
        module for module in network.features.modules() if not [*module.children()]
    }


def test_fig_10_counts_the_statistics_too() -> None:
    """401,728 values that do not train in Keras: the frozen parameters and the statistics of every batch norm."""
    network = s4_network()
    freeze(network, 1 / 3)
    frozen = sum(parameter.numel() for parameter in network.parameters() if not parameter.requires_grad)
    statistics = sum(buffer.numel() for buffer in network.buffers() if buffer.is_floating_point())
    assert (frozen + statistics, statistics) == (401_728, 34_112)


@pytest.mark.parametrize("name", LIGHT)
def test_the_fraction_counts_modules_with_parameters_in_forward_order(name: str) -> None:
    network = create_model(name, num_classes=2)
    layers = [
        module
        for module in network.modules()
        if [*module.parameters(recurse=False)] and not isinstance(module, nn.Linear)
    ]
    for unfreeze in (0.0, 0.1, 0.9):
        freeze(network, unfreeze)
        frozen = [module for module in layers if not next(module.parameters(recurse=False)).requires_grad]
        assert len(frozen) == int(len(layers) * (1 - unfreeze) + 1e-9)
        assert all(parameter.requires_grad for parameter in next(iter(_linear(network))).parameters())


def _linear(network: nn.Module) -> list[nn.Linear]:
    return [module for module in network.modules() if isinstance(module, nn.Linear)]


@pytest.mark.parametrize("name", LIGHT)
def test_no_gradient_reaches_a_layer_before_the_first_that_trains(name: str) -> None:
    network = create_model(name, num_classes=2)
    first = freeze(network, 0.3)
    keep_frozen_in_inference_mode(network.train())
    network(torch.randn(2, 3, 64, 64)).sum().backward()
    own = next(network.get_submodule(first).parameters(recurse=False))
    assert own.grad is not None
    assert all(parameter.grad is None for parameter in network.parameters() if not parameter.requires_grad)


@pytest.mark.parametrize("name", LIGHT)
def test_a_frozen_backbone_gives_the_same_features_in_training(name: str) -> None:
    """Statistics stay, dropped paths are off: what cached features rest on."""
    network = create_model(name, num_classes=2)
    freeze(network, 0)
    keep_frozen_in_inference_mode(network.train())
    before = {key: value.clone() for key, value in network.state_dict().items()}
    images = torch.randn(2, 3, 64, 64)
    last_linear = _linear(network)[-1]
    seen: list[torch.Tensor] = []
    handle = last_linear.register_forward_hook(lambda _module, inputs, _output: seen.append(inputs[0]))
    network.apply(lambda module: module.eval() if isinstance(module, nn.Dropout) else None)  # the head's own
    network(images), network(images)
    handle.remove()
    assert torch.equal(*seen)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_a_part_that_trains_stays_in_training_mode() -> None:
    network = create_model("resnet18", num_classes=2)
    freeze(network, 0.33)
    keep_frozen_in_inference_mode(network.train())
    assert not network.layer1.training
    assert not network.bn1.training
    assert network.layer4.training
    assert network.fc.training


def test_freezing_anew_forgets_the_last_time() -> None:
    network = create_model("resnet18", num_classes=2)
    freeze(network, 0)
    freeze(network, 1)
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_the_model_is_left_in_its_mode_without_hooks() -> None:
    network = create_model("resnet18", num_classes=2).train()
    network.layer1.eval()
    freeze(network, 0.5)
    assert network.training
    assert not network.layer1[0].bn1.training
    assert not any(module._forward_hooks for module in network.modules())


@pytest.mark.parametrize("unfreeze", [-0.1, 1.1])
def test_a_share_outside_0_to_1_is_refused(unfreeze: float) -> None:
    with pytest.raises(ValueError, match="unfreeze must be in"):
        freeze(create_model("resnet18", num_classes=2), unfreeze)
