"""Jobs on Ray: rules with a stand-in for Ray's client, then a real head on this machine that trains and is killed."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cxrlab.jobs import ray_cluster
from cxrlab.jobs.attempt import Stopped, attempt
from cxrlab.jobs.job import Job, JobError
from cxrlab.jobs.processes import LOCK_FILE, TOKEN_VARIABLE, held
from cxrlab.jobs.queue import JobQueue
from cxrlab.jobs.ray_cluster import ClusterError, RayHead, RayJobs, RaySettings
from cxrlab.jobs.ray_rounds import MOST_PENDING, NO_ROOM, RayPatience, RayRounds, submission
from cxrlab.jobs.run_files import finished_epochs, read_status
from cxrlab.jobs.run_orders import FOLDER_VARIABLE, FolderDesk, desk_elsewhere
from cxrlab.jobs.supervisor import Patience, Supervisor

ADDRESS = "http://127.0.0.1:8265"
QUICK = RayPatience(round=0.0, outage=0.0, term=0.0, settle=0.0)


@dataclass
class StandIn:
    """What of Ray's JobSubmissionClient is used; a test says what becomes of the jobs."""

    jobs: dict[str, SimpleNamespace] = field(default_factory=dict)
    submitted: list[dict[str, Any]] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    away: bool = False
    refuses: str = ""

    def submit_job(self, **given: Any) -> str:
        self._check()
        if self.refuses:
            raise RuntimeError(f"Request failed with status code {self.refuses}")
        assert given["submission_id"] not in self.jobs, "Ray refuses a name it knows"
        self.submitted.append(given)
        self.becomes(given["submission_id"], "PENDING")
        return str(given["submission_id"])

    def get_job_info(self, name: str) -> SimpleNamespace:
        self._check()
        if name not in self.jobs:
            raise RuntimeError(f"Request failed with status code 404: Job {name} does not exist.")
        return self.jobs[name]

    def stop_job(self, name: str) -> bool:
        self.get_job_info(name)
        self.stopped.append(name)
        return True

    def get_job_logs(self, name: str) -> str:
        self.get_job_info(name)
        return "sh: 1: cannot create log.txt: Directory nonexistent\n"

    def becomes(self, name: str, status: str, exit_code: int | None = None, message: str = "", error: str = "") -> None:
        self.jobs[name] = SimpleNamespace(
            status=status, message=message, error_type=error or None, driver_exit_code=exit_code
        )

    def _check(self) -> None:
        if self.away:
            raise ConnectionError("Failed to connect to Ray")


@dataclass
class Bench:
    """A queue, a stand-in for Ray, and rounds that are driven by hand."""

    queue: JobQueue
    ray: StandIn = field(default_factory=StandIn)
    patience: RayPatience = QUICK
    settings: RaySettings = field(default_factory=lambda: RaySettings(ADDRESS))

    def __post_init__(self) -> None:
        self.settings.save(self.queue.folder)
        self.rounds = self.another()

    def another(self) -> RayRounds:
        """Rounds of another process, which remember nothing."""
        return RayRounds(self.queue, self.connect, self.patience)

    def connect(self, settings: RaySettings) -> RayHead:
        if self.ray.away:
            raise ClusterError(f"No Ray head answers at {settings.address}.")
        return RayHead(self.ray, settings)

    def submit(self, **given: Any) -> Job:
        return self.queue.submit("train", {}, backend="ray", **given)

    def running(self, **given: Any) -> Job:
        """A job that Ray has given a place."""
        job = self.now(self.submit(**given))
        self.becomes(job, "RUNNING")
        return self.queue.get(job.id)

    def now(self, job: Job) -> Job:
        self.rounds.round()
        return self.queue.get(job.id)

    def becomes(self, job: Job, *what: Any, **given: Any) -> None:
        self.ray.becomes(submission(self.queue.get(job.id)), *what, **given)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(JobQueue(tmp_path / "home" / "jobs"))


Attempt = Callable[..., int]


@pytest.fixture
def attempted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Attempt:
    """What a process of a job does on another machine: it must not need the queue."""

    def run(job: Job, work: Callable[[Job, Callable[[], bool]], None] = lambda job, stop: None) -> int:
        monkeypatch.setenv(TOKEN_VARIABLE, job.token)
        monkeypatch.setenv(FOLDER_VARIABLE, str(job.folder))
        code = attempt(JobQueue(tmp_path / "elsewhere"), job.id, work, str)
        assert not (tmp_path / "elsewhere").exists(), "the queue was opened"
        return code

    return run


