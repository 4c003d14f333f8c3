"""What becomes of a job whose process died without a word, and of one that waits for others; alike on every backend."""

from __future__ import annotations

import signal

from cxrlab.jobs.job import ENDED, Job
from cxrlab.jobs.queue import JobQueue
from cxrlab.jobs.run_files import finished_epochs, last_words

MOST_DEATHS = 2  # in a row without a finished epoch; one more and the job has failed
STOPPED = "Stopped; it can be resumed."


def bury(queue: JobQueue, job: Job, how: str, *, exit_code: int | None = None, counts: bool = True) -> None:
    """An attempt ended and left no verdict: the job waits again, has failed after too many deaths, or was to stop.

    Args:
        how: how it ended, the beginning of a sentence. counts: was it the fault of the job, as far as one can tell?
    """
    if job.state == "stopping":
        queue.finish(job.id, "cancelled", token=job.token, exit_code=exit_code, reason=STOPPED)
        return
    progressed = finished_epochs(job.metrics_folder) > job.epochs
    deaths = (0 if progressed else job.deaths) + counts
    if deaths > MOST_DEATHS:
        words = last_words(job.folder)
        said = f" Its last words: {words}" if words else ""
        reason = f"{how}, {deaths} times without finishing an epoch; see the log.{_memory_hint(exit_code)}{said}"
        queue.finish(job.id, "failed", token=job.token, exit_code=exit_code, reason=reason)
        return
    reason = f"{how}; it goes on from its last state."
    queue.requeue(job.id, token=job.token, deaths=deaths, exit_code=exit_code, reason=reason)


def ending(exit_code: int | None) -> str:
    """How a process ended, behind its name; None: nobody was told."""
    if exit_code is None:
        return "vanished"
    return f"was killed (signal {-exit_code})" if exit_code < 0 else f"ended without a word (exit code {exit_code})"


def _memory_hint(exit_code: int | None) -> str:
    if exit_code != -signal.SIGKILL:
        return ""
    return " That happens when memory runs out: try a smaller batch or input size."


def is_due(queue: JobQueue, job: Job) -> bool:
    """Are the jobs before a waiting one done? One that ended otherwise ends this one too."""
    for id_ in job.after:
        earlier = queue.get(id_)
        if earlier.state in ENDED and earlier.state != "done":
            queue.fail_waiting(job.id, f"It waits for job {id_}, which is {earlier.state}; resume that first.")
        if earlier.state != "done":
            return False
    return True
