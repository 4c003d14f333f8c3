"""What every backend can do with jobs, whether one machine or a cluster runs them."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from cxrlab.jobs.job import Backend, Job, Kind, State
from cxrlab.jobs.queue import JobQueue
from cxrlab.jobs.run_files import RunStatus, read_log, read_status


@dataclass(frozen=True)
class JobStatus:
    """A job and where its run stands; ``run`` is None before it has said anything."""

    job: Job
    run: RunStatus | None


class Jobs(Protocol):
    """The one interface to jobs. All methods raise JobError with a sentence."""

    def submit(self, kind: Kind, config: Mapping[str, Any], *, title: str = "", gpus: int = 0, priority: int = 0,
               after: Sequence[int] = (), folder: Path | None = None) -> Job: ...  # fmt: skip
    def status(self, id_: int) -> JobStatus: ...
    def cancel(self, id_: int) -> Job: ...
    def resume(self, id_: int) -> Job: ...
    def logs(self, id_: int, offset: int = 0) -> tuple[str, int]: ...
    def list(self, states: Sequence[State] = ()) -> list[Job]: ...
    def delete(self, id_: int) -> Job: ...
    def poll(self) -> None: ...


class QueueJobs:
    """What is the same for all backends: the queue is the truth. ``poll`` is what keeps a backend going."""

    backend: Backend = "local"

    def __init__(self, queue: JobQueue | None = None) -> None:
        self.queue = queue or JobQueue()

    def submit(
        self,
        kind: Kind,
        config: Mapping[str, Any],
        *,
        title: str = "",
        gpus: int = 0,
        priority: int = 0,
        after: Sequence[int] = (),
        folder: Path | None = None,
    ) -> Job:
        """Hand in a job; it starts when its turn comes, whatever becomes of this process."""
        job = self.queue.submit(
            kind, config, title=title, gpus=gpus, priority=priority, after=after, backend=self.backend, folder=folder
        )
        self.poll()
        return job

    def status(self, id_: int) -> JobStatus:
        """The job and what its run said last."""
        job = self.queue.get(id_)
        return JobStatus(job, read_status(job.metrics_folder) or read_status(job.folder))

    def cancel(self, id_: int) -> Job:
        """Ask a job to stop: it ends after its current step and can be resumed. Nothing happens to an ended one."""
        self.queue.ask_stop(id_)
        self.poll()
        return self.queue.get(id_)

    def resume(self, id_: int) -> Job:
        """Let a job that failed or was stopped go on from its last state."""
        job = self.queue.resume(id_)
        self.poll()
        return job

    def logs(self, id_: int, offset: int = 0) -> tuple[str, int]:
        """The log from a byte on, and the byte to ask for next; a negative offset counts from the end."""
        return read_log(self.queue.get(id_).folder, offset)

    def list(self, states: Sequence[State] = ()) -> list[Job]:
        """Jobs of every backend, in the order in which they are started."""
        return self.queue.list(states)

    def delete(self, id_: int) -> Job:
        """Remove an ended job, and its run folder where the queue made it; a finished checkpoint stays."""
        job = self.queue.remove(id_)
        if job.folder.parent == self.queue.folder / "runs":
            shutil.rmtree(job.folder, ignore_errors=True)
        return job

    def poll(self) -> None:
        """Nothing to keep going here."""
