"""Every network: parameters against the specification's tables, forward and backward, the layer of its heatmaps."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models.efficientnet import MBConv

from cxrlab.models.registry import create_model, list_models, model_spec

HEAVY = {"vgg19", "vgg19_bn", "resnext101_32x8d", "resnet152"}  # seconds each for their start values

# Spec 1.3 (4 classes), 1.7, 1.8, 1.12 (3 classes there): parameters, values of batch-norm statistics
SPECIFIED = {
    "densenet161": (26_480_836, 219_936),
    "inception_v3": (21_793_764, 34_432),
    "resnet152": (58_152_004, 151_424),
    "resnext101_32x8d": (86_750_532, 202_880),
    "vgg19_bn": (139_597_636, 11_008),
    "covid_net": (29_117_972, 0),
    "ai_covid": (40_072_540, 125_200 + 2 * (256 + 128 + 64 + 32 + 16)),
    "pepx_resnet": (11_839_439 + 513, 14_080),
}
# Spec 1.10 and 1.11: features without the top, statistics
FEATURES = {
    "efficientnet_b5": (28_340_784, 172_736),
    "vgg19": (20_024_384, 0),
    "resnet50": (23_508_032, 53_120),
    "densenet121": (6_953_856, 83_648),
    "mobilenet_v2": (2_223_872, 34_112),
    "inception_v3": (21_785_568, 34_432),
    "resnetv2_50": (23_500_352, 45_440),
    "xception": (20_806_952, 54_528),
    "efficientnet_b4": (17_548_616, 125_200),
}
POOLED = {"mobilenet_v2": 1280, "vgg19": 512, "densenet121": 1024, "efficientnet_b4": 1792}
# Spec 1.3, 1.7, 1.12: billions of multiplications by side, with a linear head
GMACS = {
    ("densenet161", 224): 7.7257,
    ("inception_v3", 299): 5.7112,
    ("resnet152", 224): 11.5116,
    ("resnext101_32x8d", 224): 16.4120,
    ("vgg19_bn", 224): 19.6280,
    ("covid_net", 224): 4.8537,
    ("pepx_resnet", 224): 1.9968,
    ("resnet18", 224): 1.8136,
}
# Spec 1.8, 1.10, 1.11, 4: the same of the features alone
FEATURES_GMACS = {
    ("efficientnet_b4", 224): 1.5019,
    ("efficientnet_b4", 380): 4.392,
    ("efficientnet_b5", 150): 1.1707,
    ("efficientnet_b5", 224): 2.3544,
    ("efficientnet_b5", 456): 10.2643,
    ("vgg19", 150): 8.3785,
    ("vgg19", 224): 19.5084,
    ("resnet50", 150): 1.9885,
    ("resnet50", 224): 4.0871,
    ("densenet121", 150): 1.2584,
    ("densenet121", 224): 2.8331,
    ("mobilenet_v2", 224): 0.2995,
    ("inception_v3", 224): 2.8359,
    ("resnetv2_50", 224): 4.0871,
    ("xception", 224): 4.5508,
}


def counts(network: nn.Module) -> tuple[int, int]:
    statistics = sum(value.numel() for value in network.buffers() if value.is_floating_point())
    return sum(value.numel() for value in network.parameters()), statistics


def on_meta(name: str, num_classes: int = 4, **options: Any) -> nn.Module:
    with torch.device("meta"):
        return create_model(name, num_classes=num_classes, **options)


@pytest.mark.parametrize("name", list_models())
def test_parameters_are_those_of_the_spec_table(name: str) -> None:
    spec, network = model_spec(name), on_meta(name)
    parameters, statistics = counts(network)
    assert parameters == spec.parameters
    if name in SPECIFIED:
        assert (parameters, statistics) == SPECIFIED[name]
    assert spec.title
    assert spec.paper
    for head in spec.heads:
        assert head == "AuxLogits" or network.get_submodule(head)


@pytest.mark.parametrize("name", sorted(FEATURES))
@pytest.mark.parametrize(
    ("head", "width", "rest"), [("mlp_512_64_32", 512, 34_945), ("mlp_64_64_64_32_32", 64, 11_522)]
)
def test_heads_of_the_papers_on_their_backbones(name: str, head: str, width: int, rest: int) -> None:
    """Features as in spec 1.10 and 1.11 plus a head: its first layer, and the rest of it by hand."""
    num_classes = {"mlp_512_64_32": 1, "mlp_64_64_64_32_32": 2}[head]
    first = (POOLED.get(name, 2048) + 1) * width
    features, statistics = FEATURES[name]
    assert counts(on_meta(name, num_classes, head=head)) == (features + first + rest, statistics)


def test_totals_of_the_papers_systems() -> None:
    """Spec 3.1: EfficientNetB5 binary and the trained MobileNetV2."""
    assert counts(on_meta("efficientnet_b5", 1, head="mlp_512_64_32"))[0] == 29_424_817
    assert counts(on_meta("mobilenet_v2", 2, head="mlp_64_64_64_32_32"))[0] == 2_317_378


def multiplications(network: nn.Module, side: int) -> float:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.eval()(torch.empty(1, 3, side, side, device="meta"))
    return counter.get_total_flops() / 2


@pytest.mark.parametrize(("name", "side"), GMACS)
def test_multiplications_are_those_of_the_spec(name: str, side: int) -> None:
    network = on_meta(name, 3 if name == "pepx_resnet" else 4)
    assert multiplications(network, side) / 1e9 == pytest.approx(GMACS[name, side], abs=1e-4)


@pytest.mark.parametrize(("name", "side"), FEATURES_GMACS)
def test_multiplications_of_the_features_are_those_of_the_spec(name: str, side: int) -> None:
    network = on_meta(name, 1, head="mlp_512_64_32")
    head = sum(layer.weight.numel() for layer in network.modules() if isinstance(layer, nn.Linear))
    assert (multiplications(network, side) - head) / 1e9 == pytest.approx(FEATURES_GMACS[name, side], abs=1e-4)


def test_five_learners_together() -> None:
    """Spec 4: 60.989 billions an image."""
    assert sum(list(GMACS.values())[:5]) == pytest.approx(60.989, abs=1e-3)


def test_efficientnet_b5_has_39_blocks() -> None:
    """Spec 2, row 33: the text says 38."""
    assert sum(isinstance(module, MBConv) for module in on_meta("efficientnet_b5").modules()) == 39


def check_forward_and_backward(name: str, side: int, **options: Any) -> torch.Size:
    """Logits from two images, a gradient for every parameter; gives the shape of the heatmap layer's output."""
    torch.manual_seed(0)
    network = create_model(name, num_classes=3, **options).eval()  # one place a map: batch norms need two in training
    maps: list[torch.Tensor] = []
    handle = network.get_submodule(model_spec(name).cam_layer).register_forward_hook(
        lambda _module, _inputs, output: maps.append(output)
    )
    logits = network(torch.randn(1, 3, side, side))
    handle.remove()
    assert logits.shape == (1, 3)
    logits.square().sum().backward()
    assert all(value.grad is not None and value.grad.isfinite().all() for value in network.parameters())
    return maps[0].shape


