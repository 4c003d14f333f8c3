"""Tasks: checkpoints with different classes on the same images, added up by hand as the oracle, stored apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cxrlab.catalogue import find_checkpoint
from cxrlab.checkpoints import save_checkpoint
from cxrlab.config import ModelConfig
from cxrlab.labels import LabelSet
from cxrlab.runs import list_runs
from cxrlab.workflows import evaluate
from cxrlab.workflows.evaluate import EvaluationError, common_labels, evaluate_archive, evaluate_manifest
from cxrlab.workflows.stored_results import open_set, set_id, stored_sets
from tests.conftest import random_network
from tests.workflows.labelled_images import rows_of, write_set, zipped_set

FINE, ENSEMBLE, BINARY = "tiny_shufflenet", "tiny_ensemble", "tiny_binary"
TASK = "covid_vs_rest"


@pytest.fixture(autouse=True)
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "DRAWS", 30)


@pytest.fixture(autouse=True)
def binary(tiny_checkpoints: Path) -> Path:
    """A network that knows two classes only, beside the tiny ones of four."""
    card = replace(
        find_checkpoint(FINE).card,
        name=BINARY,
        title="Tiny Binary",
        labels=("covid19", "not_covid19"),
        model=ModelConfig("shufflenet_v2_x0_5", 2),
    )
    save_checkpoint(tiny_checkpoints / BINARY, random_network("shufflenet_v2_x0_5", num_classes=2), card)
    return tiny_checkpoints / BINARY


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    return write_set(tmp_path / "small set", rows_of())


def test_four_classes_two_classes_and_an_ensemble_meet_on_one_set(manifest: Path) -> None:
    evaluation = evaluate_manifest(manifest, [FINE, BINARY, ENSEMBLE], task=TASK)
    assert evaluation.labels.ids == ("covid19", "not_covid19")
    for run in evaluation.runs:
        assert (run.facts.task, run.facts.labels, run.facts.images) == (TASK, ("covid19", "not_covid19"), 24)
        assert np.bincount(run.predictions.truth).tolist() == [6, 18]
    assert len({run.facts.dataset_digest for run in evaluation.runs}) == 1


def test_scores_are_the_sums_of_the_checkpoint_s_own(manifest: Path) -> None:
    fine, vote = evaluate_manifest(manifest, [FINE, ENSEMBLE]).runs
    for own, run in zip((fine, vote), evaluate_manifest(manifest, [FINE, ENSEMBLE], task=TASK).runs, strict=True):
        np.testing.assert_allclose(run.predictions.scores[:, 0], own.predictions.scores[:, 0], atol=1e-6)
        np.testing.assert_allclose(run.predictions.scores[:, 1], own.predictions.scores[:, 1:].sum(axis=1), atol=1e-6)


def test_images_of_classes_that_a_checkpoint_does_not_know_are_measured_too(tmp_path: Path) -> None:
    coarse = LabelSet.from_ids(["covid19", "not_covid19", "viral"])
    mixed = write_set(tmp_path / "mixed", rows_of(labels=coarse))
    (run,) = evaluate_manifest(mixed, [BINARY], task=TASK).runs
    assert run.facts.images == 24
    assert np.bincount(run.predictions.truth).tolist() == [8, 16]


def test_stored_results_of_different_tasks_never_mix(manifest: Path) -> None:
    own = evaluate_manifest(manifest, [FINE])
    first = evaluate_manifest(manifest, [FINE], task=TASK)
    other = evaluate_manifest(manifest, [FINE], task="pneumonia_vs_normal")
    assert len({run.runs[0].facts.id for run in (own, first, other)}) == 3
    assert len(list_runs()) == len(stored_sets()) == 3
    assert evaluate_manifest(manifest, [FINE], task=TASK).reopened == (FINE,)
    reopened = open_set(set_id(first))
    assert reopened.labels.ids == ("covid19", "not_covid19")
    assert reopened.runs[0].facts.task == TASK
    assert reopened.runs[0].report.to_json() == first.runs[0].report.to_json()


def test_an_upload_can_be_measured_by_a_task() -> None:
    (run,) = evaluate_archive(zipped_set(rows_of()), [BINARY], name="up.zip", task=TASK).runs
    assert np.bincount(run.predictions.truth).tolist() == [6, 18]


def test_checkpoints_that_do_not_fit_are_named(manifest: Path) -> None:
    with pytest.raises(EvaluationError, match=r"tiny_binary can not be measured.*no place for not_covid19"):
        evaluate_manifest(manifest, [FINE, BINARY], task="three_class")
    with pytest.raises(EvaluationError, match="Task must be one of covid_vs_rest"):
        common_labels([FINE], "diagnosis")
    with pytest.raises(EvaluationError, match="must have the same classes"):
        common_labels([FINE, BINARY])


def test_scores_that_are_no_shares_are_refused() -> None:
    info = find_checkpoint(FINE)
    card = replace(info.card, activation="multilabel_sigmoid", task="multilabel", normalised=False)
    (info.folder / "card.json").write_text(card.to_text())
    with pytest.raises(EvaluationError, match="its scores do not sum to 1"):
        common_labels([FINE], TASK)
