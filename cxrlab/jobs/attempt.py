"""One attempt at a job, from inside its process: it says who it is, works, and leaves a verdict."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field

from cxrlab.jobs import processes
from cxrlab.jobs.job import Job, JobError, State
from cxrlab.jobs.queue import JobQueue
from cxrlab.jobs.run_orders import FolderDesk, desk_elsewhere

ASK_S = 0.5  # how often the queue is asked whether to stop
FOLDER_S = 10.0  # how long a predecessor may need to leave the folder
EXIT_CODES: dict[State, int] = {"done": 0, "failed": 1, "cancelled": 3}
NOT_CURRENT = 4
WITHOUT_VERDICT = 5
RANK_VARIABLE = "RANK"  # of a process that torchrun started
SHUT_DOWN = "The system ended the process; it goes on from its last state."

Desk = JobQueue | FolderDesk
"""Whom an attempt asks and tells: the queue, or its run folder where the queue is on another machine."""

Work = Callable[[Job, Callable[[], bool]], None]
"""Does the job; asks the callable between steps whether to stop. Raises ``Stopped`` then, others when it fails."""

Sentence = Callable[[BaseException], str]
"""Why it failed, in one sentence for the user."""


class Stopped(Exception):
    """The work ended resumably because it was asked to."""


class NoVerdict(Exception):
    """The work ended through no fault of its own, such as another process that died: whoever watches decides."""


@dataclass
class StopFlag:
    """Asks the queue, at most twice a second, whether this attempt shall stop."""

    queue: Desk
    id: int
    token: str
    _asked: float = field(default=0.0)
    _stop: bool = False

    def __call__(self) -> bool:
        if not self._stop and time.monotonic() - self._asked >= ASK_S:
            self._asked = time.monotonic()
            job = self.queue.get(self.id)
            self._stop = job.state != "running" or job.token != self.token
        return self._stop

    def on_sigterm(self) -> None:
        """Let SIGTERM ask to stop as well, in the main thread."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, lambda *_: self._set())

    def _set(self) -> None:
        self._stop = True


def attempt(queue: JobQueue, id_: int, work: Work, sentence: Sentence) -> int:
    """Run a job in this process, which was started for it.

    The run folder is locked meanwhile, so that no two processes ever work in it. An attempt that is not the current
    one any more leaves at once and changes nothing. Where a cluster started the process, the queue is not opened: see
    :mod:`cxrlab.jobs.run_orders`.

    Returns:
        The exit code: 0 done, 1 failed, 3 cancelled, 4 not the current attempt, 5 without a verdict.
    """
    token = os.environ.get(processes.TOKEN_VARIABLE, "")
    desk = desk_elsewhere() or queue
    job = desk.get(id_)
    if not token or job.token != token:
        return NOT_CURRENT
    if os.environ.get(RANK_VARIABLE, "0") != "0":
        return _beside(desk, job, work, sentence)
    deadline = time.monotonic() + FOLDER_S
    while time.monotonic() < deadline:
        with processes.held(job.folder / processes.LOCK_FILE) as got:
            if got:
                return _locked(desk, job, work, sentence)
        time.sleep(0.1)
    return NOT_CURRENT


def _beside(queue: Desk, job: Job, work: Work, sentence: Sentence) -> int:
    """A further process of one training over several devices: the first one speaks for all, but of its own failure."""
    flag = StopFlag(queue, job.id, job.token)
    flag.on_sigterm()
    verdict = _verdict(job, work, sentence, flag)
    if verdict is None:
        return WITHOUT_VERDICT
    state, reason = verdict
    if state == "failed":
        queue.finish(job.id, state, token=job.token, exit_code=EXIT_CODES[state], reason=reason)
        return EXIT_CODES[state]
    return 0  # stopped with the others: any other code makes torchrun end the first one while it speaks


def _locked(queue: Desk, job: Job, work: Work, sentence: Sentence) -> int:
    pid = os.getpid()
    began = processes.started_at(pid)
    if not queue.register(job.id, token=job.token, pid=pid, process_started=began, host=processes.host_name()):
        return NOT_CURRENT
    flag = StopFlag(queue, job.id, job.token)
    flag.on_sigterm()
    verdict = _verdict(queue.get(job.id), work, sentence, flag)
    if verdict is None:
        return WITHOUT_VERDICT
    state, reason = verdict
    code = EXIT_CODES[state]
    if state == "cancelled" and queue.requeue(job.id, token=job.token, deaths=job.deaths, reason=SHUT_DOWN):
        return code  # nobody had asked the queue: the system sent SIGTERM
    return code if queue.finish(job.id, state, token=job.token, exit_code=code, reason=reason) else NOT_CURRENT


def _verdict(job: Job, work: Work, sentence: Sentence, stop: StopFlag) -> tuple[State, str] | None:
    try:
        work(job, stop)
    except Stopped:
        return "cancelled", "Stopped; it can be resumed."
    except JobError:
        raise
    except NoVerdict:
        traceback.print_exc(file=sys.stderr)
        return None
    except BaseException as error:  # every way to fail is a verdict, MemoryError and KeyboardInterrupt too
        traceback.print_exc(file=sys.stderr)
        return "failed", sentence(error)
    return "done", ""
