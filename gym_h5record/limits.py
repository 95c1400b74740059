"""How large the parts of a recording may be, for whoever writes one and whoever reads one.

A file can claim anything in a few bytes. What is within these limits is read,
whatever it costs; what is beyond is refused before memory is taken for it.
"""

from __future__ import annotations

import math
from typing import Any

__all__ = [
    "MAX_CHUNK_BYTES",
    "MAX_DEPTH",
    "MAX_HEAP_BYTES",
    "MAX_ITEM_BYTES",
    "MAX_LIST_ITEMS",
    "MAX_METADATA_BYTES",
    "MAX_NODES",
    "MAX_RANK",
    "MAX_TEXT_BYTES",
    "MAX_VALUES",
    "MAX_VALUE_BYTES",
    "MIN_FILTERED_ITEM_BYTES",
    "UNCHECKED_BYTES",
    "num_elements",
]


MAX_CHUNK_BYTES = 128 << 20
"""One chunk in memory."""

MAX_ITEM_BYTES = 96 << 20
"""One item of a column; a frame of 8K RGB video has 95 MiB. Gymnasium takes eight times as much for its space."""

MAX_TEXT_BYTES = 32 << 20
"""One text attribute: a space with bounds of its own for each of a million elements has 11 MiB."""

MAX_METADATA_BYTES = 2 * MAX_TEXT_BYTES
"""All text attributes together."""

MAX_HEAP_BYTES = MAX_TEXT_BYTES + (64 << 10)
"""One heap of texts: HDF5 gives a large text one of its own, unless there is room in another."""

MIN_FILTERED_ITEM_BYTES = 256
"""Items that are smaller are not compressed: a kilobyte of chunks cannot stand for a million episodes."""

UNCHECKED_BYTES = 16 << 20
"""Up to here, items are read without asking whether the file can store as many."""

MAX_DEPTH = 100
"""Values, spaces and schemas inside each other: what Python can compare, copy and print with its usual stack."""

MAX_VALUES = 1 << 22
"""Values in one JSON text; each takes up to a hundred bytes of memory."""

MAX_LIST_ITEMS = 1 << 20
"""Objects in one ragged value, beside the elements of its arrays; building one takes some microseconds."""

MAX_VALUE_BYTES = 4 * MAX_ITEM_BYTES
"""One ragged value, with all its items."""

MAX_NODES = 1 << 14
"""Spaces in a space, nodes in a schema; building one takes a tenth of a millisecond."""

MAX_RANK = 32
"""Axes of an item, as in HDF5."""


def num_elements(shape: Any) -> int:
    """How many elements an array has, of a shape that a file says.

    Raises:
        ValueError: If it is no list of lengths.

    Example:
        >>> num_elements([210, 160, 3])
        100800
    """
    if type(shape) not in (list, tuple) or len(shape) > MAX_RANK:
        raise ValueError(f"the shape {shape!r:.80}")
    if not all(type(length) is int and 0 <= length < 1 << 63 for length in shape):
        raise ValueError(f"the shape {shape!r:.80}")
    return math.prod(shape)
