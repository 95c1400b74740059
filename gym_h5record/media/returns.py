"""Sums of the rewards of an episode so far: of numbers, or of arrays of several.

What is no number, or an array of another shape than the first, counts as NaN: no total ignores it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gym_h5record.values.exact import foreign_array, reward_number

if TYPE_CHECKING:
    from gym_h5record.reading.episodes import Episode  # loads h5py, which ``record`` does not need

__all__ = ["running_returns", "with_reward", "zero_return"]


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


def _numbers(reward: Any) -> np.ndarray | None:
    """A reward that is an array of numbers; None for a single number and anything else."""
    array = reward if isinstance(reward, np.ndarray) else foreign_array(reward)
    return array if array is not None and array.ndim and array.size and array.dtype.kind in "biuf" else None
