"""A run of rows that is indexed as NumPy indexes the first axis: what columns, infos and extras have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Generic, overload

import numpy as np

from gym_h5record.reading.indexing import RowsIndex, parse_index, parse_row
from gym_h5record.reading.row_batches import map_leaves
from gym_h5record.reading.row_comparison import StoredRows, stored_alike

if TYPE_CHECKING:  # type checkers know typing_extensions; typing's own TypeVar has defaults from Python 3.13 on only
    from typing_extensions import TypeVar

    Value = TypeVar("Value", covariant=True, default=Any)
    Batch = TypeVar("Batch", covariant=True, default=Any)
else:
    from typing import TypeVar

    Value = TypeVar("Value", covariant=True)
    Batch = TypeVar("Batch", covariant=True)

__all__ = ["Batch", "Rows", "Value"]


class Rows(Sequence[Value], Generic[Value, Batch]):
    """A run of rows. A subclass reads one row, a range of them, or some in any order."""

    def __init__(self, start: int, length: int) -> None:
        self._start = start
        self._length = length

    def __len__(self) -> int:
        return self._length

    @overload  # type: ignore[override]  # a slice of a Sequence is one more Sequence; here it is a batch
    def __getitem__(self, index: RowsIndex) -> Batch: ...
    @overload
    def __getitem__(self, index: int | np.integer) -> Value: ...
    @overload
    def __getitem__(self, index: tuple[Any, ...]) -> Any: ...
    def __getitem__(self, index: Any) -> Any:
        """The exact value of one row, or a batch of rows.

        Raises:
            IndexError: If a row is out of range, or a mask has not one boolean per row.
            TypeError: If it is no index of rows.
        """
        if type(index) is not int:  # asked for first: single rows are read most, and lists and slices cost more anyway
            if not isinstance(index, np.integer):
                return self._indexed(index)
            index = int(index)
        length = self._length
        if 0 <= index < length:
            return self._one(self._start + index)
        return self._one(self._start + parse_row(index, length, self._what))

    def surely_same(self, other: Rows[Any, Any], start: int, stop: int) -> bool:
        """Whether rows ``start`` to ``stop`` of both hold the same bytes, and so the same values.

        No value is decoded, and memory does not grow with the number of rows.

        Returns:
            False says nothing, as the values may be the same in other bytes.
        """
        if not 0 <= start <= stop <= min(len(self), len(other)):
            raise IndexError(f"rows {start} to {stop} are not in both: {self} and {other}")
        ours, theirs = self._stored(start), other._stored(start)
        return ours is not None and theirs is not None and stored_alike(ours, theirs, stop - start)

    @property
    def _what(self) -> str:
        return f"a {type(self).__name__} of {self._length} rows"

    @property
    def _index_shape(self) -> tuple[int, ...]:
        """The axes that an index may have."""
        return (self._length,)

    def _indexed(self, index: Any) -> Any:
        found = parse_index(index, self._index_shape, self._what)
        if found.further:
            return self._cropped(found.rows, found.further)
        return self._one(self._start + found.rows) if isinstance(found.rows, int) else self._batch(found.rows)

    def _batch(self, rows: range | np.ndarray) -> Any:
        """The batch of these positions. An array of several axes gives them to every array of the batch."""
        if isinstance(rows, range):
            if not rows:
                return self._many(self._start, self._start)
            if rows.step == 1:
                return self._many(self._start + rows.start, self._start + rows.stop)
            rows = np.arange(rows.start, rows.stop, rows.step)
        batch = self._some(self._start + rows.reshape(-1))
        return batch if rows.ndim == 1 else map_leaves(batch, lambda leaf: self._reshaped(leaf, rows.shape))

    def _reshaped(self, leaf: Any, shape: tuple[int, ...]) -> np.ndarray:
        if not isinstance(leaf, np.ndarray):
            raise TypeError(f"row numbers of the shape {shape} take arrays, but {self} gives a list of values")
        return leaf.reshape(*shape, *leaf.shape[1:])

    def _cropped(self, rows: int | range | np.ndarray, further: tuple[Any, ...]) -> Any:
        """The arrays of these positions, with an index applied to their other axes."""
        raise TypeError(f"{self} has no further axes: take rows first, and then of each value what you need")

    @abstractmethod
    def _one(self, row: int) -> Any:
        """The value of a row of the recording."""

    @abstractmethod
    def _many(self, start: int, stop: int) -> Any:
        """A batch of rows of the recording."""

    @abstractmethod
    def _some(self, rows: np.ndarray) -> Any:
        """A batch of rows of the recording, ``(n,)`` int64, in this order."""

    @abstractmethod
    def _stored(self, position: int) -> StoredRows | None:
        """The stored bytes from a position on; None if they alone do not determine the values."""
