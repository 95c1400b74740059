"""Samples drawn by priorities that change while training goes on: a tree of sums."""

from __future__ import annotations

import hashlib

import numpy as np

from gym_h5record.errors import OptionError
from gym_h5record.training.orders import Order

__all__ = ["PriorityOrder"]


class PriorityOrder(Order):
    """Steps drawn with replacement, each as often as its priority says.

    The priorities are the leaves of a binary tree, 16 to 32 bytes for each step. Every other node is the sum of the two
    below it, so that the tree depends on the priorities only, and not on the order in which they were set.

    Args:
        priorities: One for each step, ``(steps,)`` float64, from 0 on.
        can_be_drawn: Which steps have a whole window, ``(steps,)`` bool. The others are never drawn.
        seed: Determines the order, with the number of the epoch.
        rank: Which share of an epoch this is.
        world_size: How many shares there are.

    Raises:
        OptionError: If all priorities are zero.
    """

    def __init__(self, priorities: np.ndarray, can_be_drawn: np.ndarray, seed: int, rank: int, world_size: int) -> None:
        super().__init__(int(np.count_nonzero(can_be_drawn)), seed, rank, world_size)
        self._num_steps = len(priorities)
        self._can_be_drawn = can_be_drawn
        self._depth = (self._num_steps - 1).bit_length()
        self._tree = np.zeros(2 << self._depth)
        self._tree[1 << self._depth :][: self._num_steps] = np.where(can_be_drawn, priorities, 0)
        for level in reversed(range(self._depth)):
            below = self._tree[2 << level : 4 << level]
            self._tree[1 << level : 2 << level] = below[::2] + below[1::2]
        self._check_total()

    @property
    def priorities(self) -> np.ndarray:
        """The priority of every step, ``(steps,)`` float64."""
        return self._tree[1 << self._depth :][: self._num_steps].copy()

    def digest(self) -> str:
        """Text that tells priorities apart."""
        return hashlib.sha256(self.priorities.tobytes()).hexdigest()

    def probabilities(self, samples: np.ndarray) -> np.ndarray:
        """How likely a draw is to give each of these steps, ``(n,)`` float64."""
        found: np.ndarray = self._tree[samples + (1 << self._depth)] / self._tree[1]
        return found

    def update(self, indices: np.ndarray, priorities: np.ndarray) -> None:
        """Set the priorities of some steps.

        Args:
            indices: Which steps, ``(n,)``. Of one that is named twice, the last priority counts.
            priorities: Their priorities, ``(n,)``.

        Raises:
            OptionError: If there is no such step, or a priority is negative or not finite. Then nothing is set.
        """
        indices, values = np.asarray(indices), np.asarray(priorities, np.float64)
        if indices.ndim != 1 or indices.dtype.kind not in "iu" or values.shape != indices.shape:
            raise OptionError(
                f"expected as many priorities as indices, which are integers, got arrays of shapes {values.shape} and "
                f"{indices.shape}"
            )
        if not len(indices):
            return
        if indices.min() < 0 or indices.max() >= self._num_steps or not self._can_be_drawn[indices].all():
            raise OptionError('indices: expected those in batch["indices"]')
        if not (np.isfinite(values).all() and (values >= 0).all()):
            raise OptionError("priorities: expected finite numbers from 0 on")
        before = self._tree[indices.astype(np.int64) + (1 << self._depth)]
        self._set(indices, values)
        try:
            self._check_total()
        except OptionError:
            self._set(indices, before)
            raise

    def _set(self, indices: np.ndarray, values: np.ndarray) -> None:
        nodes = indices.astype(np.int64) + (1 << self._depth)
        self._tree[nodes] = values
        for _ in range(self._depth):
            nodes = np.unique(nodes >> 1)
            self._tree[nodes] = self._tree[2 * nodes] + self._tree[2 * nodes + 1]

    def _check_total(self) -> None:
        if not 0 < self._tree[1] < np.inf:
            raise OptionError("weights: all of them are zero, or their sum is too large")

    def _at(self, epoch: int, positions: np.ndarray) -> np.ndarray:
        drawn = self._drawn(epoch, positions) * self._tree[1]
        nodes = np.ones(len(positions), np.int64)
        for _ in range(self._depth):
            left, right = self._tree[2 * nodes], self._tree[2 * nodes + 1]
            # A sum is rounded, so that what is left may be as large as both: then the side that is not empty is taken.
            goes_right = (drawn >= left) & (right > 0)
            drawn = np.where(goes_right, drawn - left, drawn)
            nodes = 2 * nodes + goes_right
        return nodes - (1 << self._depth)
