"""Paired tests. Oracles: a loop over scikit-learn on the same draws, statsmodels' McNemar, all sign patterns."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from math import comb

import numpy as np
import pytest
from sklearn import metrics as sk
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar

from cxrlab.labels import CXR4
from cxrlab.metrics.intervals import PatientBootstrap
from cxrlab.metrics.paired_tests import mcnemar, paired_difference
from cxrlab.predictions import Predictions

LOOPS = {
    "macro_f1": lambda truth, answers, scores: sk.f1_score(truth, answers, average="macro", labels=np.unique(truth)),
    "accuracy": lambda truth, answers, scores: sk.accuracy_score(truth, answers),
    "f1:viral": lambda truth, answers, scores: sk.f1_score(truth == 1, answers == 1),
    "auc:normal": lambda truth, answers, scores: sk.roc_auc_score(truth == 3, scores[:, 3]),
}


def model(seed: int, *, strength: float = 1.0, n: int = 90, patients: int = 40) -> Predictions:
    """One of several models of the same images: the seed decides the answers only."""
    y_true = np.random.default_rng(99).integers(0, 4, n)
    logits = np.random.default_rng(seed).normal(size=(n, 4))
    logits[np.arange(n), y_true] += strength
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    owner = np.random.default_rng(98).integers(0, patients, n)
    return Predictions(tuple(f"{row}" for row in range(n)), CXR4, scores, y_true, tuple(f"p{k}" for k in owner))


@pytest.mark.parametrize("metric", LOOPS)
def test_equals_a_loop_over_scikit_learn(metric: str) -> None:
    a, b = model(1, strength=1.5), model(2)
    weights = np.concatenate(list(PatientBootstrap.of(a.patients, draws=60, seed=3).weights()), axis=1)
    differences = []
    for draw in weights.T:
        rows = np.repeat(np.arange(len(a)), draw)
        one, other = (LOOPS[metric](x.truth[rows], x.predicted[rows], x.scores[rows]) for x in (a, b))
        differences.append(one - other)
    found = paired_difference(a, b, metric, draws=60, seed=3)
    assert found.difference == pytest.approx(found.a - found.b)
    assert found.a == pytest.approx(LOOPS[metric](a.truth, a.predicted, a.scores))
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(differences, [0.025, 0.975])))
    below, above = np.sum(np.array(differences) <= 0), np.sum(np.array(differences) >= 0)
    assert found.p == pytest.approx(min(1, 2 * (min(below, above) + 1) / 61))
    assert (found.n, found.patients) == (90, len(set(a.patients)))


def test_swapping_the_models_turns_the_sign() -> None:
    a, b = model(1, strength=1.5), model(2)
    one, other = paired_difference(a, b, draws=200), paired_difference(b, a, draws=200)
    assert (one.difference, one.low, one.high) == pytest.approx((-other.difference, -other.high, -other.low))
    assert one.p == other.p


def test_a_model_does_not_differ_from_itself() -> None:
    found = paired_difference(model(1), model(1), draws=100)
    assert (found.difference, found.low, found.high, found.p) == (0, 0, 0, 1)


def test_order_of_rows_does_not_matter() -> None:
    a, b = model(1), model(2)
    shuffled = b.select(np.random.default_rng(0).permutation(len(b)))
    assert paired_difference(a, b, draws=50) == paired_difference(a, shuffled, draws=50)


def test_a_clear_difference_is_found_and_chance_is_not() -> None:
    assert paired_difference(model(1, strength=4), model(2, strength=0), draws=500).p == pytest.approx(2 / 501)
    same = [paired_difference(model(seed), model(seed + 100), draws=200).p for seed in range(40)]
    assert np.mean(np.array(same) < 0.05) < 0.2


def test_pairing_narrows_the_interval_of_models_that_err_alike() -> None:
    a = model(1)
    scores = a.scores.copy()
    scores[:5] = scores[:5][:, ::-1]
    paired = paired_difference(a, replace(a, scores=scores), "accuracy")
    alone = paired_difference(a, model(7), "accuracy")
    assert paired.high - paired.low < alone.high - alone.low


def test_mcnemar_against_statsmodels() -> None:
    for seed in range(5):
        a, b = model(seed, strength=1.5), model(seed + 50)
        right = [x.predicted == x.truth for x in (a, b)]
        table = [[np.sum((right[0] == x) & (right[1] == y)) for y in (True, False)] for x in (True, False)]
        found = mcnemar(a, b, draws=20)
        assert found.p == pytest.approx(statsmodels_mcnemar(table, exact=True).pvalue)
        assert found.difference == pytest.approx(right[0].mean() - right[1].mean())


def test_mcnemar_against_all_outcomes_of_the_coins() -> None:
    """8 images right by the one only, 2 by the other only: 2^10 equally likely patterns."""
    truth = np.zeros(12, dtype=int)
    right, wrong = [0.7, 0.1, 0.1, 0.1], [0.1, 0.7, 0.1, 0.1]
    ids = tuple(map(str, range(12)))
    a = Predictions(ids, CXR4, np.array([right] * 8 + [wrong] * 2 + [right] * 2), truth)
    b = Predictions(ids, CXR4, np.array([wrong] * 8 + [right] * 2 + [right] * 2), truth)
    extreme = sum(abs(sum(coins) - 5) >= 3 for coins in product((0, 1), repeat=10))
    assert mcnemar(a, b, draws=20).p == pytest.approx(extreme / 2**10)
    assert extreme == 2 * (comb(10, 0) + comb(10, 1) + comb(10, 2))
    assert "8 images right by the first only and 2 by the second only" in mcnemar(a, b, draws=20).method


def test_models_that_agree_have_p_1() -> None:
    assert mcnemar(model(1), model(1), draws=20).p == 1


def test_unknown_truth_is_left_out() -> None:
    a, b = model(1), model(2)
    truth = a.truth.copy()
    truth[:10] = -1
    found = paired_difference(replace(a, y_true=truth), replace(b, y_true=truth), draws=50)
    rows = np.arange(10, 90)
    assert found == paired_difference(a.select(rows), b.select(rows), draws=50)
    assert found.n == 80


def test_decisions_count_not_the_highest_score() -> None:
    a = model(1)
    decided = replace(a, decisions=a.truth)
    assert paired_difference(decided, a, "accuracy", draws=20).a == 1


def test_too_little_for_an_interval() -> None:
    few = [replace(model(seed, n=6), patient_ids=("p",) * 6) for seed in (1, 2)]
    found = paired_difference(*few, draws=20)
    assert np.isnan([found.low, found.high, found.p]).all()
    assert found.method == "no interval: too few patients or images of the class"
    assert found.to_json()["low"] is None
    unknown = [replace(model(seed), y_true=None) for seed in (1, 2)]
    assert np.isnan(paired_difference(*unknown, draws=20).difference)


def test_what_can_not_be_measured() -> None:
    a, b = model(1), model(2)
    with pytest.raises(ValueError, match="one of macro_f1, accuracy, f1:<class>, auc:<class>, got 'recall'"):
        paired_difference(a, b, "recall")
    with pytest.raises(ValueError, match="got 'f1:'"):
        paired_difference(a, b, "f1:")
    with pytest.raises(ValueError, match="measles"):
        paired_difference(a, b, "auc:measles")
    with pytest.raises(ValueError, match="Images must be the same"):
        paired_difference(a, b.select(range(5)))
    with pytest.raises(ValueError, match="The level must be between 0 and 1, got 95"):
        paired_difference(a, b, level=95)