def fails(job: Job, stop: Callable[[], bool]) -> None:
    raise ValueError("It can not be done; do something else.")


def finish_epoch(job: Job) -> None:
    with (job.folder / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 1}\n')


def test_a_job_is_handed_over_with_what_it_needs(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXRLAB_CHECKPOINTS", "/shared/checkpoints")
    RaySettings(ADDRESS, 4.0, "/opt/python").save(bench.queue.folder)
    job = bench.now(bench.submit(gpus=1, title="One GPU"))
    (given,) = bench.ray.submitted
    assert (given["entrypoint_num_gpus"], given["entrypoint_num_cpus"]) == (1, 4.0)
    assert given["entrypoint"] == f"exec /opt/python -m cxrlab jobs run {job.id} >> {job.folder}/log.txt 2>&1"
    told = given["runtime_env"]["env_vars"]
    assert (told[TOKEN_VARIABLE], told["CXRLAB_HOME"]) == (job.token, str(bench.queue.folder.parent))
    assert told["CXRLAB_CHECKPOINTS"] == "/shared/checkpoints"
    assert "CUDA_VISIBLE_DEVICES" not in told, "Ray hands out the GPUs"
    assert set(given["runtime_env"]) == {"env_vars"}, "nothing is uploaded"
    assert (job.state, job.attempts, job.external) == ("running", 1, given["submission_id"])
    assert job.folder.is_dir(), "the shell writes the log there"


def test_a_job_without_gpu_sees_none(bench: Bench) -> None:
    bench.now(bench.submit())
    assert bench.ray.submitted[0]["runtime_env"]["env_vars"]["CUDA_VISIBLE_DEVICES"] == ""


def test_a_training_on_several_gpus_has_a_process_for_each(bench: Bench) -> None:
    job = bench.now(bench.submit(gpus=2))
    (given,) = bench.ray.submitted
    assert given["entrypoint_num_gpus"] == 2
    assert f" --nproc-per-node 2 -m cxrlab jobs run {job.id} >> " in given["entrypoint"]


def test_the_order_is_the_queues_and_few_wait_at_ray(bench: Bench) -> None:
    jobs = [bench.submit(priority=number % 3) for number in range(12)]
    bench.rounds.round()
    bench.rounds.round()
    order = [f"{job.id}" for job in sorted(jobs, key=lambda job: (-job.priority, job.id))]
    assert [each["metadata"]["cxrlab_job"] for each in bench.ray.submitted] == order[:MOST_PENDING]
    for each in bench.ray.submitted[:3]:
        bench.ray.becomes(each["submission_id"], "RUNNING")
    bench.rounds.round()
    assert [each["metadata"]["cxrlab_job"] for each in bench.ray.submitted] == order[: MOST_PENDING + 3]


def test_a_job_waits_for_those_before_it(bench: Bench, attempted: Attempt) -> None:
    first = bench.running()
    later = bench.submit(after=[first.id])
    assert bench.now(later).state == "queued"
    attempted(first)
    assert bench.now(later).state == "running"


def test_a_job_behind_a_failed_one_fails(bench: Bench, attempted: Attempt) -> None:
    first = bench.running()
    later = bench.submit(after=[first.id])
    attempted(first, fails)
    found = bench.now(later)
    assert (found.state, found.reason) == (
        "failed",
        f"It waits for job {first.id}, which is failed; resume that first.",
    )


def test_the_verdict_comes_through_the_run_folder(bench: Bench, attempted: Attempt) -> None:
    job = bench.running()
    assert attempted(job) == 0
    bench.becomes(job, "SUCCEEDED", 0)
    found = bench.now(job)
    assert (found.state, found.exit_code, found.pid) == ("done", 0, os.getpid())
    assert found.host, "the machine where it ran"


def test_a_failure_keeps_its_sentence(bench: Bench, attempted: Attempt) -> None:
    job = bench.running()
    assert attempted(job, fails) == 1
    found = bench.now(job)
    assert (found.state, found.reason) == ("failed", "It can not be done; do something else.")


def test_who_works_where_is_known_while_it_works(bench: Bench, attempted: Attempt) -> None:
    job = bench.running()

    def work(working: Job, stop: Callable[[], bool]) -> None:
        assert bench.now(job).pid == os.getpid()

    assert attempted(job, work) == 0


def test_a_job_that_shall_stop_is_told_in_its_folder(bench: Bench, attempted: Attempt) -> None:
    job = bench.running()
    bench.rounds.patience = RayPatience(0.0, 0.0, 60.0, 0.0)

    def work(working: Job, stop: Callable[[], bool]) -> None:
        assert not stop()
        bench.queue.ask_stop(job.id)
        bench.rounds.round()
        until = time.monotonic() + 10
        while not stop():
            assert time.monotonic() < until
        raise Stopped

    assert attempted(job, work) == 3
    found = bench.now(job)
    assert (found.state, bench.ray.stopped) == ("cancelled", []), "it left by itself"
    assert bench.now(bench.queue.resume(job.id)).state == "running"


def test_a_job_that_does_not_listen_is_ended_by_ray(bench: Bench) -> None:
    job = bench.running()
    bench.queue.ask_stop(job.id)
    bench.rounds.round()
    bench.rounds.round()
    assert bench.ray.stopped == [submission(job)], "asked once"
    bench.becomes(job, "STOPPED")
    assert bench.now(job).state == "cancelled"


def test_a_job_without_a_place_is_ended_at_once(bench: Bench) -> None:
    bench.rounds.patience = RayPatience(0.0, 0.0, 60.0, 60.0)
    job = bench.now(bench.submit())
    assert bench.now(job).state == "running"
    assert read_status(job.folder).text == "It waits for room in the cluster."  # type: ignore[union-attr]
    bench.queue.ask_stop(job.id)
    bench.rounds.round()
    assert bench.ray.stopped == [submission(job)]
    bench.becomes(job, "STOPPED")
    assert bench.now(job).state == "cancelled"


def test_a_system_that_goes_down_is_no_death(bench: Bench, attempted: Attempt) -> None:
    job = bench.running()

    def work(working: Job, stop: Callable[[], bool]) -> None:
        raise Stopped

    assert attempted(job, work) == 3
    again = bench.now(job)
    assert (again.state, again.attempts, again.deaths) == ("running", 2, 0)


@pytest.mark.parametrize(("status", "exit_code"), [("FAILED", -9), ("FAILED", 1), ("STOPPED", None), ("SUCCEEDED", 0)])
def test_a_third_death_without_a_verdict_is_a_failure(bench: Bench, status: str, exit_code: int | None) -> None:
    job = bench.running()
    for attempts in (2, 3):
        bench.becomes(job, status, exit_code)
        found = bench.now(job)
        assert (found.state, found.attempts, found.deaths) == ("running", attempts, attempts - 1)
    bench.becomes(job, status, exit_code)
    found = bench.now(job)
    assert (found.state, found.attempts) == ("failed", 3)
    assert "3 times without finishing an epoch" in found.reason
    assert ("memory" in found.reason) == (exit_code == -9)


def test_a_finished_epoch_resets_the_count_of_deaths(bench: Bench) -> None:
    job = bench.running()
    for _ in range(5):
        finish_epoch(job)
        bench.becomes(job, "FAILED", -9)
        assert bench.now(job).deaths == 1
    assert bench.now(job).attempts == 6


def test_no_room_is_no_death(bench: Bench) -> None:
    job = bench.now(bench.submit())
    for _ in range(4):
        bench.becomes(job, "FAILED", message="Job supervisor actor failed to start", error=NO_ROOM)
        assert bench.now(job).state == "running"
    assert bench.now(job).deaths == 0


def test_the_verdict_may_come_a_little_late(bench: Bench, attempted: Attempt) -> None:
    bench.rounds.patience = RayPatience(0.0, 0.0, 60.0, 60.0)
    job = bench.running()
    bench.becomes(job, "SUCCEEDED", 0)
    assert bench.now(job).state == "running"
    attempted(job)
    assert bench.now(job).state == "done"


def test_what_ray_forgot_is_handed_over_again(bench: Bench, attempted: Attempt) -> None:
    job = bench.running()
    bench.ray.jobs.clear()
    again = bench.now(job)
    assert (again.state, again.attempts, again.deaths) == ("running", 2, 0)
    assert again.external != job.external
    assert attempted(job) == 4, "the old process finds that it is not wanted"
    assert bench.now(job).state == "running"
    assert attempted(again) == 0
    assert bench.now(job).state == "done"


def test_a_verdict_is_not_lost_with_the_head(bench: Bench, attempted: Attempt) -> None:
    job = bench.running()
    attempted(job)
    bench.ray.jobs.clear()
    found = bench.now(job)
    assert (found.state, found.attempts) == ("done", 1)


def test_nothing_starts_beside_a_process_that_still_works_in_the_folder(bench: Bench) -> None:
    job = bench.running()
    with held(job.folder / LOCK_FILE):
        bench.ray.jobs.clear()
        assert bench.now(job).state == "queued"
        assert FolderDesk(job.folder).get(job.id).token == "", "it is told to leave"
        assert bench.now(job).state == "queued"
    assert bench.now(job).state == "running"


def test_an_old_attempt_leaves_when_its_job_was_handed_over_again(bench: Bench, attempted: Attempt) -> None:
    job = bench.running()

    def work(working: Job, stop: Callable[[], bool]) -> None:
        bench.ray.jobs.clear()
        bench.rounds.round()
        until = time.monotonic() + 10
        while not stop():
            assert time.monotonic() < until
        raise Stopped

    assert attempted(job, work) == 4
    assert bench.now(job).attempts == 2


def test_nothing_happens_while_the_head_is_away(bench: Bench, attempted: Attempt) -> None:
    working, waiting = bench.running(), bench.submit()
    finishing = bench.running()
    attempted(finishing)
    bench.ray.away = True
    assert bench.now(working).state == "running"
    assert bench.queue.get(waiting.id).state in ("queued", "running")
    assert bench.queue.get(finishing.id).state == "done", "verdicts need no head"
    late = bench.submit()
    assert bench.now(late).state == "queued"
    assert read_status(late.folder).text == f"No Ray head answers at {ADDRESS}."  # type: ignore[union-attr]
    bench.ray.away = False
    assert bench.now(late).state == "running"
    assert bench.queue.get(working.id).attempts == 1


@pytest.mark.parametrize("reached", [True, False])
def test_a_supervisor_that_dies_as_it_hands_over_does_no_harm(bench: Bench, reached: bool) -> None:
    job = bench.submit()
    bench.queue.claim(job.id, token="of the dead one", host="")
    if reached:
        bench.ray.becomes(submission(bench.queue.get(job.id)), "RUNNING")
    found = bench.now(job)
    assert (found.state, found.attempts, found.deaths) == ("running", 1, 0)
    assert found.external == submission(found)
    assert len(bench.ray.submitted) == (not reached)


def test_another_supervisor_goes_on(bench: Bench, attempted: Attempt) -> None:
    job = bench.running()
    bench.rounds = bench.another()
    assert bench.now(job).attempts == 1
    attempted(job)
    assert bench.now(job).state == "done"


def test_only_one_process_serves_the_cluster_at_a_time(bench: Bench) -> None:
    job = bench.submit()
    with held(bench.queue.folder / "ray.lock"):
        assert bench.now(job).state == "queued"
    assert bench.now(job).state == "running"


def test_what_ray_refuses_fails_with_its_words(bench: Bench) -> None:
    bench.ray.refuses = "400: entrypoint_num_gpus must be at most 8"
    found = bench.now(bench.submit(gpus=9))
    assert found.state == "failed"
    assert "does not take the job: Request failed with status code 400: entrypoint_num_gpus" in found.reason


def test_a_broken_head_is_no_refusal(bench: Bench) -> None:
    bench.ray.refuses = "500: Internal Server Error"
    job = bench.now(bench.submit())
    assert "does not answer as it should" in read_status(job.folder).text  # type: ignore[union-attr]
    bench.ray.refuses = ""
    found = bench.now(job)
    assert (found.state, found.attempts, len(bench.ray.submitted)) == ("running", 1, 1)


def test_a_head_that_hangs_holds_up_nobody(bench: Bench) -> None:
    hanging = threading.Event()

    def connect(settings: RaySettings) -> RayHead:
        hanging.wait(30)
        raise ClusterError("It hung.")

    bench.submit()
    rounds = RayRounds(bench.queue, connect, QUICK)
    began = time.monotonic()
    for _ in range(3):
        rounds.look()
    assert time.monotonic() - began < 10
    hanging.set()


def test_the_supervisor_of_this_machine_serves_the_cluster(bench: Bench, attempted: Attempt) -> None:
    job = bench.submit()
    supervisor = Supervisor(bench.queue, patience=Patience(idle=0.2), gpus=lambda: (), cluster=bench.rounds)
    until = time.monotonic() + 30
    thread = threading.Thread(target=supervisor.run, kwargs={"until": lambda: time.monotonic() > until})
    thread.start()
    while not bench.queue.get(job.id).external:
        assert time.monotonic() < until
        time.sleep(0.02)
    attempted(bench.queue.get(job.id))
    thread.join()
    assert time.monotonic() < until, "it ended by itself when nothing was left"
    assert bench.queue.get(job.id).state == "done"


@dataclass
class Process:
    """A made-up process of a job somewhere on the cluster: it works in the run folder as ``attempt`` does."""

    name: str
    job: Job
    room: ExitStack = field(default_factory=ExitStack)
    inside: bool = False

    def step(self) -> int | None:
        """Begin, do an epoch, or end; the exit code when it ended."""
        desk = FolderDesk(self.job.folder)
        order = desk.get(self.job.id)
        if order.token != self.job.token:
            return self.leave(4)
        if not self.inside:
            self.inside = self.room.enter_context(held(self.job.folder / LOCK_FILE))
            return None if self.inside else self.leave(4)
        if order.state == "stopping":
            desk.finish(self.job.id, "cancelled", token=self.job.token, exit_code=3)
            return self.leave(3)
        finish_epoch(self.job)
        if finished_epochs(self.job.folder) < 6:
            return None
        desk.finish(self.job.id, "done", token=self.job.token, exit_code=0)
        return self.leave(0)

    def leave(self, code: int) -> int:
        self.room.close()
        return code


@pytest.mark.parametrize("seed", range(6))
def test_every_job_ends_done_whatever_happens_to_the_cluster(bench: Bench, seed: int) -> None:
    rng, job = random.Random(seed), bench.submit()
    processes: list[Process] = []
    for moment in range(200):
        calm = moment > 40
        event = "" if calm else rng.choice(["", "", "", "kill", "new head", "away", "supervisor", "cancel"])
        bench.ray.away = event == "away"
        if event == "supervisor":
            bench.rounds = bench.another()
        elif event == "cancel":
            bench.queue.ask_stop(job.id)
        elif event == "new head":  # processes on other machines live on for a while
            bench.ray.jobs.clear()
        elif event == "kill" and processes:
            killed = processes.pop(rng.randrange(len(processes)))
            killed.leave(-9)
            if killed.name in bench.ray.jobs:
                bench.ray.becomes(killed.name, "FAILED", -9)
        for name, facts in list(bench.ray.jobs.items()):
            if facts.status == "PENDING" and rng.random() < 0.7:
                bench.ray.becomes(name, "RUNNING")
                processes.append(Process(name, replace(bench.queue.get(job.id), token=_token(bench, name))))
        for process in list(processes):
            code = process.step() if rng.random() < 0.7 else None
            if code is not None:
                processes.remove(process)
                if process.name in bench.ray.jobs:
                    bench.ray.becomes(process.name, "FAILED" if code else "SUCCEEDED", code)
        for name in bench.ray.stopped:
            if name in bench.ray.jobs and not any(process.name == name for process in processes):
                bench.ray.becomes(name, "STOPPED")
        assert sum(process.inside for process in processes) <= 1, "two in one folder"
        found = bench.now(job)
        if found.state in ("cancelled", "failed"):
            bench.queue.resume(job.id)
        if found.state == "done" and not processes:
            break
    assert (found.state, finished_epochs(job.folder)) == ("done", 6)


def _token(bench: Bench, name: str) -> str:
    (given,) = [each for each in bench.ray.submitted if each["submission_id"] == name]
    return str(given["runtime_env"]["env_vars"][TOKEN_VARIABLE])


# What a user is told.


def test_an_address_is_needed(bench: Bench, monkeypatch: pytest.MonkeyPatch, installed: None) -> None:
    monkeypatch.delenv("CXRLAB_RAY_ADDRESS", raising=False)
    with pytest.raises(JobError, match=r"set CXRLAB_RAY_ADDRESS to that of its dashboard, like http://HOST:8265\."):
        RayJobs("", JobQueue(bench.queue.folder / "empty"))


@pytest.mark.parametrize("address", ["ray://head:10001", "http://", "http://head:port", "ftp://head:1"])
def test_an_address_of_another_kind_is_refused(address: str, tmp_path: Path) -> None:
    with pytest.raises(JobError, match=r"must be that of its dashboard, like http://HOST:8265, got "):
        RaySettings.of(tmp_path, address)


def test_settings_are_found_by_a_later_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXRLAB_RAY_CPUS", "2.5")
    monkeypatch.setenv("CXRLAB_RAY_PYTHON", "/opt/python")
    RaySettings.of(tmp_path, "head:8265/").save(tmp_path)
    monkeypatch.undo()
    monkeypatch.delenv("CXRLAB_RAY_ADDRESS", raising=False)
    assert RaySettings.of(tmp_path) == RaySettings("http://head:8265", 2.5, "/opt/python")
    (tmp_path / "ray.json").write_text("no JSON")
    assert RaySettings.stored(tmp_path) == RaySettings()


@pytest.mark.parametrize("given", ["none", "0", "-1", "nan"])
def test_a_number_of_cores_is_positive(given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXRLAB_RAY_CPUS", given)
    with pytest.raises(JobError, match=f"CXRLAB_RAY_CPUS must be a positive number of CPU cores, got {given}"):
        RaySettings.of(tmp_path, ADDRESS)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the extra were installed, whether or not it is."""
    monkeypatch.setattr(ray_cluster, "find_spec", lambda name: object())


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, bench: Bench) -> None:
    monkeypatch.setattr(ray_cluster, "find_spec", lambda name: None)
    with pytest.raises(JobError, match=r"Ray is not installed; install it with `pip install 'cxrlab\[cluster\]'`"):
        RayJobs(ADDRESS, bench.queue)
    with pytest.raises(ClusterError, match="Ray is not installed"):
        RayHead.connect(RaySettings(ADDRESS))


def test_a_job_is_refused_where_no_head_answers(bench: Bench, installed: None) -> None:
    jobs = RayJobs("http://127.0.0.1:9", bench.queue)
    with pytest.raises(JobError, match=r"No Ray head answers at http://127\.0\.0\.1:9 \(.*\); start it with"):
        jobs.submit("train", {})
    assert bench.queue.list() == []


def test_an_address_in_rays_own_variable_is_refused(
    bench: Bench, installed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "http://elsewhere:8265")
    with pytest.raises(JobError, match=r"RAY_ADDRESS is set, which Ray prefers to http://127\.0\.0\.1:8265; unset it"):
        RayJobs(ADDRESS, bench.queue).submit("train", {})


def test_where_the_log_is_empty_rays_own_is_shown(
    bench: Bench, installed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RayHead, "connect", lambda settings: RayHead(bench.ray, settings))
    jobs, job = RayJobs(ADDRESS, bench.queue), bench.running()
    text, size = jobs.logs(job.id)
    assert (text, size) == ("sh: 1: cannot create log.txt: Directory nonexistent\n", 52)
    assert jobs.logs(job.id, 7) == (text[7:], size)
    assert jobs.logs(job.id, -12) == (text[-12:], size)
    (job.folder / "log.txt").write_text("Epoch 1\n")
    assert jobs.logs(job.id) == ("Epoch 1\n", 8)


def test_an_attempt_without_an_order_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(JobError, match=r"There is no order for job 3 in .*; is the folder on storage that all"):
        FolderDesk(tmp_path).get(3)


def test_a_deleted_run_folder_ends_its_attempt(bench: Bench) -> None:
    job = bench.running()
    desk = FolderDesk(job.folder)
    assert desk.get(job.id).token == job.token
    (job.folder / "order.json").unlink()
    assert desk.get(job.id).token == ""
    assert not desk.finish(job.id, "done", token=job.token)


def test_storage_that_does_not_answer_for_a_moment_is_waited_for(bench: Bench) -> None:
    job = bench.running()
    desk = FolderDesk(job.folder)
    known = desk.get(job.id)
    (job.folder / "order.json").write_text('{"half": ')
    assert desk.get(job.id) == known


def test_the_queue_is_asked_where_no_folder_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    assert desk_elsewhere() is None
