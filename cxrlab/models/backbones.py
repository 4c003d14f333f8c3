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
from cxrlab.models.registry import ModelSpec, register


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


MOBILENET_V2 = "Sandler et al., MobileNetV2: Inverted Residuals and Linear Bottlenecks, CVPR 2018"
SHUFFLENET_V2 = "Ma et al., ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design, ECCV 2018"
EFFICIENTNET = "Tan and Le, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, ICML 2019"
RESNET = "He et al., Deep Residual Learning for Image Recognition, CVPR 2016"
RESNEXT = "Xie et al., Aggregated Residual Transformations for Deep Neural Networks, CVPR 2017"
DENSENET = "Huang et al., Densely Connected Convolutional Networks, CVPR 2017"
INCEPTION_V3 = "Szegedy et al., Rethinking the Inception Architecture for Computer Vision, CVPR 2016"
VGG = "Simonyan and Zisserman, Very Deep Convolutional Networks for Large-Scale Image Recognition, ICLR 2015"
VGG_NOTE = "No global pooling before its linear head: other sizes than 224 are pooled to 7 x 7 places first."
INCEPTION_NOTE = "With the auxiliary head, training needs at least 299 px."

V1 = "IMAGENET1K_V1"

# ruff: noqa: E501  (one line a network reads as a table)
# fmt: off
BACKBONES = (
    Backbone(ModelSpec("mobilenet_v2", "MobileNetV2", 224, "features.18", 2_228_996, MOBILENET_V2, "mobilenet", ("classifier",)), 1280),
    Backbone(ModelSpec("shufflenet_v2_x1_0", "ShuffleNetV2 x1.0", 224, "conv5", 1_257_704, SHUFFLENET_V2, "shufflenet", ("fc",)), 1024),
    Backbone(ModelSpec("shufflenet_v2_x0_5", "ShuffleNetV2 x0.5", 224, "conv5", 345_892, SHUFFLENET_V2, "shufflenet", ("fc",)), 1024),
    Backbone(ModelSpec("efficientnet_b0", "EfficientNet-B0", 224, "features.8", 4_012_672, EFFICIENTNET, "efficientnet", ("classifier",)), 1280),
    Backbone(ModelSpec("efficientnet_b4", "EfficientNet-B4", 380, "features.8", 17_555_788, EFFICIENTNET, "efficientnet", ("classifier",)), 1792),
    Backbone(ModelSpec("efficientnet_b5", "EfficientNet-B5", 456, "features.8", 28_348_980, EFFICIENTNET, "efficientnet", ("classifier",)), 2048),
    Backbone(ModelSpec("resnet18", "ResNet-18", 224, "layer4", 11_178_564, RESNET, "resnet", ("fc",)), 512),
    Backbone(ModelSpec("resnet50", "ResNet-50", 224, "layer4", 23_516_228, RESNET, "resnet", ("fc",)), 2048, V1),
    Backbone(ModelSpec("resnet152", "ResNet-152", 224, "layer4", 58_152_004, RESNET, "resnet", ("fc",)), 2048, V1),
    Backbone(ModelSpec("resnext101_32x8d", "ResNeXt-101 32x8d", 224, "layer4", 86_750_532, RESNEXT, "resnet", ("fc",)), 2048, V1),
    Backbone(ModelSpec("densenet121", "DenseNet-121", 224, "features", 6_957_956, DENSENET, "densenet", ("classifier",)), 1024),
    Backbone(ModelSpec("densenet161", "DenseNet-161", 224, "features", 26_480_836, DENSENET, "densenet", ("classifier",)), 2208),
    Backbone(ModelSpec("vgg19", "VGG-19", 224, "features.35", 139_586_628, VGG, "vgg", ("classifier",), note=VGG_NOTE), 512),
    Backbone(ModelSpec("vgg19_bn", "VGG-19 with batch norm", 224, "features.51", 139_597_636, VGG, "vgg", ("classifier",), note=VGG_NOTE), 512),
)
# fmt: on
INCEPTION = Backbone(
    ModelSpec(
        name="inception_v3",
        title="Inception v3",
        input_size=299,
        cam_layer="Mixed_7c",
        parameters=21_793_764,
        paper=INCEPTION_V3,
        family="inception",
        heads=("fc", "AuxLogits"),
        smallest_size=75,
        note=INCEPTION_NOTE,
    ),
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
