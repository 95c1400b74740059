"""The values of one leaf for many samples: found for several batches at once, copied batch by batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format.nodes import Array, Stack
from gym_h5record.training.item_store import ItemStore, Memory
from gym_h5record.training.sampled_columns import Leaf

__all__ = ["LeafValues", "SlidingStacks", "find_values"]


@dataclass(frozen=True)
class LeafValues:
    """Values of one leaf in one column of a batch, for many samples.

    Attributes:
        items: Decoded items, each once.
        positions: Where the values of each sample are among them, ``(samples, ...)`` int64.
        earlier: Decoded earlier frames of stacks; None if none is needed.
        earlier_positions: In the shape of ``positions``: where a frame is among ``earlier``, -1 for one in ``items``.
    """

    items: np.ndarray
    positions: np.ndarray
    earlier: np.ndarray | None = None
    earlier_positions: np.ndarray | None = None

    def batch(self, start: int, stop: int) -> np.ndarray:
        """The values of samples ``start`` to ``stop``, as a new array."""
        values: np.ndarray = np.take(self.items, self.positions[start:stop], axis=0)
        if self.earlier is not None and self.earlier_positions is not None:
            at = self.earlier_positions[start:stop]
            replaced = at >= 0
            values[replaced] = self.earlier[at[replaced]]
        return values


class SlidingStacks:
    """Stacks and those one step later. All frames of the two but one are the same, and are copied once for both.

    Args:
        stacks: The stacks, with positions ``(samples, depth)``.
        following: Those one step later, found together with them.
    """

    def __init__(self, stacks: LeafValues, following: LeafValues) -> None:
        positions, more = stacks.positions, following.positions
        self._slides = (positions[:, 1:] == more[:, :-1]).all(axis=1)
        earlier = None
        if stacks.earlier_positions is not None and following.earlier_positions is not None:
            one, other = stacks.earlier_positions[:, 1:], following.earlier_positions[:, :-1]
            is_same = (one == other) & ((positions[:, 1:] == more[:, :-1]) | (one >= 0))
            self._slides = is_same.all(axis=1)
            earlier = np.concatenate([stacks.earlier_positions, following.earlier_positions[:, -1:]], axis=1)
        joined = np.concatenate([positions, more[:, -1:]], axis=1)
        self._frames = LeafValues(stacks.items, joined, stacks.earlier, earlier)

    def batch(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray] | None:
        """The stacks of samples ``start`` to ``stop`` and those one step later, as views of one array of frames.

        None if a stack does not follow from the one before, as when an environment begins a new stack.
        """
        if not self._slides[start:stop].all():
            return None
        frames = self._frames.batch(start, stop)
        return frames[:, :-1], frames[:, 1:]


def find_values(
    store: ItemStore, leaf: Leaf, rows: Sequence[np.ndarray], memory: Memory | None = None
) -> list[LeafValues]:
    """Find the values of a leaf.

    Args:
        store: Gives items.
        leaf: Which values.
        rows: The rows of the samples, one array ``(samples, ...)`` int64 for each column of the batch with this leaf.
        memory: Where decoded items go, as of ``ItemStore.find``.

    Raises:
        CorruptRecordingError: If one cannot be read.
    """
    if isinstance(leaf, Stack):
        return _find_stacks(store, leaf, rows, memory)
    if isinstance(leaf, Array) and 0 in leaf.shape:  # has no dataset
        return [LeafValues(np.empty((1, *leaf.shape), leaf.dtype), np.zeros_like(each)) for each in rows]
    items, positions = store.find(leaf.name, rows, memory)
    return [LeafValues(items, each) for each in positions]


def _find_stacks(store: ItemStore, leaf: Stack, rows: Sequence[np.ndarray], memory: Memory | None) -> list[LeafValues]:
    """Stacks as positions of their frames: a frame is decoded once, however many stacks it is in."""
    depth = leaf.shape[0]
    needed, inverse = np.unique(np.concatenate([each.reshape(-1) for each in rows]), return_inverse=True)
    frames = needed[:, None] + np.arange(1 - depth, 1)
    earlier_at = _earlier_frames(store, leaf, frames)
    frames = np.where(earlier_at < 0, frames, needed[:, None])
    items, (frame_at,) = store.find(leaf.newest.name, [frames], memory)
    earlier = None
    if (earlier_at >= 0).any():
        earlier, (found,) = store.find(leaf.earlier.item.name, [earlier_at[earlier_at >= 0]], memory)
        earlier_at[earlier_at >= 0] = found
    values, begin = [], 0
    for each in rows:
        at = inverse[begin : begin + each.size]
        begin += each.size
        shape = (*each.shape, depth)
        values.append(LeafValues(items, frame_at[at].reshape(shape), earlier, earlier_at[at].reshape(shape)))
    return values


def _earlier_frames(store: ItemStore, leaf: Stack, frames: np.ndarray) -> np.ndarray:
    """Which frames of stacks are not the newest ones of their rows, but in a list of earlier frames.

    Args:
        store: Gives items.
        leaf: The stacks.
        frames: The row of each frame of each stack, ``(stacks, depth)`` int64, negative before the first row.

    Returns:
        The number of each such frame among the earlier frames, -1 for the others, ``(stacks, depth)`` int64.
    """
    depth = leaf.shape[0]
    rows = np.concatenate([frames[:, :1] - 1, frames], axis=1)
    ends = store.take(leaf.earlier.ends, np.maximum(rows, 0))
    ends[rows < 0] = 0
    counts = np.diff(ends, axis=1)
    wrong = (counts != 0) & (counts != depth - 1)
    if wrong.any():
        row, count = frames[wrong][0], counts[wrong][0]
        raise CorruptRecordingError(f"/{leaf.name} row {row} has {count} earlier frames, expected {depth - 1} or none")
    # The frames before the latest row of a stack that has earlier frames are in the list of that row. The list of the
    # first frame's own row would hold frames that are no longer in the stack.
    restarts = (counts > 0) & (np.arange(depth) > 0)
    latest = np.where(restarts, np.arange(depth), 0).max(axis=1)
    end = np.take_along_axis(ends, latest[:, None] + 1, axis=1)
    found = np.where(np.arange(depth) < latest[:, None], end + np.arange(depth) - latest[:, None], -1)
    if (frames[found < 0] < 0).any():
        raise CorruptRecordingError(f"/{leaf.name} row 0 lacks the earlier frames of its stack")
    return found
