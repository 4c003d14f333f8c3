"""Stored runs: what goes in comes out, what is broken is said in one sentence, what is half-written never stays."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cxrlab import runs
from cxrlab.labels import CXR4
from cxrlab.metrics.report import by_group, measure
from cxrlab.predictions import Predictions
from cxrlab.runs import Run, RunError, RunFacts, delete_run, list_runs, load_run, run_id, runs_folder, save_run


@pytest.fixture
def run() -> Run:
    rng = np.random.default_rng(0)
    count = 24
    predictions = Predictions(
        ids=tuple(f"{i}.png" for i in range(count)),
        labels=CXR4,
        scores=rng.dirichlet(np.ones(4), count),
        y_true=np.arange(count) % 4,
        patient_ids=tuple(f"p{i // 2}" for i in range(count)),
        checkpoint="a",
        checkpoint_sha256="a" * 64,
        groups={"source": ("x",) * 12 + ("y",) * 12},
    )
    facts = RunFacts(
        checkpoint="a",
        checkpoint_title="Network A",
        checkpoint_sha256="a" * 64,
        scoring_sha256="c" * 64,
        dataset="set",
        dataset_digest="d" * 64,
        part="all",
        labels=CXR4.ids,
        images=count,
        dropped={"missing file": 2},
        device="cpu",
        seconds=1.5,
        created="2026-01-01T00:00:00Z",
        version="0.1",
    )
    return Run(facts, predictions, measure(predictions, draws=20), by_group(predictions, "source", draws=20))


def test_a_run_comes_back_as_it_was(run: Run) -> None:
    save_run(run)
    back = load_run(run.facts.id)
    assert back.facts == run.facts
    np.testing.assert_array_equal(back.predictions.scores, run.predictions.scores)
    assert back.predictions.ids == run.predictions.ids
    assert back.report.to_json() == run.report.to_json()
    assert [group.to_json() for group in back.sources] == [group.to_json() for group in run.sources]


def test_runs_lie_in_the_home_and_listing_makes_no_folder(own_home: Path, run: Run) -> None:
    assert runs_folder() == own_home / "runs"
    assert list_runs() == []
    assert not runs_folder().exists()
    assert save_run(run) == own_home / "runs" / run.facts.id


def test_list_is_newest_first(run: Run) -> None:
    newer = replace(run, facts=replace(run.facts, dataset_digest="e" * 64, created="2026-02-01T00:00:00Z"))
    for each in (newer, run):
        save_run(each)
    assert list_runs() == [newer.facts, run.facts]


@pytest.mark.parametrize("field", ["checkpoint_sha256", "scoring_sha256", "dataset_digest"])
def test_what_decides_the_numbers_decides_the_id(run: Run, field: str) -> None:
    assert replace(run.facts, **{field: "f" * 64}).id != run.facts.id
    assert replace(run.facts, checkpoint="renamed", dataset="moved", created="later").id == run.facts.id
    assert len(run_id("a", "b", "c")) == 24


def test_an_earlier_run_of_the_same_id_is_replaced(run: Run) -> None:
    save_run(run)
    save_run(replace(run, facts=replace(run.facts, seconds=9.0)))
    assert [facts.seconds for facts in list_runs()] == [9.0]


def test_a_run_written_by_another_process_meanwhile_stays(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    save_run(run)
    monkeypatch.setattr(runs.shutil, "rmtree", lambda *_args, **_kwargs: None)  # as if it came after the removal
    save_run(run)
    assert load_run(run.facts.id).facts == run.facts


def test_delete_removes_one_run_and_nothing_outside(run: Run, own_home: Path) -> None:
    save_run(run)
    (own_home / "precious").mkdir()
    delete_run("../precious")
    assert (own_home / "precious").is_dir()
    delete_run(run.facts.id)
    delete_run(run.facts.id)
    assert list_runs() == []


@pytest.mark.parametrize("bad", ["../runs", "a/b", "..", ""])
def test_an_id_that_is_a_path_is_refused(bad: str) -> None:
    with pytest.raises(RunError, match="letters and digits"):
        load_run(bad)


def test_an_unknown_run_is_refused() -> None:
    with pytest.raises(RunError, match=r"no readable stored result abc; evaluate again"):
        load_run("abc")


@pytest.mark.parametrize("name", ["report.json", "predictions.npz"])
@pytest.mark.parametrize("damage", ["missing", "cut", "empty", "garbage"])
def test_a_damaged_file_is_said(run: Run, name: str, damage: str) -> None:
    path = save_run(run) / name
    data = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes(
            {"cut": data[: len(data) // 2], "empty": b"", "garbage": b"PK\x03\x04\xff\xfe garbage"}[damage]
        )
    with pytest.raises(RunError, match="is damaged; evaluate again to replace it"):
        load_run(run.facts.id)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "{}", '{"format": 99}', '{"format": 1, "checkpoint": "a"}', '"run"']
)
def test_unreadable_facts_are_passed_over_in_the_list(run: Run, text: str) -> None:
    folder = save_run(run)
    (folder / "run.json").write_text(text)
    assert list_runs() == []
    with pytest.raises(RunError, match="no readable stored result"):
        load_run(run.facts.id)


def test_facts_with_an_extra_field_are_of_another_format(run: Run) -> None:
    path = save_run(run) / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"more": 1}))
    assert list_runs() == []


def test_stray_files_in_the_folder_do_no_harm(run: Run) -> None:
    save_run(run)
    (runs_folder() / "notes.txt").write_text("mine")
    (runs_folder() / ".half-written").mkdir()
    assert list_runs() == [run.facts]


def test_a_full_disk_is_one_sentence_and_leaves_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: object, **_kwargs: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Predictions, "save", full)
    with pytest.raises(RunError, match=r"can not be stored in .*No space left on device.*set CXRLAB_HOME"):
        save_run(run)
    assert list(runs_folder().iterdir()) == []


def test_a_failed_replacement_is_one_sentence(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_args: object) -> None:
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(runs.os, "replace", denied)
    with pytest.raises(RunError, match="Permission denied"):
        save_run(run)
    assert list(runs_folder().iterdir()) == []


def test_a_home_that_is_a_file_is_one_sentence(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CXRLAB_HOME", str(tmp_path / "file"))
    with pytest.raises(RunError, match="can not be stored"):
        save_run(run)
