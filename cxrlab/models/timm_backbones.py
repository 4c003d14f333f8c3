"""Networks that torchvision does not have, from timm, with a linear layer behind global average pooling as head."""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import nn

from cxrlab.models.heads import dense_head
from cxrlab.models.registry import ModelSpec, register

RESNET_V2 = ModelSpec(
    name="resnetv2_50",
    title="ResNet-50 v2",
    input_size=224,
    cam_layer="norm",
    parameters=23_508_548,
    paper="He et al., Identity Mappings in Deep Residual Networks, ECCV 2016",
    family="resnet",
    heads=("head",),
)
XCEPTION = ModelSpec(
    name="xception",
    title="Xception",
    input_size=299,
    cam_layer="act4",
    parameters=20_815_148,
    paper="Chollet, Xception: Deep Learning with Depthwise Separable Convolutions, CVPR 2017",
    family="xception",
    heads=("fc",),
)
TIMM_NAMES = {"resnetv2_50": "resnetv2_50.a1h_in1k", "xception": "legacy_xception.tf_in1k"}
FEATURES = 2048  # channels of the pooled feature map of both


def build(
    spec: ModelSpec, *, num_classes: int, pretrained: bool = False, head: str = "linear", **options: Any
) -> nn.Module:
    """The network from scratch, or with timm's ImageNet weights and a fresh head.

    Args:
        spec: which. num_classes: outputs. pretrained: downloads the weights. head: name of a head.
        **options: further arguments of timm's builder, e.g. ``drop_rate``.
    """
    import timm

    network = timm.create_model(TIMM_NAMES[spec.name], pretrained=pretrained, num_classes=0, **options)
    last: nn.Module = nn.Linear(FEATURES, num_classes) if head == "linear" else dense_head(head, FEATURES, num_classes)
    if spec is RESNET_V2:
        layers = last if isinstance(last, nn.Sequential) else [last]
        last = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), *layers)
    setattr(network, spec.heads[0], last)
    return network


for each in (RESNET_V2, XCEPTION):
    register(each)(partial(build, each))
