"""Right or wrong: only where the sample's class is known to the model and it was trained on such images."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Literal

from cxrlab.workflows.compare import ModelResult
from cxrlab.workflows.samples import Sample

Verdict = Literal["right", "wrong", "other domain", "other classes", "unknown"]
Tally = MutableMapping[tuple[str, str], tuple[str, bool]]
"""(sha256 of the image, sha256 of the checkpoint) -> the checkpoint's title, and was it right?"""


def verdict(result: ModelResult, sample: Sample | None) -> Verdict:
    """What can be said of a model's decision on an image. ``sample`` None: its class is not known or not to be told."""
    if sample is None or not sample.label:
        return "unknown"
    if result.domain != sample.domain:
        return "other domain"
    if sample.label not in result.labels:
        return "other classes"
    return "right" if result.predicted == sample.label else "wrong"


def count(tally: Tally, sha256: str, result: ModelResult, said: Verdict) -> None:
    """Add a verdict to a session's tally; the same image and checkpoint count once."""
    if said in ("right", "wrong"):
        tally[sha256, result.checkpoint_sha256] = (result.title, said == "right")


@dataclass(frozen=True)
class Score:
    """How often a checkpoint was right in this session."""

    title: str
    right: int
    asked: int

    def __str__(self) -> str:
        return f"{self.title} {self.right} of {self.asked}"


def scores(tally: Tally) -> tuple[Score, ...]:
    """The tally per checkpoint, in the order they were first asked."""
    found: dict[str, Score] = {}
    for (_, checkpoint), (title, right) in tally.items():
        before = found.get(checkpoint, Score(title, 0, 0))
        found[checkpoint] = Score(title, before.right + right, before.asked + 1)
    return tuple(found.values())
