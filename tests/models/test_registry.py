"""The registry: every network by name, with the facts its spec states."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from cxrlab.models.registry import create_model, list_models, model_spec, register
from cxrlab.models.specs import SPECS, ModelSpec


def test_the_networks_of_the_five_papers_are_there() -> None:
    assert set(list_models()) == {
        *("densenet161", "inception_v3", "resnet152", "resnext101_32x8d", "vgg19_bn"),  # FLANNEL's learners
        *("resnet18", "resnet50", "densenet121", "vgg19", "efficientnet_b4", "efficientnet_b5"),  # comparators
        *("mobilenet_v2", "resnetv2_50", "xception"),  # lightweight
        *("covid_net", "ai_covid", "pepx_resnet"),
        *("shufflenet_v2_x1_0", "shufflenet_v2_x0_5", "efficientnet_b0"),
    }


@pytest.mark.parametrize("num_classes", [1, 2, 14])
def test_the_head_has_as_many_outputs_as_asked_for(num_classes: int) -> None:
    network = create_model("shufflenet_v2_x0_5", num_classes=num_classes).eval()
    assert network(torch.zeros(1, 3, 64, 64)).shape == (1, num_classes)


def test_refusals() -> None:
    with pytest.raises(ValueError, match="Unknown model 'resnet81'; nearest: resnet18"):
        create_model("resnet81", num_classes=4)
    with pytest.raises(ValueError, match=r"^Unknown model 'zzz'; `cxrlab models` lists all\.$"):
        create_model("zzz", num_classes=4)
    with pytest.raises(ValueError, match="num_classes must be at least 1, got 0"):
        create_model("resnet18", num_classes=0)
    with pytest.raises(ValueError, match="resnet18 does not take these options: wings"):
        create_model("resnet18", num_classes=4, wings=2)
    with pytest.raises(ValueError, match="covid_net does not take these options: head"):
        create_model("covid_net", num_classes=4, head="mlp_512_64_32")
    with pytest.raises(ValueError, match="head must be one of mlp_512_64_32"):
        create_model("shufflenet_v2_x0_5", num_classes=4, head="mlp")
    with pytest.raises(ValueError, match="not from both"):
        create_model("resnet18", num_classes=4, pretrained=True, weights_file="resnet18.pth")


def test_a_name_is_registered_once() -> None:
    taken = model_spec("resnet18")
    with pytest.raises(ValueError, match="'resnet18' is registered already"):
        register(ModelSpec(taken.name, "x", 224, "layer4", 1, "x", "x"))(lambda **_: nn.Identity())


def test_what_is_listed_without_torch_is_what_can_be_built() -> None:
    assert sorted(SPECS) == list_models()
    assert all(model_spec(name) is spec and spec.name == name for name, spec in SPECS.items())
