"""`cxrlab models`: the networks that can be trained, and one of them layer by layer."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from cxrlab.commands.choices import Json
from cxrlab.commands.terminal import show, show_json, show_table, working
from cxrlab.config import ModelConfig

if TYPE_CHECKING:
    from cxrlab.workflows.network_summary import NetworkSummary

commands = typer.Typer(help="The networks that `cxrlab train` knows.", invoke_without_command=True)


@commands.callback()
def models(context: typer.Context, as_json: Json = False) -> None:
    """The networks that `cxrlab train` knows; `models show NAME` prints one layer by layer."""
    if context.invoked_subcommand:
        return
    from cxrlab.workflows.networks import list_networks

    with working():
        found = list_networks()
    if as_json:
        show_json([asdict(each) for each in found])
        return
    columns = ["name", "parameters", "usual input", "layer of heatmaps", "paper"]
    show_table(columns, [[m.name, m.parameters, m.input_size, m.cam_layer, m.paper] for m in found])


@commands.command("show")
def show_(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A network; `cxrlab models` lists them.")],
    classes: Annotated[int, typer.Option(help="Outputs; 1 for a single sigmoid node.")] = 4,
    head: Annotated[
        str, typer.Option(metavar="NAME", help="`linear`, `mlp_512_64_32` or `mlp_64_64_64_32_32`.")
    ] = "linear",
    unfreeze: Annotated[float, typer.Option(metavar="SHARE", help="Share of the backbone that trains, 0 to 1.")] = 1.0,
    size: Annotated[int, typer.Option(help="Side of the input in pixels; 0: the usual one.")] = 0,
    preset: Annotated[str, typer.Option(metavar="NAME", help="Variant of covid_net.")] = "",
    aux: Annotated[bool, typer.Option("--aux", help="inception_v3 with its auxiliary head.")] = False,
    depth: Annotated[int, typer.Option(help="Words of a layer's name after which layers are summed up; 0: never.")] = 2,
    as_json: Json = False,
) -> None:
    """Layer, output shape, parameters, frozen or trainable, and totals."""
    from cxrlab.workflows.network_summary import summarise_network

    options = {"head": head} if head != "linear" else {}
    options |= {"preset": preset} if preset else {}
    options |= {"aux": True} if aux else {}  # type: ignore[dict-item]
    with working():
        config = ModelConfig(name, classes, options=options)
        summary = summarise_network(config, input_size=size or None, unfreeze=unfreeze, depth=depth or None)
    if as_json:
        show_json(summary.to_json())
    else:
        _show(summary)


def _show(summary: NetworkSummary) -> None:
    show(f"{summary.name}, {summary.input_size} x {summary.input_size} px, {summary.num_classes} outputs")
    rows: list[list[object]] = [
        [layer.name, layer.kind, " x ".join(map(str, layer.output_shape)) or "–", layer.parameters, layer.state]
        for layer in summary.layers
    ]
    show_table(["layer", "kind", "output", "parameters", ""], rows)
    totals = summary.totals
    show("")
    show(f"Parameters {totals.parameters:,}: {totals.trainable:,} trainable, {totals.frozen:,} frozen.")
    if totals.frozen:
        show(f"The first layer that trains is {summary.first_trainable}.")
    show(
        f"Batch-norm statistics {totals.statistics:,}; counted with them, as Keras does: {totals.keras_total:,}, "
        f"{totals.keras_frozen:,} of them not trainable."
    )
    if summary.note:
        show(summary.note)