@pytest.mark.parametrize(
    "name", [n if n not in HEAVY else pytest.param(n, marks=pytest.mark.long) for n in list_models()]
)
def test_forward_and_backward_at_the_smallest_size(name: str) -> None:
    spec = model_spec(name)
    options = {"input_size": spec.smallest_size} if spec.own_size else {}
    shape = check_forward_and_backward(name, spec.smallest_size, **options)
    assert len(shape) == 4  # (1, K, h, w): a feature map, not a vector


@pytest.mark.parametrize("name", [name for name in list_models() if model_spec(name).smallest_size > 32])
def test_nothing_smaller_is_legal(name: str) -> None:
    """Below it a map would vanish; sides under 32 px are not offered at all."""
    side = model_spec(name).smallest_size - 1
    with pytest.raises(RuntimeError):
        on_meta(name).eval()(torch.empty(1, 3, side, side, device="meta"))


def test_inception_alone_needs_more_than_32_pixels() -> None:
    assert {name for name in list_models() if model_spec(name).smallest_size != 32} == {"inception_v3"}


@pytest.mark.long
@pytest.mark.parametrize("name", list_models())
def test_forward_and_backward_at_the_usual_size(name: str) -> None:
    shape = check_forward_and_backward(name, model_spec(name).input_size)
    assert min(shape[2:]) >= 7


