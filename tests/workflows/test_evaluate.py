"""Evaluations: the same numbers however the images came, nothing computed twice, nothing kept of a cancelled one."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxrlab import inference, runs
from cxrlab.cards import CheckpointError
from cxrlab.catalogue import find_checkpoint
from cxrlab.labels import LabelSet
from cxrlab.metrics.report import measure
from cxrlab.predictions import Predictions
from cxrlab.progress import Cancelled
from cxrlab.runs import RunError, list_runs, runs_folder
from cxrlab.workflows import evaluate, labelled_sources, stored_results
from cxrlab.workflows.evaluate import (
    Evaluation,
    EvaluationError,
    common_labels,
    evaluate_archive,
    evaluate_manifest,
    reopen,
    scoring_sha256,
)
from cxrlab.workflows.evaluation_curves import class_curves, model_names
from cxrlab.workflows.evaluation_files import curves_csv, evaluation_json, metrics_csv, predictions_csv
from cxrlab.workflows.labelled_sources import LabelledSource
from tests.workflows.labelled_images import png, rows_of, write_set, zipped_set

NETWORK, OTHER, ENSEMBLE = "tiny_shufflenet", "tiny_mobilenet", "tiny_ensemble"

pytestmark = pytest.mark.usefixtures("tiny_checkpoints", "few_draws")


@pytest.fixture
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "DRAWS", 50)


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    return write_set(tmp_path / "small set", rows_of())


@pytest.fixture
def predicted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Names of the checkpoints whose networks really ran."""
    ran: list[str] = []
    original: Callable[..., Any] = inference.predict

    def counting(loaded: Any, *args: Any, **options: Any) -> Any:
        ran.append(loaded.card.name)
        return original(loaded, *args, **options)

    monkeypatch.setattr(inference, "predict", counting)
    return ran


def edit_card(name: str, **changes: Any) -> None:
    info = find_checkpoint(name)
    (info.folder / "card.json").write_text(replace(info.card, **changes).to_text())


def test_a_run_holds_what_it_was_made_from(manifest: Path) -> None:
    evaluation = evaluate_manifest(manifest, [NETWORK], device="cpu")
    (run,) = evaluation.runs
    card = find_checkpoint(NETWORK).card
    assert (run.facts.checkpoint, run.facts.checkpoint_title) == (card.name, card.title)
    assert run.facts.checkpoint_sha256 == card.weights_sha256
    assert (run.facts.dataset, run.facts.part, run.facts.images) == ("small set", "all", 24)
    assert (run.facts.device, run.facts.dropped) == ("cpu", {})
    assert run.facts.seconds > 0
    assert (run.report.n_images, run.report.n_patients, run.report.draws) == (24, 12, 50)
    assert [group.group for group in run.sources] == ["left", "right"]
    assert evaluation.labels.ids == card.labels
    assert evaluation.reopened == ()


def test_the_report_is_the_measure_of_the_predictions(manifest: Path) -> None:
    (run,) = evaluate_manifest(manifest, [NETWORK]).runs
    assert run.report.to_json() == measure(run.predictions, draws=50).to_json()


def test_scores_are_those_of_the_network(manifest: Path) -> None:
    """Oracle: the network called directly on one image at a time."""
    import torch

    from cxrlab.checkpoints import load_checkpoint
    from cxrlab.data.images import read_xray
    from cxrlab.data.transforms import resize_pixels, to_batch

    (run,) = evaluate_manifest(manifest, [NETWORK]).runs
    loaded = load_checkpoint(NETWORK)
    square = resize_pixels(read_xray(manifest.parent / run.predictions.ids[5]).pixels, loaded.preprocessing)
    with torch.inference_mode():
        logits = loaded.model(to_batch(square[None], loaded.preprocessing))
    np.testing.assert_allclose(run.predictions.scores[5], torch.softmax(logits[0], 0), atol=1e-4)


def test_a_stored_run_is_reopened_without_computing(manifest: Path, predicted: list[str]) -> None:
    first = evaluate_manifest(manifest, [NETWORK, OTHER])
    assert predicted == [NETWORK, OTHER]
    again = evaluate_manifest(manifest, [OTHER, NETWORK])
    assert predicted == [NETWORK, OTHER]
    assert again.reopened == (OTHER, NETWORK)
    assert again.runs[1].report.to_json() == first.runs[0].report.to_json()
    np.testing.assert_array_equal(again.runs[1].predictions.scores, first.runs[0].predictions.scores)


def test_reuse_can_be_switched_off(manifest: Path, predicted: list[str]) -> None:
    evaluate_manifest(manifest, [NETWORK])
    assert evaluate_manifest(manifest, [NETWORK], reuse=False).reopened == ()
    assert predicted == [NETWORK, NETWORK]


