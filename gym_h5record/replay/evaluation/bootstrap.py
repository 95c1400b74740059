"""How sure a mean is: percentile intervals of the bootstrap.

B. Efron and R. J. Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13. Such an interval
is too short for a handful of values, and knows nothing of how they were chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["CONFIDENCE", "RESAMPLES", "Interval", "mean_interval"]


CONFIDENCE = 0.95
RESAMPLES = 10_000

_BLOCK = 1 << 20
"""Values that are drawn at once: memory does not grow with the number of episodes."""


@dataclass(frozen=True)
class Interval:
    """A mean, and between which values 95 % of the means of resamples are.

    Attributes:
        mean: Of the values.
        low: Lower end, None of fewer than two values, which say nothing of their spread.
        high: Upper end, likewise.
        count: How many values.
    """

    mean: float
    low: float | None
    high: float | None
    count: int


def mean_interval(values: Sequence[float], seed: int) -> Interval | None:
    """The mean with its interval, the same for the same seed; None of no values.

    Resamples are drawn with a generator of their own. The same number of values and the same seed
    give the same resamples, so the intervals of pairs and of their differences belong together.

    Example:
        >>> interval = mean_interval([1.0, 2.0, 3.0, 4.0], seed=0)
        >>> interval.mean, interval.low, interval.high, interval.count
        (2.5, 1.5, 3.5, 4)
    """
    if not values:
        return None
    array = np.asarray(values, np.float64)
    with np.errstate(all="ignore"):  # infinity and NaN are what means of such returns are
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
