"""The supervisor: a process of its own that starts what waits, watches what works and ends what shall stop."""

from __future__ import annotations

import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cxrlab.jobs import processes
from cxrlab.jobs.devices import FindGpus, Gpu, Placement, cpu_jobs, nvml_gpus, placements
from cxrlab.jobs.job import ALIVE, AT_WORK, Backend, Job
from cxrlab.jobs.launching import Launch, launch
from cxrlab.jobs.queue import JobQueue
from cxrlab.jobs.run_files import finished_epochs
from cxrlab.jobs.verdicts import bury, ending, is_due

if TYPE_CHECKING:
    from cxrlab.jobs.ray_rounds import RayRounds

LOOK_S = 0.25


@dataclass(frozen=True)
class Patience:
    """Seconds: without work until the supervisor ends; for a process to say who it is; after asking to stop until
    SIGTERM; from there until SIGKILL."""

    idle: float = 60.0
    birth: float = 60.0
    term: float = 20.0
    kill: float = 20.0


@dataclass
class Supervisor:
    """Serves the local jobs of one queue on this machine, and asks the cluster for those that run there.

    Args:
        start: begins a process for a claimed job. gpus: what finds the GPUs. cpu_slots: jobs without GPU at once.
    """

    queue: JobQueue
    start: Launch = launch
    gpus: FindGpus = nvml_gpus
    cpu_slots: int = field(default_factory=cpu_jobs)
    patience: Patience = field(default_factory=Patience)
    host: str = field(default_factory=processes.host_name)
    cluster: RayRounds | None = None  # made when there is a job for it
    _children: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _warned: dict[str, float] = field(default_factory=dict)

    def run(self, *, until: Callable[[], bool] = lambda: False) -> bool:
        """Serve until there is nothing to do for a while. False when another supervisor serves this queue already.

        A job that is handed in just while it ends is not forgotten: the lock is given back first, then it looks again.
        """
        lock = self.queue.folder / f"supervisor-{self.host}.lock"
        served = False
        while True:
            with processes.held(lock) as got:
                if not got:
                    return served
                served = True
                self._serve(until)
            if until() or not self._has_work():
                return True

    def _serve(self, until: Callable[[], bool]) -> None:
        idle_since = time.monotonic()
        while not until():
            self.look()
            if self._has_work():
                idle_since = time.monotonic()
            elif time.monotonic() - idle_since >= self.patience.idle:
                return
            time.sleep(LOOK_S)

    def look(self) -> None:
        """One round: what happened to those at work, then who starts."""
        for job in self._at_work():
            self._watch(job)
        self._start_waiting()
        self._look_at_cluster()
        working = {job.token for job in self._at_work()}
        for token, child in list(self._children.items()):
            if child.poll() is not None and token not in working:  # reaped; its verdict stands
                del self._children[token]

    def _look_at_cluster(self) -> None:
        if not self._has_work(("ray",)):
            return
        if self.cluster is None:
            from cxrlab.jobs.ray_rounds import RayRounds

            self.cluster = RayRounds(self.queue)
        self.cluster.look()

    def _at_work(self) -> list[Job]:
        return [job for job in self.queue.list(AT_WORK) if job.backend == "local" and job.host == self.host]

    def _has_work(self, backends: Sequence[Backend] = ("local", "ray")) -> bool:
        """Are there jobs that wait, that work here, or that work on the cluster?"""
        alive = [job for job in self.queue.list(ALIVE) if job.backend in backends]
        return any(job.state == "queued" or job.backend == "ray" or job.host == self.host for job in alive)

    def _watch(self, job: Job) -> None:
        child = self._children.get(job.token)
        ended = child is not None and child.poll() is not None
        if not ended and self._is_alive(job, child):
            if job.state == "stopping":
                self._press(job)
            return
        processes.signal_attempt(job.token, signal.SIGKILL)  # what the dead process left behind
        self._children.pop(job.token, None)
        now = self.queue.get(job.id)
        if now.token == job.token and now.state in AT_WORK:  # no verdict was left
            self._bury(now, child.returncode if child is not None else None)

    def _is_alive(self, job: Job, child: subprocess.Popen[bytes] | None) -> bool:
        if job.pid:
            return processes.is_alive(job.pid, job.process_started)
        if child is not None:
            return True  # it has not said yet who it is
        return time.time() - job.claimed < self.patience.birth and bool(processes.of_attempt(job.token))

    def _press(self, job: Job) -> None:
        """A job that shall stop: it was asked by the flag; then SIGTERM, then SIGKILL to all its processes."""
        waited = time.time() - job.stop_asked
        if waited >= self.patience.term + self.patience.kill:
            processes.signal_attempt(job.token, signal.SIGKILL)
        elif waited >= self.patience.term and job.token not in self._warned:
            self._warned[job.token] = waited
            processes.signal_attempt(job.token, signal.SIGTERM)

    def _bury(self, job: Job, exit_code: int | None) -> None:
        """A process died without a verdict."""
        rebooted = processes.is_of_an_earlier_boot(job.process_started)
        unborn = not job.pid and exit_code is None  # the supervisor before died as it began
        how = "The machine was started anew" if rebooted else f"The process {ending(exit_code)}"
        bury(self.queue, job, how, exit_code=exit_code, counts=not rebooted and not unborn)

    def _start_waiting(self) -> None:
        waiting = [job for job in self.queue.list(("queued",)) if job.backend == "local" and is_due(self.queue, job)]
        if not waiting:
            return
        gpus = self.gpus()
        fitting = [job for job in waiting if self._can_ever_fit(job, gpus)]
        for placement in placements(fitting, self._at_work(), gpus, self.cpu_slots):
            self._begin(placement)

    def _can_ever_fit(self, job: Job, gpus: Sequence[Gpu]) -> bool:
        if job.gpus <= len(gpus):
            return True
        self.queue.fail_waiting(
            job.id,
            f"It wants {job.gpus} GPUs, but {self.host} has {len(gpus)}; submit it with fewer, or 0 for the CPU.",
        )
        return False

    def _begin(self, placement: Placement) -> None:
        job, token = placement.job, secrets.token_hex(16)
        if processes.is_held(job.folder / processes.LOCK_FILE):
            return  # somebody still works in there
        devices, epochs = placement.devices, finished_epochs(job.metrics_folder)
        if not self.queue.claim(job.id, token=token, host=self.host, devices=devices, epochs=epochs):
            return
        try:
            self._children[token] = self.start(self.queue.get(job.id))
        except OSError as error:
            reason = f"Its process could not be started ({error}); see whether the disk or the memory is full."
            self.queue.finish(job.id, "failed", token=token, reason=reason)
