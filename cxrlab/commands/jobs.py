"""`cxrlab jobs`: work in the background."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from cxrlab.commands.background import in_background, show_handed_in
from cxrlab.commands.choices import Json
from cxrlab.commands.errors import STOPPED
from cxrlab.commands.evaluate import evaluate
from cxrlab.commands.job_facts import COLUMNS, facts, job_json, line, row
from cxrlab.commands.study import study
from cxrlab.commands.terminal import SECONDS_BETWEEN_LINES, say, show, show_json, show_table
from cxrlab.commands.train import train
from cxrlab.config import one_of

if TYPE_CHECKING:
    from cxrlab.workflows.jobs import Job, Jobs, JobStatus, State

LOOK_S = 0.5  # between two looks at the queue

commands = typer.Typer(no_args_is_help=True, help="Work in the background: trainings, studies, evaluations.")
submit = typer.Typer(no_args_is_help=True, help="Hand in a training, a study or an evaluation, with its own options.")
commands.add_typer(submit, name="submit")
for verb in (train, study, evaluate):
    submit.command(verb.__name__)(in_background(verb))

Id = Annotated[int, typer.Argument(metavar="ID", help="Number of the job.")]
Ids = Annotated[list[int], typer.Argument(metavar="ID…", help="Numbers of the jobs.")]


@commands.command("list")
def list_(
    state: Annotated[
        list[str] | None,
        typer.Option("--state", metavar="STATE", help="Only these: queued, running, done, …; repeatable."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Every job in the order in which they start: state, progress, time left, device, attempts."""
    from cxrlab.workflows.jobs import STATES

    states: list[State] = []
    for name in state or []:
        one_of("--state", name, STATES)
        states.append(name)  # type: ignore[arg-type]
    jobs = _polled()
    found = [jobs.status(job.id) for job in jobs.list(states)]
    if as_json:
        show_json([job_json(status) for status in found])
        return
    show_table(COLUMNS, [row(status) for status in found])
    if not found:
        show("No such jobs." if states else "No jobs yet; `cxrlab jobs submit` hands one in.")


@commands.command("show")
def show_(id_: Id, as_json: Json = False) -> None:
    """All facts of one job, with the figures of its last epoch and where its checkpoint is."""
    from cxrlab.workflows.jobs import read_metrics

    status = _polled().status(id_)
    if as_json:
        show_json({**job_json(status), "epochs": read_metrics(status.job.metrics_folder)})
        return
    for name, value in facts(status).items():
        show(f"{name + ':':<12}{value}")


@commands.command()
def logs(
    id_: Id,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job has ended.")] = False,
    tail: Annotated[int, typer.Option(metavar="N", help="Only the last N lines; 0 = all.")] = 0,
) -> None:
    """What a job and the libraries that it uses have written."""
    if tail < 0:
        raise ValueError(f"--tail must be 0 or more lines, got {tail}.")
    jobs = _polled()
    text, offset = jobs.logs(id_)
    typer.echo("".join(text.splitlines(keepends=True)[-tail:]), nl=False)
    with _left_alone(f"Job {id_} goes on."):
        while follow:
            follow = jobs.status(id_).job.is_alive  # asked first: what it wrote before it ended is read below
            text, offset = jobs.logs(id_, offset)
            typer.echo(text, nl=False)
            if follow:
                jobs.poll()
                time.sleep(LOOK_S)


@commands.command()
def cancel(ids: Ids, as_json: Json = False) -> None:
    """Ask jobs to stop after their current step; they can be resumed."""
    jobs = _polled()
    for job in _looked_up(jobs, ids):
        if not job.is_alive:
            raise ValueError(f"Job {job.id} is {job.state}; only a job that waits or works can be cancelled.")
    _do(jobs, ids, jobs.cancel, as_json)


