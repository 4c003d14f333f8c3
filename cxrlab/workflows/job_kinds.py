"""What each kind of job does, inside the process that was started for it."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from cxrlab.catalogue import read_checkpoint
from cxrlab.config import home
from cxrlab.jobs.attempt import RANK_VARIABLE, NoVerdict, Stopped
from cxrlab.jobs.job import Job
from cxrlab.jobs.processes import host_name
from cxrlab.jobs.run_files import log_line, read_status, write_status
from cxrlab.progress import Cancel, Cancelled, Progress, silent
from cxrlab.workflows.data_sets import the_manifest
from cxrlab.workflows.training_card import TrainRequest

STATUS_S = 0.5  # between two writes
LOG_S = 10.0  # between two lines in the log
OWN_S = 5.0  # so long what a trainer wrote by itself stands, which has its epochs and the time left


def do(job: Job, stop: Callable[[], bool]) -> None:
    """Do a job. Raises Stopped when it was asked to stop, anything else when it failed."""
    kinds = {"train": _train, "study": _study, "evaluate": _evaluate}
    if job.kind not in kinds:
        raise ValueError(f"This version can not run jobs of the kind {job.kind}; update it.")
    where = f"GPU {', '.join(map(str, job.devices))}" if job.devices else "the CPU" if not job.gpus else "a GPU"
    _log(f"Job {job.id}, attempt {job.attempts}, on {where} of {job.host or host_name()}: {job.title}")
    try:
        kinds[job.kind](job, job.config, told(job.folder), stop)
    except Cancelled as cancelled:
        _log("Stopped, as it was asked to.")
        raise Stopped from cancelled
    _log("Done.")


def _log(text: str) -> None:
    """A line with the time on standard output, which is the run's log, by the first process of a training over several
    devices. One that can not be written is left out."""
    if os.environ.get(RANK_VARIABLE, "0") != "0":
        return
    with contextlib.suppress(OSError):
        sys.stdout.write(log_line(text))
        sys.stdout.flush()


def told(folder: Path) -> Progress:
    """Progress into ``status.json``, at most twice a second, where the trainer's own status has more and wins; and
    into the log, every ten seconds."""
    last, logged = 0.0, time.monotonic()

    def tell(done: int, total: int, text: str) -> None:
        nonlocal last, logged
        if time.monotonic() - logged >= LOG_S:
            logged = time.monotonic()
            _log(f"{done / max(1, total):4.0%} {text}")
        if time.monotonic() - last < STATUS_S and done != total:
            return
        last = time.monotonic()
        said = read_status(folder)
        if said is None or not said.epochs or time.time() - said.written > OWN_S:
            write_status(folder, done=done, total=total, text=text)

    return tell


def _train(job: Job, config: Mapping[str, Any], progress: Progress, stop: Cancel) -> None:
    from cxrlab.training.team import PartnerLost, end_with_parent, in_turn
    from cxrlab.workflows.train import train

    if RANK_VARIABLE in os.environ:
        end_with_parent()
    progress = silent if os.environ.get(RANK_VARIABLE, "0") != "0" else progress
    request = TrainRequest.from_json(config["request"])
    origin = {"id": job.id, "submitted": job.submitted}
    with in_turn(stop):
        request = replace(request, source=the_manifest(request.source, progress, stop), job=origin)
    checkpoints = Path(config.get("checkpoints") or home() / "checkpoints")
    try:
        train(
            request,
            run_folder=job.folder,
            checkpoints=checkpoints,
            device=config.get("device", "auto"),
            overwrite=bool(config.get("overwrite")) or _is_own(checkpoints / request.name, origin),
            progress=progress,
            cancel=stop,
        )
    except PartnerLost as lost:
        raise NoVerdict(str(lost)) from lost


def _is_own(folder: Path, origin: Mapping[str, Any]) -> bool:
    """Did an earlier attempt at this job save the checkpoint, and die before it could say so?"""
    if not folder.exists():
        return False
    try:
        return bool(read_checkpoint(folder).card.training.get("job") == origin)
    except ValueError:
        return False


def _study(job: Job, config: Mapping[str, Any], progress: Progress, stop: Cancel) -> None:
    """One run of a study, or with no ``run`` its table and report, once every run is there."""
    from cxrlab.studies.workers import run_here
    from cxrlab.workflows.study import prepare

    given = {name: value for name, value in config.items() if name not in ("run", "source", "out", "members")}
    given.pop("metrics_folder", None)
    study = prepare(
        given.pop("study"),
        the_manifest(Path(config["source"]), progress, stop),
        Path(config["out"]),
        resume=True,
        members=Path(config["members"]) if config.get("members") else None,
        **given,
    )
    if not config.get("run"):
        study.run(progress=progress, cancel=stop)
        return
    runs = [run for run in study.plan.members if run.id == config["run"]]
    run_here(study.site, runs, progress, stop)


def _evaluate(job: Job, config: Mapping[str, Any], progress: Progress, stop: Cancel) -> None:
    from cxrlab.workflows.evaluate import evaluate_manifest

    evaluate_manifest(
        the_manifest(Path(config["source"]), progress, stop),
        [Path(name) if "/" in name or os.sep in name else name for name in config["checkpoints"]],
        part=config.get("part", "all"),
        task=config.get("task", ""),
        device=config.get("device", "auto"),
        progress=progress,
        cancel=stop,
    )