def test_nothing_is_kept_when_not_asked(manifest: Path) -> None:
    evaluate_manifest(manifest, [NETWORK], store=False)
    assert list_runs() == []


def test_a_checkpoint_named_twice_is_measured_once(manifest: Path) -> None:
    assert len(evaluate_manifest(manifest, [NETWORK, NETWORK]).runs) == 1


def test_members_of_an_ensemble_are_predicted_once(manifest: Path, predicted: list[str]) -> None:
    evaluation = evaluate_manifest(manifest, [ENSEMBLE, NETWORK, OTHER], store=False)
    assert sorted(predicted) == sorted([NETWORK, OTHER])
    soft, first, second = (run.predictions.scores for run in evaluation.runs)
    np.testing.assert_allclose(soft, 0.25 * first + 0.75 * second, atol=1e-12)
    assert evaluation.runs[0].facts.seconds == pytest.approx(
        sum(run.facts.seconds for run in evaluation.runs[1:]), abs=0.01
    )


def test_members_that_are_stored_are_not_predicted_again(manifest: Path, predicted: list[str]) -> None:
    evaluate_manifest(manifest, [NETWORK, OTHER])
    evaluation = evaluate_manifest(manifest, [ENSEMBLE])
    assert predicted == [NETWORK, OTHER]
    assert evaluation.reopened == ()
    assert evaluation.runs[0].predictions.checkpoint == ENSEMBLE


def test_another_temperature_is_another_run(manifest: Path, predicted: list[str]) -> None:
    before = evaluate_manifest(manifest, [NETWORK]).runs[0]
    edit_card(NETWORK, temperature=3.0)
    after = evaluate_manifest(manifest, [NETWORK]).runs[0]
    assert predicted == [NETWORK, NETWORK]
    assert after.facts.id != before.facts.id
    assert after.predictions.scores.max() < before.predictions.scores.max()


def test_an_ensemble_changes_with_the_way_its_members_score() -> None:
    before = scoring_sha256(find_checkpoint(ENSEMBLE))
    edit_card(NETWORK, temperature=3.0)
    assert scoring_sha256(find_checkpoint(ENSEMBLE)) != before


def test_a_reopened_run_has_the_names_of_today(manifest: Path) -> None:
    evaluate_manifest(manifest, [NETWORK])
    edit_card(NETWORK, title="A better title")
    (run,) = evaluate_manifest(manifest.rename(manifest.parent / "labels.csv"), [NETWORK]).runs
    assert run.facts.checkpoint_title == "A better title"


def test_a_zip_gives_the_numbers_of_the_folder(manifest: Path, predicted: list[str]) -> None:
    folder = evaluate_manifest(manifest, [NETWORK, ENSEMBLE], store=False)
    upload = evaluate_archive(zipped_set(rows_of()), [NETWORK, ENSEMBLE], name="upload.zip")
    assert upload.reopened == ()
    for ours, theirs in zip(upload.runs, folder.runs, strict=True):
        np.testing.assert_allclose(ours.predictions.scores, theirs.predictions.scores, atol=1e-12)
        assert ours.report.to_json() == theirs.report.to_json()
        assert ours.facts.id == theirs.facts.id
    assert upload.runs[0].facts.dataset == "upload.zip"
    assert list_runs() == []


def test_an_unreadable_image_is_left_out_counted_and_told(manifest: Path) -> None:
    (manifest.parent / "images/003.png").write_bytes(png(3)[:60])
    evaluation = evaluate_manifest(manifest, [NETWORK, ENSEMBLE])
    for run in evaluation.runs:
        assert run.facts.dropped == {"unreadable image": 1}
        assert run.facts.images == len(run.predictions) == 23
        assert "images/003.png" not in run.predictions.ids
    assert len(evaluation.notes) == 1
    assert "003.png" in evaluation.notes[0]


def test_many_unreadable_images_are_not_all_told(manifest: Path) -> None:
    for number in range(9):
        (manifest.parent / f"images/{number:03d}.png").write_bytes(f"broken {number}".encode())
    (note,) = evaluate_manifest(manifest, [NETWORK]).notes
    assert note.endswith("And 4 more images.")


def test_a_set_without_a_readable_image_is_refused(manifest: Path) -> None:
    for number in range(24):
        (manifest.parent / f"images/{number:03d}.png").write_bytes(f"broken {number}".encode())
    with pytest.raises(EvaluationError, match=r"None of the 24 images could be read. The first: 000.png"):
        evaluate_manifest(manifest, [NETWORK])


def test_dropped_rows_are_counted(manifest: Path) -> None:
    (manifest.parent / "images/003.png").unlink()
    (run,) = evaluate_manifest(manifest, [NETWORK]).runs
    assert run.facts.dropped == {"missing file": 1}


