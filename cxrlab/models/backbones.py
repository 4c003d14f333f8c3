"""The torchvision networks with a head of our own size. Their modules stay unchanged, so that weights fit both ways."""

from __future__ import annotations

from typing import Any

from torch import nn
from torchvision import models

from cxrlab.models.registry import ModelSpec, register


def _with_head(builder: Any, *, num_classes: int, pretrained: bool, **options: Any) -> nn.Module:
    """The network from scratch, or with ImageNet weights and a fresh head."""
    if not pretrained:
        return builder(weights=None, num_classes=num_classes, **options)
    network = builder(weights="DEFAULT", **options)
    parent_name, _, head_name = _head_path(network).rpartition(".")
    parent = network.get_submodule(parent_name)
    head = network.get_submodule(f"{parent_name}.{head_name}".lstrip("."))
    fresh = nn.Linear(head.in_features, num_classes)
    if isinstance(parent, nn.Sequential):
        parent[int(head_name)] = fresh
    else:
        setattr(parent, head_name, fresh)
    return network


def _head_path(network: nn.Module) -> str:
    """Dotted name of the last linear layer: the classification head."""
    return [name for name, module in network.named_modules() if isinstance(module, nn.Linear)][-1]


@register(
    ModelSpec(
        name="mobilenet_v2",
        title="MobileNetV2",
        input_size=224,
        cam_layer="features.18",
        parameters=2_228_996,
        paper="Sandler et al., MobileNetV2: Inverted Residuals and Linear Bottlenecks, CVPR 2018",
        family="mobilenet",
    )
)
def mobilenet_v2(*, num_classes: int, pretrained: bool = False, dropout: float = 0.2) -> nn.Module:
    """Inverted residuals; a 1280-channel map, global average pooling, dropout, one linear layer."""
    return _with_head(models.mobilenet_v2, num_classes=num_classes, pretrained=pretrained, dropout=dropout)


@register(
    ModelSpec(
        name="shufflenet_v2_x1_0",
        title="ShuffleNetV2 x1.0",
        input_size=224,
        cam_layer="conv5",
        parameters=1_257_704,
        paper="Ma et al., ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design, ECCV 2018",
        family="shufflenet",
    )
)
def shufflenet_v2_x1_0(*, num_classes: int, pretrained: bool = False) -> nn.Module:
    """Channel split and shuffle; a 1024-channel map, global average pooling, one linear layer."""
    return _with_head(models.shufflenet_v2_x1_0, num_classes=num_classes, pretrained=pretrained)


@register(
    ModelSpec(
        name="shufflenet_v2_x0_5",
        title="ShuffleNetV2 x0.5",
        input_size=224,
        cam_layer="conv5",
        parameters=345_892,
        paper="Ma et al., ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design, ECCV 2018",
        family="shufflenet",
    )
)
def shufflenet_v2_x0_5(*, num_classes: int, pretrained: bool = False) -> nn.Module:
    """Half the channels of x1.0: the smallest network here."""
    return _with_head(models.shufflenet_v2_x0_5, num_classes=num_classes, pretrained=pretrained)


@register(
    ModelSpec(
        name="efficientnet_b0",
        title="EfficientNet-B0",
        input_size=224,
        cam_layer="features.8",
        parameters=4_012_672,
        paper="Tan and Le, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, ICML 2019",
        family="efficientnet",
    )
)
def efficientnet_b0(*, num_classes: int, pretrained: bool = False, dropout: float = 0.2) -> nn.Module:
    """MBConv blocks with squeeze-and-excitation; a 1280-channel map, pooling, dropout, one linear layer."""
    network = _with_head(models.efficientnet_b0, num_classes=num_classes, pretrained=pretrained, dropout=dropout)
    # torchvision draws it from +-1/sqrt(num_classes), meant for 1000 classes: with 4, training begins far below chance
    head = network.get_submodule(_head_path(network))
    assert isinstance(head, nn.Linear)
    nn.init.normal_(head.weight, std=0.01)
    return network


@register(
    ModelSpec(
        name="resnet18",
        title="ResNet-18",
        input_size=224,
        cam_layer="layer4",
        parameters=11_178_564,
        paper="He et al., Deep Residual Learning for Image Recognition, CVPR 2016",
        family="resnet",
    )
)
def resnet18(*, num_classes: int, pretrained: bool = False) -> nn.Module:
    """Basic residual blocks; a 512-channel map, global average pooling, one linear layer."""
    return _with_head(models.resnet18, num_classes=num_classes, pretrained=pretrained)


@register(
    ModelSpec(
        name="densenet121",
        title="DenseNet-121",
        input_size=224,
        cam_layer="features",
        parameters=6_957_956,
        paper="Huang et al., Densely Connected Convolutional Networks, CVPR 2017",
        family="densenet",
    )
)
def densenet121(*, num_classes: int, pretrained: bool = False) -> nn.Module:
    """Dense blocks; a 1024-channel map before the last ReLU, global average pooling, one linear layer."""
    return _with_head(models.densenet121, num_classes=num_classes, pretrained=pretrained)
