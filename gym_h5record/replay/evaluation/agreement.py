"""Counts how many actions agree with the recorded ones, by one rule for each kind of space.

Numbers agree if they are equal, of any type. All other values agree if their types and all bits are identical.
"""

from __future__ import annotations

import math
import operator
from collections import Counter
from typing import Any

import numpy as np
from gymnasium import Space, spaces

from gym_h5record.replay.evaluation.reports import ActionError, Agreement, Confusion
from gym_h5record.values.exact import foreign_array, identical

__all__ = ["AgreementCounter", "make_agreement_counter"]


class AgreementCounter:
    """Counts identical actions: the rule for spaces without a rule of their own."""

    def __init__(self) -> None:
        self._num_steps = self._equal = self._misfits = 0

    def add(self, recorded: Any, chosen: Any) -> None:
        """Count one step."""
        self._num_steps += 1
        self._equal += self._agrees(recorded, chosen)

    def agreement(self) -> Agreement:
        """The counts so far."""
        return Agreement(self._num_steps, self._equal, self._misfits)

    def _agrees(self, recorded: Any, chosen: Any) -> bool:
        return identical(recorded, chosen)

    def _misfit(self, recorded: Any, chosen: Any) -> bool:
        """Count a pair to which the rule of the space does not apply. The two values may still be identical."""
        self._misfits += 1
        return identical(recorded, chosen)


class _ArrayCounter(AgreementCounter):
    """MultiDiscrete and MultiBinary: actions agree if all elements are equal."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self._shape = shape

    def _agrees(self, recorded: Any, chosen: Any) -> bool:
        first, second = (_numbers(each, self._shape) for each in (recorded, chosen))
        if first is None or second is None:
            return self._misfit(recorded, chosen)
        return self._are_equal(first, second)

    def _are_equal(self, first: np.ndarray, second: np.ndarray) -> bool:
        return np.array_equal(first, second)


class _BoxCounter(_ArrayCounter):
    """Box: actions agree if all elements are equal; differences are summed up."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__(shape)
        self._sum, self._squares, self._largest = (np.zeros(math.prod(shape)) for _ in range(3))

    def _are_equal(self, first: np.ndarray, second: np.ndarray) -> bool:
        same = (first == second) | ((first != first) & (second != second))  # two NaN agree
        with np.errstate(all="ignore"):  # differences of infinity and NaN
            apart = np.abs(first.astype(np.float64) - second.astype(np.float64))
            apart = np.where(same, 0.0, apart).ravel()
            self._sum += apart
            self._squares += apart**2
            self._largest = np.maximum(self._largest, apart)
        return bool(same.all())

    def agreement(self) -> Agreement:
        """The counts so far, and the errors."""
        measured = self._num_steps - self._misfits
        if not measured or not self._sum.size:
            return super().agreement()
        with np.errstate(all="ignore"):
            means, squares = self._sum / measured, self._squares / measured
            each = zip(means.tolist(), np.sqrt(squares).tolist(), self._largest.tolist(), strict=True)
            error = ActionError(
                float(means.mean()),
                math.sqrt(squares.mean()),
                float(self._largest.max()),
                tuple(ActionError(*element) for element in each),
            )
        return Agreement(self._num_steps, self._equal, self._misfits, error=error)


class _DiscreteCounter(AgreementCounter):
    """Discrete: actions agree if the integers are equal; every pair is counted."""

    def __init__(self) -> None:
        super().__init__()
        self._pairs: Counter[tuple[int, int]] = Counter()

    def _agrees(self, recorded: Any, chosen: Any) -> bool:
        first, second = _integer(recorded), _integer(chosen)
        if first is None or second is None:
            return self._misfit(recorded, chosen)
        self._pairs[first, second] += 1
        return first == second

    def agreement(self) -> Agreement:
        """The counts so far, and the confusion matrix."""
        actions = tuple(sorted({action for pair in self._pairs for action in pair}))
        counts = tuple(tuple(self._pairs[row, column] for column in actions) for row in actions)
        return Agreement(self._num_steps, self._equal, self._misfits, confusion=Confusion(actions, counts))


def make_agreement_counter(space: Space[Any]) -> AgreementCounter:
    """A counter with the rule of an action space."""
    if isinstance(space, spaces.Discrete):
        return _DiscreteCounter()
    if isinstance(space, (spaces.MultiDiscrete, spaces.MultiBinary)):
        return _ArrayCounter(space.shape)
    if isinstance(space, spaces.Box):
        return _BoxCounter(space.shape)
    return AgreementCounter()


def _integer(value: Any) -> int | None:
    """An integer, or the integer in an array of one element; None for anything else."""
    array = foreign_array(value)
    value = value if array is None else array
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(-1)[0]
    try:
        return operator.index(value)
    except TypeError:
        return None


def _numbers(value: Any, shape: tuple[int, ...]) -> np.ndarray | None:
    """An array of real numbers of this shape; None for anything else."""
    array = foreign_array(value)
    try:
        array = np.asarray(value) if array is None else array
    except (TypeError, ValueError, RuntimeError):  # ragged lists, and tensors that require a gradient
        return None
    return array if array.dtype.kind in "biuf" and array.shape == shape else None