@pytest.mark.parametrize("name", ["report.json", "predictions.npz", "run.json"])
def test_a_damaged_run_is_replaced(manifest: Path, predicted: list[str], name: str) -> None:
    evaluate_manifest(manifest, [NETWORK])
    (folder,) = runs_folder().iterdir()
    (folder / name).write_bytes(b"PK\x03\x04 broken")
    assert evaluate_manifest(manifest, [NETWORK]).reopened == ()
    assert evaluate_manifest(manifest, [NETWORK]).reopened == (NETWORK,)
    assert predicted == [NETWORK, NETWORK]


@pytest.mark.parametrize("after", [0, 1, 3, 6])
def test_a_cancelled_evaluation_leaves_nothing_half_written(manifest: Path, after: int) -> None:
    asked = 0

    def cancel() -> bool:
        nonlocal asked
        asked += 1
        return asked > after

    with pytest.raises(Cancelled):
        evaluate_manifest(manifest, [NETWORK, OTHER], cancel=cancel)
    for folder in runs_folder().iterdir() if runs_folder().exists() else ():
        runs.load_run(folder.name)


def test_progress_never_runs_backwards_and_ends_near_the_end(manifest: Path) -> None:
    said: list[tuple[int, int, str]] = []
    evaluate_manifest(manifest, [NETWORK, ENSEMBLE], progress=lambda *report: said.append(report))
    done = [report[0] for report in said]
    assert done == sorted(done)
    assert {report[1] for report in said} == {2000}
    assert done[-1] >= 1800
    texts = " ".join(report[2] for report in said)
    assert "Reading image" in texts
    assert "Tiny Shufflenet: image 24 of 24" in texts
    assert "bootstrap" in texts


def test_a_full_disk_is_one_sentence(manifest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Predictions, "save", full)
    with pytest.raises(RunError, match="can not be stored"):
        evaluate_manifest(manifest, [NETWORK])
    assert list(runs_folder().iterdir()) == []


def test_checkpoints_of_other_classes_are_refused() -> None:
    info = find_checkpoint(OTHER)
    edit_card(OTHER, labels=("a", "b", "c", "d"))
    with pytest.raises(
        EvaluationError, match=rf"must have the same classes: {NETWORK} has covid19.*{OTHER} has a, b, c, d"
    ):
        common_labels([NETWORK, info.name])


def test_no_checkpoint_and_an_unknown_one_are_refused(manifest: Path) -> None:
    with pytest.raises(EvaluationError, match="Choose at least one checkpoint"):
        evaluate_manifest(manifest, [])
    with pytest.raises(CheckpointError, match="no checkpoint named 'nobody'"):
        evaluate_manifest(manifest, ["nobody"])


def test_an_unknown_device_is_refused(manifest: Path) -> None:
    with pytest.raises(ValueError, match="device must be auto, cpu or cuda"):
        evaluate_manifest(manifest, [NETWORK], device="tpu")


def test_reopening_needs_runs_of_the_same_images(manifest: Path) -> None:
    ids = [evaluate_manifest(manifest, [NETWORK], part=part).runs[0].facts.id for part in ("all", "test")]
    assert reopen(ids[:1]).runs[0].facts.part == "all"
    with pytest.raises(RunError, match="must come from the same images"):
        reopen(ids)
    with pytest.raises(RunError, match="Choose at least one"):
        reopen([])


# Stored results, curves, files and sources


def test_stored_sets_are_grouped_by_images(manifest: Path) -> None:
    evaluation = evaluate_manifest(manifest, [NETWORK, OTHER])
    evaluate_manifest(manifest, [NETWORK], part="test")
    found = {each.part: each for each in stored_results.stored_sets()}
    assert [run.checkpoint for run in found["all"].runs] == [OTHER, NETWORK]
    assert found["all"].id == stored_results.set_id(evaluation)
    assert stored_results.is_stored(evaluation)
    opened = stored_results.open_set(found["all"].id, [NETWORK, "gone"])
    assert [run.facts.checkpoint for run in opened.runs] == [NETWORK]
    assert len(stored_results.open_set(found["all"].id).runs) == 2
    stored_results.delete_set(found["all"].id)
    assert [each.part for each in stored_results.stored_sets()] == ["test"]
    assert not stored_results.is_stored(evaluation)
    with pytest.raises(RunError, match="no stored results under this link"):
        stored_results.open_set(found["all"].id)


def test_equal_titles_are_told_apart(manifest: Path) -> None:
    edit_card(OTHER, title="Tiny Shufflenet")
    evaluation = evaluate_manifest(manifest, [NETWORK, OTHER])
    assert model_names(evaluation) == (f"Tiny Shufflenet ({NETWORK})", f"Tiny Shufflenet ({OTHER})")


