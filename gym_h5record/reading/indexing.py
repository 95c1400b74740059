"""Reads an index of a column as NumPy does: which rows it takes, and which further axes of their arrays."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from types import EllipsisType
from typing import Any, TypeAlias

import numpy as np

from gym_h5record.display import short_repr

__all__ = ["RowIndex", "RowsIndex", "parse_index", "parse_row"]

RowsIndex: TypeAlias = "slice | EllipsisType | list[int] | list[bool] | range | np.ndarray"
"""An index that takes any number of rows."""

_KINDS = "a row number, a slice, a list or array of row numbers, or a mask of booleans"


@dataclass(frozen=True)
class RowIndex:
    """What an index takes.

    Attributes:
        rows: One position; a range of positions; or an array of positions, ``(...,)`` int64, none of them negative.
        further: The index of the axes behind that of the rows.
    """

    rows: int | range | np.ndarray
    further: tuple[Any, ...] = ()


def parse_index(index: Any, shape: tuple[int, ...], what: str) -> RowIndex:
    """Find out which rows an index takes.

    Args:
        index: Anything between brackets.
        shape: Of all rows as one array.
        what: What is indexed, for messages.

    Raises:
        IndexError: If a row is out of range, or a mask has not one boolean per row.
        TypeError: If it is no index of rows.

    Example:
        >>> parse_index((slice(2, -1), 0), (10, 3), "a column")
        RowIndex(rows=range(2, 9), further=(0,))
        >>> parse_index([True, False, True], (3,), "a column").rows
        array([0, 2])
    """
    parts = index if isinstance(index, tuple) else (index,)
    if not parts:
        return RowIndex(range(shape[0]))
    if sum(part is Ellipsis for part in parts) > 1:
        raise IndexError(f"an index of {what} has at most one Ellipsis (...)")
    if parts[0] is Ellipsis:
        if _num_axes(parts[1:]) < len(shape):
            return RowIndex(range(shape[0]), parts if len(parts) > 1 else ())
        parts = (*parts[1:2], Ellipsis, *parts[2:])  # it stands for no axis: x[..., 0] of one axis is x[0, ...]
    return RowIndex(_rows(parts[0], shape[0], what), parts[1:])


def parse_row(index: Any, length: int, what: str) -> int:
    """The position of one row, which may be counted from the end.

    Raises:
        IndexError: If there is no such row.
    """
    position = operator.index(index)
    if not -length <= position < length:
        raise IndexError(f"index {position} is out of range for {what}")
    return position if position >= 0 else position + length


def _num_axes(parts: tuple[Any, ...]) -> int:
    """How many axes an index without Ellipsis takes."""
    return sum(0 if each is None else _num_axes_of(each) for each in parts)


def _num_axes_of(part: Any) -> int:
    is_mask = isinstance(part, (bool, np.bool_, list, np.ndarray)) and np.asarray(part).dtype == np.bool_
    return np.ndim(part) if is_mask else 1


def _rows(index: Any, length: int, what: str) -> int | range | np.ndarray:
    if isinstance(index, slice):
        return range(length)[index]
    if index is None:
        raise TypeError(f"None adds no axis in front of the rows of {what}: take rows first, column[:][None]")
    if hasattr(index, "__index__") and not hasattr(index, "__len__") and not isinstance(index, (bool, np.bool_)):
        return parse_row(index, length, what)
    try:
        numbers = np.asarray(index)
    except ValueError as error:  # lists of different lengths
        raise TypeError(f"{short_repr(index)} is no index of {what}: expected {_KINDS}") from error
    if numbers.dtype == np.bool_ and numbers.ndim:
        return _masked(numbers, length, what)
    if not numbers.size and isinstance(index, (list, tuple)):
        numbers = numbers.astype(np.int64)  # NumPy makes an empty list an array of floats
    if numbers.dtype.kind not in "iu":
        found = f"an array of {numbers.dtype}" if numbers.ndim else short_repr(index)
        raise TypeError(f"{found} is no index of {what}: expected {_KINDS}")
    if not numbers.ndim:
        return parse_row(numbers, length, what)
    return _in_range(numbers, length, what)


def _masked(mask: np.ndarray, length: int, what: str) -> np.ndarray:
    if mask.shape != (length,):
        size = str(len(mask)) if mask.ndim == 1 else f"the shape {mask.shape}"
        raise IndexError(f"a mask of {size} does not fit {what}: it has one boolean for each row")
    return np.flatnonzero(mask)


def _in_range(numbers: np.ndarray, length: int, what: str) -> np.ndarray:
    """Positions that do not count from the end."""
    if numbers.size:
        for extreme in (int(numbers.min()), int(numbers.max())):
            parse_row(extreme, length, what)
    positions = numbers.astype(np.int64)
    positions[positions < 0] += length
    return positions
