"""What jobs do inside their process."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from cxrlab.jobs.attempt import Stopped
from cxrlab.jobs.job import Job
from cxrlab.jobs.run_files import read_status, write_status
from cxrlab.progress import Cancelled
from cxrlab.workflows import job_kinds
from cxrlab.workflows.job_kinds import told


def test_progress_is_written_but_not_over_what_the_trainer_itself_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell = told(tmp_path)
    tell(1, 8, "reading images")
    status = read_status(tmp_path)
    assert status is not None
    assert (status.done, status.total, status.text, status.epochs) == (1, 8, "reading images", 0)
    write_status(tmp_path, done=3, total=9, epoch=1, epochs=3, eta_s=7.0, text="epoch 2/3")
    own = read_status(tmp_path)
    tell(9, 9, "epoch 3/3")
    assert read_status(tmp_path) == own
    monkeypatch.setattr(job_kinds, "OWN_S", -1.0)  # the trainer has been silent for longer than that
    tell(1, 1, "measuring")
    status = read_status(tmp_path)
    assert status is not None
    assert (status.text, status.epochs) == ("measuring", 0)


def test_the_log_gets_a_line_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tell = told(tmp_path)
    tell(1, 4, "reading images")
    assert capsys.readouterr().out == ""
    monkeypatch.setattr(job_kinds, "LOG_S", 0.0)
    tell(2, 4, "reading images")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  50% reading images\n", capsys.readouterr().out)


def test_a_job_says_when_it_begins_and_how_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def cancelled(*_: object) -> None:
        raise Cancelled("The evaluation")

    job = Job(3, "evaluate", "Tiny", {}, tmp_path, gpus=1, devices=(2,), attempts=1, host="here")
    monkeypatch.setattr(job_kinds, "_evaluate", lambda *_: None)
    job_kinds.do(job, lambda: False)
    first, last = (line.split(" ", 2)[2] for line in capsys.readouterr().out.splitlines())
    assert (first, last) == ("Job 3, attempt 1, on GPU 2 of here: Tiny", "Done.")
    monkeypatch.setattr(job_kinds, "_evaluate", cancelled)
    with pytest.raises(Stopped):
        job_kinds.do(job, lambda: False)
    assert capsys.readouterr().out.endswith("Stopped, as it was asked to.\n")
    with pytest.raises(ValueError, match="This version can not run jobs of the kind segment; update it"):
        job_kinds.do(replace(job, kind="segment"), lambda: False)
