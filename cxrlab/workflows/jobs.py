"""The only door to background jobs: hand work in, look at it, stop it; and what the processes of a job call."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cxrlab.cards import CheckpointError, checked_name
from cxrlab.catalogue import find_checkpoint
from cxrlab.config import home
from cxrlab.jobs.attempt import attempt
from cxrlab.jobs.backend import Jobs, JobStatus
from cxrlab.jobs.devices import Gpu, cpu_jobs, nvml_gpus
from cxrlab.jobs.job import ALIVE, ENDED, STATES, Job, JobError, State
from cxrlab.jobs.local import LocalJobs
from cxrlab.jobs.queue import JobQueue
from cxrlab.jobs.run_files import RunStatus, read_log, read_metrics
from cxrlab.jobs.supervisor import Supervisor
from cxrlab.workflows.job_failures import failure_sentence
from cxrlab.workflows.job_kinds import do
from cxrlab.workflows.training_card import TrainRequest

__all__ = [
    "ALIVE",
    "ENDED",
    "STATES",
    "Gpu",
    "Job",
    "JobError",
    "JobStatus",
    "Jobs",
    "RunStatus",
    "State",
    "cpu_jobs",
    "nvml_gpus",
    "open_jobs",
    "read_log",
    "read_metrics",
    "run_job",
    "submit_evaluation",
    "submit_study",
    "submit_training",
    "supervise",
]

RAY_VARIABLE = "CXRLAB_RAY_ADDRESS"


def open_jobs(backend: str = "") -> Jobs:
    """The jobs of ``CXRLAB_HOME/jobs``.

    Args:
        backend: ``local`` or ``ray``; empty: Ray where CXRLAB_RAY_ADDRESS names a cluster, else this machine.

    Raises:
        JobError: for Ray without the extra ``cluster``, or without an address.
    """
    address = os.environ.get(RAY_VARIABLE, "")
    if backend == "ray" or (not backend and address):
        from cxrlab.jobs.ray_cluster import RayJobs

        return RayJobs(address)
    return LocalJobs()


def submit_training(
    request: TrainRequest,
    *,
    gpus: int | None = None,
    priority: int = 0,
    device: str = "auto",
    overwrite: bool = False,
    jobs: Jobs | None = None,
) -> Job:
    """Hand in a training; its checkpoint appears in ``CXRLAB_HOME/checkpoints`` when it is done.

    Args:
        gpus: None: one where there is one and the device is not ``cpu``. overwrite: replace a checkpoint of this name.

    Raises:
        JobError: when the name is taken by a checkpoint or by a living job. ValueError: for an illegal name.
    """
    jobs = jobs or open_jobs()
    name = checked_name(request.name)
    if not overwrite and (home() / "checkpoints" / name).exists():
        raise JobError(f"A checkpoint named {name} exists already; choose another name or overwrite it.")
    for job in jobs.list(ALIVE):
        if job.kind == "train" and job.config["request"]["name"] == name:
            raise JobError(f"Job {job.id} trains a checkpoint named {name} already; choose another name or cancel it.")
    source = request.source if str(request.source) == "phantom" else request.source.resolve()
    config = {"request": replace(request, source=source).to_json(), "device": device, "overwrite": overwrite}
    return jobs.submit("train", config, title=request.title or name, gpus=_gpus(gpus, device), priority=priority)


def submit_evaluation(
    source: Path,
    checkpoints: Sequence[str],
    *,
    part: str = "all",
    task: str = "",
    gpus: int | None = None,
    priority: int = 0,
    device: str = "auto",
    jobs: Jobs | None = None,
) -> Job:
    """Hand in an evaluation; its results are then found by Evaluate without computing.

    Raises:
        CheckpointError: for an unknown checkpoint. JobError.
    """
    for name in checkpoints:
        find_checkpoint(name)
    if not checkpoints:
        raise CheckpointError("An evaluation needs at least one checkpoint; name one.")
    source = source if str(source) == "phantom" else source.resolve()
    config = {"source": str(source), "checkpoints": list(checkpoints), "part": part, "task": task, "device": device}
    title = f"{', '.join(checkpoints)} on {source.name}"
    return (jobs or open_jobs()).submit("evaluate", config, title=title, gpus=_gpus(gpus, device), priority=priority)


def submit_study(
    name: str,
    source: Path,
    out: Path,
    *,
    gpus: int | None = None,
    priority: int = 0,
    resume: bool = False,
    jobs: Jobs | None = None,
    **given: Any,
) -> list[Job]:
    """Hand in a study as many jobs: one for each network to train, and a last one for ensembles and tables.

    On several GPUs, or on a cluster, all networks that fit train at once.

    Args:
        gpus: of each network. **given: further arguments of :func:`cxrlab.workflows.study.prepare`.

    Raises:
        As ``prepare``. JobError.
    """
    from cxrlab.workflows.study import prepare

    jobs, out = jobs or open_jobs(), out.resolve()
    source = source if str(source) == "phantom" else source.resolve()
    study = prepare(name, source, out, resume=resume, **given)
    members = given.pop("members", None)
    device = str(given.get("device", "auto"))
    config = {"study": name, "source": str(source), "out": str(out), **given}
    config |= {"members": str(Path(members).resolve())} if members else {}
    ids: dict[str, int] = {}
    submitted = []
    for run in study.plan.members:
        if study.folder.is_done(run):
            continue
        job = jobs.submit(
            "study",
            {**config, "run": run.id, "metrics_folder": str(study.folder.run(run.id) / "training")},
            title=f"{name}: {run.id}",
            gpus=_gpus(gpus, device),
            priority=priority,
            after=[ids[run.starts_from]] if run.starts_from in ids else [],
        )
        ids[run.id] = job.id
        submitted.append(job)
    title = f"{name}: ensembles and tables"
    last = jobs.submit("study", config, title=title, priority=priority, after=list(ids.values()))
    return [*submitted, last]


def _gpus(given: int | None, device: str) -> int:
    if given is not None:
        return given
    return int(device != "cpu" and bool(nvml_gpus()))


def run_job(id_: int, *, report: Callable[[Path], object] | None = None) -> int:
    """Do a job in this process, which a supervisor or a cluster started for it; the exit code.

    Args:
        report: writes the report into the folder of a finished study.
    """

    def work(job: Job, stop: Callable[[], bool]) -> None:
        do(job, stop)
        if job.kind == "study" and not job.config.get("run") and report:
            report(Path(job.config["out"]))

    return attempt(JobQueue(), id_, work, failure_sentence)


def supervise() -> bool:
    """Serve the local jobs until there are none; False when another process does so already."""
    return Supervisor(JobQueue()).run()
