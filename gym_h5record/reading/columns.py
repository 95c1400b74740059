"""Columns of a recording as sequences: one item is the exact value, a slice is a batch of arrays."""

from __future__ import annotations

import operator
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, overload

import numpy as np

from gym_h5record.display import printable
from gym_h5record.format import nodes
from gym_h5record.reading.decoder import Decoder
from gym_h5record.reading.row_comparison import StoredRows, stored_alike

__all__ = ["Column", "Rows"]


class Rows(Sequence[Any]):
    """A run of rows. A subclass reads one row or some of them."""

    def __init__(self, start: int, length: int) -> None:
        self._start = start
        self._length = length

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> Any: ...
    def __getitem__(self, index: int | slice) -> Any:
        """The exact value of one row, or a batch of rows."""
        if isinstance(index, slice):
            return self._slice(range(self._length)[index])
        position = operator.index(index)
        if not -self._length <= position < self._length:
            what = f"a {type(self).__name__} of {self._length} rows"
            raise IndexError(f"index {position} is out of range for {what}")
        return self._one(self._start + range(self._length)[position])

    def surely_same(self, other: Rows, start: int, stop: int) -> bool:
        """Whether rows ``start`` to ``stop`` of both hold the same bytes, and so the same values.

        No value is decoded, and memory does not grow with the number of rows.

        Returns:
            False says nothing: the values may be the same, in other bytes.
        """
        if not 0 <= start <= stop <= min(len(self), len(other)):
            raise IndexError(f"rows {start} to {stop} are not in both: {self} and {other}")
        ours, theirs = self._stored(start), other._stored(start)
        return ours is not None and theirs is not None and stored_alike(ours, theirs, stop - start)

    def _slice(self, rows: range) -> Any:
        if not rows:
            return self._many(self._start, self._start)
        low, high = min(rows[0], rows[-1]), max(rows[0], rows[-1]) + 1
        batch = self._many(self._start + low, self._start + high)
        return batch if rows.step == 1 else _map_leaves(batch, lambda leaf: leaf[:: rows.step])

    @abstractmethod
    def _one(self, row: int) -> Any:
        """The value of a row of the recording."""

    @abstractmethod
    def _many(self, start: int, stop: int) -> Any:
        """A batch of rows of the recording."""

    @abstractmethod
    def _stored(self, position: int) -> StoredRows | None:
        """The stored bytes from a position on; None if they alone do not determine the values."""


class Column(Rows):
    """Observations, actions, rewards, flags or frames of a run of rows.

    ``column[i]`` is the value as it was recorded, Python type included.
    ``column[a:b]`` is a batch: an array ``(b - a, *shape)``, dicts and tuples of
    arrays for Dict and Tuple spaces, a list where values vary in size or do not
    fit the column. Rows are read when they are asked for.

    Args:
        decoder: Reads values.
        node: Which values.
        start: First row.
        length: How many rows.
        is_open: Whether the last row counts as padding, whatever the file says: the step from it is not committed yet.
        has_padding: Whether rows may be padding. Their value is None; without padding, a row without a value is an
            error.
    """

    def __init__(
        self,
        decoder: Decoder,
        node: nodes.Node,
        start: int,
        length: int,
        *,
        is_open: bool = False,
        has_padding: bool = True,
    ) -> None:
        super().__init__(start, length)
        self._decoder = decoder
        self._node = node
        self._has_padding = has_padding
        self._open_row = start + length - 1 if is_open else -1

    @property
    def shape(self) -> tuple[int, ...]:
        """``(rows, *shape)`` for arrays, ``(rows,)`` for everything else."""
        return (
            (self._length, *self._node.shape) if isinstance(self._node, (nodes.Array, nodes.Stack)) else (self._length,)
        )

    @property
    def dtype(self) -> np.dtype:
        """The dtype of arrays and numbers, object for everything else."""
        return (
            self._node.dtype if isinstance(self._node, (nodes.Array, nodes.Scalar, nodes.Stack)) else np.dtype(object)
        )

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:  # noqa: FBT001  # NumPy's protocol
        """All rows as one array."""
        return np.asarray(self[:], dtype)

    def __repr__(self) -> str:
        return f"<Column /{printable(self._node.name)} shape={self.shape} dtype={self.dtype}>"

    def _one(self, row: int) -> Any:
        if row == self._open_row:
            return None
        return self._decoder.value(self._node, row, is_needed=not self._has_padding)

    def _many(self, start: int, stop: int) -> Any:
        if start <= self._open_row < stop:
            return _map_leaves(self._decoder.batch(self._node, start, stop - 1), _with_padding)
        return self._decoder.batch(self._node, start, stop)

    def _stored(self, position: int) -> StoredRows | None:
        return self._decoder.stored(self._node, self._start + position) if self._open_row < 0 else None


def _with_padding(leaf: Any) -> Any:
    """A batch with one row of padding behind it."""
    if isinstance(leaf, list):
        return [*leaf, None]
    return np.concatenate([leaf, np.zeros((1, *leaf.shape[1:]), leaf.dtype)])


def _map_leaves(batch: Any, function: Callable[[Any], Any]) -> Any:
    if isinstance(batch, dict):
        return {key: _map_leaves(each, function) for key, each in batch.items()}
    if isinstance(batch, tuple):
        return tuple(_map_leaves(each, function) for each in batch)
    return function(batch)
