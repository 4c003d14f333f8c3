"""Jobs in words, and the devices they run on."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from cxrlab.app.train_devices import device_rows, elsewhere
from cxrlab.app.train_form import problem_of
from cxrlab.app.train_words import STATES, clock, facts_words, in_order, place, progress_words, summary
from cxrlab.workflows.jobs import STATES as ALL_STATES
from cxrlab.workflows.jobs import Gpu, Job, JobStatus, RunStatus
from cxrlab.workflows.machine import MachineLoad
from cxrlab.workflows.training_card import TrainRequest

DAY = 86_400.0


def job(id_: int = 1, **given: Any) -> Job:
    return Job(**{"id": id_, "kind": "train", "title": "One", "config": {}, "folder": Path("x"), **given})


def test_every_state_has_a_word_and_an_icon_of_its_own() -> None:
    assert set(STATES) == set(ALL_STATES)
    assert len({look.word for look in STATES.values()}) == len({look.icon for look in STATES.values()}) == len(STATES)


def test_times_of_today_are_short() -> None:
    assert clock(DAY + 3600, DAY + 7200, UTC) == "01:00"
    assert clock(3600, DAY + 7200, UTC) == "1 Jan 01:00"
    assert clock(0, DAY, UTC) == "–"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "wants a CPU slot"),
        ({"gpus": 2}, "wants 2 GPUs"),
        ({"state": "running"}, "CPU"),
        ({"state": "running", "devices": (0, 3)}, "GPU 0, 3"),
    ],
)
def test_places(given: dict[str, Any], words: str) -> None:
    assert place(job(**given)) == words


def test_progress_tells_epoch_time_left_and_speed() -> None:
    run = RunStatus(done=5, total=20, epoch=1, epochs=4, eta_s=130, images_per_s=12.5)
    assert progress_words(JobStatus(job(state="running"), run)) == "epoch 2 of 4 · 2 min left · 12.5 images/s"
    assert progress_words(JobStatus(job(state="running"), None)) == "Starting …"
    assert progress_words(JobStatus(job(state="stopping"), run)) == "Stopping after this step …"
    last = RunStatus(epoch=4, epochs=4)
    assert progress_words(JobStatus(job(state="running"), last)) == "epoch 4 of 4"


def test_facts_of_an_ended_job() -> None:
    ended = job(state="failed", submitted=10, claimed=60, ended=180, attempts=3, priority=2)
    assert facts_words(ended, DAY - 1, UTC) == (
        "training · CPU · started 00:01 · ended 00:03 · took 2 min · attempt 3 · priority 2"
    )


def test_a_waiting_job_says_what_it_waits_for() -> None:
    assert facts_words(job(2, submitted=60, after=(1,)), 90, UTC).endswith("submitted 00:01 · after #1")


def test_those_at_work_come_first_and_the_last_ended_next() -> None:
    jobs = [job(1, state="done", ended=5), job(2), job(3, state="failed", ended=9), job(4, state="running")]
    assert [each.id for each in in_order(jobs)] == [4, 2, 3, 1]
    assert summary(jobs) == "1 running, 1 waiting, 2 ended"


def test_devices_and_what_runs_on_them() -> None:
    gpus = tuple(Gpu(index, "stand-in", 80_000_000_000, 20_000_000_000, 50) for index in (0, 1))
    load = MachineLoad("here", 8, 0.25, 4_000_000_000, 16_000_000_000, 1, gpus)
    jobs = [
        job(1, state="running", host="here"),
        job(2, state="running", host="here", devices=(1,)),
        job(3, state="running", host="there", devices=(0,)),
        job(4, state="done", host="here", devices=(0,)),
    ]
    rows = device_rows(load, jobs)
    assert [row["name"] for row in rows] == ["CPU, 8 cores", "GPU 0, stand-in", "GPU 1, stand-in"]
    assert [row["jobs"] for row in rows] == ["#1 One", "", "#2 One"]
    assert [row["memory"] for row in rows] == [0.25, 0.25, 0.25]
    assert elsewhere(load, jobs) == "#3 One on there"


def test_what_can_not_be_trained_is_said() -> None:
    request = TrainRequest(Path("phantom"), "resnet18", "one", activation="binary_sigmoid")
    assert "one output, for 2 classes, but 4 are chosen" in problem_of(request, ["a", "b", "c", "d"])
    assert problem_of(request, ["a", "b"]) == ""
    few = TrainRequest(Path("phantom"), "resnet18", "one", labels=("a",))
    assert "at least 2 classes" in problem_of(few, ["a", "b"])
