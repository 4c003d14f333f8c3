"""The registry: every network by name, with the facts its spec states."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from cxrlab.models import backbones
from cxrlab.models.registry import ModelSpec, create_model, list_models, model_spec, register


@pytest.mark.parametrize("name", list_models())
def test_a_network_is_what_its_spec_says(name: str) -> None:
    spec, network = model_spec(name), create_model(name, num_classes=4).eval()
    assert sum(parameter.numel() for parameter in network.parameters()) == spec.parameters
    maps: list[torch.Tensor] = []
    handle = network.get_submodule(spec.cam_layer).register_forward_hook(lambda _m, _i, output: maps.append(output))
    with torch.inference_mode():
        logits = network(torch.zeros(2, 3, 64, 64))
    handle.remove()
    assert logits.shape == (2, 4)
    assert maps[0].ndim == 4  # (N, K, h, w): a feature map, not a vector
    assert spec.title
    assert spec.paper


def test_the_six_networks_of_this_release_are_there() -> None:
    assert {
        "mobilenet_v2",
        "shufflenet_v2_x1_0",
        "shufflenet_v2_x0_5",
        "efficientnet_b0",
        "resnet18",
        "densenet121",
    } <= set(list_models())


@pytest.mark.parametrize("num_classes", [1, 2, 14])
def test_the_head_has_as_many_outputs_as_asked_for(num_classes: int) -> None:
    network = create_model("shufflenet_v2_x0_5", num_classes=num_classes).eval()
    assert network(torch.zeros(1, 3, 64, 64)).shape == (1, num_classes)


def test_a_pretrained_network_gets_a_fresh_head(monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision import models

    original = models.mobilenet_v2

    def offline(weights: object = None, **options: object) -> nn.Module:
        assert weights == "DEFAULT"
        return original(weights=None, **options)  # 1000 classes, as the real weights have

    monkeypatch.setattr(backbones.models, "mobilenet_v2", offline)
    network = create_model("mobilenet_v2", num_classes=3, pretrained=True)
    assert network.classifier[1].out_features == 3


def test_a_pretrained_network_without_network_gets_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(**_: object) -> nn.Module:
        raise OSError("no route to host")

    monkeypatch.setattr(backbones.models, "resnet18", unreachable)
    with pytest.raises(ConnectionError, match="ImageNet weights of resnet18 could not be downloaded"):
        create_model("resnet18", num_classes=4, pretrained=True)


def test_refusals() -> None:
    with pytest.raises(ValueError, match="Unknown model 'resnet81'; nearest: resnet18"):
        create_model("resnet81", num_classes=4)
    with pytest.raises(ValueError, match="num_classes must be at least 1, got 0"):
        create_model("resnet18", num_classes=0)
    with pytest.raises(ValueError, match="resnet18 does not take these options: wings"):
        create_model("resnet18", num_classes=4, wings=2)


def test_a_name_is_registered_once() -> None:
    taken = model_spec("resnet18")
    with pytest.raises(ValueError, match="'resnet18' is registered already"):
        register(ModelSpec(taken.name, "x", 224, "layer4", 1, "x", "x"))(lambda **_: nn.Identity())
