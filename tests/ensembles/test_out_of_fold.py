"""Stacking and out-of-fold assembly against plain dictionaries."""

from __future__ import annotations

import numpy as np
import pytest

from cxrlab.ensembles.combiner import CombinerConfig, fit_combiner
from cxrlab.ensembles.out_of_fold import assembled, fold_mean, stacked
from cxrlab.labels import CXR4, LabelSet
from cxrlab.predictions import Predictions


def predictions(rows: range, seed: int, labels: LabelSet = CXR4) -> Predictions:
    scores = np.random.default_rng(seed).dirichlet(np.ones(len(labels)), len(rows))
    ids = tuple(f"{row}.png" for row in rows)
    patients = tuple(f"p{row // 2}" for row in rows)
    return Predictions(ids, labels, scores, np.array(rows) % 4, patients, groups={"view": ("PA",) * len(rows)})


def test_stacked_rows_are_the_first_members() -> None:
    one, other = predictions(range(10), 0), predictions(range(10), 1)
    shuffled = other.select(np.random.default_rng(0).permutation(10))
    found = stacked([one, shuffled])
    assert found.shape == (10, 2, 4)
    assert np.array_equal(found[:, 0], one.scores)
    assert np.array_equal(found[:, 1], other.scores)


def test_each_image_comes_from_its_own_fold() -> None:
    """Three folds of two members; in fold 1 the second member's rows are in another order."""
    blocks = [range(0, 4), range(4, 9), range(9, 12)]
    folds = [[predictions(block, 10 * j), predictions(block, 10 * j + 1)] for j, block in enumerate(blocks)]
    expected = {
        (member, id_): folds[j][member].scores[row]
        for j in range(3)
        for member in range(2)
        for row, id_ in enumerate(folds[j][member].ids)
    }
    folds[1][1] = folds[1][1].select([4, 2, 0, 1, 3])
    members = assembled(folds)
    assert [member.ids for member in members] == [tuple(f"{row}.png" for row in range(12))] * 2
    for number, member in enumerate(members):
        for id_, scores in zip(member.ids, member.scores, strict=True):
            assert np.array_equal(scores, expected[number, id_])
    assert members[0].truth.tolist() == [row % 4 for row in range(12)]
    assert members[0].patients[-1] == "p5"
    assert members[0].groups["view"] == ("PA",) * 12


def test_test_scores_are_the_mean_over_folds() -> None:
    folds = [[predictions(range(6), 10 * j + member) for member in range(2)] for j in range(5)]
    expected = [np.mean([folds[j][member].scores for j in range(5)], axis=0) for member in range(2)]
    folds[3][1] = folds[3][1].select([5, 4, 3, 2, 1, 0])
    found = fold_mean(folds)
    assert all(np.allclose(one.scores, other, atol=1e-15) for one, other in zip(found, expected, strict=True))
    assert np.allclose(found[0].scores.sum(axis=1), 1)


def test_one_combiner_for_all_blocks() -> None:
    folds = [[predictions(range(20 * j, 20 * j + 20), 10 * j + member) for member in range(3)] for j in range(5)]
    members = assembled(folds)
    combiner = fit_combiner(stacked(members), members[0].truth, CombinerConfig(epochs=1))
    assert combiner.combine(stacked(members)).scores.shape == (100, 4)


def test_an_image_in_two_blocks_is_a_leak() -> None:
    with pytest.raises(ValueError, match="An image must be in one block only, got 2 in two"):
        assembled([[predictions(range(5), 0)], [predictions(range(3, 8), 1)]])


def test_folds_must_fit_each_other() -> None:
    one, other = predictions(range(5), 0), predictions(range(5, 9), 1)
    with pytest.raises(ValueError, match=r"same members, got numbers of members \[1, 2\]"):
        assembled([[one, one], [other]])
    with pytest.raises(ValueError, match=r"same members, got numbers of members \[\]"):
        fold_mean([])
    with pytest.raises(ValueError, match="must have the same classes and task"):
        assembled([[one], [predictions(range(5, 9), 1, LabelSet.from_ids("abcd"))]])
    with pytest.raises(ValueError, match="Images must be the same"):
        fold_mean([[one], [other]])
