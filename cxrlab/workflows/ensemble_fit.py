"""Fit the combiner of an ensemble on its members' common validation part: the function behind `cxrlab ensemble fit`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cxrlab.cards import ModelCard, checked_name
from cxrlab.catalogue import CheckpointInfo, find_checkpoint
from cxrlab.checkpoints import save_ensemble
from cxrlab.data.manifest import Manifest, Summary, read_manifest, summarise
from cxrlab.data.splits import Split, check_patients, group_folds
from cxrlab.ensembles.combiner_config import CombinerConfig
from cxrlab.ensembles.voting import soft_vote
from cxrlab.metrics.paired_tests import PairedDifference, mcnemar, paired_difference
from cxrlab.metrics.report import measure
from cxrlab.metrics.results import MetricReport
from cxrlab.predictions import Predictions
from cxrlab.progress import Cancel, Progress, never, silent
from cxrlab.workflows.ensemble_scores import bound_words
from cxrlab.workflows.evaluate import evaluate_set
from cxrlab.workflows.labelled_set import manifest_set
from cxrlab.workflows.training_card import INTENDED_USE, card_metrics, entanglement

if TYPE_CHECKING:
    from cxrlab.ensembles.combined import Combiner

REFERENCES = {
    "flannel": "Qiao et al., FLANNEL (Focal Loss bAsed Neural Network EnsembLe) for COVID-19 detection, JAMIA 2021",
    "mlp_l1": "Wolpert, Stacked generalization, Neural Networks 1992",
    "mlp_l2": "Wolpert, Stacked generalization, Neural Networks 1992",
}
TITLES = {"flannel": "FLANNEL ensemble", "mlp_l1": "Stacking with 1 layer", "mlp_l2": "Stacking with 2 layers"}


class EnsembleFitError(ValueError):
    """The ensemble can not be fitted; the text is the sentence for the user."""


@dataclass(frozen=True)
class EnsembleRequest:
    """Which ensemble to fit, on what.

    Args:
        source: manifest CSV or folder. split: a split file whose ``part`` no member was trained on.
        members: names of single models, all trained with that split. config: of the combiner.
        name: of the checkpoint; title for people, empty: by the kind.
        profile: the published settings that ``config`` began with, for the card.
        folds: of the cross-fitting, by patient. fold_seed: of their draw.
        benchmark: measure the result on the benchmark's test part, for the card.
    """

    source: Path
    split: Path
    members: tuple[str, ...]
    config: CombinerConfig
    name: str
    title: str = ""
    part: str = "validation"
    profile: str = "paper"
    folds: int = 5
    fold_seed: int = 0
    benchmark: bool = False
    limits: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class FittedEnsemble:
    """A fitted ensemble.

    Args:
        card: as saved. folder: where. report: of the out-of-fold predictions, the estimate of its quality without a
            test set. against: those predictions against soft voting and the best member, on the same images.
    """

    card: ModelCard
    folder: Path
    report: MetricReport
    against: tuple[tuple[str, PairedDifference], ...] = field(default=())


def fit_ensemble(
    request: EnsembleRequest,
    *,
    checkpoints: Path,
    device: str = "auto",
    overwrite: bool = False,
    progress: Progress = silent,
    cancel: Cancel = never,
) -> FittedEnsemble:
    """Predict the part with every member (stored, so once), cross-fit by patient, fit on all rows, save with a card.

    Every fold's combiner sees ``config.epochs`` epochs and keeps the last one: no row takes part in choosing the
    combiner that predicts it. The shipped combiner is fitted on all rows in the same way.

    Args:
        checkpoints: the folder that the checkpoint's folder goes into.

    Raises:
        EnsembleFitError: members with another split, other classes, or too few rows. ManifestError, SplitError,
        CheckpointError, ValueError: one sentence each. Cancelled: nothing was written.
    """
    folder = checkpoints / checked_name(request.name)
    if folder.exists() and not overwrite:
        raise EnsembleFitError(f"A checkpoint named {request.name} exists; choose another name or overwrite it.")
    infos = [find_checkpoint(member) for member in request.members]
    split = Split.load(request.split)
    _check_members(infos, split, request)
    labels = infos[0].card.label_set
    manifest = read_manifest(request.source, labels=labels)
    check_patients(manifest, split)
    rows = manifest.select(split.part(request.part))
    dataset = manifest_set(request.source, labels, part=request.part, paths=split.part(request.part))
    found = evaluate_set(
        dataset, [info.folder for info in infos], device=device, progress=_share(progress, 0.0, 0.8), cancel=cancel
    )
    members = [run.predictions for run in found.runs]
    if missing := len(rows) - len(members[0]):
        raise EnsembleFitError(f"{missing} images of the part can not be read; remove them from manifest and split.")
    fitted = _cross_fitted(members, rows, request, _share(progress, 0.8, 1.0), cancel)
    card = _card(request, infos, split, rows, fitted)
    saved = save_ensemble(folder, card, combiner=fitted.combiner, overwrite=overwrite)
    if request.benchmark:
        measured = replace(saved, metrics=card_metrics(request.source, folder, device=device, reuse=True))
        saved = save_ensemble(folder, measured, combiner=fitted.combiner, overwrite=True)
    return FittedEnsemble(saved, folder, fitted.report, fitted.against)


def _share(progress: Progress, low: float, high: float) -> Progress:
    def report(done: int, total: int, text: str) -> None:
        progress(round(1000 * (low + (high - low) * done / max(1, total))), 1000, text)

    return report


def _check_members(infos: Sequence[CheckpointInfo], split: Split, request: EnsembleRequest) -> None:
    """Raise EnsembleFitError unless the members can be fitted together on this split."""
    if len(infos) < 2 or len({info.name for info in infos}) < len(infos):
        raise EnsembleFitError(f"Name at least 2 different members, got {', '.join(request.members) or 'none'}.")
    for info in infos:
        card, first = info.card, infos[0].card
        if card.kind != "model" or card.task != "multiclass":
            raise EnsembleFitError(f"Members must be single models with one class an image, but {info.name} is not.")
        if card.labels != first.labels:
            raise EnsembleFitError(
                f"Members must have the same classes: {first.name} has {', '.join(first.labels)}, "
                f"{info.name} has {', '.join(card.labels)}."
            )
        digest = str(card.training_data.get("split_digest") or "")
        if digest != split.digest:
            raise EnsembleFitError(
                f"{info.name} must have been trained with {request.split.name} (hash {split.digest[:8]}), but its "
                f"card says {digest[:8] or 'nothing'}: it may have seen images of {request.part!r} in training."
            )


@dataclass(frozen=True, eq=False)
class _Fitted:
    combiner: Combiner
    report: MetricReport
    against: tuple[tuple[str, PairedDifference], ...]


def _cross_fitted(
    members: Sequence[Predictions], rows: Manifest, request: EnsembleRequest, progress: Progress, cancel: Cancel
) -> _Fitted:
    """The combiner of all rows, and what combiners of the other folds say of each row."""
    from cxrlab.ensembles.combiner import fit_combiner
    from cxrlab.ensembles.out_of_fold import stacked

    given, y = stacked(members), members[0].truth
    position = {id_: row for row, id_ in enumerate(members[0].ids)}
    scores = np.full((len(y), given.shape[2]), np.nan)
    splits = group_folds(rows, folds=request.folds, seed=request.fold_seed)
    for number, fold in enumerate(splits):
        train, held_out = ([position[path] for path in fold.part(name)] for name in ("train", "validation"))
        step = _step(progress, number, len(splits) + 1)
        combiner = fit_combiner(given[train], y[train], request.config, progress=step, cancel=cancel)
        scores[held_out] = combiner.combine(given[held_out]).scores
    step = _step(progress, len(splits), len(splits) + 1)
    final = fit_combiner(given, y, request.config, progress=step, cancel=cancel)
    predictions = replace(members[0], scores=scores, checkpoint=request.name, checkpoint_sha256="", decisions=None)
    return _Fitted(final, measure(predictions), _against(predictions, members))


def _step(progress: Progress, number: int, count: int) -> Callable[[int, int, str], None]:
    def report(done: int, total: int, text: str) -> None:
        progress(number * total + done, count * total, f"Fit {number + 1} of {count}: {text}")

    return report


def _against(predictions: Predictions, members: Sequence[Predictions]) -> tuple[tuple[str, PairedDifference], ...]:
    """Paired differences to soft voting and to the member with the best macro-F1 on the same rows."""
    best = max(members, key=lambda member: measure(member, draws=1).macro_f1.value)
    metrics = ["macro_f1", *(["f1:covid19"] if "covid19" in predictions.labels else [])]
    found = []
    for name, other in (("soft voting", soft_vote(members)), (best.checkpoint, best)):
        found += [(name, paired_difference(predictions, other, metric)) for metric in metrics]
        found.append((name, mcnemar(predictions, other)))
    return tuple(found)


def _card(
    request: EnsembleRequest, infos: Sequence[CheckpointInfo], split: Split, rows: Manifest, fitted: _Fitted
) -> ModelCard:
    """The card of the ensemble, all but its metrics on a test set."""
    cards, summary, kind = [info.card for info in infos], summarise(rows), request.config.kind
    domain = cards[0].domain if len({card.domain for card in cards}) == 1 else "mixed"
    history = fitted.combiner.history
    return ModelCard(
        name=request.name,
        title=request.title or f"{TITLES[kind]} of {len(cards)}",
        kind="ensemble",
        labels=cards[0].labels,
        domain=domain,
        domain_text=cards[0].domain_text if domain == cards[0].domain else "images of several domains",
        members=tuple(info.name for info in infos),
        voting=kind,  # type: ignore[arg-type]
        training_data=_data_facts(request, split, rows, summary),
        training={
            "config": request.config.to_json(),
            "profile": request.profile,
            "cross_fitting": _cross_fitting_facts(request, fitted),
            "seconds": round(sum(epoch.seconds for epoch in history.epochs), 1) if history else 0,
        },
        licence=cards[0].licence if len({card.licence for card in cards}) == 1 else "see the members' cards",
        references=tuple(dict.fromkeys((REFERENCES[kind], *(text for card in cards for text in card.references)))),
        intended_use=INTENDED_USE,
        limits=_limits(request, cards, summary.images, summary.patients) + entanglement(summary.class_by_source),
        seconds_per_image=round(sum(card.seconds_per_image for card in cards), 4),
    )


def _data_facts(request: EnsembleRequest, split: Split, rows: Manifest, summary: Summary) -> dict[str, Any]:
    return {
        "dataset": rows.name,
        "part": request.part,
        "images": summary.images,
        "patients": summary.patients,
        "by_class": dict(summary.by_class),
        "by_source": {source: dict(counts) for source, counts in summary.class_by_source.items()},
        "split": split.name,
        "split_digest": split.digest,
        "seed": split.seed,
    }


def _cross_fitting_facts(request: EnsembleRequest, fitted: _Fitted) -> dict[str, Any]:
    report = fitted.report
    return {
        "folds": request.folds,
        "seed": request.fold_seed,
        "images": report.n_images,
        "patients": report.n_patients,
        "report": report.to_json(),
        "against": [{"other": name, **difference.to_json()} for name, difference in fitted.against],
    }


def _limits(request: EnsembleRequest, cards: Sequence[ModelCard], images: int, patients: int) -> tuple[str, ...]:
    own = (
        f"The combiner was fitted on {images} images of {patients} patients of the part {request.part!r}, which also "
        "picked the members' best epochs: members are a little better there than on new images.",
    )
    shared = tuple(
        text for text in cards[0].limits if "entangled" not in text and all(text in card.limits for card in cards)
    )
    bound = (bound_words(len(cards), len(cards[0].labels)),) if request.config.kind == "flannel" else ()
    return request.limits + shared + own + bound


def class_index(member: str, text: str) -> tuple[int, int]:
    """``covid19:10`` -> the class's index on the member's card, and 10. Raises EnsembleFitError for anything else."""
    labels = find_checkpoint(member).card.label_set
    name, _, factor = text.partition(":")
    if name not in labels or not factor.isdecimal():
        raise EnsembleFitError(
            f"Oversampling must be CLASS:FACTOR with one of {', '.join(labels.ids)} and a whole number, got {text!r}."
        )
    return labels.index(name), int(factor)
