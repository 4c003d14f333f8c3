"""Result types shared by every part: plain frozen data, without torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cxrlab.labels import LabelSet


@dataclass(frozen=True)
class Estimate:
    """A number with what is needed to judge it.

    Args:
        value: the point estimate; NaN where it is undefined.
        low, high: limits of the interval; NaN where it is undefined.
        n: how many observations it rests on (the denominator of a proportion, else images).
        method: how the interval was made, e.g. ``wilson`` or ``patient bootstrap, 2000 draws``.
        level: coverage of the interval, in (0, 1).
    """

    value: float
    low: float
    high: float
    n: int
    method: str
    level: float = 0.95

    def __str__(self) -> str:
        if np.isnan(self.value):
            return "–"
        if np.isnan(self.low):
            return f"{self.value:.3f}"
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True, eq=False)
class Heatmap:
    """Where a model looked for one class on one image.

    Args:
        values: (h, w) float32 in [0, 1], 1 at the strongest place; all zero where there is no evidence.
        class_id: the class that is explained.
        method: e.g. ``grad_cam``.
        layer: dotted name of the layer whose feature map was used.
        has_evidence: False where no place speaks for the class (the map before scaling has no positive value).
        peak: largest value of the map before scaling to [0, 1], in logits.
    """

    values: np.ndarray
    class_id: str
    method: str
    layer: str
    has_evidence: bool
    peak: float


@dataclass(frozen=True, eq=False)
class MemberResult:
    """What one member of an ensemble said of an image.

    Args:
        weight: its share in the ensemble, all together 1; in a FLANNEL ensemble its weight for this image, in (-1, 1)
            and often negative; in one with a perceptron 1 / N, which counts for the heatmap only.
        scores: (C,) float64 in [0, 1], by its own activation. heatmap: for the class that the ensemble's map explains.
    """

    checkpoint: str
    title: str
    checkpoint_sha256: str
    weight: float
    scores: np.ndarray
    heatmap: Heatmap | None = None


@dataclass(frozen=True, eq=False)
class ModelResult:
    """What one checkpoint said of one image.

    Args:
        checkpoint, title, checkpoint_sha256: name, name for people, hash of the weights.
        kind: ``model`` or ``ensemble``. domain: kind of images it was trained on, as on its card.
        labels: the C classes. scores: (C,) float64 in [0, 1]; of hard voting, the shares of the votes.
        predicted: id of the class it decides for; of a multi-label model, the one with the highest score.
        seconds: computing time without loading and waiting; of an ensemble, of all members.
        device: ``cpu`` or ``cuda``, where it was computed in the end.
        heatmap: where it looked, if that was asked for. members: of an ensemble, in the card's order.
        voting: how an ensemble's members become its scores, as on its card; empty for a single model.
        notes: sentences for the user, e.g. that the GPU's memory did not suffice.
    """

    checkpoint: str
    title: str
    checkpoint_sha256: str
    kind: str
    domain: str
    labels: LabelSet
    scores: np.ndarray
    predicted: str
    seconds: float
    device: str
    heatmap: Heatmap | None = None
    members: tuple[MemberResult, ...] = ()
    notes: tuple[str, ...] = ()
    voting: str = ""


@dataclass(frozen=True)
class Epoch:
    """One line of a training history: losses are means per image, scores in [0, 1]."""

    epoch: int
    train_loss: float
    metrics: dict[str, float]
    learning_rate: float
    seconds: float


@dataclass(frozen=True)
class History:
    """How a training went."""

    epochs: tuple[Epoch, ...]
    monitor: str
    best_epoch: int
    best_value: float
    stopped: str  # "finished", "early stopping" or "interrupted"

    def to_json(self) -> dict[str, Any]:
        from dataclasses import asdict

        return asdict(self)
