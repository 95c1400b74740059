"""Columns of a recording: one item is the exact value, other indices give a batch of arrays, as NumPy has them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from gym_h5record.display import printable, short_repr
from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format import nodes
from gym_h5record.reading.decoder import Decoder
from gym_h5record.reading.further_axes import cropped_row, cropped_rows
from gym_h5record.reading.read_ahead import blocks_of, bytes_ahead, exact_values
from gym_h5record.reading.row_batches import map_leaves, with_padding
from gym_h5record.reading.row_comparison import StoredRows
from gym_h5record.reading.rows import Batch, Rows, Value

__all__ = ["Column"]

_CPU = (1, 0)
"""DLPack's name of the memory of this machine."""


class Column(Rows[Value, Batch]):
    """Observations, actions, rewards, flags or frames of a run of rows.

    ``column[i]`` is the value as it was recorded, Python type included.
    ``column[a:b]``, ``column[[0, 5]]`` and ``column[mask]`` are batches: an array
    ``(rows, *shape)``, dicts and tuples of arrays for Dict and Tuple spaces, a
    list where values vary in size or do not fit the column. Where a batch is an
    array, ``column[a:b, 34:194, ..., 0]`` applies the rest of the index to it, as
    NumPy does. ``np.asarray(column)`` and ``torch.as_tensor(column)`` read all
    rows. Rows are read when they are asked for; every array is the caller's own.

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
        self._is_needed = not has_padding
        self._open_row = start + length - 1 if is_open else -1

    @property
    def shape(self) -> tuple[int, ...]:
        """``(rows, *shape)`` for arrays, ``(rows,)`` for everything else."""
        node = self._node
        return (self._length, *node.shape) if isinstance(node, (nodes.Array, nodes.Stack)) else (self._length,)

    @property
    def dtype(self) -> np.dtype:
        """The dtype of arrays and numbers, object for everything else."""
        node = self._node
        return node.dtype if isinstance(node, (nodes.Array, nodes.Scalar, nodes.Stack)) else np.dtype(object)

    @property
    def ndim(self) -> int:
        """How many axes there are, that of the rows included."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """How many elements all rows have."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of all rows as one array."""
        return self.size * self.dtype.itemsize

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:  # noqa: FBT001  # NumPy's protocol
        """All rows as one array; an array of objects, one per row, where ``column[:]`` is a list.

        Raises:
            TypeError: If values are dicts or tuples.
            ValueError: If ``copy`` is False: rows are read from the file.
        """
        if copy is False:
            raise ValueError(f"{self} is read from a file, so that an array of it is always a copy")
        if isinstance(self._node, (nodes.DictOf, nodes.TupleOf)):
            raise TypeError(f"{self} is not one array: {self._instead}")
        batch: Any = self[:]
        if isinstance(batch, np.ndarray):
            return batch if dtype is None else batch.astype(dtype, copy=False)
        if dtype is not None and np.dtype(dtype) != object:
            return np.asarray(batch, dtype)
        array = np.empty(len(batch), object)
        for at, value in enumerate(batch):
            array[at] = value
        return array

    def __dlpack__(
        self, *, stream: Any = None, max_version: Any = None, dl_device: Any = None, copy: Any = None
    ) -> Any:
        """All rows for ``torch.as_tensor``, which walks a sequence row by row if it has no such method.

        Raises:
            TypeError: If the rows are not one array of numbers.
            BufferError: If it shall be in the memory of another device, or no copy.
        """
        if copy is False or dl_device not in (None, _CPU):
            raise BufferError(f"{self} is read from a file, into new memory of the processor")
        array = self.__array__()
        if array.dtype == object:
            raise TypeError(f"{self} is not one array of numbers: {self._instead}")
        return array.__dlpack__()

    def __dlpack_device__(self) -> tuple[int, int]:
        """Where ``__dlpack__`` puts the rows: into the memory of the processor."""
        return _CPU

    def __iter__(self) -> Iterator[Value]:
        """The exact values, row by row. Numbers and small arrays are read ahead, at most 4 MiB."""
        start, stop = self._start, self._start + self._length
        size = bytes_ahead(self._node)
        read_ahead = start if size is None else stop if self._open_row < 0 else self._open_row
        for low, high in blocks_of(start, read_ahead, size or 0):
            for row, value in enumerate(self._ahead(low, high), low):
                yield self._one(row) if value is None else value  # it knows padding from damage
        yield from map(self._one, range(read_ahead, stop))

    def __repr__(self) -> str:
        return f"<Column /{printable(self._node.name)} shape={self.shape} dtype={self.dtype}>"

    if not TYPE_CHECKING:  # a type checker would take every name for an attribute

        def __getattr__(self, name: str) -> Any:
            if name.startswith("_") or not hasattr(np.ndarray, name):
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            raise AttributeError(f"{self} has no {name!r}, but arrays have: read rows first, column[:].{name}")

    @property
    def _index_shape(self) -> tuple[int, ...]:
        return self.shape

    def _indexed(self, index: Any) -> Any:
        if isinstance(index, str) and isinstance(self._node, nodes.DictOf):
            raise TypeError(f"{self} takes rows, not {short_repr(index)}: {self._instead}")
        return super()._indexed(index)

    @property
    def _instead(self) -> str:
        """Why the rows are not an array, and what to do."""
        node = self._node
        if isinstance(node, nodes.DictOf):
            key = repr(node.items[0][0]) if node.items else "key"
            return f"its values are dicts; take rows first and then a key, as in column[:][{key}]"
        if isinstance(node, nodes.TupleOf):
            return "its values are tuples; take rows first and then an item, as in column[:][0]"
        if isinstance(node, (nodes.Ragged, nodes.Opaque)):
            return "its values vary in size; column[:] is a list of them"
        return "some values are missing or do not fit the others; column[:] is a list of them"

    def _one(self, row: int) -> Any:
        if row == self._open_row:
            return None
        return self._decoder.value(self._node, row, is_needed=self._is_needed)

    def _many(self, start: int, stop: int) -> Any:
        if start <= self._open_row < stop:
            return self._some(np.arange(start, stop))
        return self._decoder.batch(self._node, start, stop)

    def _some(self, rows: np.ndarray) -> Any:
        known = rows != self._open_row
        if known.all():
            return self._decoder.take(self._node, rows)
        return map_leaves(self._decoder.take(self._node, rows[known]), lambda leaf: with_padding(leaf, known))

    def _stored(self, position: int) -> StoredRows | None:
        return self._decoder.stored(self._node, self._start + position) if self._open_row < 0 else None

    def _ahead(self, start: int, stop: int) -> Iterator[Any]:
        """The exact values of rows of the recording; None where a row has none."""
        try:
            return exact_values(self._decoder, self._node, range(start, stop))
        except CorruptRecordingError:  # the rows before the damaged one can still be read
            return map(self._one, range(start, stop))

    def _cropped(self, rows: int | range | np.ndarray, further: tuple[Any, ...]) -> Any:
        if not isinstance(self._node, (nodes.Array, nodes.Scalar, nodes.Stack)):
            raise TypeError(f"{self} has no further axes: {self._instead}")
        shape = self.shape[1:]
        if not isinstance(rows, int):
            return cropped_rows(self._arrays, rows, further, shape, self.dtype)
        value = self._one(self._start + rows)
        if value is None:
            raise TypeError(f"row {rows} of {self} has no value, and so no further axes")
        is_array = type(value) is np.ndarray and (value.shape, value.dtype) == (shape, self.dtype)
        return cropped_row(value[None] if is_array else self._arrays(range(rows, rows + 1)), further)

    def _arrays(self, rows: range | np.ndarray) -> np.ndarray:
        """The batch of these positions, which must be an array."""
        batch = self._batch(rows)
        if not isinstance(batch, np.ndarray):
            raise TypeError(f"{self} has no further axes in these rows: {self._instead}")
        return batch
