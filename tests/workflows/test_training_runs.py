"""Runs as their folders tell them, whatever is missing or half-written."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cxrlab.catalogue import CARD_FILE, read_checkpoint
from cxrlab.jobs.queue import JobQueue
from cxrlab.workflows.jobs import Job, submit_training
from cxrlab.workflows.training_card import TrainRequest
from cxrlab.workflows.training_runs import checkpoint_of, training_run


@pytest.fixture
def job(monkeypatch: pytest.MonkeyPatch) -> Job:
    monkeypatch.setattr("cxrlab.jobs.local.ensure_supervisor", lambda queue: False)
    job = submit_training(TrainRequest(Path("phantom"), "shufflenet_v2_x0_5", "tiny_shufflenet"), device="cpu")
    job.folder.mkdir(parents=True)
    return job


def done(job: Job) -> Job:
    queue = JobQueue()
    queue.claim(job.id, token="t", host="")
    queue.finish(job.id, "done", token="t")
    return queue.get(job.id)


def test_an_empty_folder_is_a_run_that_has_said_nothing(job: Job) -> None:
    run = training_run(job)
    assert (run.epochs, run.labels, run.confusion, run.checkpoint) == ((), None, None, "")


def test_a_run_has_its_epochs_and_confusions(job: Job) -> None:
    (job.folder / "metrics.jsonl").write_text('{"epoch": 0, "train_loss": 1.5}\n{"epoch": 1, "tra')
    (job.folder / "run.json").write_text('{"labels": ["clear", "lobar"]}')
    (job.folder / "confusion.json").write_text('{"labels": 2, "counts": [[3, 1], [0, 4]], "epoch": 0}')
    run = training_run(job)
    assert len(run.epochs) == 1
    assert run.labels is not None
    assert run.labels.ids == ("clear", "lobar")
    assert run.confusion is not None
    np.testing.assert_array_equal(run.confusion.counts, [[3, 1], [0, 4]])
    assert run.confusion_epoch == 1


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"counts": [[1]], "epoch": 0}', '{"counts": "x", "epoch": 0}', '{"counts": [[1, 2], [3, 4]]}'],
)
def test_a_damaged_confusion_is_none(job: Job, text: str) -> None:
    (job.folder / "run.json").write_text('{"labels": ["clear", "lobar"]}')
    (job.folder / "confusion.json").write_text(text)
    assert training_run(job).confusion is None


def test_a_checkpoint_belongs_to_the_job_that_trained_it(
    job: Job, built_tiny_checkpoints: Path, own_home: Path
) -> None:
    folder = own_home / "checkpoints" / "tiny_shufflenet"
    shutil.copytree(built_tiny_checkpoints / "tiny_shufflenet", folder)
    assert checkpoint_of(job) == ""
    finished = done(job)
    assert checkpoint_of(finished) == "", "another training made it"
    card = read_checkpoint(folder).card
    (folder / CARD_FILE).write_text(
        replace(card, training={**card.training, "job": {"id": job.id, "submitted": job.submitted}}).to_text()
    )
    assert checkpoint_of(finished) == "tiny_shufflenet"
    assert json.loads((folder / CARD_FILE).read_text())["training"]["job"]["id"] == job.id
    shutil.rmtree(folder)
    assert checkpoint_of(finished) == ""
