"""`cxrlab train`: a new checkpoint from a manifest."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from cxrlab.commands.background import Background, Gpus, Priority, check_background, show_handed_in
from cxrlab.commands.choices import Device, Json, LabelList, ManifestOption, listed
from cxrlab.commands.terminal import WARNING, Work, show, show_json, working
from cxrlab.config import Augmentation, TrainConfig, home

if TYPE_CHECKING:
    from cxrlab.workflows.train import Trained
    from cxrlab.workflows.training_card import TrainRequest

SETTINGS = {
    "epochs": "Passes over the training images.",
    "batch_size": "Images a step.",
    "optimiser": "adam, adamw or sgd.",
    "learning_rate": "Peak of the schedule.",
    "weight_decay": "Pull of the weights towards 0.",
    "schedule": "constant, step, plateau, cosine or one_cycle.",
    "warmup": "Share of the steps until the peak, for cosine and one_cycle.",
    "loss": "cross_entropy or focal.",
    "focal_gamma": "Of the focal loss.",
    "class_weights": "none, balanced, sqrt, inverse_frequency, release or normalised.",
    "label_smoothing": "For cross entropy, 0 to 0.5.",
    "clip_norm": "Largest gradient norm; 0 = no clipping.",
    "size_schedule": "Sides in pixels spread over the epochs, e.g. 128,160,224; empty: always the input size.",
    "monitor": "What picks the best epoch: macro_f1, balanced_accuracy, accuracy, loss or objective.",
    "patience": "Epochs without gain before training stops; 0 = never.",
    "precision": "fp32 or bf16.",
    "channels_last": "Memory layout; faster on CPU, same numbers.",
    "threads": "CPU threads; 0 = torch's choice.",
    "seed": "Of weights, order and augmentation.",
    "reduction": "Of the loss: weighted_mean, mean or sum.",
    "milestones": "Epochs of the step schedule, e.g. 150,225; empty: at 50 % and 80 %.",
    "plateau_factor": "Of the plateau schedule.",
    "plateau_patience": "Epochs without gain that it waits.",
    "sampling": "Over- and undersampling as CLASS:FACTOR,…, e.g. 0:10 or minority:parity.",
    "augmented": "Which training images are changed at random: all or minority.",
    "unfreeze": "Share of the backbone that is trained, from the end; 0 = only the head.",
    "aux_weight": "Of the loss of Inception's auxiliary head.",
    "l1": "Factor of the sum of absolute weights in the loss.",
    "l2": "Factor of the sum of squared weights in the loss.",
    "penalty_on": "What l1 and l2 act on: linear or all.",
}


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for every field of TrainConfig, in place of its ``**settings``."""
    own = inspect.signature(command, eval_str=True).parameters.values()
    types = get_type_hints(TrainConfig)
    parameters = [parameter for parameter in own if parameter.kind is not parameter.VAR_KEYWORD]
    for spec in fields(TrainConfig):
        is_list = types[spec.name] in (tuple[int, ...], tuple[str, ...])
        option: Any = Annotated[str if is_list else types[spec.name], typer.Option(help=SETTINGS[spec.name])]
        default = ",".join(map(str, spec.default)) if is_list else spec.default  # type: ignore[arg-type]
        parameters.append(
            inspect.Parameter(spec.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=option)
        )
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command


@with_settings
def train(
    context: typer.Context,
    manifest: ManifestOption,
    model: Annotated[str, typer.Option(metavar="NAME", help="A network; `cxrlab models` lists them.")] = "",
    recipe: Annotated[
        str, typer.Option(metavar="NAME", help="A paper's system; `cxrlab recipes` lists them. Options given override.")
    ] = "",
    profile: Annotated[str, typer.Option(help="Of the recipe: paper (its text) or release (its code).")] = "paper",
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of the new checkpoint; default CXRLAB_HOME/checkpoints/NAME."),
    ] = None,
    title: Annotated[str, typer.Option(help="The checkpoint's name for people.")] = "",
    labels: LabelList = "",
    task: Annotated[str, typer.Option(help="Add classes up: covid_vs_rest, pneumonia_vs_normal or three_class.")] = "",
    benchmark: Annotated[
        bool, typer.Option("--benchmark", help="Train on the development part, then measure on the test part.")
    ] = False,
    validation: Annotated[float, typer.Option(help="Share of the images held out, by patient.")] = 0.15,
    split_seed: Annotated[int, typer.Option(help="Of that draw.")] = 0,
    size: Annotated[int, typer.Option(help="Side of the square input in pixels.")] = 224,
    resize: Annotated[str, typer.Option(help="stretch, crop or pad.")] = "stretch",
    augment: Annotated[bool, typer.Option(help="Random changes of training images.")] = True,
    pretrained: Annotated[
        bool, typer.Option("--pretrained/--from-scratch", help="Start from ImageNet weights; downloads them.")
    ] = False,
    weights_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Start from a local .safetensors, .pt or .pth file of the same network."),
    ] = None,
    initial: Annotated[
        str, typer.Option(metavar="NAME", help="Start from this checkpoint of the same network, all but its head.")
    ] = "",
    head: Annotated[str, typer.Option(help="linear, mlp_512_64_32 or mlp_64_64_64_32_32.")] = "linear",
    activation: Annotated[str, typer.Option(help="softmax, or binary_sigmoid: one node for two classes.")] = "softmax",
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PART.FIELD=VALUE", help="Any field, e.g. augmentation.flip=0; repeatable."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a checkpoint of this name.")] = False,
    device: Device = "auto",
    background: Background = False,
    gpus: Gpus = None,
    priority: Priority = 0,
    as_json: Json = False,
    **settings: Any,
) -> None:
    """Train a network. Ctrl-C ends after the current step; the same command goes on from there."""
    from cxrlab.workflows.data_sets import the_manifest

    check_background(background, gpus, priority)
    if bool(model) == bool(recipe):
        raise ValueError("Training needs either --model or --recipe; give one of them.")
    target = (out or _default_target(model or recipe, numbered=background and not overwrite)).resolve()
    config = {name: value for name, value in _parsed(settings).items() if _given(context, name) or not recipe}
    changes = _changes(context, config, set_ or [])
    wanted = {
        "title": title,
        "labels": listed(labels),
        "task": task,
        "benchmark": benchmark,
        "validation": validation,
        "split_seed": split_seed,
        "pretrained": pretrained,
        "weights_file": weights_file,
        "initial": initial,
        "activation": activation,
    }
    wanted = {name: value for name, value in wanted.items() if _given(context, name)}
    with working() as work:
        # A job makes the bundled phantom set by itself; only the classes of a recipe are looked up in it before.
        source = manifest if background and not recipe else the_manifest(manifest, work.progress, work.cancel)
        request = _request(recipe, profile, model, source, target.name, changes, wanted)
        if not background:
            trained = _trained(request, target, device, overwrite, work)
    if background:
        _hand_in(request, target, device, overwrite, gpus, priority, as_json)
    elif as_json:
        show_json(
            {"checkpoint": str(trained.folder), "card": trained.card.to_json(), "history": asdict(trained.history)}
        )
    else:
        _show(trained)


