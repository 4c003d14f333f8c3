"""Over- and undersampling: which rows an epoch is made of."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from cxrlab.config import one_of

STAGES = ("1", "2", "both")
PARITY = "parity"


@dataclass(frozen=True)
class SamplingRule:
    """How often the images of a class take part in an epoch.

    Args:
        class_: its index, ``minority`` (the smallest class) or ``all``.
        factor: above 1 repeats, below 1 leaves out; None: as many as the largest class has (parity).
    """

    class_: int | str
    factor: float | None

    @classmethod
    def of(cls, text: str) -> SamplingRule:
        """``0:10``, ``minority:parity``, ``all:parity``, ``2:0.5``. Raises ValueError for anything else."""
        name, _, factor = text.partition(":")
        try:
            class_ = name if name in ("minority", "all") else int(name)
            number = None if factor == PARITY else float(factor)
        except ValueError:
            class_, number = -1, 0.0
        if class_ == -1 or (number is not None and not 0 < number <= 1000):
            raise ValueError(
                "A sampling rule must be CLASS:FACTOR, such as 0:10, 2:0.5 or minority:parity (CLASS: an index, "
                f"minority or all; FACTOR: above 0 to 1000, or parity), got {text!r}."
            )
        return cls(class_, number)


@dataclass(frozen=True)
class Sampler:
    """The rows of an epoch; the same object serves the training of a network (stage 1) and of a combiner (stage 2).

    Args:
        rules: texts as in :meth:`SamplingRule.of`, later ones win; none: every row once.
        stage: where it acts, ``1``, ``2`` or ``both``.

    Example:
        >>> Sampler(("1:3",)).rows(np.array([0, 0, 1]), np.random.default_rng(0)).tolist()
        [0, 1, 2, 2, 2]
    """

    rules: tuple[str, ...] = ()
    stage: str = "both"

    def __post_init__(self) -> None:
        one_of("stage", self.stage, STAGES)
        for text in self.rules:
            SamplingRule.of(text)

    def acts_in(self, stage: int) -> bool:
        """Is there anything to do in this stage, 1 or 2?"""
        return bool(self.rules) and self.stage in ("both", str(stage))

    def factors(self, counts: np.ndarray) -> np.ndarray:
        """(C,) float64: how often an image of each class is taken, from the classes' counts (C,).

        Raises:
            ValueError: when a rule names a class that is not there.
        """
        factors = np.ones(len(counts))
        for rule in map(SamplingRule.of, self.rules):
            for class_ in self._classes(rule, counts):
                factors[class_] = counts.max() / counts[class_] if rule.factor is None else rule.factor
        return factors

    def rows(self, y_true: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Row numbers of an epoch in ascending order; how many depends on the counts alone, not on ``rng``.

        A class with factor 2.5 has each row twice and a random half of them once more.

        Args:
            y_true: (N,) class indices. rng: which rows are left out or taken once more.
        """
        counts = np.bincount(y_true, minlength=int(y_true.max(initial=0)) + 1)
        taken = []
        for class_, factor in enumerate(self.factors(counts)):
            own = np.flatnonzero(y_true == class_)
            wanted = max(1, round(len(own) * factor)) if len(own) else 0
            whole, rest = divmod(wanted, max(1, len(own)))
            taken += [np.repeat(own, whole), rng.choice(own, rest, replace=False) if rest else own[:0]]
        return np.sort(np.concatenate(taken))

    def size(self, y_true: np.ndarray) -> int:
        """How many rows an epoch has."""
        return len(self.rows(y_true, np.random.default_rng(0)))

    @staticmethod
    def _classes(rule: SamplingRule, counts: np.ndarray) -> list[int]:
        present = [class_ for class_, count in enumerate(counts) if count]
        if rule.class_ == "all":
            return present
        if rule.class_ == "minority":
            return [minority(counts)]
        if rule.class_ not in present:
            raise ValueError(
                f"Sampling must name a class of the training set, got {rule.class_}; it has {len(counts)} classes "
                f"with {', '.join(map(str, counts))} images, counted from 0."
            )
        return [int(rule.class_)]


def minority(counts: np.ndarray) -> int:
    """Index of the smallest class that has images, the first of equals."""
    sizes = [count or math.inf for count in counts.tolist()]
    return sizes.index(min(sizes))
