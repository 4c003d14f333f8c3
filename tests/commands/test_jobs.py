"""`cxrlab jobs`: every verb on rows of a queue, and trainings that a real supervisor runs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from cxrlab.data.phantom import write_phantom_set
from cxrlab.jobs.job import Job, State
from cxrlab.jobs.queue import JobQueue
from cxrlab.jobs.run_files import finished_epochs, write_status
from tests.commands.conftest import Run

TINY = ("--model", "shufflenet_v2_x0_5", "--size", "64", "--batch-size", "8", "--validation", "0.25", "--threads", "1")
DEADLINE_S = 240.0


@pytest.fixture
def queue(own_home: Path) -> JobQueue:
    return JobQueue()


@pytest.fixture
def looked_after(monkeypatch: pytest.MonkeyPatch) -> list[JobQueue]:
    """No supervisor is started; who would have asked for one."""
    asked: list[JobQueue] = []
    monkeypatch.setattr("cxrlab.jobs.local.ensure_supervisor", asked.append)
    return asked


toy = pytest.mark.usefixtures("looked_after")


@pytest.fixture
def supervised(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Supervisors and trainers of this home are real, have one thread each, and are ended with the test."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    yield own_home
    while left := processes_of(own_home):
        for process in left:
            with suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(left, timeout=10)


def processes_of(home: Path) -> list[psutil.Process]:
    """Live processes, other than this one, whose CXRLAB_HOME is this folder."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            ours = process.environ().get("CXRLAB_HOME") == str(home)
            if ours and process.pid != psutil.Process().pid and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def a_job(queue: JobQueue, state: State = "queued", *, reason: str = "", **options: Any) -> Job:
    """A row in this state."""
    given = {"title": "Tiny", **options}
    job = queue.submit(given.pop("kind", "evaluate"), given.pop("config", {"source": "x"}), **given)
    if state == "queued":
        return job
    assert queue.claim(job.id, token=f"t{job.id}", host="here")
    if state == "stopping":
        queue.ask_stop(job.id)
    elif state != "running":
        assert queue.finish(job.id, state, token=f"t{job.id}", exit_code=1, reason=reason)
    return queue.get(job.id)


def a_training(queue: JobQueue, state: State = "queued", name: str = "tiny", **options: Any) -> Job:
    request = {"source": "phantom", "model": "resnet18", "name": name}
    return a_job(queue, state, kind="train", config={"request": request, **options})


# list, show


@toy
def test_without_jobs_the_list_says_so(run: Run) -> None:
    ran = run("jobs", "list")
    assert ran.exit_code == 0
    assert ran.stdout.endswith("No jobs yet; `cxrlab jobs submit` hands one in.\n")
    assert json.loads(run("jobs", "list", "--json").stdout) == []


def test_the_list_has_a_row_for_each_job(run: Run, queue: JobQueue, looked_after: list[JobQueue]) -> None:
    job = a_job(queue, "running", title="Tiny one")
    write_status(job.folder, done=45, total=100, epoch=1, epochs=3, eta_s=200.0)
    a_job(queue, "failed", reason="The disk is full.")
    a_job(queue, gpus=2, title="Two cards", priority=1)
    ran = run("jobs", "list")
    lines = ran.stdout.splitlines()
    words = ["id", "kind", "title", "state", "progress", "ETA", "device", "started", "attempts", "reason"]
    assert lines[0].split() == words
    assert lines[1].split() == ["3", "evaluate", "Two", "cards", "queued", "–", "–", "2", "GPUs", "–", "0", "–"]
    assert "running  45 %, epoch 1 of 3  3 min  CPU  " in lines[2]
    assert lines[3].endswith("1  The disk is full.")
    assert looked_after, "somebody must be there who serves the queue"


@toy
def test_the_list_as_json_and_by_state(run: Run, queue: JobQueue) -> None:
    job = a_job(queue, "running")
    write_status(job.folder, done=1, total=4, eta_s=2.0)
    a_training(queue, "done")
    running, done = json.loads(run("jobs", "list", "--json").stdout)
    assert (running["id"], running["state"], running["run"]["share"], running["checkpoint"]) == (
        1,
        "running",
        0.25,
        None,
    )
    assert done["checkpoint"].endswith("/checkpoints/tiny")
    found = json.loads(run("jobs", "list", "--state", "done", "--state", "failed", "--json").stdout)
    assert [each["id"] for each in found] == [2]
    assert run("jobs", "list", "--state", "lost").stdout.endswith("No such jobs.\n")


