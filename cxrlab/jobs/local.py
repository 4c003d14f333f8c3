"""Jobs on this machine: the queue, and a supervisor that is started when it is needed."""

from __future__ import annotations

from cxrlab.jobs.backend import QueueJobs
from cxrlab.jobs.job import Backend
from cxrlab.jobs.launching import ensure_supervisor


class LocalJobs(QueueJobs):
    """One process a job, started by the supervisor of this machine."""

    backend: Backend = "local"

    def poll(self) -> None:
        """Start a supervisor when work waits and none is there."""
        ensure_supervisor(self.queue)
