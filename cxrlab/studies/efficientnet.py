"""The study of EfficientNetB5 with focal loss: four backbones x three losses on Kermany's own test part."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cxrlab.config import Augmentation, ModelConfig, Preprocessing, TrainConfig
from cxrlab.studies.plan import Comparison, MemberRun, Scale, StudyPlan, scaled

FULL = {
    "EfficientNetB5": "efficientnet_b5",
    "VGG19": "vgg19",
    "ResNet50": "resnet50",
    "DenseNet121": "densenet121",
}
LIGHT = {
    "EfficientNetB5": "efficientnet_b0",
    "VGG19": "mobilenet_v2",
    "ResNet50": "resnet18",
    "DenseNet121": "densenet121",
}
"""Small stand-ins, of the same family where there is one: this machine is no place for VGG19."""
LOSSES: dict[str, dict[str, Any]] = {
    "cross entropy": {"loss": "cross_entropy", "class_weights": "none"},
    "weighted cross entropy": {"loss": "cross_entropy", "class_weights": "balanced"},
    "focal": {"loss": "focal", "focal_gamma": 2.0, "class_weights": "balanced"},
}
METRICS = ("accuracy", "f1:pneumonia", "auc:pneumonia")
SIZE = 150
HEAD = "mlp_512_64_32"
PUBLISHED = TrainConfig(
    epochs=100,
    batch_size=32,
    optimiser="adam",
    learning_rate=0.01,
    weight_decay=0.0,
    schedule="plateau",
    plateau_patience=0,
    clip_norm=0.0,
    monitor="objective",
    patience=5,
    precision="bf16",
    unfreeze=0.0,
    threads=1,
)
SCRATCH = replace(
    PUBLISHED, optimiser="adamw", learning_rate=2e-3, schedule="one_cycle", patience=0, unfreeze=1.0, clip_norm=1.0
)
"""Without ImageNet weights a frozen backbone sees nothing: at the small scales everything is trained."""


def efficientnet_study(scale: Scale, *, seed: int = 0) -> StudyPlan:
    """Table IV: accuracy, precision, recall, F1 and AUC of four backbones, each with three losses."""
    networks = LIGHT if scale.light else FULL
    members = tuple(_member(system, name, loss, scale, seed) for system, name in networks.items() for loss in LOSSES)
    return StudyPlan(
        name="efficientnet-focal",
        title="Pneumonia or normal: four backbones, three losses",
        task="pneumonia_vs_normal",
        protocol="hold_out",
        source="kermany",
        members=members,
        comparisons=(
            *(
                Comparison((system, "frozen backbone + focal"), (system, f"frozen backbone + {other}"), METRICS)
                for system in networks
                for other in ("cross entropy", "weighted cross entropy")
            ),
            *(
                Comparison(("EfficientNetB5", "frozen backbone + focal"), (other, "frozen backbone + focal"), METRICS)
                for other in networks
                if other != "EfficientNetB5"
            ),
        ),
        notes=_notes(scale),
    )


def _notes(scale: Scale) -> tuple[str, ...]:
    if not scale.light:
        return ("ImageNet weights, backbone frozen; Kermany's own test part.",)
    stand_ins = ", ".join(f"{name} for {system}" for system, name in LIGHT.items() if name != system.lower())
    return (f"Stand-ins trained from scratch, nothing frozen: {stand_ins}; Kermany's own test part.",)


def _member(system: str, name: str, loss: str, scale: Scale, seed: int) -> MemberRun:
    config = scaled(SCRATCH if scale.light else PUBLISHED, scale)
    return MemberRun(
        id=f"{system.lower()}-{loss.replace(' ', '-')}",
        system=system,
        variant=f"frozen backbone + {loss}",
        fold=0,
        model=ModelConfig(name, 1, options={"head": HEAD}),
        config=replace(config, **LOSSES[loss], seed=seed),
        preprocessing=Preprocessing(size=scale.size or SIZE),
        augmentation=Augmentation(),
        pretrained=not scale.light,
        activation="binary_sigmoid",
        curves=True,
    )
