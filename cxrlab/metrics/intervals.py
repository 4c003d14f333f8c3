"""Intervals: Wilson's for proportions, and a bootstrap that draws patients for everything else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from cxrlab.results import Estimate

BLOCK_CELLS = 1 << 19  # image weights per block of draws: a few megabytes stay in the processor's cache


def wilson(successes: int, n: int, *, level: float = 0.95, method: str = "wilson") -> Estimate:
    """A proportion with Wilson's score interval.

    Centre (p + z²/2n) / (1 + z²/n), half-width z sqrt(p(1-p)/n + z²/4n²) / (1 + z²/n). It stays in [0, 1] and holds
    its coverage for small n and p near 0 or 1. It takes the n observations as independent: with several images of a
    patient it is too narrow.

    Args:
        successes: 0 to n. n: observations; 0 gives an undefined estimate (NaN).
        level: coverage in (0, 1). method: the words stored with the estimate.

    Raises:
        ValueError: when ``successes`` is not in 0 to n or the level is not in (0, 1).

    Example:
        >>> str(wilson(8, 10))
        '0.800 [0.490, 0.943]'

    Reference: E. B. Wilson, Journal of the American Statistical Association 22 (1927), 209-212.
    """
    _check_level(level)
    if not 0 <= successes <= n:
        raise ValueError(f"Successes must be in 0 to n = {n}, got {successes}.")
    if n == 0:
        return undefined(0, "undefined: no images", level=level)
    z = NormalDist().inv_cdf(0.5 + level / 2)
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    # Rounding must not push the limits past the estimate at 0 and n successes.
    low = 0.0 if successes == 0 else float(max(centre - half, 0.0))
    high = 1.0 if successes == n else float(min(centre + half, 1.0))
    return Estimate(share, low, high, n, method, level)


def undefined(n: int, reason: str, *, level: float = 0.95) -> Estimate:
    """An estimate that does not exist: NaN everywhere, with the reason in place of the method."""
    return Estimate(float("nan"), float("nan"), float("nan"), n, reason, level)


@dataclass(frozen=True, eq=False)
class PatientBootstrap:
    """Draws of patients with replacement: all images of a drawn patient come along, as often as it was drawn.

    One object serves all metrics, so they rest on the same draws; the same patients and seed give the same draws for
    another model, whatever the order of the rows. Memory stays bounded: draws come in blocks.

    Args:
        patient: (N,) int64, for each image the position of its patient among the sorted patient ids.
        n_patients: how many patients there are.
        draws: how many resamples. seed: of numpy's default generator.

    Raises:
        ValueError: when there are fewer than 1 draws.

    Reference: C. A. Field and A. H. Welsh, Bootstrapping clustered data, J. R. Statist. Soc. B 69 (2007), 369-390.
    """

    patient: np.ndarray
    n_patients: int
    draws: int
    seed: int

    def __post_init__(self) -> None:
        if self.draws < 1:
            raise ValueError(f"The bootstrap must have at least 1 draw, got {self.draws}.")

    @classmethod
    def of(cls, patient_ids: Sequence[str], *, draws: int = 2000, seed: int = 0) -> PatientBootstrap:
        """Draws for images with these patient ids."""
        patients, patient = np.unique(np.asarray(patient_ids, dtype=np.str_), return_inverse=True)
        return cls(patient.astype(np.int64), len(patients), draws, seed)

    @property
    def method(self) -> str:
        """Words for :class:`cxrlab.results.Estimate`."""
        return f"patient bootstrap, {self.draws} draws"

    def weights(self) -> Iterator[np.ndarray]:
        """Blocks (N, B) of int32: how often each image is in a draw. The blocks have ``draws`` columns together."""
        if not self.n_patients:
            return
        rng = np.random.default_rng(self.seed)
        size = max(1, BLOCK_CELLS // len(self.patient))
        for start in range(0, self.draws, size):
            block = min(size, self.draws - start)
            drawn = rng.integers(0, self.n_patients, size=(block, self.n_patients))
            drawn += np.arange(block)[:, None] * self.n_patients
            counts = np.bincount(drawn.ravel(), minlength=block * self.n_patients).reshape(block, self.n_patients)
            yield np.ascontiguousarray(counts.T, dtype=np.int32)[self.patient]  # (P, B) -> (N, B)

    def interval(self, value: float, sampled: np.ndarray, n: int, *, level: float = 0.95) -> Estimate:
        """An estimate with the percentile interval of its bootstrap values.

        With few positives some draws hold none of them, and the metric is NaN there; such draws are left out and
        counted in the method's words. Where fewer than half of the draws are defined, or all images are of one patient
        (every draw is the same), there is an estimate but no interval. Below some 10 positive patients the percentile
        interval tends to be too narrow: read it as a lower limit of the doubt.

        Args:
            value: on all images; NaN gives an undefined estimate.
            sampled: (draws,) the same metric on each draw.
            n: number of images.
        """
        _check_level(level)
        if np.isnan(value):
            return undefined(n, "undefined: too few images of the class or of the others", level=level)
        defined = sampled[~np.isnan(sampled)]
        if self.n_patients < 2:
            return Estimate(value, float("nan"), float("nan"), n, "no interval: one patient", level)
        if 2 * len(defined) < self.draws:
            return Estimate(value, float("nan"), float("nan"), n, "no interval: undefined in most draws", level)
        low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
        lost = self.draws - len(defined)
        method = self.method + (f", {lost} of them undefined" if lost else "")
        return Estimate(value, float(low), float(high), n, method, level)


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f"The level must be between 0 and 1, got {level}; 0.95 is usual.")
