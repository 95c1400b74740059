"""``EpisodeSummary``: what the option ``keep`` is asked about when an episode ends."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gym_h5record.values.exact import foreign_array, reward_number, storable

__all__ = ["EpisodeSummary", "EpisodeTally", "Keep"]


@dataclass(frozen=True)
class EpisodeSummary:
    """An episode that has ended, for the option ``keep`` of a recorder.

    Attributes:
        length: Steps.
        total_reward: Sum of the rewards; an array where rewards are arrays.
        terminated: Whether the last step ended the episode.
        truncated: Whether the last step cut the episode off.
        last_info: The info of the last step, or of the reset if there was no step. It is the environment's own object.
        seed: The seed that ``reset`` was given, or None.
    """

    length: int
    total_reward: Any
    terminated: bool
    truncated: bool
    last_info: Any
    seed: int | None

    @property
    def complete(self) -> bool:
        """Whether the environment ended the episode; False after an early reset and at ``close``."""
        return self.terminated or self.truncated


Keep = Callable[[EpisodeSummary], bool]


class EpisodeTally:
    """Adds up the steps of the running episode.

    Args:
        seed: The seed of its reset.
        info: The info of its first row.
    """

    def __init__(self, seed: int | None, info: Any) -> None:
        self._seed = seed
        self._length = 0
        self._total_reward: Any = 0.0
        self._flags = (False, False)
        self._last_info = info

    def add(self, reward: Any, terminated: Any, truncated: Any, info: Any) -> None:
        """Count a step."""
        self._length += 1
        term = _term(reward)
        total = _zero(term) if self._length == 1 else self._total_reward
        with np.errstate(over="ignore", invalid="ignore"):  # the sum is then infinity or NaN
            self._total_reward = total + (term if np.shape(term) == np.shape(total) else math.nan)
        self._flags = (bool(terminated), bool(truncated))
        self._last_info = info

    def summary(self) -> EpisodeSummary:
        """The episode up to the last step."""
        return EpisodeSummary(self._length, self._total_reward, *self._flags, self._last_info, self._seed)


def _zero(term: float | np.ndarray) -> float | np.ndarray:
    return np.zeros_like(term) if isinstance(term, np.ndarray) else 0.0


def _term(reward: Any) -> float | np.ndarray:
    """What a reward adds to the return, as in the index of the recording: float64, NaN where it is no number."""
    array = foreign_array(reward)
    array = reward if array is None else array
    if type(array) is np.ndarray and array.shape and array.size and storable(array.dtype):
        return array.astype(np.float64)
    return reward_number(reward)