@toy
def test_show_tells_all_facts_with_the_last_epoch(run: Run, queue: JobQueue) -> None:
    job = a_training(queue, "running")
    lines = [{"epoch": 0, "train_loss": 1.5, "metrics": {"accuracy": 0.25}}, {"epoch": 1, "train_loss": 1.25}]
    job.folder.mkdir(parents=True)
    (job.folder / "metrics.jsonl").write_text("".join(json.dumps(each) + "\n" for each in lines) + '{"epoch": 2, "tr')
    write_status(job.folder, done=2, total=3, text="epoch 3", images_per_s=12.34, gpu_memory=2_500_000_000)
    told = dict(line.split(":", 1) for line in run("jobs", "show", 1).stdout.splitlines())
    told = {name: text.strip() for name, text in told.items()}
    assert (told["job"], told["state"], told["doing"], told["speed"]) == ("1", "running", "epoch 3", "12.3 images/s")
    assert told["GPU memory"] == "2.50 GB"
    assert told["last epoch"] == "number 2, training loss 1.250"
    assert told["checkpoint"].endswith("/checkpoints/tiny when it is done")
    document = json.loads(run("jobs", "show", 1, "--json").stdout)
    assert document["epochs"] == lines


@toy
def test_show_of_a_study_names_its_folder(run: Run, queue: JobQueue) -> None:
    a_job(queue, "queued", kind="study", config={"out": "/studies/flannel"}, after=[])
    assert "study:      /studies/flannel\n" in run("jobs", "show", 1).stdout


# logs


@toy
def test_logs_whole_and_their_end(run: Run, queue: JobQueue) -> None:
    job = a_job(queue, "done")
    assert run("jobs", "logs", job.id).stdout == ""
    job.folder.mkdir(parents=True)
    (job.folder / "log.txt").write_text("one\ntwo\nthree")
    assert run("jobs", "logs", job.id).stdout == "one\ntwo\nthree"
    assert run("jobs", "logs", job.id, "--tail", 2).stdout == "two\nthree"


