"""The papers' recipes: listed, and made into a training request in which every field can be overridden."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from cxrlab.config import Augmentation, JsonConfig, Preprocessing, TrainConfig, one_of
from cxrlab.data.manifest import label_counts
from cxrlab.ensembles.combiner_config import CombinerConfig
from cxrlab.labels import PROJECTIONS, LabelSet
from cxrlab.training.recipe import PROFILES, Recipe
from cxrlab.workflows.training_card import TrainRequest

__all__ = [
    "PARTS",
    "PROFILES",
    "CombinerConfig",
    "Recipe",
    "all_recipes",
    "ensemble_settings",
    "model_request",
    "one_recipe",
    "recipe_request",
    "set_values",
]

PARTS = ("config", "preprocessing", "augmentation", "options")
Config = TypeVar("Config", bound=JsonConfig)
Changes = Mapping[str, Mapping[str, Any]]


def all_recipes(profile: str = "paper") -> tuple[Recipe, ...]:
    """Every recipe, those of a paper together. Raises ValueError for an unknown profile."""
    from cxrlab.training.recipes import list_recipes, recipe

    one_of("profile", profile, PROFILES)
    return tuple(recipe(name, profile) for name in list_recipes())


def ensemble_settings(profile: str = "paper") -> dict[str, CombinerConfig]:
    """How FLANNEL, its variants and the stacked networks are fitted on trained members, by name.

    Raises:
        ValueError: for an unknown profile.
    """
    flannel = CombinerConfig.of("flannel", profile)
    return {
        "FLANNEL": flannel,
        "FLANNEL w/o focal": flannel.without_focal(),
        "FLANNEL w/o focal + sampling": flannel.without_focal().with_sampling(),
        "Ensemble_MLP l1": CombinerConfig.of("mlp_l1", profile),
        "Ensemble_MLP l2": CombinerConfig.of("mlp_l2", profile),
    }


def one_recipe(name: str, profile: str = "paper") -> Recipe:
    """The settings of one system. Raises ValueError for an unknown name (with the nearest ones) or profile."""
    from cxrlab.training.recipes import recipe

    return recipe(name, profile)


def recipe_request(
    name: str, profile: str, *, source: Path, checkpoint: str, changes: Changes | None = None, **given: Any
) -> TrainRequest:
    """The request to train a paper's system on a manifest.

    Where the manifest has finer classes than the recipe and one of the known tasks adds them up to the recipe's, that
    task is chosen; where it has the recipe's own classes, their order is the recipe's.

    Args:
        name, profile: of the recipe. source: manifest CSV or folder. checkpoint: name of the checkpoint to be.
        changes: by part (``config``, ``preprocessing``, ``augmentation``, ``options``), fields that differ.
        **given: further fields of :class:`TrainRequest`; they win.

    Raises:
        ValueError: for an unknown recipe, profile, part or field, or a value out of range. ManifestError.
    """
    from cxrlab.training.recipes import recipe

    found, changes = recipe(name, profile), changes or {}
    for part in changes:
        one_of("part", part, PARTS)
    classes = {} if {"labels", "task"} & set(given) else _classes(found, source)
    started_otherwise = bool({"weights_file", "initial"} & set(given))
    request = TrainRequest(
        source=source,
        model=found.model.name,
        name=checkpoint,
        activation=found.activation,
        validation=found.validation,
        config=changed(found.config, changes.get("config", {})),
        preprocessing=_resized(found.preprocessing, changes.get("preprocessing", {})),
        augmentation=changed(found.augmentation, changes.get("augmentation", {})),
        options={**found.model.options, **changes.get("options", {})},
        references=(found.paper,),
        pretrained=found.pretrained and not started_otherwise,
        **classes,
    )
    request = replace(request, **given)
    return replace(request, recipe=_named(found, request))


def model_request(
    model: str, *, source: Path, checkpoint: str, changes: Changes | None = None, **given: Any
) -> TrainRequest:
    """The request to train a network with cxrlab's own settings, but for the changes; as :func:`recipe_request`."""
    changes = changes or {}
    for part in changes:
        one_of("part", part, PARTS)
    return TrainRequest(
        source=source,
        model=model,
        name=checkpoint,
        config=changed(TrainConfig(), changes.get("config", {})),
        preprocessing=changed(Preprocessing(), changes.get("preprocessing", {})),
        augmentation=changed(Augmentation(), changes.get("augmentation", {})),
        options=dict(changes.get("options", {})),
        **given,
    )


def changed(config: Config, values: Mapping[str, Any]) -> Config:
    """A configuration with other values. Raises ValueError naming an unknown field or a value out of range."""
    return type(config).from_json({**config.to_json(), **values})


def _resized(found: Preprocessing, values: Mapping[str, Any]) -> Preprocessing:
    """With another size, the square that crops are cut from keeps its proportion to it, unless it is given too."""
    size = values.get("size", found.size)
    if found.resize_to and "resize_to" not in values and isinstance(size, int):
        values = {**values, "resize_to": min(1024, max(size, round(found.resize_to * size / found.size)))}
    return changed(found, values)


def set_values(texts: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """``{"augmentation.flip": 0}`` -> ``{"augmentation": {"flip": 0}}``, as changes of a request.

    Raises:
        ValueError: when a key does not name a part and a field.
    """
    parts: dict[str, dict[str, Any]] = {}
    for key, value in texts.items():
        part, _, name = key.partition(".")
        if part not in PARTS or not name:
            raise ValueError(f"A setting must be PART.FIELD with PART one of {', '.join(PARTS)}, got {key!r}.")
        parts.setdefault(part, {})[name] = value
    return parts


def _classes(found: Recipe, source: Path) -> dict[str, Any]:
    """The classes to train: the recipe's in its order, by themselves or added up; else the manifest's own."""
    present = set(label_counts(source))
    if set(found.labels) == present:
        return {"labels": found.labels}
    for task in PROJECTIONS.values():
        if task.target.ids == found.labels and len(present) > 1 and task.accepts(LabelSet.from_ids(sorted(present))):
            return {"task": task.name}
    return {}


def _named(found: Recipe, request: TrainRequest) -> dict[str, Any]:
    """What a card says of the recipe: name, profile, system and what was changed in it."""
    pairs = {
        "config": (found.config.to_json(), request.config.to_json()),
        "preprocessing": (found.preprocessing.to_json(), request.preprocessing.to_json()),
        "augmentation": (found.augmentation.to_json(), request.augmentation.to_json()),
        "options": (dict(found.model.options), dict(request.options)),
        "request": (
            {"model": found.model.name, "pretrained": found.pretrained, "validation": found.validation},
            {"model": request.model, "pretrained": request.pretrained, "validation": request.validation},
        ),
    }
    differing = {
        f"{part}.{name}": new.get(name)
        for part, (old, new) in pairs.items()
        for name in {**old, **new}
        if old.get(name) != new.get(name)
    }
    return {"name": found.name, "profile": found.profile, "system": found.system, "changed": differing}
