"""Networks that torchvision does not have, from timm, with a linear layer behind global average pooling as head."""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import nn

from cxrlab.models.heads import dense_head
from cxrlab.models.registry import register
from cxrlab.models.specs import SPECS, ModelSpec

RESNET_V2 = SPECS["resnetv2_50"]
XCEPTION = SPECS["xception"]
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
