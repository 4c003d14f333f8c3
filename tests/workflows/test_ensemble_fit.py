"""Fitting an ensemble's combiner: cross-fitted by patient on rows that no member was trained on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from cxrlab.cards import ModelCard
from cxrlab.catalogue import find_checkpoint
from cxrlab.checkpoints import load_combiner
from cxrlab.cli import app
from cxrlab.data.manifest import read_manifest
from cxrlab.data.splits import Split, group_folds, hold_out
from cxrlab.ensembles.combiner import CombinerConfig, fit_combiner
from cxrlab.ensembles.out_of_fold import stacked
from cxrlab.labels import CXR4
from cxrlab.metrics.report import measure
from cxrlab.progress import Cancelled
from cxrlab.workflows.ensemble_fit import EnsembleFitError, EnsembleRequest, fit_ensemble
from cxrlab.workflows.evaluate import evaluate_set
from cxrlab.workflows.labelled_set import manifest_set

MEMBERS = ("tiny_shufflenet", "tiny_mobilenet")
QUICK = CombinerConfig(epochs=3, learning_rate=0.01, class_weights="balanced")


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """96 images of 48 patients, four classes."""
    folder = tmp_path / "images"
    folder.mkdir()
    lines = ["path,label,patient_id"]
    for number in range(96):
        pixels = np.random.default_rng(number).integers(0, 255, (40, 36), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
        lines.append(f"{number}.png,{CXR4.ids[number // 2 % 4]},p{number // 2}")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return folder / "manifest.csv"


@pytest.fixture
def request_(tiny_checkpoints: Path, manifest: Path, tmp_path: Path) -> EnsembleRequest:
    """Members whose cards name the split; its validation part has 48 images."""
    split = hold_out(read_manifest(manifest, labels=CXR4), fraction=0.5, seed=0)
    split.save(tmp_path / "split.json")
    for name in MEMBERS:
        path = tiny_checkpoints / name / "card.json"
        data = json.loads(path.read_text())
        data["training_data"] = {"split_digest": split.digest}
        data["limits"] = ["Only random weights."]
        path.write_text(json.dumps(data))
    return EnsembleRequest(manifest, tmp_path / "split.json", MEMBERS, QUICK, "tiny_flannel", folds=3)


def test_the_checkpoint_is_whole_and_described(request_: EnsembleRequest, tiny_checkpoints: Path) -> None:
    fitted = fit_ensemble(request_, checkpoints=tiny_checkpoints, device="cpu")
    card = find_checkpoint("tiny_flannel").card
    assert card == ModelCard.from_text(fitted.card.to_text())
    split = Split.load(request_.split)
    assert card.members == MEMBERS
    assert card.voting == "flannel"
    assert card.training_data["images"] == len(split.part("validation")) == 48
    assert card.training_data["patients"] == 24
    assert card.training_data["split_digest"] == split.digest
    assert CombinerConfig.from_json(card.training["config"]) == QUICK
    crossed = card.training["cross_fitting"]
    assert (crossed["folds"], crossed["images"], crossed["patients"]) == (3, 48, 24)
    assert {each["other"] for each in crossed["against"]} >= {"soft voting"}
    assert "Only random weights." in card.limits
    assert any("exceeds 0.711" in limit for limit in card.limits)
    assert card.references[0].startswith("Qiao")
    assert not card.metrics
    assert fitted.report.n_images == 48


def test_out_of_fold_by_hand(request_: EnsembleRequest, tiny_checkpoints: Path) -> None:
    """Every row is predicted by a combiner that saw none of its patient's rows; the shipped one saw all rows."""
    fitted = fit_ensemble(request_, checkpoints=tiny_checkpoints, device="cpu")
    split = Split.load(request_.split)
    rows = read_manifest(request_.source, labels=CXR4).select(split.part("validation"))
    dataset = manifest_set(request_.source, CXR4, part="validation", paths=split.part("validation"))
    members = [run.predictions for run in evaluate_set(dataset, MEMBERS, device="cpu").runs]
    given, y, ids = stacked(members), members[0].truth, list(members[0].ids)
    scores = np.zeros((48, 4))
    for fold in group_folds(rows, folds=3, seed=0):
        train, held_out = ([ids.index(path) for path in fold.part(part)] for part in ("train", "validation"))
        assert not {members[0].patients[k] for k in train} & {members[0].patients[k] for k in held_out}
        scores[held_out] = fit_combiner(given[train], y[train], QUICK).combine(given[held_out]).scores
    expected = measure(replace(members[0], scores=scores))
    assert fitted.report.macro_f1.value == pytest.approx(expected.macro_f1.value)
    assert fitted.report.classes[0].auc.value == pytest.approx(expected.classes[0].auc.value)
    shipped = load_combiner(find_checkpoint("tiny_flannel"))
    assert shipped is not None
    assert np.array_equal(shipped.combine(given).scores, fit_combiner(given, y, QUICK).combine(given).scores)


