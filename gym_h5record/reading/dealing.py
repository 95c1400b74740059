"""Deals episodes out to parts at random, such as for training and for validation."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from gym_h5record.errors import OptionError

__all__ = ["deal"]

_ROUNDING = 1e-9  # 0.7 + 0.2 + 0.1 is 1 but for less than this


def deal(numbers: np.ndarray, fractions: Mapping[str, float], seed: int) -> dict[str, np.ndarray]:
    """Deal different numbers out: each is in one part, or in none.

    Args:
        numbers: The numbers, ``(n,)`` int64.
        fractions: The fraction of the numbers for each part. If they sum to less than 1, some numbers are in no part.
        seed: The same seed deals the same numbers out in the same way, with every version of NumPy.

    Raises:
        OptionError: If a fraction is not a number between 0 and 1, they sum to more than 1, or the seed is not an
            integer, or negative.

    Example:
        >>> {name: part.tolist() for name, part in deal(np.arange(5), {"train": 0.8, "valid": 0.2}, 0).items()}
        {'train': [3, 2, 1, 0], 'valid': [4]}
    """
    wrong = f"expected fractions from 0 to 1 that sum to at most 1, got {fractions!r:.200}"
    try:
        shares = [float(each) for each in fractions.values()]
    except (AttributeError, TypeError, ValueError, OverflowError) as error:  # no mapping, or not of numbers
        raise OptionError(f"{wrong}; they are given by name, such as {{'train': 0.8, 'valid': 0.2}}") from error
    if not all(0 <= each <= 1 for each in shares) or math.fsum(shares) > 1 + _ROUNDING:
        raise OptionError(wrong)
    if not isinstance(seed, (int, np.integer)) or seed < 0:
        raise OptionError(f"a seed is an integer and not negative, got {seed!r:.80}")
    # The stream of a bit generator never changes. What Generator.permutation makes of it may (NEP 19).
    order = numbers[np.argsort(np.random.PCG64(seed).random_raw(len(numbers)), kind="stable")]
    bounds = [math.floor(each * len(order) + 0.5 + _ROUNDING) for each in np.cumsum([0.0, *shares]).tolist()]
    return {name: order[low:high] for name, low, high in zip(fractions, bounds[:-1], bounds[1:], strict=True)}
