"""Lines of a study's table and its comparisons, as records."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Figure:
    """A line of the table: a metric of a system over its folds, all tested on the same images.

    Args:
        system, variant: as the paper's table has them. dataset: with the part. class_id: or ``all``.
        mean, std: over folds, ddof 1. low, high: 95 % patient bootstrap of the mean over folds.
        n, positives, patients: of the test images. values: fold by fold. run: id where there is one run only.
    """

    system: str
    variant: str
    dataset: str
    class_id: str
    metric: str
    mean: float
    std: float | None
    low: float
    high: float
    n: int
    positives: int
    patients: int
    folds: int
    values: tuple[float, ...]
    run: str

    def to_json(self) -> dict[str, object]:
        """Plain values; what is undefined is None."""
        return _plain(asdict(self))


@dataclass(frozen=True)
class Paired:
    """A paired comparison: mean over folds of a minus b, its 95 % interval and two-sided p, from the same draws."""

    a: str
    b: str
    class_id: str
    metric: str
    difference: float
    low: float
    high: float
    p: float
    n: int
    patients: int
    test: str

    def to_json(self) -> dict[str, object]:
        """Plain values; what is undefined is None."""
        return _plain(asdict(self))


def _plain(data: Mapping[str, object]) -> dict[str, object]:
    undefined = {name for name, value in data.items() if isinstance(value, float) and math.isnan(value)}
    return {
        ("class" if name == "class_id" else name): None if name in undefined else value for name, value in data.items()
    }
