"""Oracle: scikit-learn and statsmodels, through the parts that are tested beside this file."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics as sk
from statsmodels.stats.proportion import proportion_confint

from cxrlab.labels import CXR4, LabelSet
from cxrlab.metrics.report import by_group, measure
from cxrlab.metrics.results import CLASS_METRICS, OVERALL_METRICS, GroupReport, MetricReport
from cxrlab.predictions import Predictions


@pytest.fixture
def report(predictions) -> MetricReport:
    return measure(predictions, draws=200)


def test_values_equal_scikit_learn(predictions, report):
    truth, answers, scores = predictions.truth, predictions.predicted, predictions.scores
    assert report.accuracy.value == pytest.approx(sk.accuracy_score(truth, answers), abs=1e-12)
    assert report.balanced_accuracy.value == pytest.approx(sk.balanced_accuracy_score(truth, answers), abs=1e-12)
    assert report.macro_f1.value == pytest.approx(sk.f1_score(truth, answers, average="macro"), abs=1e-12)
    assert report.majority_rate.value == pytest.approx(np.bincount(truth).max() / len(truth))
    for column, entry in enumerate(report.classes):
        one = truth == column
        assert entry.precision.value == pytest.approx(sk.precision_score(one, answers == column), abs=1e-12)
        assert entry.recall.value == pytest.approx(sk.recall_score(one, answers == column), abs=1e-12)
        assert entry.specificity.value == pytest.approx(sk.recall_score(~one, answers != column), abs=1e-12)
        assert entry.f1.value == pytest.approx(sk.f1_score(one, answers == column), abs=1e-12)
        assert entry.auc.value == pytest.approx(sk.roc_auc_score(one, scores[:, column]), abs=1e-12)
        expected = sk.average_precision_score(one, scores[:, column])
        assert entry.average_precision.value == pytest.approx(expected, abs=1e-12)


def test_proportions_have_wilson_intervals(predictions, report):
    hits, support = int(np.trace(report.confusion.counts)), len(predictions)
    low, high = proportion_confint(hits, support, method="wilson")
    assert (report.accuracy.low, report.accuracy.high) == (pytest.approx(low), pytest.approx(high))
    assert report.accuracy.method == "wilson, images of one patient taken as independent"
    assert report.macro_f1.method == "patient bootstrap, 200 draws"


def test_wilson_is_plain_when_each_patient_has_one_image(predictions):
    single = measure(replace(predictions, patient_ids=predictions.ids), draws=10)
    assert single.accuracy.method == "wilson"
    assert single.n_patients == len(predictions)


def test_every_interval_holds_its_estimate(report):
    estimates = [getattr(report, name) for name in OVERALL_METRICS]
    estimates += [getattr(entry, name) for entry in report.classes for name in CLASS_METRICS]
    for estimate in estimates:
        assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1
        assert estimate.n > 0
        assert estimate.level == 0.95


def test_counts_fit_each_other(predictions, report):
    assert report.n_images == len(predictions)
    assert report.n_patients == len(set(predictions.patients))
    assert report.n_unknown == 0
    assert sum(entry.positives for entry in report.classes) == len(predictions)
    assert [entry.true_positives for entry in report.classes] == report.confusion.counts.diagonal().tolist()
    for column, entry in enumerate(report.classes):
        assert entry.recall.n == entry.positives
        assert entry.precision.n == entry.true_positives + entry.false_positives
        rows = predictions.truth == column
        assert entry.patients == len({p for p, row in zip(predictions.patients, rows, strict=True) if row})


def test_order_of_images_changes_nothing(predictions, report):
    shuffled = predictions.select(np.random.default_rng(0).permutation(len(predictions)))
    assert measure(shuffled, draws=200).to_json() == report.to_json()


def test_order_of_classes_changes_nothing_but_the_order(predictions, report):
    order = [2, 0, 3, 1]
    other = measure(
        replace(
            predictions,
            labels=LabelSet.from_ids([CXR4.ids[i] for i in order]),
            scores=predictions.scores[:, order],
            y_true=np.argsort(order)[predictions.truth],
        ),
        draws=200,
    )
    # Ties between the highest scores go to the lower index, so that only metrics from scores must agree.
    for class_id in CXR4.ids:
        assert other.of_class(class_id).auc == report.of_class(class_id).auc
        assert other.of_class(class_id).positives == report.of_class(class_id).positives


def test_unknown_truth_is_left_out_and_counted(predictions):
    truth = predictions.truth.copy()
    truth[100:] = -1
    partly = measure(replace(predictions, y_true=truth), draws=50)
    assert (partly.n_images, partly.n_unknown) == (100, 20)
    known = measure(predictions.select(np.arange(100)), draws=50)
    assert partly.to_json() == known.to_json() | {"n_unknown": 20}


def test_seed_decides_the_intervals_only(predictions, report):
    other = measure(predictions, draws=200, seed=1)
    assert other.macro_f1.value == report.macro_f1.value
    assert other.macro_f1.low != report.macro_f1.low
    assert measure(predictions, draws=200).to_json() == report.to_json()


def test_higher_level_gives_wider_intervals(predictions, report):
    wide = measure(predictions, draws=200, level=0.99)
    assert wide.macro_f1.low < report.macro_f1.low
    assert wide.accuracy.high > report.accuracy.high


def test_absent_class_is_undefined_and_the_rest_is_measured(predictions):
    without = measure(predictions.select(predictions.truth != 1), draws=50)
    viral = without.of_class("viral")
    assert viral.positives == 0
    for name in ("recall", "f1", "auc", "average_precision"):
        assert math.isnan(getattr(viral, name).value)
        assert getattr(viral, name).method.startswith("undefined")
    assert not math.isnan(without.macro_f1.value)


def test_one_class_only_still_gives_a_report(predictions):
    only = measure(predictions.select(predictions.truth == 3), draws=20)
    assert only.majority_rate.value == 1
    normal = only.of_class("normal")
    assert normal.recall.value == only.accuracy.value
    assert math.isnan(normal.auc.value)
    assert math.isnan(normal.specificity.value)


def test_one_patient_has_no_bootstrap_interval(predictions):
    report = measure(replace(predictions, patient_ids=("a",) * len(predictions)), draws=20)
    assert report.n_patients == 1
    assert not math.isnan(report.macro_f1.value)
    assert math.isnan(report.macro_f1.low)
    assert report.macro_f1.method == "no interval: one patient"


def test_one_image_gives_a_report(predictions):
    report = measure(predictions.select([0]), draws=20)
    assert report.n_images == 1
    assert math.isnan(report.of_class("covid19").auc.value)


def test_class_never_answered_says_so():
    predictions = Predictions(("a", "b"), LabelSet.from_ids(["x", "y"]), np.array([[1.0, 0], [1, 0]]), np.array([0, 1]))
    precision = measure(predictions, draws=10).of_class("y").precision
    assert precision.value == 0
    assert precision.method == "0 by rule: the class was never answered"


def test_rare_class_tells_how_many_draws_lost_it(predictions):
    keep = np.flatnonzero(predictions.truth != 0).tolist() + np.flatnonzero(predictions.truth == 0)[:1].tolist()
    rare = measure(predictions.select(keep), draws=200).of_class("covid19")
    assert rare.positives == 1
    assert "of them undefined" in rare.auc.method


def test_multilabel_has_areas_and_no_answers(multilabel):
    report = measure(multilabel, draws=50)
    assert report.confusion is None
    assert report.n_unknown == int((~multilabel.known).sum()) >= 1
    assert math.isnan(report.accuracy.value)
    assert "multi-label" in report.accuracy.method
    entry = report.of_class("oedema")
    truth = multilabel.truth[:, 1]
    known = ~np.isnan(truth)
    assert entry.n == known.sum()
    assert entry.true_positives is None
    assert math.isnan(entry.recall.value)
    assert entry.auc.value == pytest.approx(sk.roc_auc_score(truth[known], multilabel.scores[known, 1]), abs=1e-12)
    assert entry.auc.low < entry.auc.value < entry.auc.high


@pytest.mark.parametrize("which", ["predictions", "multilabel"])
def test_json_round_trip(which, request):
    report = measure(request.getfixturevalue(which), draws=20)
    text = json.dumps(report.to_json(), allow_nan=False)
    again = MetricReport.from_json(json.loads(text))
    assert json.dumps(again.to_json()) == text
    assert again.labels == report.labels
    assert again.classes[0].auc == report.classes[0].auc


def test_foreign_json_gives_a_sentence():
    with pytest.raises(ValueError, match=r"must have the fields labels, task, .*written by cxrlab"):
        MetricReport.from_json({"accuracy": 1})


def test_no_truth_gives_a_sentence(predictions):
    with pytest.raises(ValueError, match="at least one image of known truth, got none"):
        measure(replace(predictions, y_true=None))


def test_unknown_class_names_the_known_ones(report):
    with pytest.raises(KeyError, match="the classes are covid19, viral"):
        report.of_class("flu")


def test_groups_are_measured_alone(predictions):
    groups = by_group(predictions, "source", draws=50)
    assert [group.group for group in groups] == ["north", "south"]
    assert sum(group.n_images for group in groups) == len(predictions)
    north = predictions.select(np.array(predictions.groups["source"]) == "north")
    expected = measure(north, draws=50)
    for entry in groups[0].classes:
        whole = expected.of_class(entry.class_id)
        if whole.positives >= 10:
            assert entry == whole


def test_few_positives_in_a_group_leave_only_counts(predictions):
    group = by_group(predictions, "source", min_positives=1000, draws=5)[0]
    for entry in group.classes:
        assert entry.positives > 0
        assert entry.true_positives is not None
        assert all(math.isnan(getattr(entry, name).value) for name in CLASS_METRICS)
        assert entry.recall.method == "undefined: fewer than 1000 positives"
        assert entry.recall.n == entry.positives


def test_class_bound_to_one_group_has_no_area_there(predictions):
    source = tuple("hospital" if k == 0 else "elsewhere" for k in predictions.truth)
    bound = by_group(replace(predictions, groups={"source": source}), "source", min_positives=1, draws=10)
    hospital = bound[1]
    covid19 = hospital.classes[0]
    assert hospital.group == "hospital"
    assert covid19.positives == hospital.n_images
    assert not math.isnan(covid19.recall.value)
    assert math.isnan(covid19.auc.value)
    assert math.isnan(covid19.specificity.value)


def test_group_without_known_truth_does_not_appear(predictions):
    truth = np.where(np.array(predictions.groups["source"]) == "north", -1, predictions.truth)
    assert [g.group for g in by_group(replace(predictions, y_true=truth), "source", draws=5)] == ["south"]


def test_group_json_round_trip(predictions):
    group = by_group(predictions, "source", draws=10)[0]
    text = json.dumps(group.to_json(), allow_nan=False)
    assert json.dumps(GroupReport.from_json(json.loads(text)).to_json()) == text


def test_unknown_column_names_the_known_ones(predictions):
    with pytest.raises(ValueError, match="Unknown column 'hospital'; the predictions have source"):
        by_group(predictions, "hospital")