def test_curves_have_the_areas_of_the_report(manifest: Path) -> None:
    evaluation = evaluate_manifest(manifest, [NETWORK, ENSEMBLE])
    found = class_curves(evaluation, "viral")
    for name, run in zip(model_names(evaluation), evaluation.runs, strict=True):
        entry = run.report.of_class("viral")
        assert found.roc[name].auc == pytest.approx(entry.auc.value)
        assert found.pr[name].average_precision == pytest.approx(entry.average_precision.value)
        assert found.auc[name] is entry.auc
    with pytest.raises(KeyError, match="Unknown class 'x'"):
        class_curves(evaluation, "x")


@pytest.fixture
def two(manifest: Path) -> Evaluation:
    return evaluate_manifest(manifest, [NETWORK, ENSEMBLE], device="cpu")


def test_the_metrics_file_has_every_estimate(two: Evaluation) -> None:
    rows = list(csv.DictReader(io.StringIO(metrics_csv(two))))
    macro = [row for row in rows if row["checkpoint"] == ENSEMBLE and row["metric"] == "macro_f1"]
    report = two.runs[1].report
    assert [float(macro[0][key]) for key in ("value", "low", "high")] == [
        getattr(report.macro_f1, key) for key in ("value", "low", "high")
    ]
    assert macro[0]["interval"] == report.macro_f1.method
    assert macro[0]["decision"] == "highest score (argmax)"
    assert {row["source"] for row in rows} == {"", "left", "right"}
    assert len(rows) == 2 * (4 + 3 * 4 * 6)
    assert all(row["weights_sha256"] and row["dataset"] == "small set" and row["device"] == "cpu" for row in rows)


def test_the_predictions_file_has_every_score(two: Evaluation) -> None:
    rows = list(csv.DictReader(io.StringIO(predictions_csv(two))))
    assert len(rows) == 48
    scores = np.array([[float(row[f"score_{id_}"]) for id_ in two.labels.ids] for row in rows[:24]])
    np.testing.assert_array_equal(scores, two.runs[0].predictions.scores)
    assert [row["truth"] for row in rows[:24]] == [row["label"] for row in rows_of()]
    assert rows[0]["source"] == "left"


def test_texts_that_a_spreadsheet_would_run_are_harmless(tmp_path: Path) -> None:
    rows = rows_of(8)
    rows[0]["patient_id"] = rows[1]["patient_id"] = "=1+1"
    evaluation = evaluate_manifest(write_set(tmp_path / "x", rows), [NETWORK])
    assert {row["patient_id"] for row in csv.DictReader(io.StringIO(predictions_csv(evaluation)))} >= {"'=1+1", "p1"}


def test_the_curves_file_has_both_curves(two: Evaluation) -> None:
    rows = list(csv.DictReader(io.StringIO(curves_csv(two, "normal"))))
    assert {row["curve"] for row in rows} == {"roc", "pr"}
    assert rows[0]["threshold"] == "inf"


def test_the_json_file_is_json_with_every_report(two: Evaluation) -> None:
    data = json.loads(evaluation_json(two))
    assert data["labels"] == list(two.labels.ids)
    assert data["runs"][0]["report"] == json.loads(json.dumps(two.runs[0].report.to_json()))
    assert data["runs"][0]["facts"]["dataset_digest"] == data["dataset_digest"]


def test_a_source_evaluates_what_it_names(manifest: Path) -> None:
    path = LabelledSource("path", path=manifest)
    upload = LabelledSource("zip", data=zipped_set(rows_of()), name="u.zip")
    assert path.label_counts() == upload.label_counts() == dict.fromkeys(("bacterial", "covid19", "normal", "viral"), 6)
    assert path.evaluate([NETWORK], part="test").runs[0].facts.part == "test"
    assert upload.evaluate([NETWORK], store=False).runs[0].facts.dataset == "u.zip"
    with pytest.raises(ValueError, match="no manifest chosen"):
        LabelledSource("path").label_counts()


def test_the_phantom_source_is_the_bundled_set(manifest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labelled_sources, "bundled_phantom_set", lambda _progress, _cancel: manifest)
    source = LabelledSource("phantom")
    assert sum(source.label_counts().values()) == 240
    assert source.evaluate([NETWORK]).runs[0].facts.images == 24
    assert LabelSet.from_ids(source.label_counts()).ids == ("clear", "lobar", "interstitial", "peripheral")


def test_a_second_evaluation_waits_for_its_turn_and_can_be_cancelled(manifest: Path) -> None:
    said: list[str] = []
    with labelled_sources._turn, pytest.raises(Cancelled):
        LabelledSource("path", path=manifest).evaluate(
            [NETWORK], progress=lambda _done, _total, text: said.append(text), cancel=lambda: True
        )
    assert said == ["Waiting: another evaluation is running on this computer"]
    assert LabelledSource("path", path=manifest).evaluate([NETWORK]).runs
