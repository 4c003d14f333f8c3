"""The torchvision networks with a head of our own size. Their modules stay unchanged, so that weights fit both ways."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from torch import nn
from torchvision import models

from cxrlab.models.heads import dense_head
from cxrlab.models.initial_weights import fill
from cxrlab.models.registry import register
from cxrlab.models.specs import SPECS, ModelSpec


@dataclass(frozen=True)
class Backbone:
    """One network of torchvision.

    Args:
        spec: its facts; ``spec.heads[0]`` names the part behind the pooling.
        features: channels of the pooled feature map.
        weights: which ImageNet weights ``pretrained`` means; the first version where a paper was written before others.
        arguments: of torchvision's builder, always the same.
    """

    spec: ModelSpec
    features: int
    weights: str = "DEFAULT"
    arguments: Mapping[str, Any] = field(default_factory=dict)


V1 = "IMAGENET1K_V1"

BACKBONES = (
    Backbone(SPECS["mobilenet_v2"], 1280),
    Backbone(SPECS["shufflenet_v2_x1_0"], 1024),
    Backbone(SPECS["shufflenet_v2_x0_5"], 1024),
    Backbone(SPECS["efficientnet_b0"], 1280),
    Backbone(SPECS["efficientnet_b4"], 1792),
    Backbone(SPECS["efficientnet_b5"], 2048),
    Backbone(SPECS["resnet18"], 512),
    Backbone(SPECS["resnet50"], 2048, V1),
    Backbone(SPECS["resnet152"], 2048, V1),
    Backbone(SPECS["resnext101_32x8d"], 2048, V1),
    Backbone(SPECS["densenet121"], 1024),
    Backbone(SPECS["densenet161"], 2208),
    Backbone(SPECS["vgg19"], 512),
    Backbone(SPECS["vgg19_bn"], 512),
)
INCEPTION = Backbone(
    SPECS["inception_v3"],
    2048,
    # torchvision would turn its input from ImageNet's mean and std to .5/.5: that is the card's preprocessing here
    arguments={"transform_input": False, "init_weights": True},
)


def build(
    backbone: Backbone, *, num_classes: int, pretrained: bool = False, head: str = "linear", **options: Any
) -> nn.Module:
    """The network from scratch, or with ImageNet weights and a fresh head.

    Args:
        backbone: which. num_classes: outputs. pretrained: downloads the weights.
        head: ``linear`` keeps torchvision's own head with its last layer of the right size; another one stands behind
            global average pooling, which VGG then gets too.
        **options: further arguments of torchvision's builder.
    """
    name = backbone.spec.name
    network = getattr(models, name)(weights=None, num_classes=num_classes, **backbone.arguments, **options)
    if backbone.spec.family == "efficientnet":
        # torchvision draws it from +-1/sqrt(num_classes), meant for 1000 classes: with 4, training begins far below
        # chance
        nn.init.normal_(network.classifier[-1].weight, std=0.01)
    if head != "linear":
        _replace_head(network, backbone, dense_head(head, backbone.features, num_classes))
    if pretrained:
        weights = models.get_model_weights(name)[backbone.weights]
        state = weights.get_state_dict(progress=False, check_hash=True)
        fill(network, state, heads=backbone.spec.heads, name=name)
    return network


def _replace_head(network: nn.Module, backbone: Backbone, head: nn.Module) -> None:
    setattr(network, backbone.spec.heads[0], head)
    if backbone.spec.family == "vgg":
        network.avgpool = nn.AdaptiveAvgPool2d(1)
    if backbone.spec.family == "inception":
        network.dropout = nn.Identity()  # the head brings its own


for each in BACKBONES:
    register(each.spec)(partial(build, each))


@register(INCEPTION.spec)
def inception_v3(*, num_classes: int, pretrained: bool = False, aux: bool = False, **options: Any) -> nn.Module:
    """Inception v3; with ``aux`` its second head, from whose logits training takes a share of the loss.

    ``model.train()(images)`` then gives an object with ``logits`` and ``aux_logits``; in evaluation mode it gives the
    logits, as every network does.
    """
    return build(INCEPTION, num_classes=num_classes, pretrained=pretrained, aux_logits=aux, **options)
