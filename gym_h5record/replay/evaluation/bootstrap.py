"""Confidence intervals of means: percentile intervals of the bootstrap.

B. Efron and R. J. Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13. The interval of a few values is too
short. It also assumes that the values were drawn independently.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["CONFIDENCE", "RESAMPLES", "Interval", "mean_interval"]

CONFIDENCE = 0.95
RESAMPLES = 10_000
_BLOCK = 1 << 20  # values drawn at once, so that memory does not grow with the number of episodes


@dataclass(frozen=True)
class Interval:
    """The mean of some values and its 95 % interval.

    Attributes:
        low: Lower end of the interval, None for fewer than two values: they have no spread.
        high: Upper end, None likewise.
        count: How many values there are.
    """

    mean: float
    low: float | None
    high: float | None
    count: int


def mean_interval(values: Sequence[float], seed: int) -> Interval | None:
    """The mean and its interval; None if there are no values.

    Resamples come from a new generator with this seed. Lists of the same length are resampled alike, so the interval of
    differences belongs to the intervals of the pairs.

    Example:
        >>> interval = mean_interval([1.0, 2.0, 3.0, 4.0], seed=0)
        >>> interval.mean, interval.low, interval.high, interval.count
        (2.5, 1.5, 3.5, 4)
    """
    if not values:
        return None
    array = np.asarray(values, np.float64)
    with np.errstate(all="ignore"):  # returns may be infinite or NaN
        mean = float(array.mean())
        if len(array) < 2:
            return Interval(mean, None, None, len(array))
        tail = (1 - CONFIDENCE) / 2
        low, high = np.quantile(_resampled_means(array, seed), [tail, 1 - tail])
    return Interval(mean, float(low), float(high), len(array))


def _resampled_means(array: np.ndarray, seed: int) -> np.ndarray:
    rng, size = np.random.default_rng(seed), len(array)
    block = max(_BLOCK // size, 1)
    return np.concatenate(
        [
            array[rng.integers(0, size, (min(block, RESAMPLES - start), size))].mean(axis=1)
            for start in range(0, RESAMPLES, block)
        ]
    )
