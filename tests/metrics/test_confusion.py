"""Oracle: scikit-learn's classification metrics."""

import json
import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from cxrlab.labels import CXR4
from cxrlab.metrics import confusion as cm
from cxrlab.metrics.confusion import ConfusionMatrix, confusion_matrix, confusion_of
from cxrlab.predictions import Predictions

classes = st.integers(0, 3)
answers = st.lists(st.tuples(classes, classes), min_size=1, max_size=40).map(lambda pairs: np.array(pairs).T)


@given(answers)
@settings(max_examples=60, deadline=None)
def test_equals_scikit_learn_on_any_answers(pair):
    y_true, y_pred = pair
    matrix = confusion_matrix(y_true, y_pred, CXR4)
    present = np.unique(y_true)
    np.testing.assert_array_equal(matrix.counts, sk.confusion_matrix(y_true, y_pred, labels=range(4)))
    precision, recall, f1, support = sk.precision_recall_fscore_support(
        y_true, y_pred, labels=present, zero_division=0.0
    )
    np.testing.assert_allclose(matrix.precision[present], precision, atol=1e-12)
    np.testing.assert_allclose(matrix.recall[present], recall, atol=1e-12)
    np.testing.assert_allclose(matrix.f1[present], f1, atol=1e-12)
    np.testing.assert_array_equal(matrix.support[present], support)
    assert matrix.accuracy == pytest.approx(sk.accuracy_score(y_true, y_pred), abs=1e-12)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns about classes that only the model names
        assert matrix.balanced_accuracy == pytest.approx(sk.balanced_accuracy_score(y_true, y_pred), abs=1e-12)
    expected = sk.f1_score(y_true, y_pred, labels=present, average="macro", zero_division=0.0)
    assert matrix.macro_f1 == pytest.approx(expected, abs=1e-12)


def test_the_printed_test_set_of_efficientnetb5():
    """Spec 2, row 34, from TP 370, FP 43, TN 191 of 624: the printed F1 of .900 is none of the three."""
    matrix = ConfusionMatrix(("normal", "pneumonia"), np.array([[191, 43], [20, 370]]))
    weighted = matrix.f1 @ matrix.support / matrix.n
    assert (matrix.precision[1], matrix.recall[1], matrix.accuracy) == pytest.approx((0.896, 0.949, 0.899), abs=5e-4)
    assert (matrix.f1[1], matrix.macro_f1, weighted) == pytest.approx((0.9217, 0.890, 0.898), abs=5e-4)


@given(answers)
@settings(max_examples=30, deadline=None)
def test_specificity_is_recall_of_the_rest(pair):
    y_true, y_pred = pair
    matrix = confusion_matrix(y_true, y_pred, 4)
    for column in range(4):
        if (y_true != column).any():
            expected = sk.recall_score(y_true != column, y_pred != column)
            assert matrix.specificity[column] == pytest.approx(expected, abs=1e-12)


@given(answers, st.permutations(range(4)))
@settings(max_examples=30, deadline=None)
def test_renaming_classes_only_reorders_the_table(pair, renamed):
    y_true, y_pred = pair
    mapping = np.array(renamed)
    matrix, other = confusion_matrix(y_true, y_pred, 4), confusion_matrix(mapping[y_true], mapping[y_pred], 4)
    np.testing.assert_array_equal(other.counts[np.ix_(mapping, mapping)], matrix.counts)
    np.testing.assert_array_equal(other.f1[mapping], matrix.f1)
    assert other.macro_f1 == pytest.approx(matrix.macro_f1, abs=1e-12)


def test_order_of_images_changes_nothing(predictions):
    shuffled = predictions.select(np.random.default_rng(0).permutation(len(predictions)))
    np.testing.assert_array_equal(confusion_of(shuffled).counts, confusion_of(predictions).counts)


