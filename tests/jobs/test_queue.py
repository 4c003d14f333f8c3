"""The queue: states change in one transaction, for one process only, in the order of priority and time."""

from __future__ import annotations

import multiprocessing
import sqlite3
from collections import Counter
from pathlib import Path

import pytest

from cxrlab.jobs.job import ENDED, STATES, Job, JobError
from cxrlab.jobs.queue import JobQueue


@pytest.fixture
def queue(tmp_path: Path) -> JobQueue:
    return JobQueue(tmp_path / "jobs")


def running(queue: JobQueue, token: str = "t") -> Job:
    job = queue.submit("train", {})
    assert queue.claim(job.id, token=token, host="here")
    return queue.get(job.id)


def test_a_submitted_job_waits_in_a_folder_of_its_own(queue: JobQueue) -> None:
    job = queue.submit("train", {"epochs": 2}, title="Tiny", gpus=1, priority=3)
    assert (job.state, job.config, job.title, job.gpus, job.priority) == ("queued", {"epochs": 2}, "Tiny", 1, 3)
    assert job.folder == queue.folder / "runs" / str(job.id)
    assert queue.get(job.id) == job == queue.list()[0]


def test_the_order_is_priority_then_time(queue: JobQueue) -> None:
    ids = [queue.submit("train", {}, priority=priority).id for priority in (0, 5, 0, 5, 9)]
    assert [job.id for job in queue.list()] == [ids[4], ids[1], ids[3], ids[0], ids[2]]
    queue.prioritise(ids[2], 10)
    assert queue.list()[0].id == ids[2]


def test_only_one_claim_wins(queue: JobQueue) -> None:
    job = queue.submit("train", {})
    assert queue.claim(job.id, token="a", host="here", devices=(2, 3))
    assert not queue.claim(job.id, token="b", host="here")
    found = queue.get(job.id)
    assert (found.state, found.token, found.devices, found.attempts) == ("running", "a", (2, 3), 1)


def test_an_old_attempt_has_no_say(queue: JobQueue) -> None:
    job = running(queue, "old")
    assert queue.requeue(job.id, token="old", deaths=1)
    assert queue.claim(job.id, token="new", host="here")
    assert not queue.register(job.id, token="old", pid=1, process_started=1.0)
    assert not queue.finish(job.id, "done", token="old")
    assert not queue.requeue(job.id, token="old", deaths=2)
    assert queue.register(job.id, token="new", pid=7, process_started=2.0)
    assert queue.finish(job.id, "done", token="new", exit_code=0)
    found = queue.get(job.id)
    assert (found.state, found.pid, found.attempts, found.exit_code) == ("done", 7, 2, 0)


def test_stopping(queue: JobQueue) -> None:
    waiting = queue.submit("train", {})
    assert queue.ask_stop(waiting.id) == "cancelled"
    job = running(queue)
    assert queue.ask_stop(job.id) == "stopping"
    assert queue.get(job.id).stop_asked > 0
    assert not queue.requeue(job.id, token="t", deaths=1), "a job that shall stop does not start again"
    assert queue.finish(job.id, "cancelled", token="t")
    assert queue.ask_stop(job.id) == "cancelled", "nothing happens to an ended job"


@pytest.mark.parametrize("end", [state for state in ENDED if state != "done"])
def test_what_ended_otherwise_than_done_is_resumed(queue: JobQueue, end: str) -> None:
    job = running(queue)
    queue.finish(job.id, end, token="t", reason="Something.")  # type: ignore[arg-type]
    again = queue.resume(job.id)
    assert (again.state, again.reason, again.deaths, again.folder) == ("queued", "", 0, job.folder)


@pytest.mark.parametrize("state", ["queued", "running", "done"])
def test_others_are_not_resumed(queue: JobQueue, state: str) -> None:
    job = queue.submit("train", {}) if state == "queued" else running(queue)
    if state == "done":
        queue.finish(job.id, "done", token="t")
    with pytest.raises(JobError, match=rf"Only a job that failed or was stopped can be resumed, job 1 is {state}\."):
        queue.resume(job.id)


