"""Oracle: a plain loop over scikit-learn on the same draws, images repeated as often as they were drawn."""

import numpy as np
import pytest
from sklearn import metrics as sk

from cxrlab.metrics.curves import class_pr, class_roc
from cxrlab.metrics.intervals import PatientBootstrap
from cxrlab.metrics.resampling import resample
from cxrlab.predictions import Predictions

DRAWS = 25


def loop(predictions: Predictions, bootstrap: PatientBootstrap) -> dict[str, np.ndarray]:
    """The same metrics draw by draw."""
    c = len(predictions.labels)
    weights = np.concatenate(list(bootstrap.weights()), axis=1)
    values: dict[str, list] = {name: [] for name in ("auc", "ap", "f1", "macro_f1", "balanced", "accuracy")}
    for draw in weights.T:
        rows = np.repeat(np.arange(len(predictions)), draw)
        truth, scores, answers = predictions.truth[rows], predictions.scores[rows], predictions.predicted[rows]
        present = np.unique(truth)
        per_class = sk.f1_score(truth, answers, labels=range(c), average=None, zero_division=0.0)
        values["f1"].append(np.where(np.isin(range(c), present), per_class, np.nan))
        values["macro_f1"].append(sk.f1_score(truth, answers, labels=present, average="macro", zero_division=0.0))
        values["balanced"].append(sk.recall_score(truth, answers, labels=present, average="macro"))
        values["accuracy"].append(sk.accuracy_score(truth, answers))
        both = [0 < (truth == k).sum() < len(truth) for k in range(c)]
        for name, score in (("auc", sk.roc_auc_score), ("ap", sk.average_precision_score)):
            values[name].append([score(truth == k, scores[:, k]) if both[k] else np.nan for k in range(c)])
    return {name: np.array(value).T for name, value in values.items()}


@pytest.mark.parametrize(("n", "patients"), [(120, 70), (120, 10_000), (12, 6)])
def test_equals_a_loop_over_scikit_learn(make_predictions, n, patients):
    predictions = make_predictions(n, patients=patients)
    bootstrap = PatientBootstrap.of(predictions.patients, draws=DRAWS, seed=5)
    resampled, expected = resample(predictions, bootstrap), loop(predictions, bootstrap)
    for name, values in (
        ("auc", resampled.auc),
        ("ap", resampled.average_precision),
        ("f1", resampled.f1),
        ("macro_f1", resampled.macro_f1),
        ("balanced", resampled.balanced_accuracy),
        ("accuracy", resampled.accuracy),
    ):
        np.testing.assert_allclose(values[..., 1:], expected[name], rtol=0, atol=1e-12, err_msg=name)


def test_first_column_is_the_value_on_all_images(predictions):
    resampled = resample(predictions, PatientBootstrap.of(predictions.patients, draws=3))
    for column, class_id in enumerate(predictions.labels.ids):
        assert resampled.auc[column, 0] == pytest.approx(class_roc(predictions, class_id).auc, abs=1e-12)
        expected = class_pr(predictions, class_id).average_precision
        assert resampled.average_precision[column, 0] == pytest.approx(expected, abs=1e-12)


def test_multilabel_has_areas_only(multilabel):
    known = multilabel.select(multilabel.known)
    resampled = resample(known, PatientBootstrap.of(known.patients, draws=10))
    assert resampled.auc.shape == (3, 11)
    assert not np.isnan(resampled.auc).any()
    assert np.isnan(resampled.f1).all()
    assert np.isnan(resampled.macro_f1).all()


def test_bootstrap_of_other_images_is_refused(predictions):
    with pytest.raises(ValueError, match="must be for 120 images, got 2"):
        resample(predictions, PatientBootstrap.of(["a", "b"]))
