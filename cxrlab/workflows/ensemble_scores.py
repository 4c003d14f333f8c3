"""Members' scores become an ensemble's: by voting, or by the combiner in the ensemble's folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cxrlab.cards import ModelCard
from cxrlab.catalogue import CheckpointInfo
from cxrlab.ensembles.combiner_config import largest_score
from cxrlab.ensembles.voting import mean_scores, vote, vote_shares
from cxrlab.predictions import Predictions


@dataclass(frozen=True, eq=False)
class EnsembleAnswer:
    """What an ensemble says of one image.

    Args:
        scores: (C,) float64 in [0, 1]. decided: index of the class it decides for.
        weights: of the members, for this image: with sum 1 in voting, in (-1, 1) in a FLANNEL ensemble; equal ones
            where a perceptron decides, which has none.
    """

    scores: np.ndarray
    decided: int
    weights: tuple[float, ...]


def answer(info: CheckpointInfo, members: np.ndarray) -> EnsembleAnswer:
    """The answer of an ensemble from its members' scores (N, C) of one image, in the card's order.

    Raises:
        CheckpointError: when its combiner can not be used.
    """
    card = info.card
    if card.voting == "hard":
        shares, decisions = vote_shares(members[:, None], card.weights)
        return EnsembleAnswer(shares[0], int(decisions[0]), card.weights)
    if not card.is_learned:
        scores = mean_scores(members[:, None], card.weights)[0]
        return EnsembleAnswer(scores, int(scores.argmax()), card.weights)
    from cxrlab.checkpoints import load_combiner

    combiner = load_combiner(info)
    assert combiner is not None  # the voting is learned
    found = combiner.combine(members[None])
    weights = card.weights if found.weights is None else tuple(map(float, found.weights[0]))
    return EnsembleAnswer(found.scores[0], int(found.scores[0].argmax()), weights)


def ensemble_predictions(info: CheckpointInfo, members: Sequence[Predictions]) -> Predictions:
    """Predictions of an ensemble from its members', in the card's order; rows as the first member's.

    Raises:
        CheckpointError: when its combiner can not be used. ValueError: when the predictions do not fit each other.
    """
    card = info.card
    if not card.is_learned:
        voted = vote(members, how=card.voting, weights=card.weights)
    else:
        from cxrlab.checkpoints import load_combiner
        from cxrlab.ensembles.out_of_fold import stacked

        combiner = load_combiner(info)
        assert combiner is not None  # the voting is learned
        voted = replace(members[0], scores=combiner.combine(stacked(members)).scores, decisions=None)
    return replace(voted, checkpoint=info.name, checkpoint_sha256=card.weights_sha256)


def bound_note(card: ModelCard) -> tuple[str, ...]:
    """That a FLANNEL ensemble's scores are bounded, and by what; nothing for all other checkpoints."""
    return (bound_words(len(card.members), len(card.labels)),) if card.voting == "flannel" else ()


def bound_words(num_members: int, num_classes: int) -> str:
    """By what a FLANNEL ensemble's scores are bounded, in one sentence."""
    bound = largest_score(num_members, num_classes)
    return f"No score of a FLANNEL ensemble of {num_members} exceeds {bound:.3f}, however sure its members are."


def voting_words(card: ModelCard) -> str:
    """How an ensemble's members become its scores, in one sentence."""
    learned = "Score of the ensemble: softmax of the members' scores summed with weights that a learned module sets for"
    perceptron = "Score of the ensemble: a perceptron with {} that reads all members' scores; members have no weights."
    return {
        "soft": "Score of the ensemble: weighted mean of the members' scores.",
        "hard": "Score of the ensemble: weighted share of the members' votes.",
        "flannel": f"{learned} each image, between −1 and 1. {' '.join(bound_note(card))}",
        "mlp_l1": perceptron.format("1 layer"),
        "mlp_l2": perceptron.format("2 layers"),
    }[card.voting]
