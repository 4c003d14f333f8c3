"""The study of lightweight networks: four backbones on COVID-19 or not, then more and more of MobileNetV2 unfrozen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from cxrlab.config import ModelConfig
from cxrlab.studies.plan import VALIDATION_SHARE, Comparison, MemberRun, Scale, StudyPlan, of_recipe, shrunk
from cxrlab.training.recipes import recipe

NETWORKS = {
    "MobileNetV2": "mobilenet_v2",
    "InceptionV3": "inception_v3",
    "ResNet50V2": "resnetv2_50",
    "Xception": "xception",
}
SHARES = ("33", "44", "55")
SMALLEST = {"InceptionV3": 75}  # px that the network takes
METRICS = ("accuracy", "auc:covid19", "f1:covid19")
IMAGES_PER_CLASS = 866  # the paper has 268 of COVID-19 and 866 others
LITE_EPOCHS = 5
LITE_IMAGES_PER_CLASS = 600
PRETRAINING = "pretraining-mobilenetv2"


def lightweight_study(scale: Scale, *, profile: str = "paper", seed: int = 0) -> StudyPlan:
    """AUC of four frozen networks; accuracy and loss an epoch for three shares of MobileNetV2 unfrozen, over seeds."""
    variant = "from scratch" if scale.light else "frozen backbone"
    networks = tuple(_network(system, variant, scale, profile, seed) for system in NETWORKS)
    return StudyPlan(
        name="lightweight",
        title="Four lightweight networks, and unfreezing MobileNetV2",
        task="covid_vs_rest",
        protocol="hold_out",
        members=(*networks, *_pretraining(scale, profile, seed), *_unfrozen(scale, profile, seed)),
        comparisons=(
            *(Comparison(("MobileNetV2", variant), (other, variant), METRICS) for other in list(NETWORKS)[1:]),
            *(
                Comparison(("MobileNetV2", "unfrozen 55 %"), ("MobileNetV2", f"unfrozen {share} %"), METRICS)
                for share in SHARES[:-1]
            ),
        ),
        balanced_images=LITE_IMAGES_PER_CLASS if scale.light else IMAGES_PER_CLASS,
        validation=VALIDATION_SHARE if scale.light else recipe("lightweight-mobilenet_v2", profile).validation,
        notes=_notes(scale),
    )


def _notes(scale: Scale) -> tuple[str, ...]:
    if not scale.light:
        return ("ImageNet weights; frozen backbones but for the unfrozen share.",)
    return (
        "Without ImageNet weights: the four networks are trained from scratch, nothing frozen; what is unfrozen starts "
        "from a MobileNetV2 trained here on pneumonia or normal, without any COVID-19 image.",
        f"{2 * LITE_IMAGES_PER_CLASS} training images, the classes as even as they can be.",
    )


def _network(system: str, variant: str, scale: Scale, profile: str, seed: int) -> MemberRun:
    given = of_recipe(recipe(f"lightweight-{NETWORKS[system]}", profile), system.lower(), variant, seed=seed)
    run = replace(given, outputs=("test",), curves=True)
    return shrunk(run, scale, epochs=LITE_EPOCHS, size=SMALLEST.get(system, 0))


def _pretraining(scale: Scale, profile: str, seed: int) -> Iterator[MemberRun]:
    if not scale.light:
        return
    run = _network("MobileNetV2", "pre-training", scale, profile, seed)
    yield replace(
        run,
        id=PRETRAINING,
        model=ModelConfig("mobilenet_v2", 2),
        config=replace(run.config, sampling=()),
        outputs=(),
        curves=False,
        task="pneumonia_vs_normal",
        without=("covid19",),
        keep_weights=True,
    )


def _unfrozen(scale: Scale, profile: str, seed: int) -> Iterator[MemberRun]:
    for number in range(scale.seeds):
        for share in SHARES:
            given = recipe(f"lightweight-mobilenet_v2-unfreeze-{share}", profile)
            name = f"mobilenetv2-unfrozen-{share}-seed{seed + number}"
            run = of_recipe(given, name, f"unfrozen {share} %", seed=seed + number)
            run = replace(run, outputs=("test",), curves=True)
            if scale.light:
                config = replace(shrunk(run, scale, epochs=LITE_EPOCHS).config, unfreeze=given.config.unfreeze)
                run = replace(shrunk(run, scale, epochs=LITE_EPOCHS), config=config, starts_from=PRETRAINING)
            yield run
