"""Jobs in words: states, times, what a row of the queue says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Literal

from cxrlab.app.words import duration
from cxrlab.workflows.jobs import Job, JobStatus, State

AT_WORK: tuple[State, ...] = ("running", "stopping")
Colour = Literal["gray", "blue", "orange", "green", "red", "violet"]
KINDS = {"train": "training", "study": "study", "evaluate": "evaluation", "segment": "segmentation"}


@dataclass(frozen=True)
class StateLook:
    """A state as a badge: never by colour alone."""

    word: str
    icon: str
    colour: Colour


STATES: dict[State, StateLook] = {
    "queued": StateLook("Waiting", ":material/schedule:", "gray"),
    "running": StateLook("Running", ":material/play_circle:", "blue"),
    "stopping": StateLook("Stopping", ":material/hourglass_bottom:", "orange"),
    "done": StateLook("Done", ":material/check_circle:", "green"),
    "failed": StateLook("Failed", ":material/error:", "red"),
    "cancelled": StateLook("Stopped", ":material/stop_circle:", "gray"),
    "lost": StateLook("Lost", ":material/help:", "violet"),
}


def job_name(job: Job) -> str:
    """``#12 ResNet-18``: number and title."""
    return f"#{job.id} {job.title}"


def clock(seconds: float, now: float, zone: tzinfo | None = None) -> str:
    """``18:04`` today, else ``20 Nov 18:04``; a dash for 0. Both times in s since 1970."""
    if not seconds:
        return "–"
    then, today = datetime.fromtimestamp(seconds, zone), datetime.fromtimestamp(now, zone)
    same = then.date() == today.date()
    return then.strftime("%H:%M") if same else f"{then.day} {then.strftime('%b %H:%M')}"


def place(job: Job) -> str:
    """Where it runs or ran: ``CPU``, ``GPU 0, 1``; with what it wants while it waits."""
    if job.state == "queued":
        return f"wants {job.gpus} GPU" + "s" * (job.gpus > 1) if job.gpus else "wants a CPU slot"
    return f"GPU {', '.join(map(str, job.devices))}" if job.devices else "CPU"


def progress_words(status: JobStatus) -> str:
    """What stands on the progress bar."""
    run = status.run
    if status.job.state == "stopping":
        return "Stopping after this step …"
    if run is None:
        return "Starting …"
    epochs = f"epoch {min(run.epoch + 1, run.epochs)} of {run.epochs}" if run.epochs else run.text
    left = f"{duration(run.eta_s)} left" if run.eta_s else ""
    speed = f"{run.images_per_s:.3g} images/s" if run.images_per_s else ""
    return " · ".join(part for part in (epochs, left, speed) if part) or "Working …"


def facts_words(job: Job, now: float, zone: tzinfo | None = None) -> str:
    """Kind, place, times and attempts in one line."""
    parts = [KINDS.get(job.kind, job.kind), place(job)]
    if job.claimed:
        parts.append(f"started {clock(job.claimed, now, zone)}")
    else:
        parts.append(f"submitted {clock(job.submitted, now, zone)}")
    if job.ended:
        parts.append(f"ended {clock(job.ended, now, zone)}")
        if job.claimed:
            parts.append(f"took {duration(job.ended - job.claimed)}")
    elif job.state in AT_WORK and job.claimed:
        parts.append(f"for {duration(now - job.claimed)}")
    if job.attempts > 1:
        parts.append(f"attempt {job.attempts}")
    if job.priority:
        parts.append(f"priority {job.priority}")
    if job.after and job.state == "queued":
        parts.append(f"after {', '.join(f'#{id_}' for id_ in job.after)}")
    return " · ".join(parts)


def in_order(jobs: Sequence[Job]) -> list[Job]:
    """At work first, then waiting in the order of the queue, then the ended ones, the last first."""
    rank = {"running": 0, "stopping": 0, "queued": 1}
    alive = sorted((job for job in jobs if job.is_alive), key=lambda job: rank[job.state])
    ended = sorted((job for job in jobs if not job.is_alive), key=lambda job: (-job.ended, -job.id))
    return [*alive, *ended]


def summary(jobs: Sequence[Job]) -> str:
    """``2 running, 5 waiting, 12 ended``."""
    working = sum(job.state in AT_WORK for job in jobs)
    waiting = sum(job.state == "queued" for job in jobs)
    ended = len(jobs) - working - waiting
    parts = [(working, "running"), (waiting, "waiting"), (ended, "ended")]
    return ", ".join(f"{count} {word}" for count, word in parts if count)
