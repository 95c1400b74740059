"""Mean returns as commands show them: numbers, or arrays of several.

Of an episode that did not end only a part of the return is known: means leave such episodes out, and say how many.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gym_h5record.display import reward_text

__all__ = ["mean_return", "mean_return_text"]


def mean_return(returns: Sequence[Any] | np.ndarray) -> Any:
    """The mean of returns: a number, or an array if they are arrays; None if there are no returns."""
    if not len(returns):
        return None
    with np.errstate(all="ignore"):  # returns may be infinite or NaN
        mean = np.mean(np.asarray(returns, np.float64), axis=0)
    return mean if mean.ndim else float(mean)


def mean_return_text(returns: Sequence[Any] | np.ndarray, num_incomplete: int) -> str:
    """The mean return for a line of text.

    Args:
        returns: Those of the episodes that ended.
        num_incomplete: How many episodes did not end.

    Example:
        >>> mean_return_text([1.0, 2.0], 1)
        'mean return 1.5 without 1 incomplete'
    """
    mean = mean_return(returns)
    if mean is None:
        return "no complete episode"
    left_out = f" without {num_incomplete:,} incomplete" if num_incomplete else ""
    return f"mean return {reward_text(mean)}{left_out}"
