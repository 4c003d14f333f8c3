"""What the supervisor does for jobs on a Ray cluster: hand over those that wait, watch those at work."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from cxrlab.jobs import processes
from cxrlab.jobs.attempt import NOT_CURRENT
from cxrlab.jobs.job import ALIVE, AT_WORK, Job, State
from cxrlab.jobs.queue import JobQueue
from cxrlab.jobs.ray_cluster import ClusterError, RayHead, RaySettings, RefusedError, Seen
from cxrlab.jobs.run_files import finished_epochs, read_status, write_status
from cxrlab.jobs.run_orders import forget_answers, give_order, read_answer
from cxrlab.jobs.verdicts import bury, ending, is_due

MOST_PENDING = 8  # handed over without a place yet; the others keep their order in the queue
NO_ROOM = "JOB_SUPERVISOR_ACTOR_START_TIMEOUT"  # Ray's word for a job that found no place for 15 minutes
WAITS = "It waits for its turn."
NO_PLACE = "It waits for room in the cluster."

Connect = Callable[[RaySettings], RayHead]


@dataclass(frozen=True)
class RayPatience:
    """Seconds: between two rounds; between two when the head does not answer; after asking to stop until Ray ends the
    process; for a verdict to arrive after Ray says that the process ended (network storage is slow)."""

    round: float = 1.0
    outage: float = 10.0
    term: float = 20.0
    settle: float = 10.0


@dataclass
class RayRounds:
    """Serves the Ray jobs of one queue. A round in which the head does not answer changes nothing."""

    queue: JobQueue
    connect: Connect = RayHead.connect
    patience: RayPatience = field(default_factory=RayPatience)
    _ended: dict[str, float] = field(default_factory=dict)
    _ordered: dict[int, tuple[str, State]] = field(default_factory=dict)
    _said: dict[int, str] = field(default_factory=dict)
    _stopped: set[str] = field(default_factory=set)
    _thread: threading.Thread | None = None
    _next: float = 0.0

    def look(self) -> None:
        """Begin a round in a thread when it is time: a head that hangs does not hold up the local jobs."""
        if time.monotonic() >= self._next and not (self._thread and self._thread.is_alive()):
            self._next = time.monotonic() + self.patience.round
            self._thread = threading.Thread(target=self.round, name="ray", daemon=True)
            self._thread.start()

    def round(self) -> None:
        """What happened to those at work, then who is handed over. One process at a time does this for a queue."""
        with processes.held(self.queue.folder / "ray.lock") as got:
            if not got:
                return
            for job in self._jobs(AT_WORK):
                self._hear(job)
            alive = self._jobs(ALIVE)
            if not alive:
                return
            try:
                self._serve(self.connect(RaySettings.stored(self.queue.folder)))
            except ClusterError as error:
                self._next = time.monotonic() + self.patience.outage
                for job in alive:
                    self._say(job, str(error))

    def _serve(self, head: RayHead) -> None:
        pending = sum(self._watch(head, job) for job in self._jobs(AT_WORK))
        for job in self._jobs(("queued",)):
            if pending < MOST_PENDING and is_due(self.queue, job):
                pending += self._begin(head, job)
            elif job.id in self._said:
                self._say(job, WAITS)

    def _jobs(self, states: Sequence[State]) -> list[Job]:
        return [job for job in self.queue.list(states) if job.backend == "ray"]

    def _hear(self, job: Job) -> bool:
        """Tell the attempt how its job stands, and take what it says into the queue. Did the job leave work?"""
        if self._ordered.get(job.id) != (job.token, job.state):
            self._order(job)
        answer = read_answer(job.folder, job.token)
        if answer.pid and not job.pid:
            began = answer.process_started
            self.queue.register(job.id, token=job.token, pid=answer.pid, process_started=began, host=answer.host)
        if not answer.state:
            return False
        again = answer.state == "queued" and self.queue.requeue(
            job.id, token=job.token, deaths=job.deaths, exit_code=answer.exit_code, reason=answer.reason
        )
        if not again:
            state: State = answer.state if answer.state in ("done", "failed") else "cancelled"  # type: ignore[assignment]
            self.queue.finish(job.id, state, token=job.token, exit_code=answer.exit_code, reason=answer.reason)
        self._leave(job)
        return True

    def _order(self, job: Job) -> None:
        give_order(job)
        self._ordered[job.id] = (job.token, job.state)

    def _leave(self, job: Job) -> None:
        """The attempt is over: a process of it that still lives somewhere finds that it is not wanted."""
        self._ended.pop(job.token, None)
        self._stopped.discard(job.token)
        self._said.pop(job.id, None)
        self._order(self.queue.get(job.id))

    def _watch(self, head: RayHead, job: Job) -> bool:
        """Is it handed over without a place yet?"""
        seen = head.seen(submission(job))
        if seen is None and not job.external and job.state == "running":  # the hand-over did not succeed
            return self._hand_over(head, job)
        if seen is None:
            self._bury(job, "The cluster does not know it any more", None, counts=False)
            return False
        if not job.external:
            self.queue.note_external(job.id, submission(job), token=job.token)
        if seen.has_ended:
            self._settle(job, seen)
            return False
        if job.state == "stopping":
            self._press(head, job, seen)
        if seen.status == "PENDING":
            self._say(job, NO_PLACE)
            return True
        self._said.pop(job.id, None)
        return False

    def _settle(self, job: Job, seen: Seen) -> None:
        """Its process ended: wait a little for the verdict, then do without."""
        since = self._ended.setdefault(job.token, time.monotonic())
        never_began = seen.status == "STOPPED" and not job.pid
        if time.monotonic() - since < self.patience.settle and not never_began:
            return
        if seen.exit_code is not None:
            how = f"The process {ending(seen.exit_code)}"
        elif seen.error_type == NO_ROOM:
            how = "The cluster had no room for it"
        else:
            how = f"Ray ended it: {_first_line(seen.message) or seen.status}"
        self._bury(job, how, seen.exit_code, counts=seen.error_type != NO_ROOM and seen.exit_code != NOT_CURRENT)

    def _bury(self, job: Job, how: str, exit_code: int | None, *, counts: bool) -> None:
        if not self._hear(self.queue.get(job.id)):
            bury(self.queue, job, how, exit_code=exit_code, counts=counts)
            self._leave(job)

    def _press(self, head: RayHead, job: Job, seen: Seen) -> None:
        """A job that shall stop was asked through its folder; later, or where nobody can see that yet, Ray ends it."""
        patient = seen.status == "RUNNING" and time.time() - job.stop_asked < self.patience.term
        if not patient and job.token not in self._stopped:
            self._stopped.add(job.token)
            head.stop(submission(job))

    def _begin(self, head: RayHead, job: Job) -> bool:
        """Hand over a job that waits. False where it was not."""
        if processes.is_held(job.folder / processes.LOCK_FILE):
            return False  # somebody still works in there
        token, epochs = secrets.token_hex(16), finished_epochs(job.metrics_folder)
        if not self.queue.claim(job.id, token=token, host="", epochs=epochs):
            return False
        forget_answers(job.folder)
        return self._hand_over(head, self.queue.get(job.id))

    def _hand_over(self, head: RayHead, job: Job) -> bool:
        """Submit a claimed job. An error in between is no harm: the next round asks for its name first."""
        self._order(job)
        try:
            head.submit(job, submission(job), self.queue.folder.parent)
        except RefusedError as refused:
            self.queue.finish(job.id, "failed", token=job.token, reason=str(refused))
            self._leave(job)
            return False
        self.queue.note_external(job.id, submission(job), token=job.token)
        return True

    def _say(self, job: Job, text: str) -> None:
        """Something for people, where the run's own words are read; once."""
        if self._said.get(job.id) != text:
            self._said[job.id] = text
            known = read_status(job.folder)
            write_status(job.folder, **{**(vars(known) if known else {}), "text": text})


def submission(job: Job) -> str:
    """The name of a job's current attempt at Ray; the same whoever asks, so that none is handed over twice."""
    return f"cxrlab-{job.id}-{job.token[:12]}"


def _first_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0][:200] if lines else ""
