"""Arguments and options that several commands share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

Checkpoints = Annotated[
    list[str],
    typer.Option("--checkpoint", "-c", metavar="NAME", help="A checkpoint or ensemble, or its folder; repeatable."),
]
Device = Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="Where to compute.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
ManifestOption = Annotated[
    Path, typer.Option("--manifest", "-m", metavar="CSV", help="Manifest CSV, folder, or `phantom` (the bundled set).")
]
ManifestArgument = Annotated[
    Path, typer.Argument(metavar="MANIFEST", help="Manifest CSV, folder, or `phantom` (the bundled set).")
]
LabelList = Annotated[
    str, typer.Option("--labels", metavar="ID,ID,…", help="Keep only these classes, in this order; default: all.")
]


def named(text: str) -> str | Path:
    """A checkpoint's name as it is; what has a path separator in it is the path of its folder."""
    return Path(text) if "/" in text or os.sep in text else text


def listed(text: str) -> tuple[str, ...]:
    """``covid19, normal`` -> ("covid19", "normal"); empty for an empty text."""
    return tuple(part.strip() for part in text.split(",") if part.strip())
