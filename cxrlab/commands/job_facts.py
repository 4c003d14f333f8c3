"""What the terminal tells about a job: a row of the list, a line while it works, all facts, JSON."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cxrlab.workflows.jobs import Job, JobStatus

COLUMNS = ("id", "kind", "title", "state", "progress", "ETA", "device", "started", "attempts", "reason")
NOTHING = "–"


def row(status: JobStatus) -> list[object]:
    """The cells under :data:`COLUMNS`."""
    job = status.job
    return [
        job.id,
        *(job.kind, job.title, job.state),
        *(progress(status), time_left(status), device(job), moment(job.claimed)),
        job.attempts,
        job.reason or NOTHING,
    ]


def line(status: JobStatus) -> str:
    """``job 3  running  45 %, epoch 1 of 3, 12 s left  Tiny`` with the reason behind it where there is one."""
    job = status.job
    parts = [progress(status)] if job.attempts else []
    if time_left(status) != NOTHING:
        parts.append(f"{time_left(status)} left")
    return "  ".join(
        part for part in (f"job {job.id}", f"{job.state:<9}", ", ".join(parts), job.title, job.reason) if part
    )


def facts(status: JobStatus) -> dict[str, object]:
    """Everything for people, by name, in the order in which it is shown."""
    job, run = status.job, status.run
    known: dict[str, object] = {
        "job": job.id,
        "kind": job.kind,
        "title": job.title,
        "state": job.state,
        "reason": job.reason or NOTHING,
        "progress": progress(status),
        "doing": run.text if run and run.text and job.state in ("running", "stopping") else NOTHING,
        "time left": time_left(status),
        "speed": f"{run.images_per_s:.1f} images/s" if run and run.images_per_s else NOTHING,
        "GPU memory": f"{run.gpu_memory / 1e9:.2f} GB" if run and run.gpu_memory else NOTHING,
        "device": device(job),
        "host": job.host or NOTHING,
        "process": job.pid or NOTHING,
        "backend": f"{job.backend} {job.external}".strip(),
        "attempts": job.attempts,
        "deaths": f"{job.deaths} since the last finished epoch",
        "priority": job.priority,
        "waits for": ", ".join(f"job {id_}" for id_ in job.after) or NOTHING,
        "submitted": moment(job.submitted),
        "started": moment(job.claimed),
        "ended": moment(job.ended),
        "exit code": NOTHING if job.exit_code is None else job.exit_code,
        "folder": job.folder,
        "last epoch": last_epoch(job),
    }
    return known | _results(job)


def job_json(status: JobStatus) -> dict[str, Any]:
    """The job with what its run said last (``run``) and where its checkpoint is (``checkpoint``), or null."""
    from cxrlab.workflows.jobs import checkpoint_folder

    run, folder = status.run, checkpoint_folder(status.job)
    return {
        **status.job.to_json(),
        "run": {**asdict(run), "share": run.share} if run else None,
        "checkpoint": str(folder) if folder and status.job.state == "done" else None,
    }


def progress(status: JobStatus) -> str:
    """``45 %, epoch 1 of 3``."""
    run = status.run
    if status.job.state == "done":
        return "100 %"
    if run is None:
        return NOTHING
    epochs = f", epoch {run.epoch} of {run.epochs}" if run.epochs else ""
    return f"{100 * run.share:.0f} %{epochs}"


def time_left(status: JobStatus) -> str:
    """``12 s``, while it works."""
    run = status.run
    return duration(run.eta_s) if run and run.eta_s and status.job.state == "running" else NOTHING


def duration(seconds: float) -> str:
    """``12 s``, ``14 min`` or ``3 h 34 min``."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def device(job: Job) -> str:
    """``GPU 0, 1`` where it runs or ran, else what it waits for: ``2 GPUs`` or ``CPU``."""
    if job.devices:
        return f"GPU {', '.join(map(str, job.devices))}"
    return f"{job.gpus} GPU{'s' if job.gpus > 1 else ''}" if job.gpus else "CPU"


def moment(seconds: float) -> str:
    """A time of day in the local zone; a dash for 0."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds)) if seconds else NOTHING


def last_epoch(job: Job) -> str:
    """The figures of the last finished epoch."""
    from cxrlab.workflows.jobs import read_metrics

    epochs = read_metrics(job.metrics_folder)
    if not epochs:
        return NOTHING
    last = epochs[-1]
    figures = {"training loss": last.get("train_loss"), **last.get("metrics", {})}
    told = [f"{name} {value:.3f}" for name, value in figures.items() if isinstance(value, int | float)]
    return ", ".join([f"number {len(epochs)}", *told])


def _results(job: Job) -> dict[str, object]:
    from cxrlab.workflows.jobs import checkpoint_folder

    folder = checkpoint_folder(job)
    if folder is not None:
        return {"checkpoint": folder if job.state == "done" else f"{folder} when it is done"}
    return {"study": job.config["out"]} if job.kind == "study" else {}
