"""The newest steps of a recording that is being made, in memory: they may not be committed yet."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

__all__ = ["NewestSteps"]


class NewestSteps:
    """The newest steps, as many as memory may hold. Steps are numbered, and each step has the same arrays.

    Args:
        layout: The shape and the dtype of each array of a step.
        most_steps: How many steps to keep at most.
        most_bytes: How much memory to take at most, unless a single step takes more.
        begin: The number of the first step that will be put in.
    """

    def __init__(
        self, layout: Sequence[tuple[tuple[int, ...], np.dtype]], most_steps: int, most_bytes: int, begin: int = 0
    ) -> None:
        step_bytes = sum(math.prod(shape) * dtype.itemsize for shape, dtype in layout)
        self._room = min(most_steps, max(most_bytes // max(step_bytes, 1), 1))
        self._arrays = [np.empty((self._room, *shape), dtype) for shape, dtype in layout]
        self._begin = self._end = begin

    @property
    def first(self) -> int:
        """The number of the oldest step that is kept; that of the next one if none is."""
        return max(self._begin, self._end - self._room)

    def put(self, step: Sequence[object]) -> None:
        """Put a step in. If there is no room, the oldest one goes.

        Args:
            step: The arrays of the step, in the order of the layout.
        """
        place = self._end % self._room
        for array, value in zip(self._arrays, step, strict=True):
            array[place] = value
        self._end += 1

    def get(self, numbers: np.ndarray) -> list[np.ndarray]:
        """The steps of these numbers, ``(n, *shape)`` for each array of the layout.

        Raises:
            IndexError: If one of them is not kept.
        """
        if ((numbers < self.first) | (numbers >= self._end)).any():
            raise IndexError(f"only the steps {self.first} to {self._end} are in memory")
        places = numbers % self._room
        return [array[places] for array in self._arrays]
