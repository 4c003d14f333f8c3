"""Every system of the five papers by name: network, input, loss and schedule, as the text or the code has it."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from cxrlab.config import Augmentation, ModelConfig, Preprocessing, TrainConfig, one_of
from cxrlab.training.recipe import PROFILES, Recipe

__all__ = ["PROFILES", "Recipe", "list_recipes", "recipe"]


def recipe(name: str, profile: str = "paper") -> Recipe:
    """The settings of a system.

    Raises:
        ValueError: for an unknown name (with the nearest ones) or profile.

    Example:
        >>> recipe("efficientnet-b5-focal").config.focal_gamma
        2.0
    """
    one_of("profile", profile, PROFILES)
    if name not in _RECIPES:
        near = difflib.get_close_matches(name, _RECIPES, n=3)
        nearest = f"nearest: {', '.join(near)}. " if near else ""
        raise ValueError(f"Unknown recipe {name!r}; {nearest}`cxrlab recipes` lists all.")
    return _RECIPES[name](profile)


def list_recipes() -> list[str]:
    """Names of all recipes, those of a paper together."""
    return list(_RECIPES)


CXR4 = ("covid19", "viral", "bacterial", "normal")
HALF = (0.5, 0.5, 0.5)
ZERO, ONE = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)  # mean and std for inputs in [0, 1]
NO_CODE = "No code of this paper is public: both profiles hold what the text says"

FLANNEL_PAPER = "Qiao et al., FLANNEL: Focal Loss Based Neural Network Ensemble for COVID-19 Detection, JAMIA 2021"
EFFICIENTNET_PAPER = "EfficientNetB5 with focal loss for paediatric pneumonia (S3 of docs/systems.md)"
LIGHTWEIGHT_PAPER = "Lightweight networks for COVID-19 detection with a web application (S4 of docs/systems.md)"
PEPX_PAPER = "PEPX-ResNet for COVID-19 detection (S5 of docs/systems.md)"

LEARNERS = {"densenet161": 224, "inception_v3": 299, "resnet152": 224, "resnext101_32x8d": 224, "vgg19_bn": 224}

STAGE_1 = TrainConfig(
    epochs=200,
    batch_size=10,
    optimiser="adam",
    learning_rate=1e-3,
    weight_decay=1e-4,
    schedule="step",
    milestones=(150,),
    class_weights="none",
    clip_norm=0.0,
    monitor="accuracy",
)
"""Stage 1 of FLANNEL; its second milestone, 225, is never reached."""


def _flannel_input(profile: str, size: int) -> tuple[Preprocessing, Augmentation]:
    """Squares of 336 px in the code, 256 px in the text; 336 for inputs of 299 px in both."""
    large = 336 if profile == "release" or size > 256 else 256
    preprocessing = Preprocessing(size=size, resize_to=large, interpolation="bicubic", mean=HALF, std=HALF)
    if profile == "release":
        return preprocessing, Augmentation.none(crop="uniform", flip=0.5)
    return preprocessing, Augmentation.none(
        crop="jitter", crop_jitter=8, scale=0.1, zoom="linear", flip=0.5, noise=0.05, noise_probability=0.5
    )


_FLANNEL_NOTES = (
    "Text: squares of 256 px, crop round the centre, scaling, flips, noise; code: squares of 336 px, a crop "
    "anywhere and flips only.",
    "Assumed for the text: the crop moves by 8 px at most, scaling .9-1.1, noise of .05 in half of the images.",
    "A learning rate of 1e-3 is high for Adam on a whole pretrained network; both profiles keep it.",
)


def _flannel(
    network: str, size: int, profile: str, *, system: str = "", pretrained: bool = True, notes: tuple[str, ...] = (),
    options: Mapping[str, Any] | None = None,
) -> Recipe:  # fmt: skip
    preprocessing, augmentation = _flannel_input(profile, size)
    return Recipe(
        name=f"flannel-{network}",
        profile=profile,
        system=system or network,
        paper=FLANNEL_PAPER,
        model=ModelConfig(network, 4, pretrained, dict(options or {})),
        config=STAGE_1,
        preprocessing=preprocessing,
        augmentation=augmentation,
        labels=CXR4,
        pretrained=pretrained,
        validation=0.2,
        notes=_FLANNEL_NOTES + notes,
    )


_INCEPTION = ("The main output alone is trained; the option aux with aux_weight .4 trains the auxiliary head too.",)


def _covid_net(profile: str) -> Recipe:
    note = "Assumed: FLANNEL's stage-1 settings from scratch; its text gives none and no ImageNet weights exist."
    given = _flannel(
        "covid_net", 224, profile, system="COVID-Net", pretrained=False, notes=(note,), options={"preset": "flannel"}
    )
    return replace(given, name="covid-net")


def _ai_covid(profile: str) -> Recipe:
    base = _flannel("ai_covid", 224, profile, system="AI-COVID")
    if profile == "paper":
        note = "Assumed for the text, which gives nothing but the network: FLANNEL's stage-1 settings."
        return replace(base, name="ai-covid", notes=(*_FLANNEL_NOTES, note))
    return replace(
        base,
        name="ai-covid",
        config=replace(
            STAGE_1, epochs=50, batch_size=64, optimiser="sgd", learning_rate=1e-4, weight_decay=0.0,
            schedule="constant", milestones=(), class_weights="inverse_frequency", reduction="mean",
            monitor="objective", patience=7, l1=0.01, l2=0.01, penalty_on="linear",
        ),
        preprocessing=Preprocessing(size=224, mean=ZERO, std=ONE),
        augmentation=Augmentation.none(shear_deg=0.2, scale=0.2, zoom="linear", flip=0.5, vertical_flip=0.5),
        notes=(
            "The last layer has 4 outputs with softmax instead of one with a sigmoid (our adaptation).",
            "L1 and L2 of .01 act on all linear layers, as published; they outweigh the data at first.",
            "The validation loss that stops training is without the penalties; Keras adds them.",
        ),
    )  # fmt: skip


_B5_LOSSES: dict[str, dict[str, Any]] = {
    "cross_entropy": {"loss": "cross_entropy", "class_weights": "none"},
    "weighted": {"loss": "cross_entropy", "class_weights": "balanced"},
    "focal": {"loss": "focal", "class_weights": "normalised", "focal_gamma": 2.0},
}
_B5_NETWORKS = {
    "efficientnet-b5": ("efficientnet_b5", "EfficientNetB5"),
    "vgg19": ("vgg19", "VGG19"),
    "resnet50": ("resnet50", "ResNet50"),
    "densenet121": ("densenet121", "DenseNet121"),
}


def _efficientnet(network: str, loss: str, profile: str) -> Recipe:
    model, system = _B5_NETWORKS[network]
    return Recipe(
        name=f"{network}-{loss}",
        profile=profile,
        system=system,
        paper=EFFICIENTNET_PAPER,
        model=ModelConfig(model, 1, True, {"head": "mlp_512_64_32"}),
        config=TrainConfig(
            epochs=100, batch_size=32, optimiser="adam", learning_rate=0.01, weight_decay=0.0, schedule="plateau",
            plateau_factor=0.3, plateau_patience=0, reduction="mean", clip_norm=0.0, monitor="objective", patience=5,
            unfreeze=0.0, **_B5_LOSSES[loss],
        ),
        preprocessing=Preprocessing(size=150),
        augmentation=Augmentation.none(
            rotation_deg=72, contrast=0.2, scale=0.2, zoom="linear", brightness=0.2, translation=0.1, flip=0.5,
            vertical_flip=0.5, fill="reflect",
        ),
        labels=("normal", "pneumonia"),
        pretrained=True,
        validation=0.2,
        notes=(
            f"{NO_CODE}.",
            "150 px as in the paper's table; its text says 456 (--size 456).",
            "Assumed: gamma 2, batches of 32, stop after 5 epochs without gain. Alpha is the share of normal images.",
            "Rotation, zoom, shift and flips are one resampling instead of Keras' five layers.",
        ),
    )  # fmt: skip


_LIGHTWEIGHT = {
    "mobilenet_v2": "MobileNetV2",
    "inception_v3": "InceptionV3",
    "resnetv2_50": "ResNet50V2",
    "xception": "Xception",
}
_SHARES = {"33": 1 / 3, "44": 0.44, "55": 0.55}


def _lightweight(network: str, percent: str, profile: str) -> Recipe:
    unit = Preprocessing(size=224, mean=ZERO, std=ONE)
    return Recipe(
        name=f"lightweight-{network}" + (f"-unfreeze-{percent}" if percent else ""),
        profile=profile,
        system=_LIGHTWEIGHT[network],
        paper=LIGHTWEIGHT_PAPER,
        model=ModelConfig(network, 2, True, {"head": "mlp_64_64_64_32_32"}),
        config=TrainConfig(
            epochs=40, batch_size=32, optimiser="adam", learning_rate=1e-3, weight_decay=1e-4 if percent else 0.0,
            schedule="constant", class_weights="none", clip_norm=0.0, monitor="accuracy", patience=10,
            unfreeze=_SHARES.get(percent, 0.0), sampling=("minority:parity",), augmented="all",
        ),
        preprocessing=unit if profile == "paper" else Preprocessing(size=224),
        augmentation=Augmentation.none(rotation_deg=40, scale=0.2, zoom="inwards", flip=0.5),
        labels=("covid19", "not_covid19"),
        pretrained=True,
        validation=0.1,
        notes=(
            f"{NO_CODE}, but for the input: /255 as the text has it (paper), ImageNet mean and std (release), which "
            "the weights expect.",
            "Assumed: dropout .5, zoom up to 1.2, the middle step of unfreezing (.44).",
            "All training images are changed and the smaller class is repeated to parity; the text says both that and "
            "that only COVID images are (--augmented minority).",
        ),
    )  # fmt: skip


_PEPX_NETWORKS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "pepx-resnet": ("pepx_resnet", "PEPX-ResNet", {}),
    "pepx-resnet18": ("resnet18", "ResNet18", {}),
    "pepx-covid-net": ("covid_net", "COVID-Net", {"preset": "compact"}),
}
_PEPX_LOSSES: dict[str, dict[str, Any]] = {
    "cross_entropy": {"loss": "cross_entropy"},
    "focal": {"loss": "focal", "focal_gamma": 1.0, "reduction": "mean"},
}


def _pepx(network: str, loss: str, profile: str) -> Recipe:
    model, system, options = _PEPX_NETWORKS[network]
    return Recipe(
        name=f"{network}-{loss}",
        profile=profile,
        system=system,
        paper=PEPX_PAPER,
        model=ModelConfig(model, 3, False, dict(options)),
        config=TrainConfig(
            epochs=50, batch_size=32, optimiser="adam", learning_rate=1e-3, weight_decay=0.0, schedule="constant",
            class_weights="none", clip_norm=0.0, monitor="accuracy", **_PEPX_LOSSES[loss],
        ),
        preprocessing=Preprocessing(size=224),
        augmentation=Augmentation.none(),
        labels=("normal", "non_covid", "covid19"),
        pretrained=False,
        validation=0.1,
        notes=(
            f"{NO_CODE}.",
            "Assumed: 224 px, ImageNet mean and std, Adam 1e-3, batches of 32, 50 epochs from scratch, no "
            "augmentation; the text gives alpha = gamma = 1 of the focal loss only.",
            *(("The paper quotes COVID-Net's published figures; this trains it.",) if "covid" in network else ()),
        ),
    )  # fmt: skip


def _all() -> dict[str, Callable[[str], Recipe]]:
    made: dict[str, Callable[[str], Recipe]] = {}
    for network, size in LEARNERS.items():
        notes = _INCEPTION if network == "inception_v3" else ()
        made[f"flannel-{network}"] = partial(_flannel, network, size, notes=notes)
    made |= {"covid-net": _covid_net, "ai-covid": _ai_covid}
    for network in _B5_NETWORKS:
        for loss in _B5_LOSSES:
            made[f"{network}-{loss}"] = partial(_efficientnet, network, loss)
    for network in _LIGHTWEIGHT:
        for share in ("", *_SHARES):
            name = f"lightweight-{network}" + (f"-unfreeze-{share}" if share else "")
            made[name] = partial(_lightweight, network, share)
    for network in _PEPX_NETWORKS:
        for loss in _PEPX_LOSSES:
            made[f"{network}-{loss}"] = partial(_pepx, network, loss)
    return made


_RECIPES = _all()
