"""Which rows the steps of some episodes have: from the number of a step to its row, by arithmetic.

No array has an entry per step, unless the caller asks for that many steps.
"""

from __future__ import annotations

import numpy as np

__all__ = ["StepSpans"]


class StepSpans:
    """The steps of some episodes, numbered from 0 through all of them.

    Args:
        numbers: The number of each episode, ``(n,)`` int64.
        starts: The first row of each episode, ``(n,)`` int64.
        lengths: The steps of each episode, ``(n,)`` int64. Step k of an episode is taken from its row k.

    Attributes:
        num_steps: Steps of all these episodes together.
    """

    def __init__(self, numbers: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> None:
        self._numbers = numbers
        self._starts = starts
        self._firsts = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])
        self.num_steps = int(self._firsts[-1])

    def row(self, step: int) -> int:
        """The row of one step."""
        at = int(np.searchsorted(self._firsts, step, "right")) - 1
        return int(self._starts[at]) + step - int(self._firsts[at])

    def rows(self, steps: np.ndarray) -> np.ndarray:
        """The row of each step, ``(n,)`` int64."""
        at = self._places(steps)
        rows: np.ndarray = self._starts[at] + (steps - self._firsts[at])
        return rows

    def episodes(self, steps: np.ndarray) -> np.ndarray:
        """The number of the episode of each step, ``(n,)`` int64."""
        numbers: np.ndarray = self._numbers[self._places(steps)]
        return numbers

    def steps_in_episode(self, steps: np.ndarray) -> np.ndarray:
        """The number of each step within its episode, ``(n,)`` int64."""
        within: np.ndarray = steps - self._firsts[self._places(steps)]
        return within

    def _places(self, steps: np.ndarray) -> np.ndarray:
        """Which of the episodes each step belongs to. An episode without steps has none."""
        return np.searchsorted(self._firsts, steps, "right") - 1
