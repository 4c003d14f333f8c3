"""Made-up predictions: a model that is right more often than not, patients with several images, tied scores."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from cxrlab.labels import CXR4, LabelSet
from cxrlab.predictions import Predictions


def made_up(n: int = 120, *, seed: int = 0, patients: int = 70, labels: LabelSet = CXR4) -> Predictions:
    """Scores rounded to 1/20 before scaling, so that ties are frequent; every class occurs."""
    rng = np.random.default_rng(seed)
    c = len(labels)
    y_true = np.concatenate([np.arange(c), rng.choice(c, size=n - c, p=_shares(c))])
    strength = rng.random((n, c))
    strength[np.arange(n), y_true] += 0.4
    scores = np.round(strength * 20) + 1
    scores /= scores.sum(axis=1, keepdims=True)
    return Predictions(
        ids=tuple(f"image-{i}" for i in range(n)),
        labels=labels,
        scores=scores,
        y_true=y_true,
        patient_ids=tuple(f"patient-{i}" for i in rng.integers(0, patients, n)),
        groups={"source": tuple(rng.choice(["north", "south"], n))},
    )


def _shares(c: int) -> np.ndarray:
    shares = np.arange(1, c + 1, dtype=float)
    return shares / shares.sum()


@pytest.fixture
def make_predictions() -> Callable[..., Predictions]:
    return made_up


@pytest.fixture
def predictions() -> Predictions:
    return made_up()


@pytest.fixture
def multilabel() -> Predictions:
    """Three findings on 60 images, a third of the truths unknown, one image without any known truth."""
    rng = np.random.default_rng(1)
    truth = (rng.random((60, 3)) < 0.4).astype(float)
    scores = np.clip(0.3 * truth + 0.7 * rng.random((60, 3)), 0, 1)
    truth[rng.random((60, 3)) < 0.33] = np.nan
    truth[0] = np.nan
    return Predictions(
        ids=tuple(map(str, range(60))),
        labels=LabelSet.from_ids(["effusion", "oedema", "nodule"]),
        scores=scores,
        y_true=truth,
        patient_ids=tuple(str(i // 2) for i in range(60)),
        task="multilabel",
        normalised=False,
    )