# Spec 3.7
@pytest.mark.parametrize(
    ("name", "side", "shape"),
    [
        ("efficientnet_b5", 150, (2048, 5, 5)),
        ("efficientnet_b5", 224, (2048, 7, 7)),
        ("efficientnet_b5", 456, (2048, 15, 15)),
        ("efficientnet_b4", 224, (1792, 7, 7)),
        ("efficientnet_b4", 380, (1792, 12, 12)),
        ("mobilenet_v2", 224, (1280, 7, 7)),
        ("vgg19", 224, (512, 14, 14)),  # the last activation; pooled once more behind it
        ("covid_net", 224, (2048, 7, 7)),
    ],
)
def test_shapes_of_the_last_map(name: str, side: int, shape: tuple[int, ...]) -> None:
    network, maps = on_meta(name).eval(), []
    network.get_submodule(model_spec(name).cam_layer).register_forward_hook(
        lambda _module, _inputs, output: maps.append(tuple(output.shape[1:]))
    )
    network(torch.empty(1, 3, side, side, device="meta"))
    assert maps == [shape]


@pytest.mark.parametrize(
    ("name", "part", "shape"),
    [
        ("vgg19", "features", (512, 4, 4)),
        ("resnet50", "layer4", (2048, 5, 5)),
        ("densenet121", "features", (1024, 4, 4)),
    ],
)
def test_features_of_the_binary_comparators_at_150_pixels(name: str, part: str, shape: tuple[int, ...]) -> None:
    """Spec 1.10."""
    network, maps = on_meta(name).eval(), []
    network.get_submodule(part).register_forward_hook(
        lambda _module, _inputs, output: maps.append(tuple(output.shape[1:]))
    )
    network(torch.empty(1, 3, 150, 150, device="meta"))
    assert maps == [shape]


def test_the_auxiliary_head_as_the_published_code_left_it() -> None:
    """Spec 1.3: with 1000 outputs there, 25,120,460 parameters."""
    network = on_meta("inception_v3", aux=True)
    network.get_submodule("AuxLogits").register_module("fc", nn.Linear(768, 1000, device="meta"))
    assert counts(network) == (25_120_460, 36_224)


def test_inception_with_its_auxiliary_head() -> None:
    """Spec 1.3: 24,354,536 parameters with both heads of 4 classes."""
    network = on_meta("inception_v3", aux=True)
    assert counts(network) == (24_354_536, 36_224)
    images = torch.empty(2, 3, 299, 299, device="meta")
    outputs = network.train()(images)
    assert outputs.logits.shape == outputs.aux_logits.shape == (2, 4)
    assert network.eval()(images).shape == (2, 4)
    assert not network.transform_input
    with pytest.raises(RuntimeError):  # spec 2, row 2: at 224 px the auxiliary head fails
        network.train()(torch.empty(2, 3, 224, 224, device="meta"))


@pytest.mark.parametrize("num_classes", [1, 3])
def test_a_dense_head_stands_behind_global_pooling(num_classes: int) -> None:
    network = create_model("shufflenet_v2_x0_5", num_classes=num_classes, head="mlp_64_64_64_32_32").eval()
    assert network(torch.zeros(2, 3, 64, 64)).shape == (2, num_classes)
    assert [module.p for module in network.modules() if isinstance(module, nn.Dropout)] == [0.5, 0.5]


@pytest.mark.parametrize("name", ["inception_v3", "efficientnet_b5", "vgg19", "mobilenet_v2"])
def test_a_dense_head_brings_the_only_dropout(name: str) -> None:
    network = on_meta(name, 1, head="mlp_512_64_32")
    assert [module.p for module in network.modules() if isinstance(module, nn.Dropout)] == [0.2, 0.2, 0.2]
