"""`cxrlab recipes`: the papers' systems that `cxrlab train --recipe` knows."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cxrlab.commands.choices import Json
from cxrlab.commands.terminal import show, show_json, show_table
from cxrlab.config import TrainConfig

if TYPE_CHECKING:
    from cxrlab.workflows.recipes import CombinerConfig, Recipe


def recipes(
    name: Annotated[str, typer.Argument(help="One recipe in full; default: a line for each.")] = "",
    profile: Annotated[str, typer.Option(help="paper (what the text says) or release (what the code does).")] = "paper",
    as_json: Json = False,
) -> None:
    """The settings of every system of the five papers, by name."""
    from cxrlab.workflows.recipes import all_recipes, ensemble_settings, one_recipe

    if name:
        found = one_recipe(name, profile)
        show_json(found.to_json()) if as_json else _show_recipe(found)
        return
    everything = all_recipes(profile)
    if as_json:
        show_json([each.to_json() for each in everything])
        return
    columns = [
        "name",
        "system",
        "network",
        "input",
        "loss",
        "weights",
        "optimiser",
        "rate",
        "batch",
        "epochs",
        "start",
        "trained",
    ]
    show_table(columns, [_row(each) for each in everything])
    show("")
    show("Fitted on the outputs of trained members by cxrlab ensemble fit:")
    columns = ["system", "kind", "loss", "weights", "reduction", "rate", "batch", "epochs", "repeated class:times"]
    show_table(columns, [_ensemble_row(name, each) for name, each in ensemble_settings(profile).items()])


def _row(recipe: Recipe) -> list[object]:
    config = recipe.config
    return [
        recipe.name,
        recipe.system,
        recipe.model.name,
        recipe.preprocessing.size,
        config.loss + (f" {config.focal_gamma:g}" if config.loss == "focal" else ""),
        config.class_weights,
        config.optimiser,
        f"{config.learning_rate:g}",
        config.batch_size,
        config.epochs,
        "ImageNet" if recipe.pretrained else "scratch",
        {1.0: "all", 0.0: "head"}.get(config.unfreeze, f"last {config.unfreeze:.0%}"),
    ]


def _ensemble_row(name: str, config: CombinerConfig) -> list[object]:
    return [
        *(name, config.kind, config.loss + (f" {config.gamma:g}" if config.loss == "focal" else "")),
        *(config.class_weights, config.reduction, f"{config.learning_rate:g}", config.batch_size, config.epochs),
        " ".join(f"{index}:{factor}" for index, factor in config.oversample),
    ]


def _show_recipe(recipe: Recipe) -> None:
    show(f"{recipe.name}, {recipe.profile} profile: {recipe.system}, {recipe.paper}.")
    for part, differing in {
        "network": {"name": recipe.model.name, "outputs": recipe.model.num_classes, **recipe.model.options},
        "classes": {"ids": ", ".join(recipe.labels), "validation share": recipe.validation},
        "input": recipe.preprocessing.to_json(),
        "training": _differing(recipe.config),
        "augmentation": {key: value for key, value in recipe.augmentation.to_json().items() if value},
    }.items():
        show(f"{part + ':':<14}" + ", ".join(f"{key} {value}" for key, value in differing.items()))
    for note in recipe.notes:
        show(f"- {note}")


def _differing(config: TrainConfig) -> dict[str, Any]:
    """What decides the run in the first place, and what is not the default."""
    usual = ("epochs", "batch_size", "optimiser", "learning_rate", "weight_decay", "schedule", "loss", "monitor")
    return {
        spec.name: getattr(config, spec.name)
        for spec in fields(TrainConfig)
        if spec.name in usual or getattr(config, spec.name) != spec.default
    }
