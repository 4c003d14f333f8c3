"""The study of PEPX-ResNet: with and without the PEPX path and the focal loss, epoch by epoch, over seeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from cxrlab.studies.plan import VALIDATION_SHARE, Comparison, MemberRun, Scale, StudyPlan, of_recipe, shrunk
from cxrlab.training.recipes import recipe

IMAGES_PER_CLASS = 1000
LITE_IMAGES_PER_CLASS = 400
METRICS = ("accuracy", "macro_f1", "f1:covid19")
SYSTEMS = {"ResNet18": "pepx-resnet18", "COVID-Net": "pepx-covid-net", "PEPX-ResNet": "pepx-resnet"}
"""System -> beginning of its recipes' names."""
LOSSES = {"cross entropy": "cross_entropy", "focal": "focal"}
ABLATIONS: dict[str, Mapping[str, Any]] = {
    "block input": {"pepx_input": "block"},
    "A=B=1, C=0": {"coefficients": (1.0, 1.0, 0.0)},
    "depth-wise": {"depthwise": True},
}
LITE_EPOCHS = 6


def pepx_study(scale: Scale, *, profile: str = "paper", seed: int = 0) -> StudyPlan:
    """Accuracy, loss and F1 an epoch for two losses and three networks; the learned A, B, C; ablations."""
    images = LITE_IMAGES_PER_CLASS if scale.light else IMAGES_PER_CLASS
    return StudyPlan(
        name="pepx",
        title="PEPX-ResNet against ResNet-18 and COVID-Net, with and without focal loss",
        task="three_class",
        protocol="hold_out",
        members=tuple(_members(scale, profile, seed)),
        comparisons=(
            *(Comparison((system, "focal"), (system, "cross entropy"), METRICS) for system in SYSTEMS),
            *(Comparison(("PEPX-ResNet", loss), ("ResNet18", loss), METRICS) for loss in LOSSES),
            *(
                Comparison(("PEPX-ResNet", "cross entropy"), ("PEPX-ResNet", f"cross entropy, {name}"), METRICS)
                for name in ABLATIONS
            ),
        ),
        balanced_images=images,
        validation=VALIDATION_SHARE if scale.light else recipe("pepx-resnet-focal", profile).validation,
        notes=(
            "The three classes are Normal, Non-COVID pneumonia and COVID-19; seeds stand in place of folds.",
            f"{3 * images} training images, the classes as even as they can be.",
            *(("Ablations have the first seed only: one run beside the mean of three.",) if scale.light else ()),
        ),
    )


def _members(scale: Scale, profile: str, seed: int) -> Iterator[MemberRun]:
    for number in range(seed, seed + scale.seeds):
        for system in SYSTEMS:
            for loss in LOSSES:
                yield _member(system, loss, {}, scale, profile, number)
        for title, options in ABLATIONS.items() if number == seed or not scale.light else ():
            yield _member("PEPX-ResNet", f"cross entropy, {title}", options, scale, profile, number)


def _member(system: str, variant: str, options: Mapping[str, Any], scale: Scale, profile: str, seed: int) -> MemberRun:
    given = recipe(f"{SYSTEMS[system]}-{LOSSES[variant.partition(', ')[0]]}", profile)
    words = "".join(letter if letter.isalnum() else "-" for letter in f"{system} {variant}".lower())
    run = of_recipe(given, f"{words}-seed{seed}", variant, seed=seed)
    model = replace(run.model, options={**run.model.options, **options})
    return shrunk(replace(run, model=model, outputs=("test",), curves=True), scale, epochs=LITE_EPOCHS)
