"""Soft and hard voting: the specification's examples, permutations, weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cxrlab.ensembles.voting import hard_vote, mean_scores, normalised_weights, soft_vote, vote, vote_shares
from cxrlab.labels import CXR4, LabelSet
from cxrlab.predictions import Predictions


def member(seed: int, *, n: int = 20) -> Predictions:
    scores = np.random.default_rng(seed).dirichlet(np.ones(4), n)
    truth = np.arange(n) % 4
    ids = tuple(f"{row}.png" for row in range(n))
    return Predictions(ids, CXR4, scores, y_true=truth, checkpoint=f"m{seed}", groups={"source": ("a",) * n})


@pytest.fixture
def members() -> list[Predictions]:
    return [member(seed) for seed in range(5)]


def deciding(classes: list[int]) -> np.ndarray:
    """(M, 1, 4) scores of members that decide for the given classes, each with .4 against three times .2."""
    return np.stack([np.where(np.arange(4) == index, 0.4, 0.2)[None] for index in classes])


def test_soft_vote_is_the_weighted_mean(members: list[Predictions]) -> None:
    voted = soft_vote(members, [1, 2, 3, 4, 5])
    by_hand = sum(weight * one.scores for weight, one in zip([1, 2, 3, 4, 5], members, strict=True)) / 15
    assert np.allclose(voted.scores, by_hand, atol=1e-12)
    assert np.allclose(voted.scores.sum(axis=1), 1)


def test_equal_weights_are_the_default(members: list[Predictions]) -> None:
    assert np.array_equal(soft_vote(members).scores, soft_vote(members, [7] * 5).scores)
    assert np.array_equal(soft_vote(members).scores, soft_vote(members, ()).scores)


@pytest.mark.parametrize("how", ["soft", "hard"])
def test_order_of_members_and_of_images_does_not_matter(members: list[Predictions], how: str) -> None:
    shuffled = [one.select(np.random.default_rng(1).permutation(len(one))) for one in members[1:]]
    voted, again = vote(members, how=how), vote([members[0], *reversed(shuffled)], how=how)
    assert voted.ids == again.ids
    assert np.allclose(voted.scores, again.scores)
    assert np.array_equal(voted.predicted, again.predicted)


@pytest.mark.parametrize("how", ["soft", "hard"])
def test_members_that_agree_are_repeated(how: str) -> None:
    one = member(3)
    voted = vote([one, one, one], how=how)
    assert np.array_equal(voted.predicted, one.predicted)
    if how == "soft":
        assert np.allclose(voted.scores, one.scores)


def test_votes_of_the_specification() -> None:
    """Spec 3.5: learners [0, 0, 1, 2, 0] give the shares [.6, .2, .2, 0] and class 0."""
    shares, decisions = vote_shares(deciding([0, 0, 1, 2, 0]))
    assert np.allclose(shares, [[0.6, 0.2, 0.2, 0]])
    assert decisions.tolist() == [0]


def test_votes_and_mean_probabilities_can_disagree() -> None:
    """Spec 3.5: two of three vote for class 1, the mean is highest for class 0; and ten labels of patches."""
    logits = np.array([[4, 0, 0, 0], [0, 0.3, 0.1, 0], [0, 0.2, 0, 0.1]])
    scores = (np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True))[:, None]
    shares, decisions = vote_shares(scores)
    assert np.allclose(shares, [[0.333333, 0.666667, 0, 0]], atol=1e-6)
    assert decisions.tolist() == [1]
    assert np.allclose(mean_scores(scores), [[0.46783672, 0.20088693, 0.16552136, 0.16575499]], atol=1e-8)
    assert np.allclose(vote_shares(deciding([0, 0, 1, 2, 0, 3, 0, 1, 0, 0]))[0], [[0.6, 0.2, 0.1, 0.1]])


def test_tie_goes_to_the_larger_summed_probability() -> None:
    """Spec 3.5: [0, 0, 1, 1, 2], where the last learner also gives class 1 more than class 0."""
    scores = deciding([0, 0, 1, 1, 2])
    scores[4, 0] = [0.1, 0.3, 0.5, 0.1]
    shares, decisions = vote_shares(scores)
    assert np.allclose(shares, [[0.4, 0.4, 0.2, 0]])
    assert decisions.tolist() == [1]


def test_full_tie_goes_to_the_lower_class() -> None:
    assert vote_shares(deciding([3, 1]))[1].tolist() == [1]


def test_tie_is_decided_without_touching_the_scores() -> None:
    one, other = (
        Predictions(("a",), CXR4, np.array([scores])) for scores in ([0.5, 0.2, 0.2, 0.1], [0.0, 0.3, 0.1, 0.6])
    )
    voted = hard_vote([one, other])
    assert voted.scores.tolist() == [[0.5, 0, 0, 0.5]]
    assert voted.predicted.tolist() == [3]  # .7 against .5


def test_weights_can_outvote_a_majority() -> None:
    assert vote_shares(deciding([0, 0, 1]), [1, 1, 3])[1].tolist() == [1]


def test_facts_of_the_images_are_kept_and_the_checkpoint_is_not(members: list[Predictions]) -> None:
    voted = hard_vote(members)
    assert np.array_equal(voted.truth, members[0].truth)
    assert voted.groups == members[0].groups
    assert (voted.checkpoint, voted.checkpoint_sha256) == ("", "")


def test_a_hard_vote_can_be_a_member_of_a_soft_vote(members: list[Predictions]) -> None:
    assert soft_vote([hard_vote(members), members[0]]).decisions is None


def test_multilabel_scores_can_be_averaged_but_not_counted() -> None:
    one = Predictions(("a",), CXR4, np.array([[0.9, 0.8, 0.1, 0.2]]), task="multilabel", normalised=False)
    assert np.allclose(soft_vote([one, replace(one, scores=one.scores / 2)]).scores, one.scores * 0.75)
    with pytest.raises(ValueError, match="Hard voting needs one class an image"):
        hard_vote([one, one])


def test_arrays_of_one_image() -> None:
    assert np.allclose(mean_scores(deciding([0, 1]), [3, 1]), [[0.35, 0.25, 0.2, 0.2]])


@pytest.mark.parametrize("weights", [[1.0], [1, -1], [1, 0], [1, float("nan")]])
def test_wrong_weights(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="Weights must be 2 positive numbers, one for each member"):
        normalised_weights(weights, 2)


def test_members_must_fit_each_other(members: list[Predictions]) -> None:
    other = Predictions(members[0].ids, LabelSet.from_ids("abcd"), members[0].scores, y_true=members[0].truth)
    with pytest.raises(ValueError, match="Labels and task must be the same"):
        soft_vote([members[0], other])
    with pytest.raises(ValueError, match="Images must be the same: 1 are in only one"):
        hard_vote([members[0], members[1].select(range(19))])
    with pytest.raises(ValueError, match="At least one set of predictions"):
        vote([])
    with pytest.raises(ValueError, match="Voting must be soft or hard, got 'loud'"):
        vote(members, how="loud")