def test_members_are_predicted_once(
    request_: EnsembleRequest, tiny_checkpoints: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit_ensemble(request_, checkpoints=tiny_checkpoints, device="cpu")
    monkeypatch.setattr("cxrlab.inference.predict", None)
    other = replace(request_, name="tiny_mlp", config=replace(QUICK, kind="mlp_l2"))
    assert fit_ensemble(other, checkpoints=tiny_checkpoints, device="cpu").card.voting == "mlp_l2"


def test_another_split_is_refused(request_: EnsembleRequest, tiny_checkpoints: Path, tmp_path: Path) -> None:
    other = hold_out(read_manifest(request_.source, labels=CXR4), fraction=0.5, seed=1)
    other.save(tmp_path / "other.json")
    with pytest.raises(EnsembleFitError, match=r"tiny_shufflenet must have been trained with other\.json \(hash .*may"):
        fit_ensemble(replace(request_, split=tmp_path / "other.json"), checkpoints=tiny_checkpoints)
    assert not (tiny_checkpoints / "tiny_flannel").exists()


def test_members_that_do_not_fit(request_: EnsembleRequest, tiny_checkpoints: Path) -> None:
    with pytest.raises(EnsembleFitError, match="Name at least 2 different members, got tiny_mobilenet"):
        fit_ensemble(replace(request_, members=("tiny_mobilenet",)), checkpoints=tiny_checkpoints)
    with pytest.raises(EnsembleFitError, match="must be single models with one class an image, but tiny_ensemble is"):
        fit_ensemble(replace(request_, members=("tiny_mobilenet", "tiny_ensemble")), checkpoints=tiny_checkpoints)
    with pytest.raises(EnsembleFitError, match="A checkpoint named tiny_ensemble exists; choose another name"):
        fit_ensemble(replace(request_, name="tiny_ensemble"), checkpoints=tiny_checkpoints)


def test_cancelled_leaves_nothing(request_: EnsembleRequest, tiny_checkpoints: Path) -> None:
    with pytest.raises(Cancelled):
        fit_ensemble(request_, checkpoints=tiny_checkpoints, device="cpu", cancel=lambda: True)
    assert not (tiny_checkpoints / "tiny_flannel").exists()


def test_command(request_: EnsembleRequest, tiny_checkpoints: Path) -> None:
    out = tiny_checkpoints / "mine"
    words = ["ensemble", "fit", "--manifest", str(request_.source), "--split-file", str(request_.split)]
    words += ["--member", MEMBERS[0], "--member", MEMBERS[1], "--out", str(out), "--device", "cpu", "--folds", "2"]
    words += ["--kind", "mlp_l1", "--epochs", "2", "--learning-rate", "0.01", "--oversample", "covid19:10", "--json"]
    ran = CliRunner().invoke(app, words)
    assert ran.exit_code == 0, ran.output
    found = json.loads(ran.stdout)
    assert found["card"]["training"]["config"]["oversample"] == [[0, 10]]
    assert found["card"]["training"]["config"]["epochs"] == 2
    assert {each["other"] for each in found["against"]} >= {"soft voting"}
    again = CliRunner().invoke(app, [*words[:-1], "--overwrite"])
    assert again.exit_code == 0, again.output
    assert "Out of fold (2 folds by patient), 48 images of 24 patients" in again.stdout
    wrong = CliRunner().invoke(app, [*words, "--oversample", "measles:10"])
    assert wrong.exit_code != 0
    assert "CLASS:FACTOR with one of covid19" in wrong.output