def test_perfect_answers_give_ones_everywhere():
    matrix = confusion_matrix(np.arange(4), np.arange(4), CXR4)
    for values in (matrix.precision, matrix.recall, matrix.specificity, matrix.f1):
        np.testing.assert_array_equal(values, np.ones(4))
    assert matrix.accuracy == matrix.balanced_accuracy == matrix.macro_f1 == 1


def test_class_never_answered_has_precision_zero_by_rule():
    matrix = confusion_matrix(np.array([0, 1]), np.array([0, 0]), 2)
    assert matrix.precision.tolist() == [0.5, 0]
    assert matrix.f1[1] == 0


def test_class_without_images_is_undefined_and_left_out_of_means():
    matrix = confusion_matrix(np.array([0, 0, 1]), np.array([0, 2, 1]), 4)
    assert np.isnan(matrix.recall[2:]).all()
    assert np.isnan(matrix.f1[2:]).all()
    assert matrix.precision[2] == 0  # it was answered, and wrongly
    assert np.isnan(matrix.precision[3])
    assert np.isnan(matrix.row_shares[2]).all()
    assert matrix.balanced_accuracy == pytest.approx((0.5 + 1) / 2)


def test_one_class_only_has_no_specificity():
    assert np.isnan(confusion_matrix(np.zeros(3), np.zeros(3), 2).specificity[0])


def test_majority_rate_is_the_share_of_the_largest_class():
    assert confusion_matrix(np.array([0, 1, 1, 1]), np.zeros(4), 2).majority_rate == 0.75


def test_row_shares_sum_to_one(predictions):
    np.testing.assert_allclose(confusion_of(predictions).row_shares.sum(axis=1), 1)


def test_no_images_is_undefined_not_an_error():
    matrix = confusion_matrix(np.array([], dtype=int), np.array([], dtype=int), 3)
    assert matrix.n == 0
    assert np.isnan([matrix.accuracy, matrix.majority_rate, matrix.macro_f1, matrix.balanced_accuracy]).all()


def test_stack_equals_one_at_a_time():
    stack = np.random.default_rng(0).integers(0, 5, (20, 3, 3))
    for function in (cm.f1, cm.recall, cm.precision, cm.specificity, cm.macro_f1, cm.balanced_accuracy, cm.accuracy):
        together = function(stack)
        np.testing.assert_array_equal(together, np.array([function(one) for one in stack]))


def test_images_of_unknown_truth_are_left_out(predictions):
    truth = predictions.truth.copy()
    truth[:20] = -1
    assert confusion_of(replace(predictions, y_true=truth)).n == len(predictions) - 20


def test_json_round_trip(predictions):
    matrix = confusion_of(predictions)
    again = ConfusionMatrix.from_json(json.loads(json.dumps(matrix.to_json())))
    assert again.labels == CXR4.ids
    np.testing.assert_array_equal(again.counts, matrix.counts)


def test_multilabel_is_refused(multilabel: Predictions):
    with pytest.raises(ValueError, match="for a multi-label task use ROC and PR curves"):
        confusion_of(multilabel)


@pytest.mark.parametrize(
    ("y_true", "y_pred", "sentence"),
    [
        ([0, 1], [0], r"must both have shape \(N,\), got \(2,\) and \(1,\)"),
        ([0, -1], [0, 1], "Truth must be class indices 0 to 2, got -1 to 0; leave out"),
        ([0, 1], [0, 3], "Answers must be class indices 0 to 2, got 0 to 3"),
    ],
)
def test_wrong_input_gives_a_sentence(y_true, y_pred, sentence):
    with pytest.raises(ValueError, match=sentence):
        confusion_matrix(np.array(y_true), np.array(y_pred), 3)


def test_wrong_counts_give_a_sentence():
    with pytest.raises(ValueError, match=r"one row and one column per class \(2\), got shape \(3, 3\)"):
        ConfusionMatrix(("a", "b"), np.zeros((3, 3)))
    with pytest.raises(ValueError, match="whole numbers of 0 or more"):
        ConfusionMatrix(("a", "b"), np.full((2, 2), 0.5))
