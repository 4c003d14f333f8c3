"""AUC on a long list, and the patient bootstrap of every metric, against scikit-learn."""

from __future__ import annotations

import numpy as np
from sklearn import metrics as sk

from benchmarks.measure import Row, interleaved
from cxrlab.labels import CXR4
from cxrlab.metrics.curves import auc
from cxrlab.metrics.intervals import PatientBootstrap
from cxrlab.metrics.resampling import resample
from cxrlab.predictions import Predictions

IMAGES, PATIENTS, DRAWS = 1100, 750, 2000
LOOP_DRAWS = 40  # the loop is measured on these and scaled to DRAWS: its draws all cost the same


def rows() -> list[Row]:
    return [long_auc(), bootstrap()]


def long_auc() -> Row:
    rng = np.random.default_rng(0)
    y_true = rng.random(100_000) < 0.2
    y_score = rng.random(100_000) + 0.2 * y_true
    difference = abs(auc(y_true, y_score) - sk.roc_auc_score(y_true, y_score))
    ratios = interleaved(lambda: sk.roc_auc_score(y_true, y_score), lambda: auc(y_true, y_score), rounds=11)
    return Row("AUC, 1e5 scores", "sklearn.roc_auc_score", ratios, goal=4, note=f"difference {difference:.0e}")


def bootstrap() -> Row:
    """Accuracy, balanced accuracy, macro-F1, and F1, AUC and average precision of 4 classes."""
    predictions = made_up()
    whole = PatientBootstrap.of(predictions.patients, draws=DRAWS)
    few = PatientBootstrap.of(predictions.patients, draws=LOOP_DRAWS)
    resampled = resample(predictions, few)
    ours = np.vstack(
        [resampled.accuracy, resampled.balanced_accuracy, resampled.macro_f1, resampled.f1, resampled.auc,
         resampled.average_precision]
    )[:, 1:]  # fmt: skip
    difference = float(np.abs(ours - loop(predictions, few)).max())
    ratios = interleaved(
        lambda: loop(predictions, few),
        lambda: resample(predictions, whole),
        rounds=5,
        scale=DRAWS / LOOP_DRAWS,
    )
    part = f"patient bootstrap, {DRAWS} draws, n={IMAGES}, 15 metrics"
    return Row(part, "a loop over scikit-learn", ratios, goal=80, note=f"difference {difference:.0e}")


def loop(predictions: Predictions, bootstrap: PatientBootstrap) -> np.ndarray:
    """(15, draws) what a user would write: draw the images, call scikit-learn."""
    weights = np.concatenate(list(bootstrap.weights()), axis=1)
    columns, answers = range(len(predictions.labels)), predictions.predicted
    values = []
    for draw in weights.T:
        drawn = np.repeat(np.arange(len(predictions)), draw)
        truth, answer, scores = predictions.truth[drawn], answers[drawn], predictions.scores[drawn]
        f1 = sk.f1_score(truth, answer, average=None)
        areas = [sk.roc_auc_score(truth == k, scores[:, k]) for k in columns]
        precisions = [sk.average_precision_score(truth == k, scores[:, k]) for k in columns]
        overall = [
            sk.accuracy_score(truth, answer),
            sk.balanced_accuracy_score(truth, answer),
            sk.f1_score(truth, answer, average="macro"),
        ]
        values.append([*overall, *f1, *areas, *precisions])
    return np.array(values).T


def made_up() -> Predictions:
    rng = np.random.default_rng(0)
    y_true = rng.choice(4, size=IMAGES, p=[0.13, 0.18, 0.3, 0.39])  # about the benchmark test's shares
    strength = rng.normal(size=(IMAGES, 4))
    strength[np.arange(IMAGES), y_true] += 2
    scores = np.exp(strength)
    return Predictions(
        ids=tuple(map(str, range(IMAGES))),
        labels=CXR4,
        scores=scores / scores.sum(axis=1, keepdims=True),
        y_true=y_true,
        patient_ids=tuple(f"patient-{k}" for k in rng.integers(0, PATIENTS, IMAGES)),
    )