@toy
def test_logs_are_followed_until_the_job_has_ended(run: Run, queue: JobQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    job = a_job(queue, "running")
    job.folder.mkdir(parents=True)
    log = job.folder / "log.txt"
    log.write_text("one\n")
    steps = iter([lambda: append(log, "two\n"), lambda: (append(log, "three\n"), end(queue, job))])
    monkeypatch.setattr("cxrlab.commands.jobs.time.sleep", lambda _: next(steps)())
    ran = run("jobs", "logs", job.id, "--follow")
    assert (ran.exit_code, ran.stdout) == (0, "one\ntwo\nthree\n")


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def end(queue: JobQueue, job: Job, state: State = "done") -> None:
    assert queue.finish(job.id, state, token=job.token, reason="" if state == "done" else "It failed.")


# cancel, resume, retry, delete


@toy
def test_cancel_ends_what_waits_and_asks_what_works(run: Run, queue: JobQueue) -> None:
    a_job(queue), a_job(queue, "running"), a_job(queue, "stopping")
    ran = run("jobs", "cancel", 1, 2, 3)
    assert ran.exit_code == 0
    assert ran.stdout == "Job 1 is cancelled.\nJob 2 is stopping.\nJob 3 is stopping.\n"
    a_job(queue)
    assert [each["state"] for each in json.loads(run("jobs", "cancel", 4, "--json").stdout)] == ["cancelled"]


@toy
def test_resume_lets_it_wait_again(run: Run, queue: JobQueue) -> None:
    a_job(queue, "failed"), a_job(queue, "cancelled")
    assert run("jobs", "resume", 1, 2).stdout == "Job 1 is queued.\nJob 2 is queued.\n"
    a_job(queue, "lost")
    assert json.loads(run("jobs", "resume", 3, "--json").stdout)[0]["state"] == "queued"


@toy
def test_retry_is_a_new_job_with_the_same_work(run: Run, queue: JobQueue) -> None:
    earlier = a_job(queue, "done")
    old = a_job(queue, "failed", kind="study", config={"out": "x", "run": "a"}, gpus=1, priority=2, after=[earlier.id])
    new = json.loads(run("jobs", "retry", old.id, "--json").stdout)
    assert (new["id"], new["state"], new["attempts"]) == (3, "queued", 0)
    assert (new["config"], new["title"], new["gpus"], new["priority"]) == ({"out": "x", "run": "a"}, "Tiny", 1, 2)
    assert (new["after"], new["folder"]) == ([earlier.id], str(queue.folder / "runs" / "3"))
    again = run("jobs", "retry", old.id)
    assert (again.exit_code, again.stderr) == (2, "Job 3 does the same already; wait for it or cancel it first.\n")


@toy
def test_retry_of_a_training_keeps_its_request(run: Run, queue: JobQueue, own_home: Path) -> None:
    job = a_training(queue, "done", overwrite=False, device="cpu", checkpoints=str(own_home / "mine"))
    (own_home / "mine" / "tiny").mkdir(parents=True)
    refused = run("jobs", "retry", job.id)
    assert refused.exit_code == 2
    assert refused.stderr == "A checkpoint named tiny exists already; choose another name or overwrite it.\n"
    assert "Job 2 waits its turn: train, tiny." in run("jobs", "retry", job.id, "--overwrite").stdout
    config = queue.get(2).config
    assert config["request"]["model"] == "resnet18"
    assert (config["overwrite"], config["device"], config["checkpoints"]) == (True, "cpu", str(own_home / "mine"))


@toy
def test_delete_removes_the_row_and_the_folder(run: Run, queue: JobQueue, own_home: Path) -> None:
    job = a_training(queue, "failed")
    job.folder.mkdir(parents=True)
    (own_home / "checkpoints" / "tiny").mkdir(parents=True)
    assert run("jobs", "delete", job.id).stdout == "Job 1 is deleted.\n"
    assert queue.list() == []
    assert not job.folder.exists()
    assert (own_home / "checkpoints" / "tiny").is_dir()
    a_job(queue, "done")
    assert [each["id"] for each in json.loads(run("jobs", "delete", 2, "--json").stdout)] == [2]


@toy
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("show", "9"), "There is no job 9; `cxrlab jobs list` shows those there are."),
        (("logs", "9"), "There is no job 9; `cxrlab jobs list` shows those there are."),
        (("logs", "1", "--tail", "-1"), "--tail must be 0 or more lines, got -1."),
        (("cancel", "1", "9"), "There is no job 9; `cxrlab jobs list` shows those there are."),
        (("cancel", "1", "2"), "Job 2 is done; only a job that waits or works can be cancelled."),
        (("resume", "3", "1"), "Only a job that failed or was stopped can be resumed, job 1 is running."),
        (("resume", "3", "2"), "Only a job that failed or was stopped can be resumed, job 2 is done."),
        (("retry", "1"), "Job 1 is running; it can be retried when it has ended."),
        (("delete", "2", "1"), "Job 1 is running; cancel it before deleting it."),
        (("watch", "9"), "There is no job 9; `cxrlab jobs list` shows those there are."),
        (("list", "--state", "tired"), "--state must be one of queued, running, stopping, done, failed, cancelled, lo"),
    ],
)
def test_what_can_not_be_is_one_sentence_and_changes_nothing(
    run: Run, queue: JobQueue, words: tuple[str, ...], message: str
) -> None:
    a_job(queue, "running"), a_job(queue, "done"), a_job(queue, "failed")
    before = queue.list()
    ran = run("jobs", *words)
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert ran.stderr.startswith(message)
    assert ran.stderr.count("\n") == 1
    assert queue.list() == before


@toy
def test_a_broken_queue_is_one_sentence(run: Run, queue: JobQueue) -> None:
    queue.folder.mkdir(parents=True)
    queue.path.write_bytes(b"no database, but long enough to be taken for one " * 20)
    ran = run("jobs", "list")
    assert ran.exit_code == 2
    assert ran.stderr.startswith(f"The queue {queue.path} can not be ")
    assert ran.stderr.count("\n") == 1


