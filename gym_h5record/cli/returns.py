"""Returns as commands show them: sums of rewards that are numbers, or arrays of several.

What is no number, or an array of another shape than the first, counts as NaN: no total ignores it. Of an episode that
did not end only a part of the return is known: means leave such episodes out, and say how many.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gym_h5record.display import reward_text
from gym_h5record.values.exact import foreign_array, reward_number

if TYPE_CHECKING:
    from gym_h5record.reading.episodes import Episode  # loads h5py, which ``record`` does not need

__all__ = ["mean_return", "mean_return_text", "running_returns", "with_reward", "zero_return"]


def zero_return(reward: Any) -> Any:
    """The return of no step, where rewards are like this one: 0.0, or an array of zeros."""
    array = _numbers(reward)
    return 0.0 if array is None else np.zeros(array.shape)


def with_reward(total: Any, reward: Any) -> Any:
    """A return with one more reward."""
    array, shape = _numbers(reward), np.shape(total)
    if array is None and not shape:
        return total + reward_number(reward)
    with np.errstate(all="ignore"):
        return total + (np.nan if array is None or array.shape != shape else array.astype(np.float64))


def running_returns(episode: Episode, limit: int | None = None) -> list[Any]:
    """The return before the first step of an episode, and after each step up to a number of them."""
    shape = episode.rewards.shape[1:]
    totals: list[Any] = [np.zeros(shape) if shape else 0.0]
    for reward in episode.rewards[:limit]:
        totals.append(with_reward(totals[-1], reward))
    return totals


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


def _numbers(reward: Any) -> np.ndarray | None:
    """A reward that is an array of numbers; None for a single number and anything else."""
    array = reward if isinstance(reward, np.ndarray) else foreign_array(reward)
    return array if array is not None and array.ndim and array.size and array.dtype.kind in "biuf" else None
