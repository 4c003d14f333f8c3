"""A real Ray head on this machine trains a small network; it is asked to stop, killed and started anew."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from cxrlab.catalogue import read_checkpoint
from cxrlab.config import Preprocessing, TrainConfig
from cxrlab.data.phantom import write_phantom_set
from cxrlab.jobs import processes
from cxrlab.jobs.job import Job
from cxrlab.jobs.queue import JobQueue
from cxrlab.jobs.ray_cluster import RayHead, RayJobs
from cxrlab.jobs.ray_rounds import RayPatience, RayRounds
from cxrlab.jobs.run_files import finished_epochs, read_metrics
from cxrlab.workflows.jobs import submit_training
from cxrlab.workflows.training_card import TrainRequest

pytestmark = pytest.mark.cluster
DEADLINE_S = 240.0  # a busy machine starts a head in half a minute
EPOCHS = 24


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


@dataclass
class Head:
    """`ray start --head` on ports of its own and in a folder of its own; the same ports after a restart."""

    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="ray", dir="/tmp")))  # sockets: short
    ports: list[int] = field(default_factory=lambda: free_ports(6))
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.ports[1]}"

    def start(self) -> None:
        """Wait until it answers."""
        names = ("port", "dashboard-port", "ray-client-server-port", "dashboard-agent-listen-port")
        names += ("dashboard-agent-grpc-port", "metrics-export-port")
        given = [f"--{name}={port}" for name, port in zip(names, self.ports, strict=True)]
        given += ["--node-ip-address=127.0.0.1", "--num-cpus=2", "--num-gpus=0", "--object-store-memory=80000000"]
        given += ["--include-log-monitor=false", "--disable-usage-stats", f"--temp-dir={self.folder}"]
        with (self.folder / "head.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", *given],
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        until(self.answers, lambda: (self.folder / "head.log").read_text()[-2000:])

    def answers(self) -> bool:
        """Does the Jobs API work?"""
        with suppress(OSError), urllib.request.urlopen(f"{self.address}/api/jobs/", timeout=20) as answer:
            return bool(answer.status == 200)
        return False

    def kill(self) -> None:
        """SIGKILL to all of it, as when its machine is switched off. Only what it started itself."""
        if self.process is None:
            return
        with suppress(psutil.NoSuchProcess):
            family = [psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children(recursive=True)]
            for each in family:
                with suppress(psutil.NoSuchProcess):
                    each.kill()
            psutil.wait_procs(family[1:], timeout=20)
        self.process.wait()
        self.process = None


def until(condition: Callable[[], bool], story: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, story()
        time.sleep(0.1)


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    head = Head()
    try:
        head.start()
        yield head
    finally:
        head.kill()
        shutil.rmtree(head.folder, ignore_errors=True)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_phantom_set(tmp_path_factory.mktemp("phantom"), count=16, size=128)


@dataclass
class Bench:
    """A queue that is served from this process."""

    head: Head
    source: Path
    home: Path
    queue: JobQueue = field(default_factory=JobQueue)

    def __post_init__(self) -> None:
        self.jobs = RayJobs(self.head.address, self.queue)
        self.rounds = RayRounds(self.queue, patience=RayPatience(settle=2.0))

    def submit(self) -> Job:
        request = TrainRequest(
            self.source,
            "shufflenet_v2_x0_5",
            "tiny",
            validation=0.25,
            config=TrainConfig(epochs=EPOCHS, batch_size=4, threads=1, seed=3, monitor="loss"),
            preprocessing=Preprocessing(size=64),
        )
        return submit_training(request, gpus=0, device="cpu", jobs=self.jobs)

    def until(self, job: Job, condition: Callable[[Job], bool]) -> Job:
        """Rounds until it holds."""

        def holds() -> bool:
            self.rounds.round()
            return condition(self.queue.get(job.id))

        until(holds, lambda: (self.queue.get(job.id), self.jobs.logs(job.id, -3000)))
        return self.queue.get(job.id)

    def outcome(self, job: Job) -> dict[str, object]:
        """What a training that was disturbed must have in common with one that was not: every loss, the weights."""
        lines = read_metrics(job.folder)
        assert [line["epoch"] for line in lines] == list(range(EPOCHS))
        card = read_checkpoint(self.home / "checkpoints" / "tiny").card
        assert card.training["job"]["id"] == job.id
        losses = [(line["train_loss"], line["metrics"]["loss"]) for line in lines]
        return {"losses": losses, "weights": card.weights_sha256}


@pytest.fixture
def bench(head: Head, source: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr("cxrlab.jobs.ray_cluster.ensure_supervisor", lambda queue: False)
    return Bench(head, source, own_home)


@pytest.fixture(scope="module")
def undisturbed() -> dict[str, object]:
    """The outcome of a training that nobody disturbed; the first test puts it here."""
    return {}


def test_a_training_runs_on_the_cluster_with_the_browser_closed(
    head: Head, source: Path, own_home: Path, undisturbed: dict[str, object]
) -> None:
    bench = Bench(head, source, own_home)
    before = set(psutil.Process().children())
    job = bench.submit()  # starts a supervisor of this machine, which does the rest
    supervisors = set(psutil.Process().children()) - before
    try:
        until(lambda: not bench.queue.get(job.id).is_alive, lambda: (bench.queue.get(job.id), bench.jobs.logs(job.id)))
    finally:
        for process in supervisors:
            process.send_signal(signal.SIGKILL)
            process.wait()
    found = bench.queue.get(job.id)
    assert (found.state, found.reason, found.attempts, found.exit_code) == ("done", "", 1, 0)
    assert found.pid
    assert found.host == socket.gethostname()
    undisturbed.update(bench.outcome(job))
    ray = RayHead.connect(bench.jobs.settings)
    until(lambda: (seen := ray.seen(found.external)) is not None and seen.status == "SUCCEEDED", lambda: found)


def test_a_training_is_stopped_and_killed_and_goes_on(bench: Bench, undisturbed: dict[str, object]) -> None:
    job = bench.submit()
    bench.until(job, lambda job: finished_epochs(job.folder) >= 1)
    bench.jobs.cancel(job.id)
    stopped = bench.until(job, lambda job: not job.is_alive)
    assert (stopped.state, stopped.exit_code) == ("cancelled", 3)
    until(lambda: not processes.is_alive(stopped.pid, stopped.process_started), lambda: stopped)
    epochs = finished_epochs(job.folder)
    assert 1 <= epochs < EPOCHS
    bench.jobs.resume(job.id)
    working = bench.until(job, lambda job: job.pid > 0 and finished_epochs(job.folder) > epochs)
    os.kill(working.pid, signal.SIGKILL)
    done = bench.until(job, lambda job: not job.is_alive)
    assert (done.state, done.attempts) == ("done", 3)
    assert bench.outcome(job) == undisturbed


def test_a_training_outlives_the_head(bench: Bench, undisturbed: dict[str, object]) -> None:
    job = bench.submit()
    first = bench.until(job, lambda job: finished_epochs(job.folder) >= 2)
    bench.head.kill()
    epochs = finished_epochs(job.folder)
    bench.rounds.round()
    assert bench.queue.get(job.id).state == "running", "nobody knows yet"
    bench.head.start()
    done = bench.until(job, lambda job: not job.is_alive)
    assert (done.state, done.attempts, done.deaths) == ("done", 2, 0)
    assert done.external != first.external
    assert done.epochs >= epochs >= 2, "it went on where it was"
    assert bench.outcome(job) == undisturbed
