"""Results of a comparison as plain rows: for JSON, tables and CSV."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cxrlab.data.xray import Xray
from cxrlab.results import ModelResult


def predict_json(xray: Xray, results: Sequence[ModelResult]) -> list[dict[str, Any]]:
    """Results of one X-ray as plain values, one object a checkpoint, for `cxrlab predict --json`.

    An ensemble has ``members`` too: their weights for this X-ray and what each says.
    """
    return [
        {
            "image": xray.name,
            "sha256": xray.sha256,
            "checkpoint": result.checkpoint,
            "labels": list(result.labels.ids),
            "probabilities": [float(score) for score in result.scores],
            "predicted": result.predicted,
            "seconds": result.seconds,
            **({"members": _members(result)} if result.members else {}),
        }
        for result in results
    ]


def _members(result: ModelResult) -> list[dict[str, Any]]:
    return [
        {
            "checkpoint": member.checkpoint,
            "weight": float(member.weight),
            "probabilities": [float(score) for score in member.scores],
        }
        for member in result.members
    ]


def result_rows(xray: Xray, results: Sequence[ModelResult]) -> list[dict[str, Any]]:
    """Rows for a table or CSV: a column for each class, in the order in which the classes first appear."""
    ids = dict.fromkeys(id_ for result in results for id_ in result.labels.ids)
    rows = []
    for result in results:
        scores = dict(zip(result.labels.ids, map(float, result.scores), strict=True))
        rows.append(
            {
                "image": xray.name,
                "image_sha256": xray.sha256,
                "checkpoint": result.checkpoint,
                "checkpoint_sha256": result.checkpoint_sha256,
                "domain": result.domain,
                "predicted": result.predicted,
                **{f"score_{id_}": scores.get(id_) for id_ in ids},
                "seconds": result.seconds,
                "device": result.device,
            }
        )
    return rows
