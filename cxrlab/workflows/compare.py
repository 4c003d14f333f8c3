"""Compare checkpoints on one X-ray: the one function behind the Compare page and `cxrlab predict`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cxrlab.catalogue import CheckpointInfo, find_checkpoint, members_of
from cxrlab.data.xray import Xray
from cxrlab.explain.methods import CAM_METHODS, CamMethod, cam_method
from cxrlab.results import Heatmap, MemberResult, ModelResult
from cxrlab.workflows.agreement import agreement
from cxrlab.workflows.ensemble_scores import answer, bound_note
from cxrlab.workflows.pool import PooledCheckpoint, pool
from cxrlab.workflows.result_tables import predict_json, result_rows

if TYPE_CHECKING:
    import torch

    from cxrlab.explain.cam import Trace

__all__ = [
    "CAM_METHODS",
    "CamMethod",
    "CamOptions",
    "MemberResult",
    "ModelResult",
    "agreement",
    "compare",
    "predict_json",
    "result_rows",
]

Borrow = Callable[[Path], AbstractContextManager[PooledCheckpoint]]


@dataclass(frozen=True)
class CamOptions:
    """Which heatmap to make.

    Args:
        method: one of ``CAM_METHODS``.
        class_id: the class to explain; None: the one that each checkpoint decides for.

    Raises:
        ValueError: for an unknown method.
    """

    method: str = "grad_cam"
    class_id: str | None = None

    def __post_init__(self) -> None:
        cam_method(self.method)


def compare(
    xray: Xray,
    checkpoints: Sequence[str | Path],
    *,
    cam: CamOptions | None = None,
    device: str = "auto",
    borrow: Borrow = pool.borrow,
) -> Iterator[ModelResult]:
    """One result for each checkpoint, in the order asked for, each as soon as it is there.

    A model that is chosen and also a member of a chosen ensemble runs once. Prediction and heatmap share one forward
    (not so ScoreCAM, which needs one for every channel).

    Args:
        checkpoints: names of models and ensembles. cam: heatmaps as well; None: scores only.
        device: ``auto``, ``cpu`` or ``cuda``. borrow: where loaded models come from.

    Raises:
        CheckpointError: a checkpoint can not be used. ValueError: unknown device, a class that a checkpoint does not
            have, or a method that its network does not allow.
    """
    view = _View(xray, cam, device, borrow)
    for name in checkpoints:
        yield view.result(find_checkpoint(name))


@dataclass(frozen=True, eq=False)
class _Look:
    """One forward of one model: scores, and what maps are made from where they are wanted."""

    scores: np.ndarray
    trace: Trace | None
    layer: str
    seconds: float
    device: str
    notes: tuple[str, ...]


class _View:
    """One X-ray as the chosen checkpoints see it; every single model looks once."""

    def __init__(self, xray: Xray, cam: CamOptions | None, device: str, borrow: Borrow) -> None:
        self.xray, self.cam, self.device, self.borrow = xray, cam, device, borrow
        self._looks: dict[str, _Look] = {}  # by the model's folder

    def result(self, info: CheckpointInfo) -> ModelResult:
        labels = info.card.label_set
        if self.cam and self.cam.class_id is not None:
            labels.index(self.cam.class_id)  # unknown classes are refused before anything is computed
        return self._of_model(info) if info.card.kind == "model" else self._of_ensemble(info)

    def _of_model(self, info: CheckpointInfo) -> ModelResult:
        look = self._look(info)
        predicted = info.card.labels[int(look.scores.argmax())]
        heatmap, seconds = self._heatmap(info, predicted)
        found = _result(info, look.scores, predicted, [look])
        return replace(found, heatmap=heatmap, seconds=found.seconds + seconds)

    def _of_ensemble(self, info: CheckpointInfo) -> ModelResult:
        card, members = info.card, members_of(info)
        looks = [self._look(member) for member in members]
        said = answer(info, np.stack([look.scores for look in looks]))  # N x (C,) -> (N, C)
        predicted = card.labels[said.decided]
        maps = [self._heatmap(member, predicted) for member in members]
        parts = tuple(
            MemberResult(member.name, member.card.title, member.card.weights_sha256, weight, look.scores, heatmap)
            for member, look, weight, (heatmap, _) in zip(members, looks, said.weights, maps, strict=True)
        )
        found = _result(info, said.scores, predicted, looks)
        notes = (*found.notes, *bound_note(card))
        seconds = found.seconds + sum(seconds for _, seconds in maps)
        return replace(found, heatmap=_summed(parts), members=parts, voting=card.voting, seconds=seconds, notes=notes)

    def _look(self, info: CheckpointInfo) -> _Look:
        """Scores of a single model, computed once."""
        key = str(info.folder)
        if key not in self._looks:
            with self.borrow(info.folder) as classifier:
                self._looks[key] = _looked(classifier, self.xray, self.device, wants_map=self.cam is not None)
        return self._looks[key]

    def _heatmap(self, info: CheckpointInfo, predicted: str) -> tuple[Heatmap | None, float]:
        """The map of a single model for the class wanted, and the seconds that it took."""
        look = self._look(info)
        if self.cam is None or look.trace is None:
            return None, 0.0
        from cxrlab.data.transforms import seen_box
        from cxrlab.explain.cam import cam, to_heatmap
        from cxrlab.explain.placing import on_picture

        class_id = self.cam.class_id or predicted
        column = info.card.label_set.index(class_id)
        started = time.perf_counter()
        if cam_method(self.cam.method).runs_model:
            values, seconds = self._run_again(info, column)
        else:
            values = cam(look.trace, self.cam.method, column)
            seconds = time.perf_counter() - started
        heatmap = to_heatmap(values[0], class_id=class_id, method=self.cam.method, layer=look.layer)
        assert info.card.preprocessing is not None  # a single model's card has one
        height, width = self.xray.pixels.shape
        return on_picture(heatmap, seen_box(height, width, info.card.preprocessing)), seconds

    def _run_again(self, info: CheckpointInfo, column: int) -> tuple[torch.Tensor, float]:
        """Maps of a method that needs more forwards, and the seconds that they took."""
        from cxrlab.explain.cam import explain
        from cxrlab.inference import on_device, resolve_device

        assert self.cam is not None  # the caller has looked
        method = self.cam.method
        with self.borrow(info.folder) as classifier, classifier.turn():
            started = time.perf_counter()
            (_, values), _, _ = on_device(
                classifier.model,
                _batch(classifier, self.xray),
                resolve_device(self.device),
                lambda _model, images: explain(classifier, images, method, column),
            )
            return values, time.perf_counter() - started


def _batch(classifier: PooledCheckpoint, xray: Xray) -> torch.Tensor:
    """The X-ray as a model's input (1, 3, S, S)."""
    from cxrlab.data.transforms import to_batch
    from cxrlab.inference import squares_of

    return to_batch(squares_of([xray], classifier.preprocessing), classifier.preprocessing)


