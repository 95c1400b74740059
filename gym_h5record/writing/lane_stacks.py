"""The encoder of stacks of all lanes: ``stack_encoder`` for batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gym_h5record.format import nodes
from gym_h5record.format.names import TypeCode
from gym_h5record.writing.lane_codes import LaneCodes
from gym_h5record.writing.lane_unslotted import LaneUnslotted

__all__ = ["LaneStacks", "StackOfLane"]


class LaneStacks:
    """Encodes the stacks of one node: the newest frame of each lane, and earlier ones where a stack does not slide.

    Args:
        node: The node.
        num_lanes: How many lanes there are.
        unslotted: Gets the earlier frames, and values that are no such arrays.
    """

    def __init__(self, node: nodes.Stack, num_lanes: int, unslotted: LaneUnslotted) -> None:
        self._node, self._unslotted = node, unslotted
        self._stacks = np.zeros((num_lanes, *node.shape), f"u{node.dtype.itemsize}")  # bits: NaNs are compared as such
        self._continues = np.zeros(num_lanes, np.bool_)  # whether the next row of each lane may continue its stack

    def bind(self, columns: Mapping[str, np.ndarray], codes: LaneCodes) -> None:
        """From now on, write to this ring."""
        self._frames = columns[self._node.newest.name]
        self._codes, self._index = codes, codes.index(self._node)

    def restart(self, lanes: Sequence[int] | None = None) -> None:
        """The next rows of these lanes begin an episode, or follow a row that was never published; of all if None."""
        self._continues[slice(None) if lanes is None else lanes] = False

    def encode(self, slot: int, batch: Any, lanes: Sequence[int]) -> None:
        """See ``BatchEncoder``."""
        node, stacks = self._node, self._stacks
        if type(batch) is not np.ndarray or batch.dtype != node.dtype or batch.shape != stacks.shape:
            for lane in lanes:
                self.encode_one(slot, lane, batch[lane])
            return
        self._frames[slot] = batch[:, -1]
        self._codes.put(slot, self._index, TypeCode.ARRAY)
        bits = batch.view(stacks.dtype)
        axes = tuple(range(1, bits.ndim))
        slides = self._continues & (bits[:, :-1] == stacks[:, 1:]).all(axis=axes)
        if len(lanes) == len(stacks):
            stacks[...] = bits
            self._continues[:] = True
        else:
            stacks[lanes] = bits[lanes]
            self._continues[lanes] = True
        for lane in lanes if not slides.all() else ():
            if not slides[lane]:
                self._keep_earlier(lane, bits[lane])

    def encode_one(self, slot: int, lane: int, value: Any) -> None:
        """Encode the stack of one lane."""
        node = self._node
        if type(value) is not np.ndarray or value.dtype != node.dtype or value.shape != node.shape:
            self._frames[slot, lane] = 0
            self._codes.put_one(slot, lane, self._index, self._unslotted.of(lane).keep_row_value(node.name, value))
            self.skip(lane)
            return
        self._frames[slot, lane] = value[-1]
        self._codes.put_one(slot, lane, self._index, TypeCode.ARRAY)
        bits = np.ascontiguousarray(value).view(self._stacks.dtype)
        if not (self._continues[lane] and (bits[:-1] == self._stacks[lane, 1:]).all()):
            self._keep_earlier(lane, bits)
        self._stacks[lane], self._continues[lane] = bits, True

    def skip(self, lane: int) -> None:
        """The row of a lane has no stack: a value that it is a part of does not fit."""
        self._keep_earlier(lane, np.zeros_like(self._stacks[lane]))
        self._continues[lane] = False

    def _keep_earlier(self, lane: int, stack: np.ndarray) -> None:
        earlier = self._node.earlier
        self._unslotted.row_segments(lane).extend(
            [(earlier.ends, np.int64(len(stack) - 1).tobytes()), (earlier.item.name, stack[:-1].tobytes())]
        )


class StackOfLane:
    """The stacks of one lane, with the methods of a ``StackEncoder``.

    Args:
        stacks: The stacks of all lanes.
        lane: The lane.
    """

    def __init__(self, stacks: LaneStacks, lane: int) -> None:
        self._stacks, self._lane = stacks, lane

    def bind(self, *_: object) -> None:
        """The stacks of all lanes are bound together."""

    def encode(self, slot: int, value: Any) -> None:
        """See ``Encoder``."""
        self._stacks.encode_one(slot, self._lane, value)

    def skip(self) -> None:
        """The row has no stack: a value that it is a part of does not fit."""
        self._stacks.skip(self._lane)
