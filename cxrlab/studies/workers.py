"""Train the members of a study, one after the other or in several processes that share the folder."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

from cxrlab.progress import Cancel, Cancelled, Progress
from cxrlab.studies.images import StudyImages, study_images
from cxrlab.studies.plan import MemberRun, Scale, StudyPlan
from cxrlab.studies.store import StudyFolder

LOOK_SECONDS = 1.0


@dataclass(frozen=True)
class Site:
    """Where a study is run: everything that a process needs to find it.

    Args:
        source: the manifest. out: the study's folder. device: ``auto``, ``cpu`` or ``cuda``.
    """

    plan: StudyPlan
    scale: Scale
    source: Path
    out: Path
    seed: int
    device: str

    def images(self) -> StudyImages:
        """The images and folds; raises as ``study_images``."""
        return study_images(self.plan, self.source, images=self.scale.images, folds=self.scale.folds, seed=self.seed)


def run_here(site: Site, runs: Sequence[MemberRun], progress: Progress, cancel: Cancel) -> None:
    """One run after the other in this process. Raises as ``run_member``."""
    from cxrlab.studies.members import run_member

    images, folder = site.images(), StudyFolder(site.out)
    for position, run in enumerate(runs):

        def share(done: int, total: int, text: str, position: int = position, name: str = run.id) -> None:
            progress(1000 * position + 1000 * done // max(1, total), 1000 * len(runs), f"{name}: {text}")

        run_member(run, images, folder, device=site.device, progress=share, cancel=cancel)
        progress(1000 * (position + 1), 1000 * len(runs), f"{position + 1} of {len(runs)} runs")


def run_in_processes(site: Site, runs: Sequence[MemberRun], workers: int, progress: Progress, cancel: Cancel) -> None:
    """Several runs at once, each in a process with its share of the CPU's threads.

    Processes end by themselves when this one dies; what they had not finished is resumed by the next start.

    Raises:
        Cancelled: after every process has stopped at its current step, resumably. Others: as ``run_member``.
    """
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    with ProcessPoolExecutor(workers, context, _begin, (site, workers, stop, os.getpid())) as pool:
        waiting: set[Future[str]] = {pool.submit(_run, run.id) for run in runs}
        try:
            while waiting:
                done, waiting = wait(waiting, timeout=LOOK_SECONDS, return_when=FIRST_COMPLETED)
                for future in done:
                    progress(len(runs) - len(waiting), len(runs), f"{future.result()} done")
                if cancel():
                    raise Cancelled("The study")
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise


_process: dict[str, Any] = {}
"""What a worker process was given: site, images, stop."""


def _begin(site: Site, workers: int, stop: Event, parent: int) -> None:
    import torch

    torch.set_num_threads(max(1, (os.cpu_count() or 1) // workers))
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    _process.update(site=site, images=site.images(), stop=stop)


def _end_with(parent: int) -> None:
    """End this process when its parent is gone, however that came."""
    while os.getppid() == parent:
        time.sleep(LOOK_SECONDS)
    os._exit(1)


def _run(id_: str) -> str:
    from cxrlab.studies.members import run_member

    site: Site = _process["site"]
    run = next(run for run in site.plan.members if run.id == id_)
    run_member(run, _process["images"], StudyFolder(site.out), device=site.device, cancel=_process["stop"].is_set)
    return id_