def _looked(classifier: PooledCheckpoint, xray: Xray, device: str, *, wants_map: bool) -> _Look:
    """One forward of a model on an X-ray."""
    from cxrlab.explain.cam import trace
    from cxrlab.inference import forward, on_device, resolve_device, scores_from_logits

    def work(model: torch.nn.Module, images: torch.Tensor) -> tuple[torch.Tensor, Trace | None]:
        if not wants_map:
            return forward(model, images), None
        traced = trace(model, images, layer=classifier.cam_layer or None)
        return traced.outputs, traced

    target = resolve_device(device)
    started = time.perf_counter()
    batch = _batch(classifier, xray)
    prepared = time.perf_counter() - started
    with classifier.turn():
        started = time.perf_counter()
        (logits, traced), used, note = on_device(classifier.model, batch, target, work)
        scores = scores_from_logits(logits, classifier.activation, temperature=classifier.temperature)[0]
        seconds = prepared + time.perf_counter() - started
    return _Look(scores, traced, classifier.cam_layer, seconds, used.type, (note,) if note else ())


def _result(info: CheckpointInfo, scores: np.ndarray, predicted: str, looks: Sequence[_Look]) -> ModelResult:
    card = info.card
    return ModelResult(
        checkpoint=info.name,
        title=card.title,
        checkpoint_sha256=card.weights_sha256,
        kind=card.kind,
        domain=card.domain,
        labels=card.label_set,
        scores=scores,
        predicted=predicted,
        seconds=sum(look.seconds for look in looks),
        device=" and ".join(sorted({look.device for look in looks})),
        notes=tuple(dict.fromkeys(note for look in looks for note in look.notes)),
    )


def _summed(parts: Sequence[MemberResult]) -> Heatmap | None:
    """The weighted sum of the members' maps; None where none was asked for."""
    maps = [part.heatmap for part in parts if part.heatmap is not None]
    if not maps:
        return None
    from cxrlab.explain.combined import weighted_sum

    return weighted_sum(maps, [part.weight for part in parts])
