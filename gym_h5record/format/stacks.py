"""Observations that are stacks of the newest frames, such as those of ``FrameStackObservation``.

The stack of a row is that of the row before without its oldest frame, and one new frame. So a row stores its newest
frame only. A row whose stack does not continue that of the row before, such as the first of an episode, also stores the
earlier frames of its stack. Any stack comes back exactly, whether it slides or not.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from gym_h5record.format.lanes import lane_begin
from gym_h5record.format.nodes import Array, DictOf, Node, Stack, TupleOf
from gym_h5record.format.ragged import ItemReader
from gym_h5record.limits import MAX_STACK_FRAMES

__all__ = ["plan_stacks", "read_stacks"]

_LEAST_FRAME_BYTES = 1024  # a smaller frame costs about as much as the end of its list of earlier frames
_CHANNELS = 3


def plan_stacks(node: Node, first: Any, second: Any) -> Node:
    """Plan stacks in the place of arrays whose second value slides on from the first.

    Args:
        node: The tree of a value.
        first: The first value.
        second: The value after it.
    """
    if isinstance(node, Array):
        return Stack(node.name, node.dtype, node.shape) if _slides(node, first, second) else node
    if isinstance(node, DictOf) and type(first) is dict and type(second) is dict:
        items = tuple((key, plan_stacks(child, first.get(key), second.get(key))) for key, child in node.items)
        return replace(node, items=items)
    pair = (first, second)
    if isinstance(node, TupleOf) and all(type(each) is tuple and len(each) == len(node.items) for each in pair):
        triples = zip(node.items, first, second, strict=True)
        return replace(node, items=tuple(plan_stacks(*each) for each in triples))
    return node


def _slides(node: Array, first: Any, second: Any) -> bool:
    if len(node.shape) < 3 or not 1 < node.shape[0] <= MAX_STACK_FRAMES:
        return False
    pair = (first, second)
    if any(type(each) is not np.ndarray or (each.dtype, each.shape) != (node.dtype, node.shape) for each in pair):
        return False
    if first[0].nbytes < _LEAST_FRAME_BYTES or first[1:].tobytes() != second[:-1].tobytes():
        return False
    # The channels of a grey picture are alike, and seem to slide as long as it does not change.
    return node.shape[0] != _CHANNELS or second[1:].tobytes() != second[:-1].tobytes()


def read_stacks(node: Stack, reader: ItemReader, start: int, stop: int) -> np.ndarray:
    """The stacks of rows ``start`` to ``stop``.

    Args:
        node: The node.
        reader: Reads its fields.
        start: First row.
        stop: Row behind the last.

    Returns:
        ``(rows, *shape)``.

    Raises:
        ValueError: If the fields contradict each other.
    """
    stacks = np.empty((stop - start, *node.shape), node.dtype)
    if not len(stacks):
        return stacks
    depth = len(stacks[0])
    low = max(start - depth + 1, lane_begin(start))
    frames = reader.items(node.newest.name, low, stop)
    for age in range(
        min(depth, stop - low)
    ):  # of a frame in its stack; the first row of all has earlier frames instead
        missing = max(low + age - start, 0)
        stacks[missing:, depth - 1 - age] = frames[start + missing - age - low : stop - age - low]
    for row, end in _restarts(node, reader, low, stop):
        rows = range(max(row, start), min(row + depth - 1, stop))
        if rows:
            earlier = reader.items(node.earlier.item.name, end - depth + 1, end)
            for at in rows:
                stacks[at - start, : depth - 1 - (at - row)] = earlier[at - row :]
    return stacks


def _restarts(node: Stack, reader: ItemReader, low: int, stop: int) -> list[tuple[int, int]]:
    """The rows from ``low`` on that have earlier frames, each with the end of its list.

    Those of row ``low`` are left out unless it is the first row of all: no stack of the rows asked for has any of them.
    """
    ends = reader.items(node.earlier.ends, low, stop)
    begins = low == lane_begin(low)
    if begins:
        ends = np.concatenate([np.array([low], ends.dtype), ends])  # an end is an address too
    counts = np.diff(ends)
    first, expected = stop - len(counts), node.shape[0] - 1
    wrong = (counts != 0) & (counts != expected)
    if wrong.any():
        at = int(wrong.argmax())
        raise ValueError(f"row {first + at} has {counts[at]} earlier frames, expected {expected} or none")
    if begins and not counts[0]:
        raise ValueError(f"row {first} lacks the earlier frames of its stack")
    return [(first + at, int(ends[at + 1])) for at in np.flatnonzero(counts).tolist()]
