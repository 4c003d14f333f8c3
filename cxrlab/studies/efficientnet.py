"""The study of EfficientNetB5 with focal loss: four backbones x three losses on Kermany's own test part."""

from __future__ import annotations

from dataclasses import replace

from cxrlab.models.registry import model_spec
from cxrlab.studies.plan import VALIDATION_SHARE, Comparison, MemberRun, Scale, StudyPlan, of_recipe, shrunk
from cxrlab.training.recipes import recipe

SYSTEMS = {
    "EfficientNetB5": "efficientnet-b5",
    "VGG19": "vgg19",
    "ResNet50": "resnet50",
    "DenseNet121": "densenet121",
}
"""System -> beginning of its recipes' names."""
LIGHT = {
    "EfficientNetB5": "efficientnet_b0",
    "VGG19": "mobilenet_v2",
    "ResNet50": "resnet18",
    "DenseNet121": "densenet121",
}
"""Small stand-ins, of the same family where there is one."""
LOSSES = {"cross entropy": "cross_entropy", "weighted cross entropy": "weighted", "focal": "focal"}
LITE_IMAGES = 1600
METRICS = ("accuracy", "f1:pneumonia", "auc:pneumonia")


def efficientnet_study(scale: Scale, *, profile: str = "paper", seed: int = 0) -> StudyPlan:
    """Table IV: accuracy, precision, recall, F1 and AUC of four backbones, each with three losses.

    At a small scale the rows bear the stand-ins' names: they are not the paper's systems.
    """
    names, focal = {system: _title(system, scale) for system in SYSTEMS}, _variant("focal", scale)
    return StudyPlan(
        name="efficientnet-focal",
        title="Pneumonia or normal: four backbones, three losses",
        task="pneumonia_vs_normal",
        protocol="hold_out",
        source="kermany",
        members=tuple(_member(system, loss, scale, profile, seed) for system in SYSTEMS for loss in LOSSES),
        comparisons=(
            *(
                Comparison((system, focal), (system, _variant(other, scale)), METRICS)
                for system in names.values()
                for other in LOSSES
                if other != "focal"
            ),
            *(
                Comparison((names["EfficientNetB5"], focal), (names[other], focal), METRICS)
                for other in list(SYSTEMS)[1:]
            ),
        ),
        training_images=LITE_IMAGES if scale.light else 0,  # not balanced: class weights are what is compared
        validation=VALIDATION_SHARE if scale.light else recipe("efficientnet-b5-focal", profile).validation,
        notes=_notes(scale),
    )


def _notes(scale: Scale) -> tuple[str, ...]:
    if not scale.light:
        return ("ImageNet weights, backbone frozen; Kermany's own test part.",)
    stand_ins = ", ".join(f"{_title(name, scale)} for {name}" for name in SYSTEMS)
    return (
        f"Stand-ins from scratch by AdamW with one cycle, nothing frozen: {stand_ins}; Kermany's own test part.",
        f"{LITE_IMAGES} training images, a random choice.",
    )


def _title(system: str, scale: Scale) -> str:
    return model_spec(LIGHT[system]).title if scale.light else system


def _variant(loss: str, scale: Scale) -> str:
    return f"{'from scratch' if scale.light else 'frozen backbone'} + {loss}"


def _member(system: str, loss: str, scale: Scale, profile: str, seed: int) -> MemberRun:
    given = recipe(f"{SYSTEMS[system]}-{LOSSES[loss]}", profile)
    name = f"{system.lower()}-{loss.replace(' ', '-')}"
    run = replace(of_recipe(given, name, _variant(loss, scale), seed=seed), curves=True)
    if not scale.light:
        return run
    run = shrunk(run, scale, network=LIGHT[system])
    scratch = replace(run.config, optimiser="adamw", learning_rate=2e-3, schedule="one_cycle", clip_norm=1.0)
    return replace(run, system=_title(system, scale), config=scratch)
