"""A whole tiny study: what it writes, that it skips what is done, and that one killed in the middle ends the same."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cxrlab.config import repository
from cxrlab.labels import CXR4
from cxrlab.metrics.confusion import confusion_of
from cxrlab.reports.study import write_study_report
from cxrlab.studies import catalogue
from cxrlab.studies.images import StudyError
from cxrlab.studies.plan import MemberRun, StudyPlan
from cxrlab.studies.results import two_sided
from cxrlab.studies.store import StudyFolder
from cxrlab.workflows.study import Study, StudyStopped, prepare
from cxrlab.workflows.study_maps import kept_maps
from tests.studies.conftest import make_plan


@pytest.fixture
def studied(tiny_plan: StudyPlan, monkeypatch: pytest.MonkeyPatch) -> StudyPlan:
    monkeypatch.setitem(catalogue.STUDIES, "tiny", lambda scale, **_: tiny_plan)
    return tiny_plan


def ready(manifest_file: Path, out: Path, *, resume: bool = False, seed: int = 0) -> Study:
    return prepare("tiny", manifest_file, out, scale="smoke", resume=resume, seed=seed, command="cxrlab study tiny")


@pytest.fixture(scope="session")
def built_study(built_images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("built") / "study"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CXRLAB_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setitem(catalogue.STUDIES, "tiny", lambda scale, **_: make_plan())
        ready(built_images, out).run()
    return out


@pytest.fixture
def finished(studied: StudyPlan, built_study: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built_study, tmp_path / "study"))


def results(out: Path) -> dict[str, object]:
    """The results without what differs from run to run: times."""
    document = json.loads((out / "results.json").read_text())
    return {name: value for name, value in document.items() if name not in ("created", "seconds", "command")}


def test_a_study_writes_a_row_for_every_system_class_and_metric(finished: Path) -> None:
    document = json.loads((finished / "results.json").read_text())
    rows = {(row["system"], row["variant"], row["class"], row["metric"]): row for row in document["rows"]}
    row = rows["a", "base", "all", "macro_f1"]
    assert row["folds"] == len(row["values"]) == 2
    assert row["low"] <= row["mean"] <= row["high"]
    assert row["std"] == pytest.approx(np.std(row["values"], ddof=1))
    assert rows["FLANNEL", "out-of-fold", "all", "macro_f1"]["run"] == "flannel-oof"
    assert {comparison["metric"] for comparison in document["comparisons"]} == {"f1", "macro_f1"}
    with (finished / "table.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == len(document["rows"])


def test_a_row_is_what_its_kept_predictions_say(finished: Path) -> None:
    document = json.loads((finished / "results.json").read_text())
    row = next(
        row for row in document["rows"]
        if (row["system"], row["metric"]) == ("b", "macro_f1") and "AP" not in row["dataset"]
    )  # fmt: skip
    kept = [StudyFolder(finished).predictions(f"b-fold{fold}", "test") for fold in (1, 2)]
    assert row["values"] == pytest.approx([confusion_of(one).macro_f1 for one in kept])


def test_ap_views_are_measured_apart_with_their_own_n(finished: Path) -> None:
    document = json.loads((finished / "results.json").read_text())
    kept = StudyFolder(finished).predictions("a-fold1", "test")
    expected = kept.groups["view"].count("AP")
    assert {row["n"] for row in document["rows"] if "AP views only" in row["dataset"]} == {expected}


def test_weights_are_not_kept_but_outputs_are(finished: Path) -> None:
    names = {path.name for path in (finished / "runs" / "a-fold2").iterdir()}
    assert names == {".lock", "run.json", "train.npz", "validation.npz", "test.npz"}


def test_maps_of_the_first_fold_are_kept_and_shown_in_the_report(finished: Path) -> None:
    maps = list(kept_maps(finished))
    assert [(kept.system, kept.class_id) for kept in maps] == [(name, id_) for name in "ab" for id_ in CXR4.ids]
    test = StudyFolder(finished).predictions("a-fold1", "test")
    first = test.select([int(np.argmax(test.truth == code)) for code in range(4)])
    assert [kept.decided for kept in maps[:4]] == [CXR4.ids[code] for code in first.predicted]
    report = write_study_report(finished).read_text()
    assert report.count("data:image/jpeg;base64") == 8
    (finished / "runs" / "a-fold1" / "maps.npz").write_bytes(b"PK")
    assert {kept.system for kept in kept_maps(finished)} == {"b"}


def test_what_is_done_is_not_done_again(finished: Path, manifest_file: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.glob("runs/*/*.npz")}
    ready(manifest_file, finished, resume=True).run()
    assert {path: path.stat().st_mtime_ns for path in finished.glob("runs/*/*.npz")} == before


def test_a_folder_with_a_study_is_only_used_when_asked(finished: Path, manifest_file: Path) -> None:
    with pytest.raises(StudyError, match="holds a study already; add --resume"):
        ready(manifest_file, finished)
    with pytest.raises(StudyError, match="holds a study with another seed"):
        ready(manifest_file, finished, resume=True, seed=1)


def test_a_folder_with_other_things_is_refused(studied: StudyPlan, manifest_file: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(StudyError, match="must be empty or hold this study"):
        ready(manifest_file, tmp_path)


def test_damaged_outputs_are_named(finished: Path, manifest_file: Path) -> None:
    (finished / "runs" / "a-fold1" / "test.npz").write_bytes(b"PK")
    with pytest.raises(StudyError, match="test outputs of run a-fold1 must be whole"):
        ready(manifest_file, finished, resume=True).run()


def test_a_run_with_other_settings_is_not_taken_for_this_one(
    finished: Path, manifest_file: Path, tiny_plan: StudyPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    def changed(run: MemberRun) -> MemberRun:
        return replace(run, config=replace(run.config, learning_rate=1e-5))

    other = replace(tiny_plan, members=tuple(map(changed, tiny_plan.members)))
    monkeypatch.setitem(catalogue.STUDIES, "tiny", lambda scale, **_: other)
    with pytest.raises(StudyError, match="Run a-fold1 was made with other settings"):
        ready(manifest_file, finished, resume=True).run()


def test_a_cancelled_study_goes_on_and_ends_with_the_same_table(
    finished: Path, manifest_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "stopped"
    asked = 0

    def cancel() -> bool:
        nonlocal asked
        asked += 1
        return asked > 12

    with pytest.raises(
        StudyStopped, match=r"The study was stopped; with --resume it goes on from what .*stopped holds"
    ):
        ready(manifest_file, out).run(cancel=cancel)
    assert not (out / "results.json").exists()
    ready(manifest_file, out, resume=True).run()
    assert results(out) == results(finished)


def test_a_study_stopped_before_its_first_run_trains_nothing(
    studied: StudyPlan, manifest_file: Path, tmp_path: Path
) -> None:
    with pytest.raises(StudyStopped):
        ready(manifest_file, tmp_path / "stopped").run(cancel=lambda: True)
    assert not (tmp_path / "stopped" / "runs").exists()


def borrowing(plan: StudyPlan, monkeypatch: pytest.MonkeyPatch, **changes: object) -> None:
    """The study "tiny" without networks of its own."""
    other = replace(plan, members=(), needs_members=True, **changes)  # type: ignore[arg-type]
    monkeypatch.setitem(catalogue.STUDIES, "tiny", lambda scale, **_: other)


def test_outputs_of_another_study_of_the_same_images_can_be_borrowed(
    finished: Path, manifest_file: Path, tiny_plan: StudyPlan, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    borrowing(tiny_plan, monkeypatch)
    done = prepare("tiny", manifest_file, tmp_path / "new", scale="smoke", members=finished).run()
    whole = {(row.system, row.variant, row.class_id, row.metric, row.dataset): row.mean for row in done.figures}
    assert ("FLANNEL", "out-of-fold") in {key[:2] for key in whole}


def test_outputs_that_do_not_belong_to_the_study_are_refused(
    finished: Path, manifest_file: Path, tiny_plan: StudyPlan, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    borrowing(tiny_plan, monkeypatch)
    with pytest.raises(StudyError, match="needs the outputs of another one; give its folder with --members"):
        ready(manifest_file, tmp_path / "new")
    for members, seed, sentence in (
        (tmp_path / "none", 0, "none must be the folder of a study whose networks are trained; it is not"),
        (finished, 1, "study is of another seed than this study"),
    ):
        with pytest.raises(StudyError, match=sentence):
            prepare("tiny", manifest_file, tmp_path / "new", scale="smoke", seed=seed, members=members)
    (finished / "runs" / "b-fold2" / "run.json").unlink()
    with pytest.raises(StudyError, match="study lacks 1 runs, first b-fold2; finish that study first"):
        prepare("tiny", manifest_file, tmp_path / "new", scale="smoke", members=finished)
    assert not (tmp_path / "new").exists()


def test_a_class_with_too_few_test_images_is_not_compared(
    finished: Path, manifest_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cxrlab.studies.results.LEAST_POSITIVES", 30)  # of 32 a class
    done = ready(manifest_file, finished, resume=True).run()
    assert {paired.metric for paired in done.comparisons} == {"macro_f1"}


KILLED = """
import sys
from pathlib import Path
from cxrlab.reports.study import write_study_report
from cxrlab.studies import catalogue
from cxrlab.workflows.study import prepare
sys.path.insert(0, {root!r})
from tests.studies.conftest import make_plan
catalogue.STUDIES["tiny"] = lambda scale, **_: make_plan()
prepare("tiny", Path({manifest!r}), Path({out!r}), scale="smoke", command="cxrlab study tiny").run()
"""


def test_a_study_killed_in_the_middle_ends_with_the_same_table(
    finished: Path, manifest_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "killed"
    code = KILLED.format(root=str(repository()), manifest=str(manifest_file), out=str(out))
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=repository(), env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    for _ in range(600):
        if (out / "runs" / "b-fold1" / "training").exists():
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (out / "results.json").exists()
    ready(manifest_file, out, resume=True).run()
    assert results(out) == results(finished)


def test_two_sided_p_counts_the_draws_beyond_zero() -> None:
    assert two_sided(np.array([1.0, 2.0, 3.0])) == pytest.approx(0.5)  # none beyond: (0 + 1) / (3 + 1), twice
    assert two_sided(np.array([-1.0, 1.0])) == 1.0
    assert np.isnan(two_sided(np.array([np.nan])))
