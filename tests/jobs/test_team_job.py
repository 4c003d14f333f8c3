"""One training over two devices as a job: torchrun is started, one process speaks, and both die together."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from cxrlab.catalogue import read_checkpoint
from cxrlab.data.phantom import write_phantom_set
from cxrlab.jobs import processes
from cxrlab.jobs.backend import QueueJobs
from cxrlab.jobs.job import Job
from cxrlab.jobs.queue import JobQueue
from cxrlab.jobs.run_files import finished_epochs
from cxrlab.jobs.supervisor import Supervisor
from cxrlab.workflows.jobs import submit_training
from cxrlab.workflows.recipes import model_request
from tests.jobs.test_supervisor import gpus

DEADLINE_S = 240.0


@pytest.fixture
def supervisor(own_home: Path) -> Iterator[Supervisor]:
    """Of a machine with two made-up GPUs; the trainings' device is the CPU."""
    queue = JobQueue()
    yield Supervisor(queue, gpus=gpus(2))
    for job in queue.list():
        processes.signal_attempt(job.token, signal.SIGKILL)


def until(supervisor: Supervisor, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        states = [(job.state, job.reason) for job in supervisor.queue.list()]
        assert time.monotonic() < deadline, states
        assert "failed" not in dict(states), states
        supervisor.look()
        time.sleep(0.1)


def workers(job: Job) -> list[int]:
    """Pids of both processes of the team."""
    found = []
    for process in processes.of_attempt(job.token):
        with suppress(psutil.Error):
            if "RANK" in process.environ():
                found.append(process.pid)
    return found


def test_a_team_of_two_survives_the_death_of_one(supervisor: Supervisor, own_home: Path, tmp_path: Path) -> None:
    source = write_phantom_set(tmp_path / "phantoms", count=32, size=128)
    changes = {"config": {"epochs": 4, "batch_size": 8, "threads": 1}, "preprocessing": {"size": 64}}
    request = model_request("shufflenet_v2_x0_5", source=source, checkpoint="team", changes=changes)
    job = submit_training(request, gpus=2, device="cpu", jobs=QueueJobs(supervisor.queue))
    until(supervisor, lambda: finished_epochs(job.folder) >= 1)
    running = supervisor.queue.get(job.id)
    assert running.devices == (0, 1)
    assert len(workers(running)) == 2
    assert running.pid in workers(running)
    other = next(pid for pid in workers(running) if pid != running.pid)
    os.kill(other, signal.SIGKILL)
    until(supervisor, lambda: not supervisor.queue.get(job.id).is_alive)
    ended = supervisor.queue.get(job.id)
    assert (ended.state, ended.attempts) == ("done", 2)
    assert finished_epochs(job.folder) == 4
    assert read_checkpoint(own_home / "checkpoints" / "team").card.training["history"]["epochs"] == 4
    until(supervisor, lambda: not processes.of_attempt(ended.token))
