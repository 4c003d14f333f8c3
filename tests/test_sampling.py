"""The rows of an epoch under over- and undersampling."""

from __future__ import annotations

import numpy as np
import pytest

from cxrlab.sampling import Sampler, minority

Y_TRUE = np.array([0] * 3 + [1] * 10 + [2] * 20 + [3] * 7)


def drawn(*rules: str, seed: int = 0) -> np.ndarray:
    return Sampler(rules).rows(Y_TRUE, np.random.default_rng(seed))


def counts(rows: np.ndarray) -> list[int]:
    return np.bincount(Y_TRUE[rows], minlength=4).tolist()


def test_without_rules_every_row_comes_once() -> None:
    assert drawn().tolist() == list(range(40))
    assert not Sampler().acts_in(1)


def test_a_named_class_is_repeated() -> None:
    rows = drawn("0:10")
    assert counts(rows) == [30, 10, 20, 7]
    assert (np.bincount(rows)[:3] == 10).all()


def test_a_broken_factor_repeats_some_once_more() -> None:
    rows = drawn("1:2.5")
    assert counts(rows) == [3, 25, 20, 7]
    assert set(np.bincount(rows)[3:13]) == {2, 3}


def test_a_factor_below_one_leaves_others_out_each_time() -> None:
    assert counts(drawn("2:0.5")) == [3, 10, 10, 7]
    assert not np.array_equal(drawn("2:0.5", seed=0), drawn("2:0.5", seed=1))
    assert np.array_equal(drawn("2:0.5", seed=1), drawn("2:0.5", seed=1))


def test_parity_is_the_count_of_the_largest_class() -> None:
    assert counts(drawn("minority:parity")) == [20, 10, 20, 7]
    assert counts(drawn("all:parity")) == [20, 20, 20, 20]
    assert Sampler(("all:parity",)).size(Y_TRUE) == 80


def test_later_rules_win_and_stages_are_kept_apart() -> None:
    assert counts(drawn("all:parity", "2:0.5")) == [20, 20, 10, 20]
    assert [Sampler(("0:10",), stage="2").acts_in(stage) for stage in (1, 2)] == [False, True]
    assert [Sampler(("0:10",)).acts_in(stage) for stage in (1, 2)] == [True, True]


def test_the_minority_is_the_smallest_class_with_images() -> None:
    assert minority(np.array([0, 5, 2, 2])) == 2


@pytest.mark.parametrize("rule", ["covid19:10", "0", "0:0", "0:-1", "0:many", "-1:2", "0:1e9", "0:nan"])
def test_a_rule_that_can_not_be_read_is_quoted(rule: str) -> None:
    with pytest.raises(ValueError, match=r"must be CLASS:FACTOR, such as 0:10") as caught:
        Sampler((rule,))
    assert repr(rule) in str(caught.value)


def test_other_refusals() -> None:
    with pytest.raises(ValueError, match="must name a class of the training set, got 7; it has 4 classes"):
        drawn("7:2")
    with pytest.raises(ValueError, match="stage must be one of 1, 2, both, got '3'"):
        Sampler(stage="3")
