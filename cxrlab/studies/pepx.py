"""The study of PEPX-ResNet: with and without the PEPX path and the focal loss, epoch by epoch, over seeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from cxrlab.config import Augmentation, ModelConfig, Preprocessing, TrainConfig
from cxrlab.models.registry import model_spec
from cxrlab.studies.plan import Comparison, MemberRun, Scale, StudyPlan, scaled

IMAGES_PER_CLASS = 1000
METRICS = ("accuracy", "macro_f1", "f1:covid19")
NETWORKS: dict[str, tuple[str, Mapping[str, Any]]] = {
    "ResNet18": ("resnet18", {}),
    "COVID-Net": ("covid_net", {"preset": "compact"}),
    "PEPX-ResNet": ("pepx_resnet", {}),
}
ABLATIONS: dict[str, Mapping[str, Any]] = {
    "block input": {"pepx_input": "block"},
    "A=B=1, C=0": {"coefficients": (1.0, 1.0, 0.0)},
    "depth-wise": {"depthwise": True},
}
LOSSES: dict[str, dict[str, Any]] = {
    "cross entropy": {"loss": "cross_entropy"},
    "focal": {"loss": "focal", "focal_gamma": 1.0},
}
TRAINING = TrainConfig(
    epochs=50,
    batch_size=32,
    optimiser="adam",
    learning_rate=1e-3,
    weight_decay=0.0,
    schedule="constant",
    class_weights="none",
    clip_norm=0.0,
    monitor="accuracy",
    precision="bf16",
    threads=1,
)
"""Spec 1.12: scratch, Adam 1e-3, batch 32, 50 epochs; the paper does not say."""
LITE_EPOCHS = 10


def pepx_study(scale: Scale, *, seed: int = 0) -> StudyPlan:
    """Accuracy, loss and F1 an epoch for two losses and three networks; the learned A, B, C; ablations."""
    return StudyPlan(
        name="pepx",
        title="PEPX-ResNet against ResNet-18 and COVID-Net, with and without focal loss",
        task="three_class",
        protocol="hold_out",
        members=tuple(_members(scale, seed)),
        comparisons=(
            *(
                Comparison((system, "focal"), (system, "cross entropy"), METRICS)
                for system in ("ResNet18", "PEPX-ResNet", "COVID-Net")
            ),
            Comparison(("PEPX-ResNet", "cross entropy"), ("ResNet18", "cross entropy"), METRICS),
            Comparison(("PEPX-ResNet", "focal"), ("ResNet18", "focal"), METRICS),
            *(
                Comparison(("PEPX-ResNet", "cross entropy"), ("PEPX-ResNet", f"cross entropy, {name}"), METRICS)
                for name in ABLATIONS
            ),
        ),
        balanced_images=IMAGES_PER_CLASS,
        notes=("The three classes are Normal, Non-COVID pneumonia and COVID-19; seeds stand in place of folds.",),
    )


def _members(scale: Scale, seed: int) -> Iterator[MemberRun]:
    for number in range(scale.seeds):
        for system, (name, options) in NETWORKS.items():
            for loss in LOSSES:
                yield _member(system, loss, name, options, scale, seed + number)
        for title, options in ABLATIONS.items():
            name = NETWORKS["PEPX-ResNet"][0]
            yield _member("PEPX-ResNet", f"cross entropy, {title}", name, options, scale, seed + number)


def _member(system: str, variant: str, name: str, options: Mapping[str, Any], scale: Scale, seed: int) -> MemberRun:
    loss = LOSSES[variant.partition(", ")[0]]
    words = "".join(letter if letter.isalnum() else "-" for letter in f"{system} {variant}".lower())
    return MemberRun(
        id=f"{words}-seed{seed}",
        system=system,
        variant=variant,
        fold=0,
        model=ModelConfig(name, 3, options=dict(options)),
        config=replace(scaled(TRAINING, scale, epochs=LITE_EPOCHS), **loss, seed=seed),
        preprocessing=Preprocessing(size=scale.size or model_spec(name).input_size),
        augmentation=Augmentation(),
        outputs=("test",),
        curves=True,
    )
