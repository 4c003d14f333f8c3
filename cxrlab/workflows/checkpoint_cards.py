"""The card of one checkpoint, opened for reading: its figures as results, its members, its text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cxrlab.cards import CheckpointError, ModelCard
from cxrlab.catalogue import CheckpointInfo, find_checkpoint, members_of
from cxrlab.metrics.results import ClassMetrics, GroupReport, MetricReport

__all__ = [
    "CardFigures",
    "CheckpointError",
    "ClassMetrics",
    "GroupReport",
    "MetricReport",
    "ModelCard",
    "OpenCard",
    "open_card",
]


@dataclass(frozen=True, eq=False)
class CardFigures:
    """What was measured, as the card says.

    Args:
        dataset, part: for people, empty where unknown. images, patients: 0 where unknown.
        report: every metric. sources: within each source, empty where not measured.
    """

    dataset: str
    part: str
    images: int
    patients: int
    report: MetricReport
    sources: tuple[GroupReport, ...]


@dataclass(frozen=True, eq=False)
class OpenCard:
    """A card with what a page needs beside it.

    Args:
        card: as read. text: of ``card.json``.
        members: cards of an ensemble's members, in its order.
        figures: None where the card has none, or none that can be read; ``figures_error`` then says why.
    """

    card: ModelCard
    text: str
    members: tuple[ModelCard, ...]
    figures: CardFigures | None
    figures_error: str = ""


def open_card(name: str | Path) -> OpenCard:
    """The card of a checkpoint by name or folder. Raises CheckpointError when there is none or it is broken."""
    info: CheckpointInfo = find_checkpoint(name)
    members = tuple(member.card for member in members_of(info))
    figures, error = None, ""
    try:
        figures = _figures(info.card.metrics)
    except (KeyError, TypeError, ValueError, AttributeError):
        error = "The figures on this card are in a form that this cxrlab does not read; evaluate the checkpoint again."
    return OpenCard(info.card, info.card.to_text(), members, figures, error)


def _figures(metrics: Mapping[str, Any]) -> CardFigures | None:
    if not metrics.get("report"):
        return None
    report = MetricReport.from_json(metrics["report"])
    return CardFigures(
        dataset=str(metrics.get("dataset") or ""),
        part=str(metrics.get("part") or ""),
        images=int(metrics.get("images") or report.n_images),
        patients=int(metrics.get("patients") or report.n_patients),
        report=report,
        sources=tuple(GroupReport.from_json(group) for group in metrics.get("sources") or ()),
    )