@toy
def test_a_word_that_is_no_number_or_verb_is_refused(run: Run) -> None:
    assert run("jobs", "show", "first").exit_code == 2
    assert run("jobs", "submit", "cook").exit_code == 2


# watch


@toy
@pytest.mark.parametrize(("state", "code"), [("done", 0), ("failed", 1), ("cancelled", 1)])
def test_watch_ends_with_the_jobs(
    run: Run, queue: JobQueue, monkeypatch: pytest.MonkeyPatch, state: State, code: int
) -> None:
    job, other = a_job(queue, "running"), a_job(queue, "running")
    end(queue, other)
    steps: list[Callable[[], object]] = [
        lambda: write_status(job.folder, done=1, total=2, epoch=1, epochs=2, eta_s=9.0),
        lambda: None,
        lambda: end(queue, job, state),
    ]
    monkeypatch.setattr("cxrlab.commands.jobs.time.sleep", lambda _: steps.pop(0)())
    ran = run("jobs", "watch", job.id, other.id)
    assert ran.exit_code == code
    lines = ran.stdout.splitlines()
    assert lines[:3] == [
        "job 1  running    –  Tiny",
        "job 2  done       100 %  Tiny",
        "job 1  running    50 %, epoch 1 of 2, 9 s left  Tiny",
    ]
    assert lines[3].startswith(f"job 1  {state}")
    assert len(lines) == 4, "nothing is told twice"


