"""Put members' kept outputs together: votes, means over folds, and modules fitted on the outputs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cxrlab.ensembles.combiner import Combiner, CombinerConfig, fit_combiner
from cxrlab.ensembles.voting import hard_vote, soft_vote
from cxrlab.predictions import Predictions, align
from cxrlab.progress import Cancel, Progress, never, silent
from cxrlab.studies.members import facts_of
from cxrlab.studies.plan import CombinerRun
from cxrlab.studies.store import StudyFolder

VOTES = {"voting": hard_vote, "soft": soft_vote, "mean": soft_vote}
"""Kinds that are not fitted; ``mean`` is one learner's mean over the folds."""


@dataclass(frozen=True, eq=False)
class _Rows:
    """Outputs of N learners on the same B images: ``probabilities`` (B, N, M) and the first learner's facts."""

    first: Predictions
    probabilities: np.ndarray

    @classmethod
    def of(cls, members: Sequence[Predictions]) -> _Rows:
        aligned = align(members)
        return cls(aligned[0], np.stack([member.scores for member in aligned], axis=1))


def run_combiner(run: CombinerRun, folder: StudyFolder, *, progress: Progress = silent, cancel: Cancel = never) -> None:
    """Fit where there is something to fit, combine the test outputs, write; what is there already is left alone.

    Raises:
        StudyError: a member's outputs are missing or damaged. Cancelled: when the user stopped it.
    """
    with folder.alone(run.id):
        if folder.is_done(run):
            return
        started = time.monotonic()
        facts: dict[str, object] = {}
        if run.kind in VOTES:
            test = VOTES[run.kind](_test_members(run, folder))
        else:
            test, facts = _fitted(run, folder, progress, cancel)
        named = replace(test, checkpoint=run.id, checkpoint_sha256="")
        folder.finish(run.id, facts_of(run, time.monotonic() - started) | facts, {"test": named})


def _test_members(run: CombinerRun, folder: StudyFolder) -> list[Predictions]:
    """Every learner's test outputs: of the run's fold, or their mean over the folds."""
    by_learner = zip(*run.members, strict=True)  # folds x learners -> learners x folds
    return [soft_vote([folder.predictions(id_, "test") for id_ in ids]) for ids in by_learner]


def _fitted(
    run: CombinerRun, folder: StudyFolder, progress: Progress, cancel: Cancel
) -> tuple[Predictions, dict[str, object]]:
    """Test predictions of a module fitted on the members' outputs, and what the record says of the fit."""
    config = combiner_config(run)
    if run.features == "out_of_fold":
        blocks = [_Rows.of([folder.predictions(id_, "validation") for id_ in ids]) for ids in run.members]
        probabilities = np.concatenate([block.probabilities for block in blocks])
        truth, validation = np.concatenate([block.first.truth for block in blocks]), None
    else:
        train, held_out = (
            _Rows.of([folder.predictions(id_, part) for id_ in run.members[0]]) for part in ("train", "validation")
        )
        probabilities, truth = train.probabilities, train.first.truth
        validation = (held_out.probabilities, held_out.first.truth)
    module = fit_combiner(probabilities, truth, config, validation=validation, progress=progress, cancel=cancel)
    return _applied(module, _Rows.of(_test_members(run, folder))), {
        "rows": len(truth),
        "combiner": config.to_json(),
    }


def combiner_config(run: CombinerRun) -> CombinerConfig:
    """The settings of this kind in the run's profile (``paper`` unless it says so), with the run's changes.

    Cross entropy is FLANNEL's "w/o focal": the mean over the batch in both profiles.
    """
    changes = dict(run.settings)
    config = CombinerConfig.of(run.kind, str(changes.pop("profile", "paper")))
    if changes.get("loss") == "cross_entropy":
        config = config.without_focal()
    return replace(config, **changes)


def _applied(module: Combiner, rows: _Rows) -> Predictions:
    return replace(rows.first, scores=module.combine(rows.probabilities).scores, decisions=None)
