"""ROC and precision-recall curves, one class against the rest, and the areas under them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cxrlab.predictions import Predictions


@dataclass(frozen=True, eq=False)
class RocCurve:
    """Sensitivity against false alarms.

    Args:
        fpr, tpr: (G + 1,) false and true positive rate in [0, 1], from (0, 0) to (1, 1); one point per distinct score.
        thresholds: (G + 1,) falling; an image counts as positive where its score is >= the threshold. Starts at inf.
        auc: area under the curve in [0, 1]; ties count half (Mann-Whitney).
        positives, negatives: number of images.
    """

    fpr: np.ndarray
    tpr: np.ndarray
    thresholds: np.ndarray
    auc: float
    positives: int
    negatives: int


@dataclass(frozen=True, eq=False)
class PrCurve:
    """Precision against recall.

    Args:
        precision, recall: (G + 1,) in [0, 1], recall rising; starts at recall 0 with precision 1 by convention.
        thresholds: (G + 1,) falling, starting at inf; see :class:`RocCurve`.
        average_precision: sum of precision times gain in recall (no interpolation), in [0, 1].
        prevalence: share of positives: the average precision of scores that know nothing.
        positives, negatives: number of images.
    """

    precision: np.ndarray
    recall: np.ndarray
    thresholds: np.ndarray
    average_precision: float
    prevalence: float
    positives: int
    negatives: int


@dataclass(frozen=True, eq=False)
class Ranking:
    """Images from high to low score, equal scores forming one group. Sorted once, used for every bootstrap draw.

    Args:
        order: (N,) positions of the images, highest score first.
        positive: (N,) bool in that order.
        first, last: (G,) places in that order where a group of equal scores begins and ends (inclusive).
        scores: (G,) the score of each group, falling.
    """

    order: np.ndarray
    positive: np.ndarray
    first: np.ndarray
    last: np.ndarray
    scores: np.ndarray


def rank(y_true: np.ndarray, y_score: np.ndarray) -> Ranking:
    """Sort images by score.

    Args:
        y_true: (N,) bool or 0/1, or NaN for unknown (left out of the ranking; ``order`` still points into N images).
        y_score: (N,) finite numbers.

    Raises:
        ValueError: when shapes differ, a truth is not 0, 1 or NaN, or a score is not finite.
    """
    y_true, y_score = _checked(y_true, y_score)
    known = np.flatnonzero(~np.isnan(y_true))
    order = known[np.argsort(-y_score[known])]
    falling = y_score[order]
    last = np.append(np.flatnonzero(falling[1:] != falling[:-1]), len(order) - 1) if len(order) else order
    first = np.append(0, last[:-1] + 1) if len(order) else order
    return Ranking(order, y_true[order] == 1, first, last, falling[last])


def roc_curve(y_true: np.ndarray, y_score: np.ndarray) -> RocCurve:
    """ROC curve of one class against the rest (arguments as :func:`rank`; unknown truth is left out).

    Raises:
        ValueError: also when there is no positive or no negative image.

    Example:
        >>> roc_curve(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8])).auc
        0.75
    """
    thresholds, hits, alarms = _steps(rank(y_true, y_score))
    positives, negatives = int(hits[-1]), int(alarms[-1])
    area = (np.diff(alarms) * (hits[1:] + hits[:-1])).sum() / 2 / (positives * negatives)
    return RocCurve(alarms / negatives, hits / positives, thresholds, float(area), positives, negatives)


def pr_curve(y_true: np.ndarray, y_score: np.ndarray) -> PrCurve:
    """Precision-recall curve of one class against the rest (arguments and errors as :func:`roc_curve`)."""
    thresholds, hits, alarms = _steps(rank(y_true, y_score))
    positives, negatives = int(hits[-1]), int(alarms[-1])
    precision = np.append(1.0, hits[1:] / (hits[1:] + alarms[1:]))
    area = (np.diff(hits) * precision[1:]).sum() / positives
    prevalence = positives / (positives + negatives)
    return PrCurve(precision, hits / positives, thresholds, float(area), prevalence, positives, negatives)


def auc(y_true: np.ndarray, y_score: np.ndarray) -> float:
    """Area under the ROC curve without the curve: share of (positive, negative) pairs in the right order.

    Two sorts and two searches; faster than the curve on long lists. NaN when there is no positive or no negative.
    """
    y_true, y_score = _checked(y_true, y_score)
    positive, negative = np.sort(y_score[y_true == 1]), np.sort(y_score[y_true == 0])
    pairs = len(positive) * len(negative)
    if not pairs:
        return float("nan")
    below, not_above = (np.searchsorted(negative, positive, side=side).sum() for side in ("left", "right"))
    return float((below + not_above) / 2 / pairs)


def weighted_areas(ranking: Ranking, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """AUC and average precision for many weightings of the same images at once.

    Only the groups of equal scores that hold a positive image matter: with P_g positive weight in group g, and the
    negative weight above it A_g and in it N_g, AUC = sum P_g (N - A_g - N_g / 2) / (P N), and the average precision is
    sum P_g / P times the precision at the end of g.

    Args:
        ranking: of N images.
        weights: (N, B) whole numbers >= 0: how often each image was drawn.

    Returns:
        (B,) AUC and (B,) average precision; NaN where a draw holds no positive or no negative image.
    """
    if not ranking.positive.any() or ranking.positive.all():
        return np.full(weights.shape[1], np.nan), np.full(weights.shape[1], np.nan)
    drawn = weights[ranking.order]  # (N, B), highest score first
    cumulative = np.cumsum(drawn, axis=0, dtype=weights.dtype)
    places = np.flatnonzero(ranking.positive)
    group = np.searchsorted(ranking.last, places)  # (positives,) the group each positive image belongs to
    groups, starts = np.unique(group, return_index=True)
    hits = np.add.reduceat(drawn[places], starts, axis=0).astype(np.float64)  # (G+, B) positive weight per group
    end = cumulative[ranking.last[groups]].astype(np.float64)
    before = np.where(ranking.first[groups, None] > 0, cumulative[ranking.first[groups] - 1], 0)
    hits_so_far = np.cumsum(hits, axis=0)
    positives = hits_so_far[-1]
    negatives = cumulative[-1] - positives
    # 2 A_g + N_g: negatives above the group plus negatives up to its end
    twice_above = end + before - 2 * hits_so_far + hits
    with np.errstate(invalid="ignore", divide="ignore"):
        area = (hits * (negatives - twice_above / 2)).sum(axis=0) / (positives * negatives)
        precision = np.where(hits > 0, hits_so_far / end, 0.0)
        average_precision = (hits * precision).sum(axis=0) / positives
    return area, np.where(negatives > 0, average_precision, np.nan)


def one_vs_rest(predictions: Predictions, class_id: str) -> tuple[np.ndarray, np.ndarray]:
    """Truth and scores of one class, for both tasks.

    Returns:
        (N,) float64 truth: 1, 0 or NaN where unknown, and (N,) float64 scores in [0, 1].

    Raises:
        ValueError: when the class is unknown; the text names the known ones.
    """
    column = predictions.labels.index(class_id)
    if predictions.task == "multilabel":
        return predictions.truth[:, column], predictions.scores[:, column]
    truth = np.where(predictions.known, predictions.truth == column, np.nan)
    return truth, predictions.scores[:, column]


def class_roc(predictions: Predictions, class_id: str) -> RocCurve:
    """ROC curve of one class against the rest, for both tasks. Raises ValueError as :func:`roc_curve`."""
    return roc_curve(*one_vs_rest(predictions, class_id))


def class_pr(predictions: Predictions, class_id: str) -> PrCurve:
    """Precision-recall curve of one class against the rest, for both tasks. Raises ValueError as :func:`roc_curve`."""
    return pr_curve(*one_vs_rest(predictions, class_id))


def _steps(ranking: Ranking) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Thresholds, and positives and negatives at or above each; all start with (inf, 0, 0)."""
    hits = np.cumsum(ranking.positive)[ranking.last]
    alarms = ranking.last + 1 - hits
    if not len(hits) or not hits[-1] or not alarms[-1]:
        found = (int(hits[-1]), int(alarms[-1])) if len(hits) else (0, 0)
        raise ValueError(
            f"A curve must have positive and negative images, got {found[0]} and {found[1]}; "
            "choose another class or another set."
        )
    return np.append(np.inf, ranking.scores), np.append(0, hits), np.append(0, alarms)


def _checked(y_true: np.ndarray, y_score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    y_true, y_score = np.asarray(y_true), np.asarray(y_score, dtype=np.float64)
    if y_true.ndim != 1 or y_true.shape != y_score.shape:
        raise ValueError(f"Truth and scores must both have shape (N,), got {y_true.shape} and {y_score.shape}.")
    if y_true.dtype != bool:
        y_true = y_true.astype(np.float64)
        if not ((y_true == 0) | (y_true == 1) | np.isnan(y_true)).all():
            raise ValueError("Truth must be 0, 1 or NaN for unknown.")
    if not np.isfinite(y_score).all():
        raise ValueError("Scores must be finite numbers; did the model give NaN?")
    return y_true, y_score