def _default_target(name: str, *, numbered: bool) -> Path:
    """Folder of the checkpoint without ``--out``; ``numbered``: behind the name, where there is such a checkpoint."""
    from cxrlab.workflows.jobs import free_name

    return home() / "checkpoints" / (free_name(name) if numbered else name)


def _trained(request: TrainRequest, target: Path, device: str, overwrite: bool, work: Work) -> Trained:
    from cxrlab.workflows.train import train as run

    return run(
        request,
        checkpoints=target.parent,
        device=device,
        overwrite=overwrite,
        progress=work.progress,
        cancel=work.cancel,
    )


def _hand_in(
    request: TrainRequest, target: Path, device: str, overwrite: bool, gpus: int | None, priority: int, as_json: bool
) -> None:
    from cxrlab.workflows.jobs import submit_training

    elsewhere = None if target.parent == (home() / "checkpoints").resolve() else target.parent
    options: dict[str, Any] = {"gpus": gpus, "priority": priority, "device": device, "overwrite": overwrite}
    show_handed_in([submit_training(request, checkpoints=elsewhere, **options)], as_json)


def _request(
    recipe: str,
    profile: str,
    model: str,
    source: Path,
    name: str,
    changes: Mapping[str, Mapping[str, Any]],
    wanted: Mapping[str, Any],
) -> TrainRequest:
    from cxrlab.workflows.recipes import model_request, recipe_request

    if recipe:
        return recipe_request(recipe, profile, source=source, checkpoint=name, changes=changes, **wanted)
    return model_request(model, source=source, checkpoint=name, changes=changes, **wanted)


def _given(context: typer.Context, name: str) -> bool:
    """Did the user write this option?"""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _changes(context: typer.Context, config: Mapping[str, Any], texts: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What the user wants to be different, by part."""
    from cxrlab.workflows.recipes import set_values

    options = context.params
    changes: dict[str, dict[str, Any]] = {"config": dict(config), "preprocessing": {}, "augmentation": {}}
    changes["options"] = {"head": options["head"]} if _given(context, "head") else {}
    if _given(context, "augment"):
        changes["augmentation"] = (Augmentation() if options["augment"] else Augmentation.none()).to_json()
    for name in ("size", "resize"):
        if _given(context, name):
            changes["preprocessing"][name] = options[name]
    for part, values in set_values(dict(map(assigned, texts))).items():
        changes[part] |= values
    return changes


def assigned(text: str) -> tuple[str, Any]:
    """``augmentation.flip=0`` -> ("augmentation.flip", 0); a value that is no JSON is a text."""
    key, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"--set must be PART.FIELD=VALUE, such as augmentation.flip=0, got {text!r}.")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


def _parsed(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with their lists read from text."""
    texts = {"sampling": listed, "size_schedule": _sides, "milestones": _epochs}
    return {name: texts[name](value) if name in texts else value for name, value in settings.items()}


def _sides(text: str) -> tuple[int, ...]:
    return _numbers(text, "--size-schedule must be numbers of pixels such as 128,160,224")


def _epochs(text: str) -> tuple[int, ...]:
    return _numbers(text, "--milestones must be epochs such as 150,225")


def _numbers(text: str, rule: str) -> tuple[int, ...]:
    if not all(number.isdecimal() for number in listed(text)):
        raise ValueError(f"{rule}, got {text!r}.")
    return tuple(map(int, listed(text)))


def _show(trained: Trained) -> None:
    history = trained.history
    best = history.epochs[history.best_epoch]
    held_out = trained.card.training_data["validation"]["images"]
    show(f"Trained {trained.card.name}: {len(history.epochs)} epochs, {history.stopped}.")
    show(f"Best epoch {history.best_epoch + 1} by {history.monitor} on {held_out} held-out images:")
    figures = ("loss", "accuracy", "balanced_accuracy", "macro_f1")
    show(", ".join(f"{name} {best.metrics[name]:.3f}" for name in figures))
    show(f"Weights {trained.card.weights_sha256[:8]} in {trained.folder}")
    show(WARNING)
