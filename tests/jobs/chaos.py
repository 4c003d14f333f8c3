"""Killing on purpose: trainer, supervisor and Streamlit, singly and together, while a real small network is trained."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks.streamlit_client import connect
from cxrlab.catalogue import read_checkpoint
from cxrlab.config import repository
from cxrlab.jobs import processes
from cxrlab.jobs.job import Job
from cxrlab.jobs.queue import JobQueue
from cxrlab.jobs.run_files import finished_epochs

VICTIMS = ("trainer", "supervisor", "streamlit")
EPOCHS = 6
EARLY = 0.25  # share of rounds in which the kills come before the trainer is known
ROUND_S = 300.0
SHORT_LIVED_S = 15.0  # an attempt that was overtaken needs so long to import Python, find out and leave


def combinations() -> list[tuple[str, ...]]:
    """Each alone, each two, all three."""
    return [
        tuple(victim for bit, victim in enumerate(VICTIMS) if number >> bit & 1) for number in (1, 2, 4, 3, 5, 6, 7)
    ]


@dataclass
class Chaos:
    """A home, a Streamlit server on it, and a user who comes back after every disaster.

    Args:
        home: CXRLAB_HOME of every process. source: manifest. rng: of moments and victims.
    """

    home: Path
    source: Path
    rng: random.Random
    streamlit: subprocess.Popen[bytes] | None = None
    port: int = 0
    kills: list[str] = field(default_factory=list)

    @property
    def queue(self) -> JobQueue:
        return JobQueue(self.home / "jobs")

    def open_app(self) -> None:
        """Start the server if it is dead, and visit the page Train, which looks after the supervisor."""
        if self.streamlit is None or self.streamlit.poll() is not None:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                self.port = int(probe.getsockname()[1])
            command = [sys.executable, "-m", "streamlit", "run", "streamlit_app.py", "--server.headless", "true"]
            with (self.home / "streamlit.log").open("ab") as log:
                self.streamlit = subprocess.Popen(
                    [*command, "--server.port", str(self.port)], cwd=repository(), env=self.environment(),
                    stdout=log, stderr=log,
                )  # fmt: skip
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            with suppress(OSError), urllib.request.urlopen(f"{self._url}/_stcore/health", timeout=5):
                break
            time.sleep(0.1)
        with ThreadPoolExecutor(1) as beside:  # the browser tests leave a loop running in this thread
            beside.submit(lambda: asyncio.run(self._visit())).result()

    @property
    def _url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def _visit(self) -> None:
        async with asyncio.timeout(90), connect(self._url, "Train", "") as session:
            await session.wait_until(lambda elements: len(elements) > 3, seconds=80)
            while session.running:
                await asyncio.sleep(0.05)

    def environment(self) -> dict[str, str]:
        """Of every process here."""
        return os.environ | {"CXRLAB_HOME": str(self.home), "OMP_NUM_THREADS": "1"}

    def submit(self, name: str) -> Job:
        """A training of a small network, from the terminal."""
        command = [sys.executable, "-m", "cxrlab", "jobs", "submit", "train", *training(self.source, self.place(name))]
        subprocess.run(command, env=self.environment(), check=True, cwd=repository(), stdout=subprocess.DEVNULL)
        return max(self.queue.list(), key=lambda job: job.id)

    def play(self, name: str, victims: Sequence[str]) -> Job:
        """One round: a job, a random moment, the kills, the user's return; the ended job.

        Raises:
            AssertionError: two live trainers in one folder, more than an epoch lost, or no end in time.
        """
        self.open_app()
        job = self.submit(name)
        early = self.rng.random() < EARLY  # while the trainer is being born
        moment, killed, most_epochs = time.monotonic() + self.rng.uniform(0.0, 3.0) if early else 0.0, False, 0
        deadline = time.monotonic() + ROUND_S
        while self.queue.get(job.id).is_alive:
            assert time.monotonic() < deadline, f"{name} did not end: {self.queue.get(job.id)}"
            self._check_trainers(job)
            if not moment and self.queue.get(job.id).pid:
                moment = time.monotonic() + self.rng.uniform(0.0, 4.0)
            if not killed and moment and time.monotonic() >= moment:
                most_epochs = finished_epochs(job.folder)
                for victim in victims:
                    self._kill(victim, job)
                    time.sleep(self.rng.uniform(0.0, 0.3))
                killed = True
                self.open_app()
            assert finished_epochs(job.folder) >= most_epochs, "an epoch that was finished is gone"
            time.sleep(0.05)
        return self.queue.get(job.id)

    def _kill(self, victim: str, job: Job) -> None:
        found = {
            "trainer": [self.queue.get(job.id).pid],
            "supervisor": [process.pid for process in self.of_command("supervise")],
            "streamlit": [self.streamlit.pid] if self.streamlit else [],
        }[victim]
        for pid in filter(None, found):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                self.kills.append(victim)
        if victim == "streamlit" and self.streamlit:
            self.streamlit.wait()

    def _check_trainers(self, job: Job) -> None:
        """One live trainer at most; what was overtaken leaves soon and never holds the folder."""
        token = self.queue.get(job.id).token
        current, others = 0, 0
        for process in self.of_command("run"):
            with suppress(psutil.Error):
                own = process.environ().get(processes.TOKEN_VARIABLE)
                age = time.time() - process.create_time()
                current += own == token
                others += own != token and age > SHORT_LIVED_S and self.queue.get(job.id).token == token
        assert current <= 1, "two live trainers of one attempt"
        assert not others, "a trainer of an old attempt lives on"

    def expect_no_orphan(self) -> None:
        """A trainer that has left its verdict is gone soon."""
        deadline = time.monotonic() + SHORT_LIVED_S
        while found := self.of_command("run"):
            assert time.monotonic() < deadline, f"orphans: {found}"
            time.sleep(0.1)

    def of_command(self, verb: str) -> list[psutil.Process]:
        """Live processes of `cxrlab jobs VERB` with this home."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                line = process.cmdline()
                if process.status() == psutil.STATUS_ZOMBIE or "jobs" not in line or verb not in line:
                    continue
                if process.environ().get("CXRLAB_HOME") == str(self.home):
                    found.append(process)
        return found

    def close(self) -> None:
        """End everything that is left."""
        for process in [*self.of_command("supervise"), *self.of_command("run")]:
            with suppress(psutil.Error):
                process.kill()
        if self.streamlit is not None:
            self.streamlit.kill()
            self.streamlit.wait()

    def place(self, name: str) -> Path:
        """Where a checkpoint lies."""
        return self.home / "checkpoints" / name

    def weights(self, name: str) -> str:
        """Hash of a checkpoint's weights."""
        return read_checkpoint(self.place(name)).card.weights_sha256


def training(source: Path, out: Path) -> list[str]:
    """Options of the training that every round makes."""
    return [
        *("--manifest", str(source), "--model", "shufflenet_v2_x0_5", "--size", "64", "--epochs", str(EPOCHS)),
        *("--batch-size", "8", "--threads", "1", "--device", "cpu", "--out", str(out)),
    ]


def play_rounds(chaos: Chaos, rounds: int) -> list[Job]:
    """So many rounds, every combination of victims in turn; checks after each, and at the end, that all is well."""
    command = [sys.executable, "-m", "cxrlab", "train", *training(chaos.source, chaos.place("undisturbed"))]
    subprocess.run(command, env=chaos.environment(), check=True, cwd=repository(), stdout=subprocess.DEVNULL)
    wanted, jobs = chaos.weights("undisturbed"), []
    for number in range(rounds):
        name = f"round-{number}"
        job = chaos.play(name, combinations()[number % len(combinations())])
        assert job.state == "done", (number, job.state, job.reason)
        assert finished_epochs(job.folder) == EPOCHS
        assert chaos.weights(name) == wanted, f"round {number} ended with other weights"
        chaos.expect_no_orphan()
        jobs.append(job)
    return jobs