@toy
def test_watch_looks_at_all_that_live_and_gives_one_document(
    run: Run, queue: JobQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_job(queue, "failed")
    job = a_job(queue, "running")
    monkeypatch.setattr("cxrlab.commands.jobs.time.sleep", lambda _: end(queue, job))
    ran = run("jobs", "watch", "--json")
    assert [(each["id"], each["state"]) for each in json.loads(ran.stdout)] == [(2, "done")]
    assert "job 2  running" in ran.stderr
    assert ran.exit_code == 0
    idle = run("jobs", "watch")
    assert (idle.exit_code, idle.stdout) == (0, "No job waits or works.\n")


@toy
def test_ctrl_c_ends_the_watching_and_not_the_job(run: Run, queue: JobQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    a_job(queue, "running")

    def press(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cxrlab.commands.jobs.time.sleep", press)
    ran = run("jobs", "watch")
    assert (ran.exit_code, ran.stderr) == (130, "The jobs go on.\n")
    ran = run("jobs", "logs", 1, "--follow")
    assert (ran.exit_code, ran.stderr) == (130, "Job 1 goes on.\n")
    assert queue.get(1).state == "running"


# submit and --background


@toy
@pytest.mark.parametrize("words", [("train",), ("jobs", "submit", "train")])
def test_a_training_is_handed_in_with_all_its_options(
    run: Run, queue: JobQueue, labelled: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.chdir(labelled.parent)
    (labelled.parent / "start.pth").touch()
    options = ("-m", "manifest.csv", *TINY, "--loss", "focal", "--gpus", "2", "--priority", "5", "--device", "cuda")
    background = () if "submit" in words else ("--background",)
    ran = run(*words, *options, "--weights-file", "start.pth", *background)
    assert ran.exit_code == 0, ran.stderr
    assert ran.stdout == (
        "Job 1 waits its turn: train, shufflenet_v2_x0_5.\nLook: cxrlab jobs watch 1\nStop: cxrlab jobs cancel 1\n"
    )
    job = queue.get(1)
    assert (job.kind, job.gpus, job.priority, job.config["device"]) == ("train", 2, 5, "cuda")
    request = job.config["request"]
    assert (request["config"]["loss"], request["preprocessing"]["size"]) == ("focal", 64)
    assert (request["source"], request["weights_file"]) == (str(labelled), str(labelled.parent / "start.pth"))


@toy
def test_json_is_the_job(run: Run, labelled: Path) -> None:
    job = json.loads(run("train", "-m", labelled, *TINY, "--background", "--json").stdout)
    assert (job["id"], job["kind"], job["state"], job["run"]) == (1, "train", "queued", None)


@toy
def test_names_are_numbered_where_none_is_given(run: Run, queue: JobQueue, labelled: Path, own_home: Path) -> None:
    for _ in range(2):
        assert run("jobs", "submit", "train", "-m", labelled, *TINY).exit_code == 0
    assert run("jobs", "submit", "train", "-m", "phantom", "--model", "mobilenet_v2").exit_code == 0
    names = [job.config["request"]["name"] for job in queue.list()]
    assert names == ["shufflenet_v2_x0_5", "shufflenet_v2_x0_5-2", "mobilenet_v2-2"], "mobilenet_v2 is shipped"
    assert queue.get(3).config["request"]["source"] == "phantom"
    assert not (own_home / "phantom").exists(), "the job makes the bundled set, not the one who hands it in"


@toy
def test_a_checkpoint_can_go_elsewhere(run: Run, queue: JobQueue, labelled: Path, tmp_path: Path) -> None:
    assert run("train", "-m", labelled, *TINY, "--out", tmp_path / "mine", "--background").exit_code == 0
    assert queue.get(1).config["checkpoints"] == str(tmp_path)
    assert f"checkpoint: {tmp_path}/mine when it is done\n" in run("jobs", "show", 1).stdout


@toy
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--out", "HOME/tiny"), "Job 1 trains a checkpoint named tiny already; choose another name or cancel it."),
        (("--out", "HOME/there"), "A checkpoint named there exists already; choose another name or overwrite it."),
        (
            ("--out", "HOME/resnet18"),
            "A checkpoint named resnet18 came with cxrlab and would hide the new one; choose another name.",
        ),
        (("--out", "HOME/Bad Name"), "A checkpoint's name must be lower-case letters"),
        (("-m", "nowhere.csv"), "nowhere.csv"),
        (("--gpus", "-1"), "A job needs 0 or more GPUs, got -1."),
        (("--weights-file", "none.pth"), "/none.pth does not exist; check its path."),
        (("--initial", "nothing"), "There is no checkpoint named 'nothing'"),
        (("--size", "32", "--model", "inception_v3"), "The input of inception_v3 must be at least 75 px, got 32."),
        (("--model", "resnet"), "Unknown model 'resnet'; nearest: resnet"),
        (("--recipe", "covid-net"), "Training needs either --model or --recipe; give one of them."),
    ],
)
def test_a_training_that_can_not_be_is_refused_at_the_door(
    run: Run, queue: JobQueue, labelled: Path, own_home: Path, words: tuple[str, ...], message: str
) -> None:
    a_training(queue, "running")
    (own_home / "checkpoints" / "there").mkdir(parents=True)
    given = [word.replace("HOME", str(own_home / "checkpoints")) for word in words]
    ran = run("train", "-m", labelled, *TINY, "--background", *given)
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert message in ran.stderr
    assert ran.stderr.count("\n") == 1
    assert len(queue.list()) == 1


@toy
@pytest.mark.parametrize(
    "words",
    [
        ("train", "--model", "resnet18", "--gpus", "1"),
        ("evaluate", "-c", "tiny", "--priority", "1"),
        ("study", "pepx", "--out", "x", "--gpus", "0"),
    ],
)
def test_options_of_jobs_need_a_job(run: Run, labelled: Path, words: tuple[str, ...]) -> None:
    ran = run(*words, "-m", labelled)
    assert ran.exit_code == 2
    assert ran.stderr == ("--gpus and --priority are for jobs in the background; add --background or leave them out.\n")


@toy
def test_an_evaluation_is_handed_in(run: Run, queue: JobQueue, labelled: Path, tiny_checkpoints: Path) -> None:
    words = ("evaluate", "-m", labelled, "-c", "tiny_shufflenet", "-c", tiny_checkpoints / "tiny_mobilenet")
    ran = run(*words, "--split", "test", "--task", "covid_vs_rest", "--background")
    assert ran.exit_code == 0, ran.stderr
    job = queue.get(1)
    assert (job.kind, job.config["part"], job.config["task"]) == ("evaluate", "test", "covid_vs_rest")
    assert job.config["checkpoints"] == ["tiny_shufflenet", str(tiny_checkpoints / "tiny_mobilenet")]
    assert job.title == f"tiny_shufflenet, tiny_mobilenet on {labelled.parent.name}/manifest.csv"
    unknown = run("jobs", "submit", "evaluate", "-m", labelled, "-c", "nothing")
    assert unknown.stderr.startswith("There is no checkpoint named 'nothing'; there are: tiny_")
    for option in (("--out", "results"), ("--fresh",)):
        refused = run(*words, "--background", *option)
        assert refused.exit_code == 2
        assert refused.stderr.startswith("In the background results are only stored; leave out --out and --fresh")


@toy
def test_a_study_is_handed_in_run_by_run(run: Run, labelled: Path, tmp_path: Path) -> None:
    words = ("jobs", "submit", "study", "flannel", "-m", labelled, "--out", tmp_path / "out", "--scale", "smoke")
    ran = run(*words, "--priority", "3", "--json")
    assert ran.exit_code == 0, ran.stderr
    jobs = json.loads(ran.stdout)
    assert len(jobs) > 2
    assert {(job["kind"], job["priority"], job["config"]["out"]) for job in jobs} == {
        ("study", 3, str(tmp_path / "out"))
    }
    assert jobs[-1]["after"] == [job["id"] for job in jobs[:-1]]
    assert jobs[-1]["title"] == "flannel: ensembles and tables"
    twice = run(*words, "--resume")
    assert twice.stderr == "Job 1 works on the study in out already; wait for it or cancel it first.\n"
    refused = run(*words, "--workers", "2")
    assert refused.stderr.startswith("In the background the GPUs, or CXRLAB_CPU_JOBS, say how many networks train")


# a real supervisor


def until(condition: Callable[[], bool], told: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, told()
        time.sleep(0.1)


def test_a_training_from_submit_to_delete(run: Run, supervised: Path, queue: JobQueue, tmp_path: Path) -> None:
    manifest = write_phantom_set(tmp_path / "set", count=16, size=128)
    target = supervised / "checkpoints" / "tiny"
    submitted = run("jobs", "submit", "train", "-m", manifest, *TINY, "--epochs", "1", "--out", target)
    assert submitted.exit_code == 0, submitted.stderr
    watched = run("jobs", "watch", 1)
    assert watched.exit_code == 0, (watched.stdout, run("jobs", "logs", 1).stdout)
    assert watched.stdout.splitlines()[-1].startswith("job 1  done       100 %")
    job = json.loads(run("jobs", "show", 1, "--json").stdout)
    assert (job["state"], job["attempts"], job["exit_code"], job["checkpoint"]) == ("done", 1, 0, str(target))
    assert len(job["epochs"]) == 1
    found = {each["name"]: each for each in json.loads(run("checkpoints", "list", "--json").stdout)}
    assert found["tiny"]["domain"] == "phantom"
    assert run("jobs", "delete", 1).exit_code == 0
    assert not Path(job["folder"]).exists()
    assert target.is_dir()

    many = run("jobs", "submit", "train", "-m", manifest, *TINY, "--epochs", "5000", "--out", f"{target}-2", "--json")
    job = json.loads(many.stdout)
    second, folder = job["id"], Path(job["folder"])

    def epochs() -> int:
        return finished_epochs(folder)

    def said() -> object:
        return queue.get(second), run("jobs", "logs", second).stdout

    until(lambda: epochs() >= 2, said)
    assert run("jobs", "cancel", second).stdout == f"Job {second} is stopping.\n"
    stopped = run("jobs", "watch", second)
    assert stopped.exit_code == 1
    assert "Stopped; it can be resumed." in stopped.stdout
    before = epochs()
    assert run("jobs", "resume", second).stdout == f"Job {second} is queued.\n"
    until(lambda: epochs() >= before + 2, said)
    assert run("jobs", "cancel", second).exit_code == 0
    assert run("jobs", "watch", second).exit_code == 1
    numbers = [json.loads(line)["epoch"] for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert numbers == list(range(len(numbers))), "it went on where it had stopped"
    assert queue.get(second).attempts == 2
    assert run("jobs", "delete", second).exit_code == 0
    assert not (supervised / "checkpoints" / "tiny-2").exists()
