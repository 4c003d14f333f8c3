"""Predictions: checked when made, aligned, saved and loaded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cxrlab.labels import CXR4, PROJECTIONS, LabelSet, Projection, projection_named
from cxrlab.predictions import Predictions, align


def made_up(count: int = 6, seed: int = 0) -> Predictions:
    rng = np.random.default_rng(seed)
    return Predictions(
        ids=tuple(f"{number}.png" for number in range(count)),
        labels=CXR4,
        scores=rng.dirichlet(np.ones(4), count),
        y_true=np.arange(count) % 5 - 1,
        patient_ids=tuple(f"p{number // 2}" for number in range(count)),
        checkpoint="one",
        checkpoint_sha256="a" * 64,
        groups={"source": tuple("xy"[number % 2] for number in range(count))},
    )


def test_saved_and_loaded_is_the_same(tmp_path: Path) -> None:
    before = made_up()
    before.save(tmp_path / "p.npz")
    after = Predictions.load(tmp_path / "p.npz")
    assert np.array_equal(before.scores, after.scores)
    assert np.array_equal(before.truth, after.truth)
    assert (before.ids, before.patients, before.groups, before.labels, before.checkpoint_sha256) == (
        after.ids,
        after.patients,
        after.groups,
        after.labels,
        after.checkpoint_sha256,
    )
    assert [file.name for file in tmp_path.iterdir()] == ["p.npz"]


def test_multilabel_truth_keeps_unknowns(tmp_path: Path) -> None:
    truth = np.array([[0, 1, np.nan, 0], [np.nan] * 4])
    predictions = Predictions(("a", "b"), CXR4, np.full((2, 4), 0.7), y_true=truth, task="multilabel", normalised=False)
    assert predictions.known.tolist() == [True, False]
    predictions.save(tmp_path / "p.npz")
    assert np.array_equal(Predictions.load(tmp_path / "p.npz").truth, truth, equal_nan=True)
    with pytest.raises(ValueError, match="no single predicted class"):
        _ = predictions.predicted


def test_select_takes_rows_of_every_column() -> None:
    whole = made_up()
    part = whole.select([4, 1])
    assert part.ids == ("4.png", "1.png")
    assert part.patients == ("p2", "p0")
    assert part.groups["source"] == ("x", "y")
    assert np.array_equal(part.scores, whole.scores[[4, 1]])
    assert len(whole.select(whole.known)) == int(whole.known.sum())


def test_align_brings_rows_into_one_order() -> None:
    first = made_up()
    shuffled = replace(first, checkpoint="two").select([3, 1, 5, 0, 2, 4])
    aligned = align([first, shuffled])
    assert aligned[1].ids == first.ids
    assert np.array_equal(aligned[1].scores, first.scores)


def test_align_refuses_what_does_not_belong_together() -> None:
    first = made_up()
    with pytest.raises(ValueError, match="At least one"):
        align([])
    with pytest.raises(ValueError, match="Images must be the same: 1 are in only one of one and one"):
        align([first, first.select([0, 1, 2, 3, 4])])
    other = replace(first, labels=LabelSet.from_ids(["a", "b", "c", "d"]), checkpoint="two")
    with pytest.raises(ValueError, match=r"Labels and task must be the same: one has covid19.*two has a, b"):
        align([first, other])
    with pytest.raises(ValueError, match="same truth"):
        align([first, replace(first, y_true=np.zeros(6, dtype=int))])


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"scores": np.zeros((6, 3))}, r"must have shape \(6, 4\) for 6 ids and 4 classes, got \(6, 3\)"),
        ({"scores": np.full((6, 4), 0.5)}, "must sum to 1"),
        ({"scores": np.full((6, 4), np.nan)}, r"finite and in \[0, 1\]"),
        ({"ids": ("same",) * 6}, "ids must be unique, got 5 repeated"),
        ({"y_true": np.full(6, 4)}, "class indices 0 to 3, or -1"),
        ({"y_true": np.zeros((6, 4))}, r"truth must have shape \(6,\)"),
        ({"patient_ids": ("p",)}, "Column 'patient_ids' must have 6 values, got 1"),
        ({"groups": {"source": ("x",)}}, "Column 'source' must have 6 values, got 1"),
        ({"task": "multilabel", "y_true": np.full((6, 4), 2.0)}, "must be 0, 1 or NaN"),
    ],
)
def test_refusals(changes: dict, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        replace(made_up(), **changes)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not really", b"\x93NUMPY"])
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "p.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"p\.npz must be a predictions file"):
        Predictions.load(tmp_path / "p.npz")


def test_decisions_are_kept_where_the_highest_score_does_not_decide(tmp_path: Path) -> None:
    decided = replace(made_up(), scores=np.full((6, 4), 0.25), decisions=np.array([3, 2, 1, 0, 1, 2]))
    assert decided.predicted.tolist() == [3, 2, 1, 0, 1, 2]
    assert decided.select([4, 0]).predicted.tolist() == [1, 3]
    decided.save(tmp_path / "p.npz")
    assert Predictions.load(tmp_path / "p.npz").predicted.tolist() == [3, 2, 1, 0, 1, 2]


@pytest.mark.parametrize("decisions", [[0, 1], [0, 1, 2, 3, 4, 0], [-1, 0, 0, 0, 0, 0]])
def test_wrong_decisions_are_refused(decisions: list[int]) -> None:
    with pytest.raises(ValueError, match="Decisions must be 6 class indices 0 to 3"):
        replace(made_up(), decisions=np.array(decisions))


def test_projected_scores_are_the_sums_and_the_truth_is_mapped() -> None:
    """Oracle: columns added by hand."""
    before = made_up()
    after = before.projected(projection_named("three_class"))
    covid, viral, bacterial, normal = before.scores.T
    np.testing.assert_allclose(after.scores, np.stack([normal, viral + bacterial, covid], axis=1))
    assert after.labels.ids == ("normal", "non_covid", "covid19")
    assert before.truth.tolist() == [-1, 0, 1, 2, 3, -1]
    assert after.truth.tolist() == [-1, 2, 1, 1, 0, -1]
    assert (after.ids, after.patients, after.groups) == (before.ids, before.patients, before.groups)


def test_the_projected_scores_decide_even_where_a_vote_decided_before() -> None:
    scores = np.array([[0.4, 0.3, 0.3, 0.0]])
    one = Predictions(("a",), CXR4, scores, decisions=np.array([3]))
    assert one.projected(projection_named("covid_vs_rest")).predicted.tolist() == [1]
    assert one.projected(projection_named("pneumonia_vs_normal")).predicted.tolist() == [1]


@pytest.mark.parametrize("projection", PROJECTIONS.values(), ids=list(PROJECTIONS))
def test_projecting_twice_changes_nothing_and_rows_still_sum_to_1(projection: Projection) -> None:
    once = made_up().projected(projection)
    np.testing.assert_allclose(once.scores.sum(axis=1), 1)
    again = once.projected(projection)
    np.testing.assert_array_equal(again.scores, once.scores)
    np.testing.assert_array_equal(again.truth, once.truth)


def test_only_shares_of_one_whole_are_added_up() -> None:
    with pytest.raises(ValueError, match="Only scores that sum to 1 can be added up for the task three_class"):
        replace(made_up(), normalised=False).projected(projection_named("three_class"))
    with pytest.raises(ValueError, match="has no place for a, b"):
        Predictions(("x",), LabelSet.from_ids("ab"), np.array([[0.5, 0.5]])).projected(projection_named("three_class"))
