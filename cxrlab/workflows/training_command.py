"""A request as the command line that asks for the same training."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from cxrlab.config import Augmentation, JsonConfig, Preprocessing, TrainConfig, home
from cxrlab.workflows.recipes import one_recipe
from cxrlab.workflows.training_card import TrainRequest

_TEXTS = ("title", "task", "initial")
_OWN_OPTIONS = {"preprocessing": ("size", "resize"), "options": ("head",)}


def training_command(request: TrainRequest, *, device: str = "auto", gpus: int | None = None, priority: int = 0) -> str:
    """`cxrlab train … --background`, ready to be pasted into a POSIX shell; only what differs from the defaults.

    Args:
        gpus, priority: of the job; None and 0: as by default.

    Example:
        >>> from pathlib import Path
        >>> training_command(TrainRequest(Path("phantom"), "resnet18", "resnet18"))
        'cxrlab train --manifest phantom --model resnet18 --background'
    """
    start = {"recipe": request.recipe["name"]} if request.recipe else {"model": request.model}
    words = ["cxrlab", "train", "--manifest", str(request.source), *_flags(start)]
    if request.recipe and request.recipe["profile"] != "paper":
        words += ["--profile", request.recipe["profile"]]
    words += _changed_words(request)
    if request.name != next(iter(start.values())):
        words += ["--out", str(home() / "checkpoints" / request.name)]
    words += _flags({"device": device} if device != "auto" else {})
    words += ["--background"]
    words += _flags({"gpus": gpus} if gpus is not None else {}) + _flags({"priority": priority} if priority else {})
    return shlex.join(words)


def _changed_words(request: TrainRequest) -> list[str]:
    base = _base(request)
    differing = {name: _differing(base[name], _plain(getattr(request, name))) for name in base}
    words = _flags({name: getattr(request, name) for name in _TEXTS if getattr(request, name)})
    if request.labels:
        words += ["--labels", ",".join(request.labels)]
    if request.benchmark:
        words += ["--benchmark"]
    split = {"validation": request.validation, "split_seed": request.split_seed}
    words += _flags(_differing({"validation": _validation(request), "split_seed": 0}, split))
    words += _start_words(request)
    words += _flags(differing.pop("config"))
    if request.augmentation == Augmentation.none() and differing["augmentation"]:
        words += ["--no-augment"]
        differing["augmentation"] = {}
    for part, values in differing.items():
        own = {name: value for name, value in values.items() if name in _OWN_OPTIONS.get(part, ())}
        words += _flags(own)
        for name, value in values.items():
            if name not in own:
                words += ["--set", f"{part}.{name}={json.dumps(value)}"]
    return words


def _start_words(request: TrainRequest) -> list[str]:
    recipe = one_recipe(request.recipe["name"], request.recipe["profile"]) if request.recipe else None
    words = ["--weights-file", str(request.weights_file)] if request.weights_file else []
    usual = recipe.pretrained and not (request.weights_file or request.initial) if recipe else False
    if request.pretrained != usual:
        words += ["--pretrained" if request.pretrained else "--from-scratch"]
    if request.activation != (recipe.activation if recipe else "softmax"):
        words += ["--activation", request.activation]
    return words


def _base(request: TrainRequest) -> dict[str, dict[str, Any]]:
    """Settings of the recipe, or cxrlab's own, by part."""
    if not request.recipe:
        parts: dict[str, JsonConfig] = {
            "config": TrainConfig(), "preprocessing": Preprocessing(), "augmentation": Augmentation()
        }  # fmt: skip
        return {**{name: _plain(part) for name, part in parts.items()}, "options": {}}
    recipe = one_recipe(request.recipe["name"], request.recipe["profile"])
    return {
        "config": _plain(recipe.config),
        "preprocessing": _plain(recipe.preprocessing),
        "augmentation": _plain(recipe.augmentation),
        "options": dict(recipe.model.options),
    }


def _validation(request: TrainRequest) -> float:
    if not request.recipe:
        return 0.15
    return one_recipe(request.recipe["name"], request.recipe["profile"]).validation


def _plain(part: JsonConfig | Mapping[str, Any]) -> dict[str, Any]:
    return part.to_json() if isinstance(part, JsonConfig) else dict(part)


def _differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in new.items() if old.get(name) != value}


def _flags(values: Mapping[str, Any]) -> list[str]:
    """``{"batch_size": 16, "sampling": ("0:2",), "channels_last": False}`` -> words of the command line."""
    words = []
    for name, value in values.items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            words += [f"--{flag}" if value else f"--no-{flag}"]
        elif isinstance(value, list | tuple):
            words += [f"--{flag}", ",".join(map(str, value))]
        else:
            words += [f"--{flag}", str(value)]
    return words
