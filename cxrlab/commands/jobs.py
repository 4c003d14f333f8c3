"""`cxrlab jobs`: work in the background."""

from __future__ import annotations

from typing import Annotated

import typer

commands = typer.Typer(no_args_is_help=True, help="Work in the background: trainings, studies, evaluations.")
Id = Annotated[int, typer.Argument(metavar="ID", help="Number of the job.")]


@commands.command(hidden=True)
def run(id_: Id) -> None:
    """Do a job in this process; a supervisor or a cluster calls this."""
    from cxrlab.reports.study import write_study_report
    from cxrlab.workflows.jobs import run_job

    raise typer.Exit(run_job(id_, report=write_study_report))


@commands.command(hidden=True)
def supervise() -> None:
    """Serve the jobs of this machine until there are none; started by itself when a job is handed in."""
    from cxrlab.workflows.jobs import supervise as serve

    serve()
