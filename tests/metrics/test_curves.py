"""Oracle: scikit-learn's curves and areas."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from cxrlab.metrics.curves import auc, class_pr, class_roc, one_vs_rest, pr_curve, rank, roc_curve, weighted_areas


@st.composite
def scored(draw):
    """Truth with both classes and scores that often tie."""
    n = draw(st.integers(2, 60))
    truth = draw(st.lists(st.booleans(), min_size=n, max_size=n).filter(lambda t: any(t) and not all(t)))
    score = draw(st.lists(st.one_of(st.sampled_from([0.0, 0.1, 0.5, 1.0]), st.floats(0, 1)), min_size=n, max_size=n))
    return np.array(truth), np.array(score)


@given(scored())
@settings(max_examples=100, deadline=None)
def test_roc_equals_scikit_learn(pair):
    y_true, y_score = pair
    curve = roc_curve(y_true, y_score)
    fpr, tpr, thresholds = sk.roc_curve(y_true, y_score, drop_intermediate=False)
    np.testing.assert_allclose(curve.fpr, fpr, atol=1e-12)
    np.testing.assert_allclose(curve.tpr, tpr, atol=1e-12)
    np.testing.assert_array_equal(curve.thresholds, thresholds)
    expected = sk.roc_auc_score(y_true, y_score)
    assert abs(curve.auc - expected) <= 1e-12
    assert abs(auc(y_true, y_score) - expected) <= 1e-12


@given(scored())
@settings(max_examples=100, deadline=None)
def test_pr_equals_scikit_learn(pair):
    y_true, y_score = pair
    curve = pr_curve(y_true, y_score)
    precision, recall, thresholds = sk.precision_recall_curve(y_true, y_score)
    np.testing.assert_allclose(curve.precision, precision[::-1], atol=1e-12)
    np.testing.assert_allclose(curve.recall, recall[::-1], atol=1e-12)
    np.testing.assert_array_equal(curve.thresholds[1:], thresholds[::-1])
    assert abs(curve.average_precision - sk.average_precision_score(y_true, y_score)) <= 1e-12
    assert curve.prevalence == pytest.approx(y_true.mean())


def test_long_lists_equal_scikit_learn():
    rng = np.random.default_rng(0)
    y_true = rng.random(100_000) < 0.2
    y_score = np.round(rng.random(100_000) + 0.2 * y_true, 4)
    expected = sk.roc_auc_score(y_true, y_score)
    assert abs(auc(y_true, y_score) - expected) <= 1e-12
    assert abs(roc_curve(y_true, y_score).auc - expected) <= 1e-12
    assert abs(pr_curve(y_true, y_score).average_precision - sk.average_precision_score(y_true, y_score)) <= 1e-12


@given(scored(), st.randoms())
@settings(max_examples=40, deadline=None)
def test_order_of_images_changes_nothing(pair, random):
    y_true, y_score = pair
    order = random.sample(range(len(y_true)), len(y_true))
    assert roc_curve(y_true[order], y_score[order]).auc == roc_curve(y_true, y_score).auc
    assert pr_curve(y_true[order], y_score[order]).average_precision == pr_curve(y_true, y_score).average_precision


@given(scored())
@settings(max_examples=40, deadline=None)
def test_rising_rescaling_of_scores_changes_no_area(pair):
    y_true, y_score = pair
    rescaled = np.searchsorted(np.unique(y_score), y_score) * 2.0 - 5
    assert auc(y_true, rescaled) == auc(y_true, y_score)
    assert pr_curve(y_true, rescaled).average_precision == pr_curve(y_true, y_score).average_precision


@given(scored())
@settings(max_examples=40, deadline=None)
def test_swapping_the_classes_and_the_scores_keeps_the_auc(pair):
    y_true, y_score = pair
    assert auc(~y_true, -y_score) == pytest.approx(auc(y_true, y_score), abs=1e-12)
    assert auc(~y_true, y_score) == pytest.approx(1 - auc(y_true, y_score), abs=1e-12)


def test_constant_scores_know_nothing():
    y_true = np.array([1, 0, 0, 0])
    assert roc_curve(y_true, np.full(4, 0.3)).auc == 0.5
    assert pr_curve(y_true, np.full(4, 0.3)).average_precision == 0.25


def test_perfect_scores_have_areas_of_one():
    y_true = np.array([0, 1, 0, 1])
    assert roc_curve(y_true, y_true.astype(float)).auc == 1
    assert pr_curve(y_true, y_true.astype(float)).average_precision == 1


def test_curves_run_from_corner_to_corner(predictions):
    for class_id in predictions.labels.ids:
        roc, pr = class_roc(predictions, class_id), class_pr(predictions, class_id)
        assert (roc.fpr[0], roc.tpr[0], roc.fpr[-1], roc.tpr[-1]) == (0, 0, 1, 1)
        assert (pr.recall[0], pr.precision[0], pr.recall[-1]) == (0, 1, 1)
        assert pr.precision[-1] == pytest.approx(pr.prevalence)
        assert np.isinf(roc.thresholds[0])
        assert (np.diff(roc.thresholds) < 0).all()
        assert (np.diff(roc.tpr) >= 0).all()


def test_unknown_truth_is_left_out(multilabel):
    for class_id in multilabel.labels.ids:
        truth, scores = one_vs_rest(multilabel, class_id)
        known = ~np.isnan(truth)
        assert not known.all()
        curve = class_roc(multilabel, class_id)
        assert curve.positives + curve.negatives == known.sum()
        assert curve.auc == pytest.approx(sk.roc_auc_score(truth[known], scores[known]), abs=1e-12)
        assert auc(truth, scores) == pytest.approx(curve.auc, abs=1e-12)


def test_unknown_single_label_truth_is_nan_in_every_class(predictions):
    truth = predictions.truth.copy()
    truth[5] = -1
    partly = replace(predictions, y_true=truth)
    assert all(math.isnan(one_vs_rest(partly, class_id)[0][5]) for class_id in partly.labels.ids)


@given(scored(), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_weighted_areas_equal_scikit_learn_on_repeated_images(pair, seed):
    y_true, y_score = pair
    weights = np.random.default_rng(seed).integers(0, 3, (len(y_true), 5), dtype=np.int32)
    areas, average_precisions = weighted_areas(rank(y_true, y_score), weights)
    for draw in range(5):
        rows = np.repeat(np.arange(len(y_true)), weights[:, draw])
        if len(np.unique(y_true[rows])) < 2:
            assert math.isnan(areas[draw])
            assert math.isnan(average_precisions[draw])
            continue
        assert abs(areas[draw] - sk.roc_auc_score(y_true[rows], y_score[rows])) <= 1e-12
        assert abs(average_precisions[draw] - sk.average_precision_score(y_true[rows], y_score[rows])) <= 1e-12


def test_weights_of_one_give_the_plain_areas(predictions):
    y_true, y_score = one_vs_rest(predictions, "viral")
    area, average_precision = weighted_areas(rank(y_true, y_score), np.ones((len(y_true), 1), dtype=np.int32))
    assert area[0] == pytest.approx(auc(y_true, y_score), abs=1e-12)
    assert average_precision[0] == pytest.approx(pr_curve(y_true, y_score).average_precision, abs=1e-12)


@pytest.mark.parametrize("truth", [[1, 1, 1], [0, 0, 0], [np.nan, np.nan, np.nan]])
def test_one_class_only_has_no_area(truth):
    y_true, y_score = np.array(truth, dtype=float), np.array([0.1, 0.2, 0.3])
    assert math.isnan(auc(y_true, y_score))
    areas = weighted_areas(rank(y_true, y_score), np.ones((3, 2), dtype=np.int32))
    assert np.isnan(areas).all()
    for curve in (roc_curve, pr_curve):
        with pytest.raises(ValueError, match="must have positive and negative images, got"):
            curve(y_true, y_score)


@pytest.mark.parametrize(
    ("truth", "score", "sentence"),
    [
        ([0, 1], [0.5], r"must both have shape \(N,\), got \(2,\) and \(1,\)"),
        ([0, 2], [0.5, 0.6], "Truth must be 0, 1 or NaN"),
        ([0, 1], [0.5, np.nan], "Scores must be finite numbers"),
    ],
)
def test_wrong_input_gives_a_sentence(truth, score, sentence):
    for function in (roc_curve, pr_curve, auc, rank):
        with pytest.raises(ValueError, match=sentence):
            function(np.array(truth), np.array(score))


def test_unknown_class_names_the_known_ones(predictions):
    with pytest.raises(ValueError, match="Unknown class 'flu'; the classes are covid19, viral, bacterial, normal"):
        class_roc(predictions, "flu")
