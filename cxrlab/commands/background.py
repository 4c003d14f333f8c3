"""Verbs that hand their work in as a job instead of doing it: ``--background``, and `cxrlab jobs submit VERB`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cxrlab.commands.job_facts import job_json
from cxrlab.commands.terminal import show, show_json

if TYPE_CHECKING:
    from cxrlab.workflows.jobs import Job

Background = Annotated[
    bool, typer.Option("--background", help="Hand it in as a job that outlives this terminal; see `cxrlab jobs`.")
]
Gpus = Annotated[
    int | None,
    typer.Option(metavar="N", help="In the background: GPUs that it waits for, 0: CPU; default 1 where there is one."),
]
Priority = Annotated[int, typer.Option(metavar="N", help="In the background: higher ones start first.")]


def check_background(background: bool, gpus: int | None, priority: int) -> None:
    """Refuse options of a job where nothing is handed in. Raises ValueError."""
    if not background and (gpus is not None or priority):
        raise ValueError("--gpus and --priority are for jobs in the background; add --background or leave them out.")


def show_handed_in(jobs: Sequence[Job], as_json: bool) -> None:
    """Say which jobs there are now and how to look at them; as JSON a job, or a list of several."""
    from cxrlab.workflows.jobs import open_jobs

    if as_json:
        documents = [job_json(open_jobs().status(job.id)) for job in jobs]
        show_json(documents[0] if len(documents) == 1 else documents)
        return
    for job in jobs:
        show(f"Job {job.id} waits its turn: {job.kind}, {job.title}.")
    numbers = " ".join(str(job.id) for job in jobs)
    show(f"Look: cxrlab jobs watch {numbers}")
    show(f"Stop: cxrlab jobs cancel {numbers}")


def in_background(command: Callable[..., None]) -> Callable[..., None]:
    """The same verb with the same options, which always hands its work in."""
    own = inspect.signature(command, eval_str=True).parameters.values()
    parameters = [each for each in own if each.name != "background"]

    def handed_in(**options: Any) -> None:
        command(**options, background=True)

    handed_in.__doc__ = f"As `cxrlab {command.__name__} --background`."
    handed_in.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    handed_in.__annotations__ = {each.name: each.annotation for each in parameters}
    return handed_in
