"""What the Train page does with jobs, and what it has to say about it afterwards; the only writer of its keys."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import streamlit as st

from cxrlab.app import access, links, session
from cxrlab.app.words import plain
from cxrlab.app.work import sentence
from cxrlab.workflows.jobs import ENDED, Job, JobError, JobStatus, open_jobs, retry, submit_training
from cxrlab.workflows.training_card import TrainRequest

CHOICE = "job"  # of the runs shown, in the URL
MOST_SHOWN = 6
SAID_SECONDS = 8.0
_SAID, _REFUSED = "train:said", {"form": "train:refused by form", "queue": "train:refused by queue"}


def listed() -> list[Job]:
    """Every job; none, said why, where the queue can not be read. Sees to it that somebody serves the queue."""
    try:
        jobs = open_jobs()
        jobs.poll()
        return jobs.list()
    except JobError as error:
        st.error(str(error), icon=":material/error:")
        return []


def status_of(job: Job) -> JobStatus:
    """The job as it is now, with its run; as it was listed when it has gone meanwhile."""
    try:
        return open_jobs().status(job.id)
    except JobError:
        return JobStatus(job, None)


def submit(request: TrainRequest, *, device: str, gpus: int | None, priority: int) -> None:
    """Hand a training in and show it; a refusal is said and leaves the form as it is."""

    def hand_in() -> str:
        job = submit_training(request, device=device, gpus=gpus, priority=priority)
        links.choose(CHOICE, str(job.id))
        return f"Job #{job.id} is in the queue. It goes on when you close this page."

    _try(hand_in, where="form")


def cancel(id_: int) -> None:
    """Ask a job to stop."""
    _try(lambda: open_jobs().cancel(id_))


def resume(id_: int) -> None:
    """Let a stopped or failed job go on."""
    _try(lambda: open_jobs().resume(id_))


def again(id_: int) -> None:
    """Hand in the same request as a new job."""

    def hand_in() -> str:
        job = retry(id_)
        links.choose(CHOICE, str(job.id))
        return f"Job #{job.id} does the same from the beginning."

    _try(hand_in)


def delete(ids: Sequence[int]) -> None:
    """Remove ended jobs with their run folders; their checkpoints stay."""

    def remove() -> str:
        jobs = open_jobs()
        for id_ in ids:
            jobs.delete(id_)
        return "1 job is deleted." if len(ids) == 1 else f"{len(ids)} jobs are deleted."

    _try(remove)


def ended(jobs: Sequence[Job], *, also_done: bool) -> list[int]:
    """Ids of the jobs that can be pruned: without a result, or all that have ended."""
    return [job.id for job in jobs if job.state in ENDED and (also_done or job.state != "done")]


def show(id_: int) -> None:
    """Make one job the one whose curves are shown."""
    links.choose(CHOICE, str(id_))


def overlay(id_: int) -> None:
    """Show a job beside those shown; the oldest choice goes when there are too many."""
    before = [each for each in st.session_state.get(f"chosen:{CHOICE}") or [] if each != str(id_)]
    session.choose_list(CHOICE, [*before, str(id_)][-MOST_SHOWN:])
    st.session_state[f"moved:{CHOICE}"] = True


def said() -> None:
    """What the last action on the queue came to: a success for some seconds, a refusal until the next action."""
    words, since = st.session_state.get(_SAID, ("", 0.0))
    if refused := st.session_state.get(_REFUSED["queue"], ""):
        st.error(plain(refused), icon=":material/error:")
    elif time.monotonic() - since < SAID_SECONDS:
        st.success(words, icon=":material/check:")


def refused() -> None:
    """Why the form was not taken, beside its button, until the next action."""
    if words := st.session_state.get(_REFUSED["form"], ""):
        st.error(plain(words), icon=":material/error:")


def _try(action: Callable[[], object], *, where: str = "queue") -> None:
    for key in (_SAID, *_REFUSED.values()):
        st.session_state.pop(key, None)
    if not access.may_write():
        st.session_state[_REFUSED[where]] = "This session may not change jobs; unlock the page first."
        return
    try:
        outcome = action()
    except (ValueError, OSError) as error:
        st.session_state[_REFUSED[where]] = sentence(error)
        return
    if isinstance(outcome, str):
        st.session_state[_SAID] = (outcome, time.monotonic())
