"""Members' outputs as a combiner reads them: stacked, or put together from the folds that did not train on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cxrlab.predictions import Predictions, align


def stacked(members: Sequence[Predictions]) -> np.ndarray:
    """Predictions of N members for the same B images -> (B, N, M) scores, rows in the order of the first member's.

    Raises:
        ValueError: when there is no member, or images, classes or truths differ.
    """
    return np.stack([member.scores for member in align(members)], axis=1)


def assembled(folds: Sequence[Sequence[Predictions]]) -> list[Predictions]:
    """One prediction an image and member, each from the fold that did not train on the image.

    No member is trained again: every fold has members already, and each fold's blocks are what those members have not
    seen. A combiner fitted on the result has seen outputs of members on images that were new to them, as at test time.

    Args:
        folds: for each fold the N members, in one order, predicting the fold's validation block.

    Returns:
        N predictions, rows fold after fold; the checkpoint's name is the first fold's, the hash is empty.

    Raises:
        ValueError: when folds have different numbers of members, classes differ, or an image is in two blocks.

    Reference: D. H. Wolpert, Stacked generalization, Neural Networks 5 (1992), 241-259.
    """
    counts = {len(members) for members in folds}
    if len(counts) != 1 or 0 in counts:
        raise ValueError(f"Every fold must have the same members, got numbers of members {sorted(counts)}.")
    return [_joined(blocks) for blocks in zip(*(align(members) for members in folds), strict=True)]


def fold_mean(folds: Sequence[Sequence[Predictions]]) -> list[Predictions]:
    """Members' scores on images that no fold trained on (the test set): the mean over the folds, member by member.

    Args:
        folds: for each fold the N members, in one order, all predicting the same images.

    Returns:
        N predictions, rows in the order of the first fold's; hashes are empty.

    Raises:
        ValueError: when folds have different numbers of members, or images, classes or truths differ.
    """
    counts = {len(members) for members in folds}
    if len(counts) != 1 or 0 in counts:
        raise ValueError(f"Every fold must have the same members, got numbers of members {sorted(counts)}.")
    means = []
    for one in zip(*folds, strict=True):
        aligned = align(one)
        scores = np.mean([fold.scores for fold in aligned], axis=0)
        means.append(replace(aligned[0], scores=scores, decisions=None, checkpoint_sha256=""))
    first = means[0]
    return [first, *align([first, *means[1:]])[1:]]


def _joined(blocks: Sequence[Predictions]) -> Predictions:
    """The rows of several blocks in one. Raises ValueError when classes differ or an image is in two of them."""
    first = blocks[0]
    if any(block.labels.ids != first.labels.ids or block.task != first.task for block in blocks):
        raise ValueError("Blocks put together must have the same classes and task.")
    ids = tuple(id_ for block in blocks for id_ in block.ids)
    if len(set(ids)) != len(ids):
        raise ValueError(
            f"An image must be in one block only, got {len(ids) - len(set(ids))} in two; "
            "give each fold's predictions of its own validation block."
        )
    names = [name for name in first.groups if all(name in block.groups for block in blocks)]
    return replace(
        first,
        ids=ids,
        scores=np.concatenate([block.scores for block in blocks]),
        y_true=np.concatenate([block.truth for block in blocks]),
        patient_ids=tuple(patient for block in blocks for patient in block.patients),
        groups={name: tuple(value for block in blocks for value in block.groups[name]) for name in names},
        decisions=None,
        checkpoint_sha256="",
    )
