"""The study of lightweight networks: four backbones on COVID-19 or not, then more and more of MobileNetV2 unfrozen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from cxrlab.config import Augmentation, ModelConfig, Preprocessing, TrainConfig
from cxrlab.models.registry import model_spec
from cxrlab.studies.plan import Comparison, MemberRun, Scale, StudyPlan, scaled

NETWORKS = {
    "MobileNetV2": "mobilenet_v2",
    "InceptionV3": "inception_v3",
    "ResNet50V2": "resnetv2_50",
    "Xception": "xception",
}
HEAD = "mlp_64_64_64_32_32"
UNFREEZE = {"33 %": 1 / 3, "44 %": 0.44, "55 %": 0.55}
METRICS = ("accuracy", "auc:covid19", "f1:covid19")
IMAGES_PER_CLASS = 866  # the paper has 268 of COVID-19 and 866 others
LITE_EPOCHS = 6
PUBLISHED = TrainConfig(
    epochs=40,
    batch_size=32,
    optimiser="adam",
    learning_rate=1e-3,
    weight_decay=0.0,
    schedule="constant",
    class_weights="none",
    clip_norm=0.0,
    monitor="accuracy",
    patience=10,
    precision="bf16",
    unfreeze=0.0,
    sampling=("minority:parity",),
    threads=1,
)
PRETRAINING = "pretraining-mobilenetv2"


def lightweight_study(scale: Scale, *, seed: int = 0) -> StudyPlan:
    """AUC of four frozen networks; accuracy and loss an epoch for three shares of MobileNetV2 unfrozen, over seeds."""
    return StudyPlan(
        name="lightweight",
        title="Four lightweight networks, and unfreezing MobileNetV2",
        task="covid_vs_rest",
        protocol="hold_out",
        members=(*_networks(scale, seed), *_pretraining(scale, seed), *_unfrozen(scale, seed)),
        comparisons=(
            *(
                Comparison(("MobileNetV2", _variant(scale)), (other, _variant(scale)), METRICS)
                for other in NETWORKS
                if other != "MobileNetV2"
            ),
            *(
                Comparison(("MobileNetV2", "unfrozen 55 %"), ("MobileNetV2", f"unfrozen {share}"), METRICS)
                for share in ("33 %", "44 %")
            ),
        ),
        balanced_images=IMAGES_PER_CLASS,
        notes=_notes(scale),
    )


def _notes(scale: Scale) -> tuple[str, ...]:
    if not scale.light:
        return ("ImageNet weights; frozen backbones but for the unfrozen share.",)
    return (
        "Without ImageNet weights: the four networks are trained from scratch, nothing frozen; what is unfrozen starts "
        "from a MobileNetV2 trained here on pneumonia or normal, without any COVID-19 image.",
    )


def _variant(scale: Scale) -> str:
    return "from scratch" if scale.light else "frozen backbone"


def _networks(scale: Scale, seed: int) -> Iterator[MemberRun]:
    for system, name in NETWORKS.items():
        config = scaled(PUBLISHED, scale, epochs=LITE_EPOCHS)
        config = replace(config, unfreeze=1.0) if scale.light else config
        yield _member(system, _variant(scale), name, config, scale, seed)


def _pretraining(scale: Scale, seed: int) -> Iterator[MemberRun]:
    if not scale.light:
        return
    config = replace(scaled(PUBLISHED, scale, epochs=LITE_EPOCHS), unfreeze=1.0, sampling=())
    run = _member("MobileNetV2", "pre-training", "mobilenet_v2", config, scale, seed)
    yield replace(
        run,
        id=PRETRAINING,
        model=ModelConfig("mobilenet_v2", 2),
        outputs=(),
        curves=False,
        task="pneumonia_vs_normal",
        without=("covid19",),
        keep_weights=True,
    )


def _unfrozen(scale: Scale, seed: int) -> Iterator[MemberRun]:
    for number in range(scale.seeds):
        for words, share in UNFREEZE.items():
            config = replace(scaled(PUBLISHED, scale, epochs=LITE_EPOCHS), unfreeze=share, weight_decay=1e-4)
            run = _member("MobileNetV2", f"unfrozen {words}", "mobilenet_v2", config, scale, seed + number)
            yield replace(run, starts_from=PRETRAINING) if scale.light else run


def _member(system: str, variant: str, name: str, config: TrainConfig, scale: Scale, seed: int) -> MemberRun:
    size = scale.size or model_spec(name).input_size
    if name == "inception_v3" and scale.light:  # it takes 75 px or more
        size, config = max(size, 75), replace(config, size_schedule=())
    words = "".join(letter if letter.isalnum() else "-" for letter in f"{system} {variant}".lower())
    return MemberRun(
        id=f"{words}-seed{seed}",
        system=system,
        variant=variant,
        fold=0,
        model=ModelConfig(name, 2, options={"head": HEAD}),
        config=replace(config, seed=seed),
        preprocessing=Preprocessing(size=size),
        augmentation=Augmentation(),
        pretrained=not scale.light,
        outputs=("test",),
        curves=True,
    )
