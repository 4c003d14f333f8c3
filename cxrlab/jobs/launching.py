"""Starting the processes: a supervisor when none is there, and one process group for each attempt at a job."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

from cxrlab.jobs.devices import cpu_jobs
from cxrlab.jobs.job import ALIVE, Job
from cxrlab.jobs.processes import TOKEN_VARIABLE, host_name, is_held
from cxrlab.jobs.queue import JobQueue
from cxrlab.jobs.run_files import LOG_FILE

Launch = Callable[[Job], "subprocess.Popen[bytes]"]
SUPERVISOR_LOG = "supervisor.log"
HOME_VARIABLE = "CXRLAB_HOME"
SPREAD = ("train",)  # kinds that several GPUs share


def launch(job: Job) -> subprocess.Popen[bytes]:
    """:func:`command_of` a job in a session and process group of its own, writing into the run's log."""
    devices = ",".join(map(str, job.devices))
    environment = os.environ | {TOKEN_VARIABLE: job.token, "CUDA_VISIBLE_DEVICES": devices, "PYTHONUNBUFFERED": "1"}
    if not job.gpus and cpu_jobs() > 1:  # several on one CPU: each its share of the cores
        environment.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // cpu_jobs())))
    job.folder.mkdir(parents=True, exist_ok=True)
    with (job.folder / LOG_FILE).open("ab") as log:
        return subprocess.Popen(
            command_of(job),
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True,
        )  # fmt: skip


def command_of(job: Job) -> list[str]:
    """`cxrlab jobs run ID`; a training on several GPUs through torchrun, one process a GPU.

    torchrun starts nothing anew by itself: that is for the queue to decide.
    """
    if job.gpus < 2 or job.kind not in SPREAD:
        return [*command(), "jobs", "run", str(job.id)]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--max-restarts", "0"]
    return [*torchrun, "--nproc-per-node", str(job.gpus), "-m", "cxrlab", "jobs", "run", str(job.id)]


def ensure_supervisor(queue: JobQueue) -> bool:
    """Start a supervisor for this queue on this machine when none runs; cheap when one does. Was one started?

    To be called after every submit, at the start of the app and from every poll. Two that start at once do no harm:
    the second finds the lock held and ends.
    """
    if not queue.list(ALIVE):
        return False
    if is_held(queue.folder / f"supervisor-{host_name()}.lock"):
        return False
    environment = os.environ | {HOME_VARIABLE: str(queue.folder.parent)}
    with (queue.folder / SUPERVISOR_LOG).open("ab") as log:
        subprocess.Popen(
            [*command(), "jobs", "supervise"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True,
        )  # fmt: skip
    return True


def command() -> list[str]:
    """What starts cxrlab in the same environment."""
    return [sys.executable, "-m", "cxrlab"]
