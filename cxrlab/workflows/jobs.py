"""The only door to background jobs: hand work in, look at it, stop it; and what the processes of a job call."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cxrlab.cards import CheckpointError, checked_name
from cxrlab.catalogue import checkpoint_roots, find_checkpoint
from cxrlab.config import home
from cxrlab.data.manifest import label_counts
from cxrlab.jobs.attempt import attempt
from cxrlab.jobs.backend import Jobs, JobStatus
from cxrlab.jobs.devices import Gpu, cpu_jobs, nvml_gpus
from cxrlab.jobs.job import ALIVE, ENDED, STATES, Job, JobError, State
from cxrlab.jobs.local import LocalJobs
from cxrlab.jobs.queue import JobQueue
from cxrlab.jobs.run_files import RunStatus, read_log, read_metrics
from cxrlab.jobs.supervisor import Supervisor
from cxrlab.workflows.data_sets import PHANTOM, the_manifest
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
    "checkpoint_folder",
    "cpu_jobs",
    "free_name",
    "nvml_gpus",
    "open_jobs",
    "read_log",
    "read_metrics",
    "retry",
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
    checkpoints: Path | None = None,
    jobs: Jobs | None = None,
) -> Job:
    """Hand in a training; its checkpoint appears when it is done.

    Args:
        gpus: None: one where there is one and the device is not ``cpu``. overwrite: replace a checkpoint of this name.
        checkpoints: where the checkpoint's folder goes; default ``CXRLAB_HOME/checkpoints``.

    Raises:
        JobError: when the name is taken by a checkpoint, a shipped one included, or by a living job.
        ValueError: for an illegal name, an unknown network or checkpoint to start from, and as ``check_sides``.
        ManifestError: when the manifest can not be read.
    """
    from cxrlab.workflows.train import check_sides

    jobs = jobs or open_jobs()
    check_sides(request)
    if request.initial:
        find_checkpoint(request.initial)
    name = checked_name(request.name)
    folder = (checkpoints or home() / "checkpoints").resolve() / name
    if not overwrite and folder.exists():
        raise JobError(f"A checkpoint named {name} exists already; choose another name or overwrite it.")
    if checkpoints is None and _is_shipped(name):
        raise JobError(f"A checkpoint named {name} came with cxrlab and would hide the new one; choose another name.")
    for job in jobs.list(ALIVE):
        if checkpoint_folder(job) == folder:
            raise JobError(f"Job {job.id} trains a checkpoint named {name} already; choose another name or cancel it.")
    weights = request.weights_file.resolve() if request.weights_file else None  # jobs run in another folder
    if weights and not weights.is_file():
        raise JobError(f"The weights file {weights} does not exist; check its path.")
    request = replace(request, source=_lasting(request.source), weights_file=weights)
    config: dict[str, Any] = {"request": request.to_json(), "device": device, "overwrite": overwrite}
    config |= {"checkpoints": str(folder.parent)} if checkpoints else {}
    return jobs.submit("train", config, title=request.title or name, gpus=_gpus(gpus, device), priority=priority)


def checkpoint_folder(job: Job) -> Path | None:
    """Where the checkpoint of a training is or will be; None for other kinds."""
    if job.kind != "train":
        return None
    return Path(job.config.get("checkpoints") or home() / "checkpoints").resolve() / str(job.config["request"]["name"])


def free_name(wanted: str, *, jobs: Jobs | None = None) -> str:
    """``wanted``, or with the first number behind it that no checkpoint and no training that waits or works has."""
    taken = {folder.name for job in (jobs or open_jobs()).list(ALIVE) if (folder := checkpoint_folder(job))}
    numbered = (f"{wanted}-{number}" for number in itertools.count(2))
    return next(
        name
        for name in itertools.chain([wanted], numbered)
        if name not in taken and not any((root / name).exists() for root in checkpoint_roots())
    )


def _is_shipped(name: str) -> bool:
    return any((root / name).exists() for root in checkpoint_roots() if root != home() / "checkpoints")


def _lasting(source: Path) -> Path:
    """A manifest as a job in another working directory finds it. Raises ManifestError when it can not be read."""
    if str(source) == PHANTOM and not source.exists():
        return source
    label_counts(source)
    return source.resolve()


def submit_evaluation(
    source: Path,
    checkpoints: Sequence[str | Path],
    *,
    part: str = "all",
    task: str = "",
    gpus: int | None = None,
    priority: int = 0,
    device: str = "auto",
    jobs: Jobs | None = None,
) -> Job:
    """Hand in an evaluation; its results are then found by Evaluate without computing.

    Args:
        checkpoints: names, or folders as paths.

    Raises:
        CheckpointError: for an unknown checkpoint. ManifestError: when the manifest can not be read. JobError.
    """
    found = [find_checkpoint(name) for name in checkpoints]
    if not checkpoints:
        raise CheckpointError("An evaluation needs at least one checkpoint; name one.")
    source = _lasting(source)
    given = [str(name.resolve()) if isinstance(name, Path) else name for name in checkpoints]
    config = {"source": str(source), "checkpoints": given, "part": part, "task": task, "device": device}
    title = f"{', '.join(info.name for info in found)} on {_set_name(source)}"
    return (jobs or open_jobs()).submit("evaluate", config, title=title, gpus=_gpus(gpus, device), priority=priority)


def _set_name(source: Path) -> str:
    return source.name if source.suffix != ".csv" else f"{source.parent.name}/{source.name}"


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
        As ``prepare``. JobError: when living jobs work on the study in this folder.
    """
    from cxrlab.workflows.study import prepare

    jobs, out = jobs or open_jobs(), out.resolve()
    for job in jobs.list(ALIVE):
        if job.kind == "study" and job.config["out"] == str(out):
            raise JobError(f"Job {job.id} works on the study in {out.name} already; wait for it or cancel it first.")
    source = the_manifest(source).resolve()
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


def retry(id_: int, *, overwrite: bool = False, jobs: Jobs | None = None) -> Job:
    """Hand in the work of an ended job once more: a new job with a fresh folder, which starts from the beginning.

    Args:
        overwrite: replace the checkpoint that a training has made.

    Raises:
        JobError: while the job is alive, when a living job does the same, or when the checkpoint exists already.
    """
    jobs = jobs or open_jobs()
    job = jobs.status(id_).job
    if job.is_alive:
        raise JobError(f"Job {id_} is {job.state}; it can be retried when it has ended.")
    if job.kind == "train":
        given = job.config
        return submit_training(
            TrainRequest.from_json(given["request"]),
            gpus=job.gpus,
            priority=job.priority,
            device=given.get("device", "auto"),
            overwrite=overwrite or bool(given.get("overwrite")),
            checkpoints=Path(given["checkpoints"]) if given.get("checkpoints") else None,
            jobs=jobs,
        )
    others = jobs.list()
    for each in others:
        if each.is_alive and each.config == job.config:
            raise JobError(f"Job {each.id} does the same already; wait for it or cancel it first.")
    after = [each.id for each in others if each.id in job.after]
    return jobs.submit(job.kind, job.config, title=job.title, gpus=job.gpus, priority=job.priority, after=after)


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
