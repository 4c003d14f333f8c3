"""What jobs do inside their process."""

from __future__ import annotations

from pathlib import Path

import pytest

from cxrlab.jobs.run_files import read_status, write_status
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
