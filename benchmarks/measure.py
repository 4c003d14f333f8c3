"""Ratios of times that hold on a busy machine: both sides in turn, processor time, medians."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

MIN_SECONDS = 0.02  # a shorter timing is mostly the clock's own grain


@dataclass(frozen=True)
class Row:
    """One comparison.

    Args:
        part: what is measured, e.g. ``AUC, 1e5 scores``.
        compared: against what.
        ratios: one per round: time of the other way / our time ("times faster"), or our time / a unit of work where
            ``at_most`` is set ("forwards per prediction and map").
        goal: the median must reach it, or stay at or below it where ``at_most`` is set.
        note: e.g. the largest difference between the two results.
    """

    part: str
    compared: str
    ratios: tuple[float, ...]
    goal: float
    at_most: bool = False
    note: str = ""

    def __post_init__(self) -> None:
        if not self.ratios:
            raise ValueError(f"{self.part!r} must have at least one measured ratio, got none.")

    @property
    def median(self) -> float:
        return statistics.median(self.ratios)

    @property
    def spread(self) -> tuple[float, float]:
        """Smallest and largest ratio."""
        return min(self.ratios), max(self.ratios)

    @property
    def ok(self) -> bool:
        return self.median <= self.goal if self.at_most else self.median >= self.goal

    def to_json(self) -> dict[str, Any]:
        low, high = self.spread
        return {
            "part": self.part,
            "compared": self.compared,
            "ratio": self.median,
            "low": low,
            "high": high,
            "goal": self.goal,
            "at_most": self.at_most,
            "ok": self.ok,
            "note": self.note,
        }


def seconds(call: Callable[[], object], *, times: int = 1, clock: Callable[[], float] = time.process_time) -> float:
    """Seconds for one call, the mean of ``times`` calls in a row."""
    start = clock()
    for _ in range(times):
        call()
    return (clock() - start) / times


def interleaved(
    other: Callable[[], object],
    ours: Callable[[], object],
    *,
    rounds: int = 7,
    scale: float = 1.0,
    clock: Callable[[], float] = time.process_time,
) -> tuple[float, ...]:
    """``scale * time(other) / time(ours)``, one ratio per round, the two taking turns after one warm-up each.

    Args:
        scale: where ``other`` does only a part of the work, how many such parts make the whole.
        clock: processor time by default; ``time.perf_counter`` where work runs in other processes.
    """
    times = [max(1, round(MIN_SECONDS / max(seconds(call, clock=clock), 1e-6))) for call in (other, ours)]
    ratios = []
    for _ in range(rounds):
        theirs, mine = (seconds(call, times=n, clock=clock) for call, n in zip((other, ours), times, strict=True))
        ratios.append(scale * theirs / max(mine, 1e-9))
    return tuple(ratios)
