"""What a study is made of: runs that train a network on a fold, and runs that put members' outputs together."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from cxrlab.config import (
    Activation,
    Augmentation,
    JsonConfig,
    ModelConfig,
    Preprocessing,
    TrainConfig,
    in_range,
    one_of,
)
from cxrlab.models.registry import model_spec
from cxrlab.training.recipe import Recipe

Features = Literal["published", "out_of_fold"]
VALIDATION_SHARE = 0.15


@dataclass(frozen=True)
class Scale(JsonConfig):
    """How large a study is done.

    Args:
        size: side of the input in pixels; 0: the system's own. epochs: 0: the recipe's own.
        size_schedule: sides over the epochs. images: most training images a fold; 0: all.
        folds: how many of the folds are run. seeds: repetitions where a study repeats.
        light: the five light members instead of the full-size ones, from scratch instead of from ImageNet weights.
    """

    name: str
    size: int
    epochs: int
    size_schedule: tuple[int, ...] = ()
    images: int = 0
    folds: int = 5
    seeds: int = 3
    light: bool = True

    def __post_init__(self) -> None:
        in_range("folds", self.folds, 1, 5)
        in_range("seeds", self.seeds, 1, 20)


SCALES = {
    scale.name: scale
    for scale in (
        Scale("smoke", size=32, epochs=1, images=48, folds=2, seeds=1),
        Scale("lite", size=96, epochs=4, size_schedule=(64, 96)),
        Scale("full", size=0, epochs=0, light=False),
    )
}


def scale_named(name: str) -> Scale:
    """``smoke``, ``lite`` or ``full``. Raises ValueError for another name."""
    one_of("scale", name, tuple(SCALES))
    return SCALES[name]


@dataclass(frozen=True)
class MemberRun:
    """One network trained on one fold; its outputs are kept, its weights are not.

    Args:
        id: unique in the study, the name of its folder. system, variant: as the paper's table has them.
        fold: index into the study's splits. pretrained: start from ImageNet weights.
        outputs: parts whose scores are kept. curves: also measure the test part every epoch (never for selection).
        activation: ``softmax``, or ``binary_sigmoid`` for a head with one node.
        task: classes of this run where they are not the study's. without: classes (as in the manifest) left out.
        maps: keep Grad-CAM maps of a test image of every class.
        starts_from: id of a run whose backbone's weights it starts from. keep_weights: keep them for such runs.
    """

    id: str
    system: str
    variant: str
    fold: int
    model: ModelConfig
    config: TrainConfig
    preprocessing: Preprocessing
    augmentation: Augmentation
    pretrained: bool = False
    outputs: tuple[str, ...] = ("validation", "test")
    curves: bool = False
    activation: Activation = "softmax"
    task: str = ""
    without: tuple[str, ...] = ()
    starts_from: str = ""
    keep_weights: bool = False
    maps: bool = False

    def is_same(self, settings: Mapping[str, Any]) -> bool:
        """Were these settings (of :meth:`to_json`, perhaps of an older version) those of this run?"""
        kinds = {
            "model": ModelConfig,
            "config": TrainConfig,
            "preprocessing": Preprocessing,
            "augmentation": Augmentation,
        }
        try:
            parts = {name: kind.from_json(settings[name]).to_json() for name, kind in kinds.items()}  # type: ignore[attr-defined]
        except (KeyError, ValueError):
            return False
        return _plain({**_LATER_SETTINGS, **settings, **parts}) == _plain(self.to_json())

    def to_json(self) -> dict[str, Any]:
        """Everything that decides the outputs."""
        return {
            "kind": "member",
            "model": self.model.to_json(),
            "config": self.config.to_json(),
            "preprocessing": self.preprocessing.to_json(),
            "augmentation": self.augmentation.to_json(),
            "pretrained": self.pretrained,
            "outputs": list(self.outputs),
            "curves": self.curves,
            "activation": self.activation,
            "task": self.task,
            "without": list(self.without),
            "starts_from": self.starts_from,
        }


_LATER_SETTINGS = {"activation": "softmax", "task": "", "without": [], "starts_from": ""}


def _plain(settings: Mapping[str, Any]) -> Any:
    """As it comes back from a JSON file."""
    return json.loads(json.dumps(settings))


@dataclass(frozen=True)
class CombinerRun:
    """Members' outputs put together, by votes or by a module fitted on them.

    Args:
        kind: ``voting``, ``soft``, ``flannel``, ``mlp_l1`` or ``mlp_l2``.
        fold: of the members; None where all folds are used at once (out-of-fold features).
        members: ids of the member runs, fold by fold.
        features: ``published``: outputs on the members' own training images; ``out_of_fold``: each block predicted by
            the members that did not train on it, one module for all blocks, members' fold mean at test.
        settings: of the module, see ``ensembles.combiner.CombinerConfig``; empty for votes.
    """

    id: str
    system: str
    variant: str
    kind: str
    fold: int | None
    members: tuple[tuple[str, ...], ...]
    features: Features = "out_of_fold"
    settings: Mapping[str, Any] = field(default_factory=dict)

    def is_same(self, settings: Mapping[str, Any]) -> bool:
        """Were these settings those of this run?"""
        return _plain(settings) == _plain(self.to_json())

    def to_json(self) -> dict[str, Any]:
        """Everything that decides the outputs, but for the members themselves."""
        return {
            "kind": self.kind,
            "members": [list(names) for names in self.members],
            "features": self.features,
            "settings": dict(self.settings),
        }


@dataclass(frozen=True)
class Comparison:
    """Two systems of a study that a paired test is made for, on these metrics (``macro_f1``, ``f1:covid19`` …)."""

    a: tuple[str, str]
    b: tuple[str, str]
    metrics: tuple[str, ...]


@dataclass(frozen=True)
class StudyPlan:
    """A study: its runs in an order in which everything needed comes first.

    Args:
        name, title: of the study. task: the classes, ``cxr4`` or a projection's name.
        source, view: restrict to images of this source or view; empty: all. profile: of the recipes.
        protocol: ``benchmark`` (five blocks of the development part, by patient) or ``hold_out`` (one validation part
            of the development part).
        comparisons: pairs for the table. notes: sentences for the reader.
        balanced_images: most training images of each class, a random choice; 0: all.
        training_images: most training images, a random choice of all; 0: all.
        validation: share of the development part that ``hold_out`` holds out.
        needs_members: the combiners use the kept outputs of another study's members.
    """

    name: str
    title: str
    task: str
    protocol: Literal["benchmark", "hold_out"]
    members: tuple[MemberRun, ...]
    combiners: tuple[CombinerRun, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    source: str = ""
    notes: tuple[str, ...] = ()
    view: str = ""
    profile: str = "paper"
    balanced_images: int = 0
    training_images: int = 0
    validation: float = VALIDATION_SHARE
    needs_members: bool = False

    @property
    def runs(self) -> tuple[MemberRun | CombinerRun, ...]:
        return (*self.members, *self.combiners)


def scaled(config: TrainConfig, scale: Scale, *, epochs: int = 0) -> TrainConfig:
    """The settings at a scale: fewer epochs and smaller sides; all else as it is.

    Args:
        epochs: at the lite scale instead of the scale's own.
    """
    if not scale.epochs:
        return config
    count = epochs if epochs and scale.name == "lite" else scale.epochs
    return replace(config, epochs=count, size_schedule=scale.size_schedule, patience=0)


def of_recipe(recipe: Recipe, id_: str, variant: str, *, seed: int) -> MemberRun:
    """A run of a paper's system with exactly its settings, on the first fold, with bf16 where the device has it."""
    return MemberRun(
        id=id_,
        system=recipe.system,
        variant=variant,
        fold=0,
        model=replace(recipe.model, pretrained=False),
        config=replace(recipe.config, precision="bf16", seed=seed),
        preprocessing=recipe.preprocessing,
        augmentation=recipe.augmentation,
        pretrained=recipe.pretrained,
        activation=recipe.activation,
    )


