"""How large the parts of a recording may be.

A file can claim any size in a few bytes. Readers refuse a part beyond these
limits before they take memory for it. Writers refuse it too, so that every
recording can be read.
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
    "MAX_MASKS",
    "MAX_METADATA_BYTES",
    "MAX_NODES",
    "MAX_PACKED_CHUNK_BYTES",
    "MAX_RANK",
    "MAX_STACK_FRAMES",
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
"""One item of a column; a frame of 8K RGB video has 95 MiB. Its Box takes eight times as much memory."""

MAX_TEXT_BYTES = 32 << 20
"""One text attribute. The text of a Box with a million different bounds has 11 MiB."""

MAX_METADATA_BYTES = 2 * MAX_TEXT_BYTES
"""All text attributes together."""

MAX_HEAP_BYTES = MAX_TEXT_BYTES + (64 << 10)
"""One heap of texts. HDF5 puts a large text into a heap of its own, unless another has room."""

MIN_FILTERED_ITEM_BYTES = 256
"""Smaller items may be compressed with gzip only, and in chunks of at most ``MAX_PACKED_CHUNK_BYTES``."""

MAX_PACKED_CHUNK_BYTES = 64 << 10
"""One chunk of compressed small items in memory. ``/dones`` is not compressed, and so bounds the rows of a file."""

UNCHECKED_BYTES = 16 << 20
"""Up to this size, items are read without a check whether the file can hold as many."""

MAX_DEPTH = 100
"""Levels of nested values, spaces and nodes: Python's default stack can compare, copy and print as many."""

MAX_VALUES = 1 << 22
"""Values in one JSON text; each takes up to a hundred bytes of memory."""

MAX_LIST_ITEMS = 1 << 20
"""Objects in one ragged value, elements of arrays not counted; building one takes some microseconds."""

MAX_VALUE_BYTES = 4 * MAX_ITEM_BYTES
"""All items of one ragged value together."""

MAX_MASKS = 1 << 10
"""Masks of one recording; each is a dataset, and opening one takes a tenth of a millisecond."""

MAX_NODES = 1 << 14
"""Spaces in a space, nodes in a schema; building one takes a tenth of a millisecond."""

MAX_STACK_FRAMES = 64
"""Frames in one stack: rows take so many times as much memory as the file has for them."""

MAX_RANK = 32
"""Axes of an item, as in HDF5."""


def num_elements(shape: Any) -> int:
    """The number of elements of an array by its shape in a file. A shape that no array has raises ``ValueError``.

    Example:
        >>> num_elements([210, 160, 3])
        100800
    """
    if type(shape) not in (list, tuple) or len(shape) > MAX_RANK:
        raise ValueError(f"expected the shape of an array, found {shape!r:.80}")
    if not all(type(length) is int and 0 <= length < 1 << 63 for length in shape):
        raise ValueError(f"expected the shape of an array, found {shape!r:.80}")
    return math.prod(shape)
