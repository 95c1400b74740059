"""Columns of a recording as sequences: one item exact, a slice as arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, overload

import numpy as np

from gym_h5record.display import printable
from gym_h5record.format import nodes
from gym_h5record.reading.decoder import Decoder
from gym_h5record.reading.stored_rows import StoredRows, stored_alike

__all__ = ["Column", "InfoColumn"]


class _Rows(Sequence[Any]):
    """A run of rows; subclasses say how one row and a slice of them are read."""

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
        """One row, exactly as it was, or a batch of rows."""
        if isinstance(index, slice):
            return self._slice(range(*index.indices(self._length)))
        position = range(self._length)[_checked(index, self._length, type(self).__name__)]
        return self._one(self._start + position)

    def surely_same(self, other: _Rows, start: int, stop: int) -> bool:
        """Whether rows ``start`` to ``stop`` hold the same values in both, as far as can be told without decoding them.

        False is no answer: the values have to be compared. Memory does not grow with the number of rows.
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
        if rows.step == 1:
            return batch
        return _map_leaves(batch, lambda leaf: leaf[:: rows.step])

    def _one(self, row: int) -> Any:
        raise TypeError("a subclass says how to read a row")

    def _many(self, start: int, stop: int) -> Any:
        raise TypeError("a subclass says how to read rows")

    def _stored(self, position: int) -> StoredRows | None:
        """Where rows from a position on are stored, None if what is there is not all there is to say."""
        raise TypeError("a subclass says where its rows are")


class Column(_Rows):
    """Observations, actions, rewards, flags or frames of a run of rows.

    ``column[i]`` is the value as it was recorded, Python type included.
    ``column[a:b]`` is a batch: an array ``(b - a, *shape)``, dicts and tuples of
    arrays for Dict and Tuple spaces, a list where values vary in size or do not
    fit the column. Nothing is read before it is asked for.

    Args:
        decoder: Reads values.
        node: What to read.
        start: First row.
        length: How many rows.
        is_open: Whether the last row is padding, whatever the file says: the step from it is not committed yet.
        has_padding: Whether rows may be padding at all, which is None.
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
        return (self._length, *self._node.shape) if isinstance(self._node, nodes.Array) else (self._length,)

    @property
    def dtype(self) -> np.dtype:
        """The dtype of arrays and numbers, object for everything else."""
        return self._node.dtype if isinstance(self._node, (nodes.Array, nodes.Scalar)) else np.dtype(object)

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


class InfoColumn(_Rows):
    """Infos of a run of rows: ``column[i]`` is a dict, ``column[a:b]`` a list of them.

    Args:
        decoder: Reads infos.
        start: First row.
        length: How many rows.
    """

    def __init__(self, decoder: Decoder, start: int, length: int) -> None:
        super().__init__(start, length)
        self._decoder = decoder

    def __repr__(self) -> str:
        return f"<InfoColumn of {self._length} rows>"

    def _one(self, row: int) -> Any:
        return self._decoder.info(row)

    def _many(self, start: int, stop: int) -> list[Any]:
        return [self._decoder.info(row) for row in range(start, stop)]

    def _stored(self, position: int) -> StoredRows | None:
        return self._decoder.stored_infos(self._start + position)


def _checked(index: Any, length: int, what: str) -> int:
    position = index.__index__()
    if not -length <= position < length:
        raise IndexError(f"index {position} is out of range for a {what} of {length} rows")
    return int(position)


def _with_padding(leaf: Any) -> Any:
    """One row more, which has no value."""
    if isinstance(leaf, list):
        return [*leaf, None]
    return np.concatenate([leaf, np.zeros((1, *leaf.shape[1:]), leaf.dtype)])


def _map_leaves(batch: Any, function: Callable[[Any], Any]) -> Any:
    if isinstance(batch, dict):
        return {key: _map_leaves(each, function) for key, each in batch.items()}
    if isinstance(batch, tuple):
        return tuple(_map_leaves(each, function) for each in batch)
    return function(batch)