def shrunk(run: MemberRun, scale: Scale, *, network: str = "", epochs: int = 0, size: int = 0) -> MemberRun:
    """A recipe's run at a small scale: from scratch with nothing frozen, small pictures, few epochs, all else kept.

    Args:
        network: a light stand-in with the same head. epochs: at the lite scale instead of the scale's own.
        size: at least so many pixels, which then stay the same over the epochs.
    """
    if not scale.light:
        return run
    config = replace(scaled(run.config, scale, epochs=epochs), unfreeze=1.0, threads=1)
    if size > min((scale.size, *config.size_schedule)):  # smaller than the network takes
        config = replace(config, size_schedule=())
    model, config = of_size(replace(run.model, name=network or run.model.name), config, max(size, scale.size))
    return replace(
        run,
        model=model,
        config=config,
        preprocessing=replace(run.preprocessing, size=max(size, scale.size), resize_to=0),
        augmentation=replace(run.augmentation, crop="centre"),
        pretrained=False,
    )


def of_size(model: ModelConfig, config: TrainConfig, size: int) -> tuple[ModelConfig, TrainConfig]:
    """Network and settings for a side in pixels: some networks are built for one size and trained at that only."""
    if not model_spec(model.name).own_size:
        return model, config
    return replace(model, options={**model.options, "input_size": size}), replace(config, size_schedule=())