def test_two_living_jobs_never_share_a_folder(queue: JobQueue, tmp_path: Path) -> None:
    first = queue.submit("train", {}, folder=tmp_path / "run")
    with pytest.raises(JobError, match="Job 1 works in run already"):
        queue.submit("train", {}, folder=tmp_path / "run")
    queue.ask_stop(first.id)
    queue.submit("train", {}, folder=tmp_path / "run")
    with pytest.raises(JobError, match="Job 2 works in run already"):
        queue.resume(first.id)


def test_removing(queue: JobQueue) -> None:
    job = running(queue)
    with pytest.raises(JobError, match="Job 1 is running; cancel it before deleting it"):
        queue.remove(job.id)
    queue.finish(job.id, "done", token="t")
    later = queue.submit("train", {}, after=[job.id])
    with pytest.raises(JobError, match="Job 1 is awaited by job 2"):
        queue.remove(job.id)
    queue.ask_stop(later.id)
    queue.remove(job.id)
    with pytest.raises(JobError, match="There is no job 1"):
        queue.get(job.id)


def test_wrong_requests_are_refused(queue: JobQueue) -> None:
    with pytest.raises(ValueError, match="kind must be one of train, study, segment, evaluate"):
        queue.submit("cook", {})  # type: ignore[arg-type]
    with pytest.raises(JobError, match="0 or more GPUs, got -1"):
        queue.submit("train", {}, gpus=-1)
    with pytest.raises(JobError, match="There is no job 9"):
        queue.submit("train", {}, after=[9])
    assert queue.list() == []


def test_a_broken_file_is_said_in_a_sentence(queue: JobQueue) -> None:
    queue.folder.mkdir(parents=True)
    queue.path.write_bytes(b"this is no database, but long enough to be taken for one" * 20)
    with pytest.raises(JobError, match=r"The queue .*queue\.sqlite can not be (read|written)"):
        queue.list()


def test_the_file_is_in_wal_mode_and_holds_known_states_only(queue: JobQueue) -> None:
    queue.submit("train", {})
    with sqlite3.connect(queue.path) as db:
        assert db.execute("pragma journal_mode").fetchone()[0] == "wal"
        assert {row[0] for row in db.execute("select state from jobs")} <= set(STATES)


def _submit_many(folder: Path, process: int, count: int) -> None:
    queue = JobQueue(folder)
    for number in range(count):
        queue.submit("train", {"process": process, "number": number}, priority=number % 3)


def _claim_all(folder: Path, process: int, answers: multiprocessing.Queue[list[int]]) -> None:
    queue, won = JobQueue(folder), []
    while waiting := queue.list(("queued",)):
        job = waiting[0]
        if queue.claim(job.id, token=f"{process}-{job.id}", host="here"):
            won.append(job.id)
            queue.finish(job.id, "done", token=f"{process}-{job.id}")
    answers.put(won)


def test_200_jobs_of_8_processes_are_claimed_once_each(queue: JobQueue) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_submit_many, args=(queue.folder, number, 25)) for number in range(8)]
    for each in writers:
        each.start()
    for each in writers:
        each.join()
    jobs = queue.list()
    assert len(jobs) == 200
    assert Counter((job.config["process"], job.config["number"]) for job in jobs).most_common(1)[0][1] == 1
    assert [(-job.priority, job.submitted, job.id) for job in jobs] == sorted(
        (-job.priority, job.submitted, job.id) for job in jobs
    )
    answers: multiprocessing.Queue[list[int]] = context.Queue()
    claimers = [context.Process(target=_claim_all, args=(queue.folder, number, answers)) for number in range(4)]
    for each in claimers:
        each.start()
    won = [id_ for _ in claimers for id_ in answers.get()]
    for each in claimers:
        each.join()
    assert sorted(won) == sorted(job.id for job in jobs)
    assert all((job.state, job.attempts) == ("done", 1) for job in queue.list())
