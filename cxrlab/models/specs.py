"""What is known of every network before any weights exist; read without torch, so that a page can list them at once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelSpec:
    """What is known of an architecture before any weights exist.

    Args:
        name: the registered name.
        title: the name for people.
        input_size: side of the usual square input in pixels.
        cam_layer: dotted name of the layer whose output is the last feature map, (N, K, h, w).
        parameters: learnable parameters with a 4-class head.
        paper: authors, title, venue, year.
        family: networks that share a design, e.g. ``resnet``.
        heads: dotted names of the parts that depend on the number of classes, the main head first.
        smallest_size: side of the smallest square input in pixels.
        own_size: it takes one size only, which its builder needs to know as ``input_size``.
        note: what else a user must know of its input.
    """

    name: str
    title: str
    input_size: int
    cam_layer: str
    parameters: int
    paper: str
    family: str
    heads: tuple[str, ...] = ()
    smallest_size: int = 32
    own_size: bool = False
    note: str = ""


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

# ruff: noqa: E501  (one line a network reads as a table)
# fmt: off
SPECS = {spec.name: spec for spec in (
    ModelSpec("covid_net", "COVID-Net", 224, "features", 29_117_972, "Wang, Lin and Wong, COVID-Net: A Tailored Deep Convolutional Neural Network Design, Sci. Rep. 2020", "covid_net", ("fc", "classifier"), own_size=True, note='One size only: build it with input_size, a multiple of 32.'),
    ModelSpec("ai_covid", "AI-COVID", 224, "features.8", 40_072_540, "Bai et al., AI Augmentation of Radiologist Performance in Distinguishing COVID-19 from Pneumonia of Other Origin at Chest CT, Radiology 296(3), 2020, doi:10.1148/radiol.2020201491", "efficientnet", ("classifier",), own_size=True, note='One size only: build it with input_size.'),
    ModelSpec("mobilenet_v2", "MobileNetV2", 224, "features.18", 2_228_996, MOBILENET_V2, "mobilenet", ("classifier",)),
    ModelSpec("shufflenet_v2_x1_0", "ShuffleNetV2 x1.0", 224, "conv5", 1_257_704, SHUFFLENET_V2, "shufflenet", ("fc",)),
    ModelSpec("shufflenet_v2_x0_5", "ShuffleNetV2 x0.5", 224, "conv5", 345_892, SHUFFLENET_V2, "shufflenet", ("fc",)),
    ModelSpec("efficientnet_b0", "EfficientNet-B0", 224, "features.8", 4_012_672, EFFICIENTNET, "efficientnet", ("classifier",)),
    ModelSpec("efficientnet_b4", "EfficientNet-B4", 380, "features.8", 17_555_788, EFFICIENTNET, "efficientnet", ("classifier",)),
    ModelSpec("efficientnet_b5", "EfficientNet-B5", 456, "features.8", 28_348_980, EFFICIENTNET, "efficientnet", ("classifier",)),
    ModelSpec("resnet18", "ResNet-18", 224, "layer4", 11_178_564, RESNET, "resnet", ("fc",)),
    ModelSpec("resnet50", "ResNet-50", 224, "layer4", 23_516_228, RESNET, "resnet", ("fc",)),
    ModelSpec("resnet152", "ResNet-152", 224, "layer4", 58_152_004, RESNET, "resnet", ("fc",)),
    ModelSpec("resnext101_32x8d", "ResNeXt-101 32x8d", 224, "layer4", 86_750_532, RESNEXT, "resnet", ("fc",)),
    ModelSpec("densenet121", "DenseNet-121", 224, "features", 6_957_956, DENSENET, "densenet", ("classifier",)),
    ModelSpec("densenet161", "DenseNet-161", 224, "features", 26_480_836, DENSENET, "densenet", ("classifier",)),
    ModelSpec("vgg19", "VGG-19", 224, "features.35", 139_586_628, VGG, "vgg", ("classifier",), note=VGG_NOTE),
    ModelSpec("vgg19_bn", "VGG-19 with batch norm", 224, "features.51", 139_597_636, VGG, "vgg", ("classifier",), note=VGG_NOTE),
    ModelSpec("inception_v3", "Inception v3", 299, "Mixed_7c", 21_793_764, INCEPTION_V3, "inception", ("fc", "AuxLogits"), smallest_size=75, note=INCEPTION_NOTE),
    ModelSpec("pepx_resnet", "PEPX-ResNet", 224, "block4", 11_839_952, "PEPX-ResNet with focal loss: text and formula only, widths are ours (docs/systems.md)", "resnet", ("fc",)),
    ModelSpec("resnetv2_50", "ResNet-50 v2", 224, "norm", 23_508_548, "He et al., Identity Mappings in Deep Residual Networks, ECCV 2016", "resnet", ("head",)),
    ModelSpec("xception", "Xception", 299, "act4", 20_815_148, "Chollet, Xception: Deep Learning with Depthwise Separable Convolutions, CVPR 2017", "xception", ("fc",)),
)}
# fmt: on
"""Every network of this package by name, each built in a module beside this one."""
