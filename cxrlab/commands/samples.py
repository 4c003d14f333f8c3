"""`cxrlab samples`: the X-rays of the gallery."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cxrlab.commands.choices import Json
from cxrlab.commands.terminal import show, show_json, show_table, working

if TYPE_CHECKING:
    from cxrlab.workflows.samples import Sample

commands = typer.Typer(no_args_is_help=True, help="Sample X-rays: bundled phantoms, real ones on request.")


@commands.command("list")
def list_(as_json: Json = False) -> None:
    """The samples that are on this computer, with class, credit and licence."""
    from cxrlab.workflows.samples import list_samples

    samples = list_samples()
    if as_json:
        show_json(_as_json(samples))
    else:
        _show(samples)


@commands.command()
def fetch(
    base_url: Annotated[
        str | None, typer.Option(metavar="URL", help="A mirror of GitHub's raw files; default: GitHub itself.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Download 12 openly licensed real X-rays; what broke off goes on where it stopped. Needs a network."""
    from cxrlab.workflows.samples import fetch_samples

    with working() as work:
        samples = fetch_samples(progress=work.progress, cancel=work.cancel, base_url=base_url)
    if as_json:
        show_json(_as_json(samples))
    else:
        _show(samples)


def _as_json(samples: Iterable[Sample]) -> list[dict[str, Any]]:
    return [asdict(sample) | {"file": str(sample.file)} for sample in samples]


def _show(samples: Iterable[Sample]) -> None:
    rows = [
        [sample.id, sample.label, sample.view, sample.part or "–", sample.licence, sample.credit, sample.file]
        for sample in samples
    ]
    show_table(["id", "class", "view", "benchmark part", "licence", "credit", "file"], rows)
    if any(sample.part == "development" for sample in samples):
        show("Shipped checkpoints may have been trained on samples of the development part, never on the test part.")
