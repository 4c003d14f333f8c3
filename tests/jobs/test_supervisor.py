"""The supervisor with toy trainers: placement, order, deaths, adoption, stopping. No network is trained here."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from cxrlab.jobs import processes
from cxrlab.jobs.attempt import RANK_VARIABLE, WITHOUT_VERDICT, NoVerdict, Stopped, attempt
from cxrlab.jobs.devices import Gpu, placements
from cxrlab.jobs.job import Job
from cxrlab.jobs.launching import command_of
from cxrlab.jobs.queue import JobQueue
from cxrlab.jobs.supervisor import Patience, Supervisor
from tests.jobs.toy import launch_toy, starts

DEADLINE_S = 60.0
QUICK = Patience(idle=0.5, birth=20.0, term=0.6, kill=0.6)


def gpus(count: int) -> Callable[[], tuple[Gpu, ...]]:
    """A stand-in for NVML: so many devices."""
    return lambda: tuple(Gpu(index, f"Made-up {index}", 80 << 30, 0, 0) for index in range(count))


@dataclass
class Bench:
    """A queue and a supervisor of this process that is driven by hand."""

    queue: JobQueue
    supervisor: Supervisor

    def submit(self, *, gpus: int = 0, priority: int = 0, after: tuple[int, ...] = (), **config: Any) -> Job:
        given = {"queue": str(self.queue.folder), **config}
        return self.queue.submit("train", given, gpus=gpus, priority=priority, after=after)

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < deadline, [(job.id, job.state, job.reason) for job in self.queue.list()]
            self.supervisor.look()
            time.sleep(0.03)

    def ended(self, *jobs: Job) -> Callable[[], bool]:
        return lambda: not any(self.queue.get(job.id).is_alive for job in jobs)

    def begun(self, job: Job) -> Callable[[], bool]:
        return lambda: bool(starts(job))


@pytest.fixture
def make_bench(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    benches: list[Bench] = []

    def made(count: int = 0, slots: int = 1) -> Bench:
        queue = JobQueue(tmp_path / "jobs")
        benches.append(Bench(queue, Supervisor(queue, launch_toy, gpus(count), slots, QUICK)))
        return benches[-1]

    yield made
    for bench in benches:
        for job in bench.queue.list():
            processes.signal_attempt(job.token, signal.SIGKILL)


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    return make_bench()


def test_a_job_runs_and_is_done(bench: Bench) -> None:
    job = bench.submit(epochs=2)
    bench.until(bench.ended(job))
    found = bench.queue.get(job.id)
    assert (found.state, found.attempts, found.exit_code, found.reason) == ("done", 1, 0, "")
    assert found.host == processes.host_name()
    assert len(starts(job)) == 1


def test_one_after_the_other_by_priority_then_time(bench: Bench) -> None:
    jobs = [bench.submit(priority=priority) for priority in (0, 1, 0, 2)]
    bench.until(bench.ended(*jobs))
    order = sorted(jobs, key=lambda job: float(str(starts(job)[0]["time"])))
    assert [jobs.index(job) for job in order] == [3, 1, 0, 2]


def test_two_jobs_on_two_gpus_at_once(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(2)
    jobs = [bench.submit(gpus=1, epochs=1, seconds=60) for _ in range(2)]
    bench.until(lambda: all(starts(job) for job in jobs))
    assert {starts(job)[0]["devices"] for job in jobs} == {"0", "1"}
    assert {bench.queue.get(job.id).devices for job in jobs} == {(0,), (1,)}


def test_four_jobs_share_one_gpu_one_after_the_other(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(1)
    jobs = [bench.submit(gpus=1) for _ in range(4)]
    at_once = 0
    while not bench.ended(*jobs)():
        bench.supervisor.look()
        at_once = max(at_once, sum(job.state == "running" for job in bench.queue.list()))
        time.sleep(0.02)
    assert at_once == 1
    assert all(starts(job)[0]["devices"] == "0" for job in jobs)
    assert [float(str(starts(job)[0]["time"])) for job in jobs] == sorted(
        float(str(starts(job)[0]["time"])) for job in jobs
    )


def test_a_cpu_job_sees_no_gpu(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(1)
    job = bench.submit()
    bench.until(bench.ended(job))
    assert starts(job)[0]["devices"] == ""


def job_of(id_: int, gpus: int, devices: tuple[int, ...] = ()) -> Job:
    return Job(id_, "train", "", {}, Path(), gpus=gpus, devices=devices)


def test_a_large_job_is_not_overtaken_by_those_behind_it() -> None:
    two = gpus(2)()
    working = [job_of(1, 1, (0,))]
    waiting = [job_of(2, 2), job_of(3, 1), job_of(4, 0)]
    assert [(each.job.id, each.devices) for each in placements(waiting, working, two, 1)] == [(4, ())]
    assert [(each.job.id, each.devices) for each in placements(waiting, [], two, 1)] == [(2, (0, 1)), (4, ())]


def test_more_gpus_than_there_are_fail_with_a_sentence(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(1)
    job = bench.submit(gpus=2)
    bench.until(bench.ended(job))
    found = bench.queue.get(job.id)
    assert found.state == "failed"
    assert found.reason.startswith("It wants 2 GPUs, but ")
    assert found.reason.endswith("has 1; submit it with fewer, or 0 for the CPU.")


def test_a_failure_keeps_its_sentence_and_its_log(bench: Bench) -> None:
    job = bench.submit(fails="The loss is not a number.")
    bench.until(bench.ended(job))
    found = bench.queue.get(job.id)
    assert (found.state, found.reason, found.exit_code) == ("failed", "The loss is not a number.", 1)
    assert "Traceback" in (job.folder / "log.txt").read_text()


def test_deaths_without_progress_end_it_after_the_third(bench: Bench) -> None:
    job = bench.submit(dies=True)
    bench.until(bench.ended(job))
    found = bench.queue.get(job.id)
    assert (found.state, found.attempts, len(starts(job))) == ("failed", 3, 3)
    assert "was killed (signal 9), 3 times without finishing an epoch" in found.reason
    assert "smaller batch or input size" in found.reason


def test_deaths_with_progress_are_forgiven(bench: Bench) -> None:
    job = bench.submit(dies_after_each=True, epochs=6)
    bench.until(bench.ended(job))
    found = bench.queue.get(job.id)
    assert (found.state, found.attempts) == ("done", 7)


def test_what_a_dead_trainer_left_behind_is_ended(bench: Bench) -> None:
    job = bench.submit(child=True, epochs=1, seconds=60)
    bench.until(lambda: (job.folder / "child.pid").exists() and bool((job.folder / "child.pid").read_text()))
    child = int((job.folder / "child.pid").read_text())
    os.kill(bench.queue.get(job.id).pid, signal.SIGKILL)
    bench.until(lambda: not processes.started_at(child))
    bench.until(lambda: len(starts(job)) == 2)


def test_a_new_supervisor_adopts_what_works(make_bench: Callable[..., Bench]) -> None:
    first = make_bench()
    job = first.submit(epochs=3, seconds=0.5)
    first.until(lambda: bool(first.queue.get(job.id).pid))
    second = make_bench()
    second.until(second.ended(job))
    found = second.queue.get(job.id)
    assert (found.state, found.attempts, len(starts(job))) == ("done", 1, 1)


def test_a_new_supervisor_notices_a_death_that_nobody_saw(make_bench: Callable[..., Bench]) -> None:
    first = make_bench()
    job = first.submit(epochs=1, seconds=1.0)
    first.until(lambda: bool(first.queue.get(job.id).pid))
    pid = first.queue.get(job.id).pid
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    second = make_bench()
    second.until(second.ended(job))
    found = second.queue.get(job.id)
    assert (found.state, found.attempts, len(starts(job))) == ("done", 2, 2)


def test_a_claim_without_a_process_is_taken_back_without_blame(bench: Bench) -> None:
    job = bench.submit()
    bench.queue.claim(job.id, token="gone", host=processes.host_name())
    bench.until(bench.ended(job))
    assert (bench.queue.get(job.id).state, bench.queue.get(job.id).deaths) == ("done", 0)


def test_a_reboot_is_not_the_trainers_fault(bench: Bench) -> None:
    job = bench.submit()
    for _ in range(5):
        bench.queue.claim(job.id, token="before", host=processes.host_name())
        bench.queue.register(job.id, token="before", pid=1, process_started=psutil.boot_time() - 3600)
        bench.supervisor._watch(bench.queue.get(job.id))
        found = bench.queue.get(job.id)
        assert (found.state, found.deaths) == ("queued", 0)
        assert found.reason == "The machine was started anew; it goes on from its last state."
    bench.until(bench.ended(job))
    assert bench.queue.get(job.id).state == "done"


def test_a_pid_that_came_round_is_not_the_trainer(bench: Bench) -> None:
    job = bench.submit()
    bench.queue.claim(job.id, token="old", host=processes.host_name())
    own = processes.started_at(os.getpid())
    bench.queue.register(job.id, token="old", pid=os.getpid(), process_started=own - 100)
    bench.until(bench.ended(job))
    assert bench.queue.get(job.id).state == "done"


def test_cancel_by_the_flag_and_resume(bench: Bench) -> None:
    job = bench.submit(epochs=1, seconds=1.0)
    bench.until(bench.begun(job))
    assert bench.queue.ask_stop(job.id) == "stopping"
    bench.until(bench.ended(job))
    found = bench.queue.get(job.id)
    assert (found.state, found.exit_code, found.reason) == ("cancelled", 3, "Stopped; it can be resumed.")
    bench.queue.resume(job.id)
    bench.until(bench.ended(job))
    assert (bench.queue.get(job.id).state, len(starts(job))) == ("done", 2)


def test_a_deaf_trainer_is_killed_with_all_its_children(bench: Bench) -> None:
    job = bench.submit(epochs=1, seconds=60, deaf=True, child=True)
    bench.until(lambda: (job.folder / "child.pid").exists() and bool((job.folder / "child.pid").read_text()))
    child, pid = int((job.folder / "child.pid").read_text()), bench.queue.get(job.id).pid
    bench.queue.ask_stop(job.id)
    bench.until(bench.ended(job))
    assert bench.queue.get(job.id).state == "cancelled"
    assert not processes.started_at(pid)
    assert not processes.started_at(child)


def test_sigterm_of_the_system_is_no_cancel(bench: Bench) -> None:
    job = bench.submit(epochs=1, seconds=1.0)
    bench.until(bench.begun(job))
    os.kill(bench.queue.get(job.id).pid, signal.SIGTERM)
    bench.until(bench.ended(job))
    found = bench.queue.get(job.id)
    assert (found.state, found.attempts, found.deaths) == ("done", 2, 0)


def test_a_job_waits_for_those_before_it(bench: Bench) -> None:
    first = bench.submit(epochs=1, seconds=0.3)
    second = bench.submit(priority=9, after=(first.id,))
    bench.until(bench.ended(first, second))
    assert float(str(starts(second)[0]["time"])) > float(str(starts(first)[0]["time"]))
    assert bench.queue.get(second.id).state == "done"


def test_a_job_behind_one_that_failed_says_so(bench: Bench) -> None:
    first = bench.submit(fails="No.")
    second = bench.submit(after=(first.id,))
    bench.until(bench.ended(first, second))
    assert bench.queue.get(second.id).reason == f"It waits for job {first.id}, which is failed; resume that first."
    assert not starts(second)


def test_nobody_enters_a_folder_in_which_somebody_works(bench: Bench) -> None:
    job = bench.submit()
    with processes.held(job.folder / processes.LOCK_FILE) as got:
        assert got
        for _ in range(5):
            bench.supervisor.look()
        assert bench.queue.get(job.id).state == "queued"
    bench.until(bench.ended(job))
    assert bench.queue.get(job.id).state == "done"


def test_a_second_supervisor_leaves_at_once_and_the_first_ends_when_idle(bench: Bench) -> None:
    lock = bench.queue.folder / f"supervisor-{processes.host_name()}.lock"
    with processes.held(lock):
        assert bench.supervisor.run() is False
    job = bench.submit()
    began = time.monotonic()
    assert bench.supervisor.run() is True
    assert bench.queue.get(job.id).state == "done"
    assert time.monotonic() - began >= QUICK.idle
    assert not processes.is_held(lock)


def test_the_lock_goes_with_its_process(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    code = "import sys, time; from pathlib import Path; from cxrlab.jobs.processes import held\n"
    code += "with held(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    holder = subprocess.Popen([sys.executable, "-c", code, str(lock)], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    assert processes.is_held(lock)
    holder.kill()
    holder.wait()
    assert not processes.is_held(lock)


def test_a_training_on_several_gpus_is_started_by_torchrun() -> None:
    assert command_of(job_of(7, 1)) == [sys.executable, "-m", "cxrlab", "jobs", "run", "7"]
    words = command_of(job_of(7, 4))
    assert words[1:5] == ["-m", "torch.distributed.run", "--standalone", "--max-restarts"]
    assert words[words.index("--nproc-per-node") + 1] == "4"
    assert words[words.index("--max-restarts") + 1] == "0"
    assert words[-5:] == ["-m", "cxrlab", "jobs", "run", "7"]


def test_only_the_first_of_several_processes_speaks(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    job = bench.submit()
    bench.queue.claim(job.id, token="t", host="here")
    monkeypatch.setenv(processes.TOKEN_VARIABLE, "t")
    monkeypatch.setenv(RANK_VARIABLE, "1")
    seen: list[int] = []
    assert attempt(bench.queue, job.id, lambda job, stop: seen.append(job.id), str) == 0
    found = bench.queue.get(job.id)
    assert (seen, found.state, found.pid) == ([job.id], "running", 0)

    def stopped(job: Job, stop: object) -> None:
        raise Stopped

    def lost(job: Job, stop: object) -> None:
        raise NoVerdict("the other one died")

    def fails(job: Job, stop: object) -> None:
        raise ValueError("The memory of this one ran out.")

    assert attempt(bench.queue, job.id, stopped, str) == 0, "torchrun must not end the first process while it speaks"
    assert attempt(bench.queue, job.id, lost, str) == WITHOUT_VERDICT
    assert bench.queue.get(job.id).state == "running"
    assert attempt(bench.queue, job.id, fails, str) == 1
    found = bench.queue.get(job.id)
    assert (found.state, found.reason) == ("failed", "The memory of this one ran out.")


def test_without_a_verdict_the_supervisor_decides(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    job = bench.submit()
    bench.queue.claim(job.id, token="t", host="here")
    monkeypatch.setenv(processes.TOKEN_VARIABLE, "t")

    def lost(job: Job, stop: object) -> None:
        raise NoVerdict("the other one died")

    assert attempt(bench.queue, job.id, lost, str) == WITHOUT_VERDICT
    assert bench.queue.get(job.id).state == "running"