@commands.command()
def resume(ids: Ids, as_json: Json = False) -> None:
    """Let jobs that failed or were stopped go on from their last state."""
    jobs = _polled()
    for job in _looked_up(jobs, ids):
        if job.is_alive or job.state == "done":
            raise ValueError(f"Only a job that failed or was stopped can be resumed, job {job.id} is {job.state}.")
    _do(jobs, ids, jobs.resume, as_json)


@commands.command()
def retry(
    id_: Id,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the checkpoint that it has made.")] = False,
    as_json: Json = False,
) -> None:
    """Hand in the work of an ended job once more: a new job, from the beginning."""
    from cxrlab.workflows.jobs import retry as again

    show_handed_in([again(id_, overwrite=overwrite, jobs=_polled())], as_json)


@commands.command()
def delete(ids: Ids, as_json: Json = False) -> None:
    """Remove ended jobs with their logs and what they could be resumed from; finished checkpoints stay."""
    jobs = _polled()
    for job in _looked_up(jobs, ids):
        if job.is_alive:
            raise ValueError(f"Job {job.id} is {job.state}; cancel it before deleting it.")
    last = [job_json(jobs.status(id_)) for id_ in ids]
    removed = [jobs.delete(id_) for id_ in ids]
    if as_json:
        show_json(last)
        return
    for job in removed:
        show(f"Job {job.id} is deleted.")


@commands.command()
def watch(
    ids: Annotated[list[int] | None, typer.Argument(metavar="[ID…]", help="Default: all that wait or work.")] = None,
    as_json: Json = False,
) -> None:
    """A line whenever something happens, until all have ended; exit code 0 when all are done, 1 otherwise."""
    from cxrlab.workflows.jobs import ALIVE

    jobs = _polled()
    wanted = list(dict.fromkeys(ids or [job.id for job in jobs.list(ALIVE)]))
    tell = say if as_json else show
    if not wanted:
        tell("No job waits or works.")
    lines = _Lines(tell)
    with _left_alone("The jobs go on."):
        while any([lines.of(jobs.status(id_)) for id_ in wanted]):  # each is looked at
            time.sleep(LOOK_S)
            jobs.poll()
    found = [jobs.status(id_) for id_ in wanted]
    if as_json:
        show_json([job_json(status) for status in found])
    raise typer.Exit(int(any(status.job.state != "done" for status in found)))


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


class _Lines:
    """Lines about jobs: at once when a state changes or an epoch ends, now and then while the work goes on."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self.tell = tell
        self.told: dict[int, tuple[tuple[object, ...], float]] = {}

    def of(self, status: JobStatus) -> bool:
        """Tell what is new of a job. Is it alive?"""
        job, run = status.job, status.run
        seen = (job.state, job.attempts, job.reason, run.epoch if run else 0)
        before, when = self.told.get(job.id, ((), 0.0))
        due = job.state == "running" and time.monotonic() - when >= SECONDS_BETWEEN_LINES
        if seen != before or due:
            self.told[job.id] = seen, time.monotonic()
            self.tell(line(status))
        return job.is_alive


@contextmanager
def _left_alone(words: str) -> Iterator[None]:
    """Ctrl-C ends the looking, never the jobs."""
    try:
        yield
    except KeyboardInterrupt as error:
        say(words)
        raise typer.Exit(STOPPED) from error


def _polled() -> Jobs:
    """The jobs, with somebody there who serves them."""
    from cxrlab.workflows.jobs import open_jobs

    jobs = open_jobs()
    jobs.poll()
    return jobs


def _looked_up(jobs: Jobs, ids: Sequence[int]) -> list[Job]:
    """All jobs named, before anything is done to one of them. Raises JobError for a number that is none."""
    return [jobs.status(id_).job for id_ in ids]


def _do(jobs: Jobs, ids: Sequence[int], action: Callable[[int], Job], as_json: bool) -> None:
    changed = [action(id_) for id_ in ids]
    if as_json:
        show_json([job_json(jobs.status(job.id)) for job in changed])
        return
    for job in changed:
        show(f"Job {job.id} is {job.state}.")
