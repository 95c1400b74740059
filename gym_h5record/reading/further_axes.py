"""Applies an index to the axes behind that of the rows, with the result that NumPy has for all rows as one array."""

from __future__ import annotations

from collections.abc import Callable
from types import EllipsisType
from typing import Any

import numpy as np

from gym_h5record.reading.read_ahead import blocks_of

__all__ = ["cropped_row", "cropped_rows"]


def cropped_row(row: np.ndarray, further: tuple[Any, ...]) -> Any:
    """The index ``[i, *further]``, of which ``row``, ``(1, *shape)``, is the row."""
    part = row[(0, *further)]
    # A small part would keep the memory of the whole row.
    return part.copy() if isinstance(part, np.ndarray) and part.size < row.size else part


def cropped_rows(
    read: Callable[[range | np.ndarray], np.ndarray],
    rows: range | np.ndarray,
    further: tuple[Any, ...],
    shape: tuple[int, ...],
    dtype: np.dtype,
) -> np.ndarray:
    """The index ``[rows, *further]``.

    Rows are read block by block if each gives a part of its own. The memory is then that of the result and of 4 MiB.

    Args:
        read: Reads the arrays of rows, ``(rows, *shape)``.
        rows: The rows: a range, or an array of any shape.
        further: The index of the other axes.
        shape: Of a row.
        dtype: Of the arrays.

    Raises:
        IndexError: If the arrays have no such axes.
    """
    if (isinstance(rows, np.ndarray) and rows.ndim > 1) or not all(map(_is_basic, further)):
        # NumPy pairs the arrays of an index: the axis of the rows may then be anywhere in the result, or not at all.
        first = slice(None) if isinstance(rows, range) else np.arange(rows.size).reshape(rows.shape)
        paired: np.ndarray = read(rows if isinstance(rows, range) else rows.reshape(-1))[(first, *further)]
        return paired
    row = np.broadcast_to(np.empty((), dtype), (1, *shape))
    part_shape = row[(slice(None), *further)].shape[1:]  # fails before anything is read
    parts = np.empty((len(rows), *part_shape), dtype)
    for start, stop in blocks_of(0, len(rows), row.size * dtype.itemsize, first_rows=len(rows)):
        parts[start:stop] = read(rows[start:stop])[(slice(None), *further)]
    return parts


def _is_basic(part: Any) -> bool:
    """Whether an index of an axis is neither an array of numbers nor a mask."""
    if isinstance(part, (bool, np.bool_)):
        return False
    return part is None or isinstance(part, (int, np.integer, slice, EllipsisType))
