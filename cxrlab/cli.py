"""The command line: `cxrlab VERB …` or `python -m cxrlab VERB …`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from cxrlab import __version__
from cxrlab.commands import access, checkpoints, data, ensemble, jobs, models, samples
from cxrlab.commands.doctor import doctor
from cxrlab.commands.errors import SentenceGroup
from cxrlab.commands.evaluate import evaluate
from cxrlab.commands.find_lr import find_lr
from cxrlab.commands.predict import predict
from cxrlab.commands.recipes import recipes
from cxrlab.commands.study import study
from cxrlab.commands.terminal import show
from cxrlab.commands.train import train

app = typer.Typer(
    name="cxrlab",
    cls=SentenceGroup,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        show(f"cxrlab {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """A bench for comparing chest X-ray classifiers. Research and teaching only, never a diagnosis."""


app.command()(predict)
app.command()(evaluate)
app.command()(train)
app.command()(recipes)
app.command()(find_lr)
app.command()(study)
app.add_typer(ensemble.commands, name="ensemble")
app.add_typer(data.commands, name="data")
app.command()(data.phantom)
app.add_typer(samples.commands, name="samples")
app.add_typer(checkpoints.commands, name="checkpoints")
app.add_typer(models.commands, name="models")
app.add_typer(jobs.commands, name="jobs")
app.add_typer(access.commands, name="access")
app.command()(doctor)


def main() -> None:
    """Run the command line and exit."""
    sys.exit(app())
