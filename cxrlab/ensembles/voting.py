"""Soft and hard voting: several checkpoints with the same classes become one answer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from cxrlab.predictions import Predictions, align

Voting = Literal["soft", "hard"]


def vote(
    members: Sequence[Predictions], *, how: Voting | str = "soft", weights: Sequence[float] | None = None
) -> Predictions:
    """Voting by its name on a card: ``soft`` or ``hard``. Raises ValueError for another, and as the two do."""
    if how not in ("soft", "hard"):
        raise ValueError(f"Voting must be soft or hard, got {how!r}.")
    return soft_vote(members, weights) if how == "soft" else hard_vote(members, weights)


def soft_vote(members: Sequence[Predictions], weights: Sequence[float] | None = None) -> Predictions:
    """Weighted mean of the members' scores, image by image and class by class.

    Args:
        members: predictions of the same images, in any order, with the same classes.
        weights: one positive number a member; None or empty: equal. Only their ratios matter.

    Returns:
        Rows in the order of the first member; ``checkpoint`` and its hash are empty.

    Raises:
        ValueError: when there is no member, or images, classes, truths or weights do not fit each other.
    """
    aligned = align(members)
    return _voted(aligned[0], mean_scores(np.stack([member.scores for member in aligned]), weights))


def hard_vote(members: Sequence[Predictions], weights: Sequence[float] | None = None) -> Predictions:
    """Each member votes for its highest score; the class with most votes wins.

    The scores are the (weighted) shares of the votes. Equal shares are decided by the larger sum of the members'
    scores, then by the lower class index; the decisions are in ``Predictions.predicted``.

    Args and errors: as :func:`soft_vote`, and ValueError for a multi-label task.
    """
    aligned = align(members)
    if aligned[0].task != "multiclass":
        raise ValueError("Hard voting needs one class an image; use soft voting for a multi-label task.")
    shares, decisions = vote_shares(np.stack([member.scores for member in aligned]), weights)
    return replace(_voted(aligned[0], shares), decisions=decisions)


def mean_scores(scores: np.ndarray, weights: Sequence[float] | None = None) -> np.ndarray:
    """(M, N, C) scores of M members -> (N, C) weighted mean."""
    return np.einsum("m,mnc->nc", normalised_weights(weights, len(scores)), scores)


def vote_shares(scores: np.ndarray, weights: Sequence[float] | None = None) -> tuple[np.ndarray, np.ndarray]:
    """(M, N, C) scores of M members -> (N, C) shares of the votes and (N,) winning classes, see :func:`hard_vote`."""
    weight = normalised_weights(weights, len(scores))
    votes = scores.argmax(axis=2)  # (M, N, C) -> (M, N)
    shares = np.einsum("m,mnc->nc", weight, np.eye(scores.shape[2])[votes])  # (M, N, C) -> (N, C)
    tied = np.isclose(shares, shares.max(axis=1, keepdims=True), rtol=0, atol=1e-9)
    summed = np.einsum("m,mnc->nc", weight, scores)
    return shares, np.where(tied, summed, -np.inf).argmax(axis=1)


def normalised_weights(weights: Sequence[float] | None, count: int) -> np.ndarray:
    """(M,) weights with sum 1, equal ones for None or none. Raises ValueError unless there are M positive ones."""
    given = np.asarray(weights if weights is not None and len(weights) else np.ones(count), dtype=np.float64)
    if given.shape != (count,) or not all(math.isfinite(weight) and weight > 0 for weight in given):
        raise ValueError(f"Weights must be {count} positive numbers, one for each member, got {list(given)}.")
    return given / given.sum()


def _voted(first: Predictions, scores: np.ndarray) -> Predictions:
    return replace(first, scores=np.clip(scores, 0, 1), decisions=None, checkpoint="", checkpoint_sha256="")
