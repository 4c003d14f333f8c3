"""`cxrlab find-lr`: which learning rate fits a network, or a recipe, and the user's images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cxrlab.commands.choices import Device, Json, LabelList, ManifestOption, listed
from cxrlab.commands.terminal import show, show_json, working
from cxrlab.commands.train import assigned


def find_lr(
    manifest: ManifestOption,
    model: Annotated[str, typer.Option(metavar="NAME", help="A network; `cxrlab models` lists them.")] = "",
    recipe: Annotated[str, typer.Option(metavar="NAME", help="A paper's system; `cxrlab recipes` lists them.")] = "",
    profile: Annotated[str, typer.Option(help="Of the recipe: paper or release.")] = "paper",
    out: Annotated[Path | None, typer.Option(metavar="HTML", help="Write the figure to this file.")] = None,
    lowest: Annotated[float, typer.Option(help="First learning rate.")] = 1e-6,
    highest: Annotated[float, typer.Option(help="Last learning rate; an exploding loss ends the test before.")] = 1.0,
    steps: Annotated[int, typer.Option(help="Batches.")] = 100,
    labels: LabelList = "",
    from_scratch: Annotated[
        bool, typer.Option("--from-scratch", help="Without the recipe's ImageNet weights.")
    ] = False,
    weights_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Start from a local .safetensors, .pt or .pth file of the same network."),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PART.FIELD=VALUE", help="Any field, e.g. config.batch_size=16; repeatable."),
    ] = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Train some batches with a growing learning rate and suggest the one where the loss falls fastest."""
    from cxrlab.workflows.data_sets import the_manifest
    from cxrlab.workflows.find_lr import find_lr as run
    from cxrlab.workflows.recipes import model_request, recipe_request, set_values

    if bool(model) == bool(recipe):
        raise ValueError("A range test needs either --model or --recipe; give one of them.")
    changes = set_values(dict(map(assigned, set_ or [])))
    given: dict[str, Any] = {"labels": listed(labels)} if labels else {}
    given |= {"pretrained": False} if from_scratch else {}
    given |= {"weights_file": weights_file} if weights_file else {}
    with working() as work:
        source = the_manifest(manifest, work.progress, work.cancel)
        if recipe:
            request = recipe_request(recipe, profile, source=source, checkpoint="none", changes=changes, **given)
        else:
            request = model_request(model, source=source, checkpoint="none", changes=changes, **given)
        found = run(
            request, lowest=lowest, highest=highest, steps=steps, device=device, progress=work.progress,
            cancel=work.cancel,
        )  # fmt: skip
    if out:
        from cxrlab.reports.learning_rate import write_learning_rate

        write_learning_rate(found, out)
    if as_json:
        show_json(found.to_json())
        return
    test = found.test
    show(f"Suggested learning rate {test.suggested:.1e} (the settings have {found.configured:.1e}).")
    show(
        f"{len(test.losses)} batches up to {test.learning_rates[-1]:.1e}"
        + (", then diverged." if test.diverged else ".")
    )
    if out:
        show(f"Figure in {out}")
