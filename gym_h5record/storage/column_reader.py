"""Items of the datasets of a recording, by any range of rows.

The last chunk of each dataset is kept in memory: rows are mostly read one after the other.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

import h5py
import numpy as np

from gym_h5record.errors import CorruptRecordingError, RecordingError
from gym_h5record.format import names as fmt
from gym_h5record.format.nodes import Field
from gym_h5record.limits import UNCHECKED_BYTES
from gym_h5record.storage.format_checks import check_field
from gym_h5record.storage.handle import Handle
from gym_h5record.storage.hdf5.chunks import StoredChunks
from gym_h5record.storage.hdf5.objects import READ_ERRORS, open_dataset

__all__ = ["ColumnReader"]

T = TypeVar("T")

_PAUSES_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1)
"""Pauses between attempts to read a file that is being written: a block may be half written."""

_MAX_EFFORT_S = 0.1
"""Processor time for such attempts. HDF5 finds a half-written block out at once; only a damaged one takes it long."""

_FIXED = {
    field.name: field
    for field in (
        Field(fmt.COMMIT, np.dtype(np.int64)),
        *(Field(name, np.dtype(np.bool_)) for name in (fmt.TERMINATIONS, fmt.TRUNCATIONS, fmt.DONES)),
        *(Field(f"{fmt.EPISODES}/{name}", dtype) for name, dtype in fmt.EPISODE_COLUMNS.items() if name != "returns"),
    )
}
"""The datasets that do not depend on the schema."""


class ColumnReader:
    """Reads items of any dataset of a recording."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._generation = handle.generation
        self._datasets: dict[str, _Dataset] = {}
        self._fields: dict[str, Field] = _FIXED

    @property
    def may_move(self) -> bool:
        """Whether a writer may change the file meanwhile."""
        return self._handle.may_move

    def __reduce__(self) -> tuple[type[ColumnReader], tuple[Handle]]:
        return type(self), (self._handle,)

    def expect(self, fields: Iterable[Field]) -> None:
        """From now on, refuse a dataset that has another dtype or item shape than its field here."""
        self._fields = {**_FIXED, **{field.name: field for field in fields}}
        self._datasets.clear()

    def length(self, field: str) -> int:
        """How many items a dataset has, committed or not."""
        return len(self.reading(field, lambda: self._dataset(field)))

    def chunk_rows(self, field: str) -> int:
        """How many items a chunk of a dataset has."""
        return self.reading(field, lambda: self._dataset(field).rows)

    def check_rows(self, count: int) -> None:
        """Make sure that the file can hold ``count`` rows: ``/dones``, which is never compressed, has a byte for each.

        Raises:
            CorruptRecordingError: If it is too small.
        """
        size_bytes = self._handle.size_bytes
        if count > size_bytes:
            raise CorruptRecordingError(
                f"{self._handle.path}: /{fmt.COMMIT} claims {count} rows, more than {size_bytes} bytes can hold"
            )

    def check_stored(self, field: str, count: int) -> None:
        """See ``StoredChunks.check_stored``."""
        self.reading(field, lambda: self._dataset(field).check_stored(count))

    def items(self, field: str, start: int, stop: int) -> np.ndarray:
        """Items ``start`` to ``stop`` of a dataset, as an array that the caller may change.

        Raises:
            CorruptRecordingError: If they are missing or damaged.
        """
        return self.reading(field, lambda: self._dataset(field).items(start, stop))

    def row(self, field: str, row: int) -> np.ndarray:
        """One item as ``items``, but as a view of the chunk in memory: not to be changed or returned to users."""
        try:
            return self._dataset(field).view(row)  # in 1 us; with ``reading`` around it 1.7 us
        except READ_ERRORS:
            return self.reading(field, lambda: self._dataset(field).view(row))

    def reading(self, field: str, read: Callable[[], T]) -> T:
        """Call ``read``, which reads ``field``. If it fails and a writer may change the file, call it again.

        Raises:
            CorruptRecordingError: If it still fails.
        """
        if self._handle.may_move:
            begun_s = time.thread_time()
            for pause_s in _PAUSES_S:
                try:
                    return read()
                except READ_ERRORS:  # noqa: PERF203  # the writer may be about to complete the block
                    if time.thread_time() - begun_s > _MAX_EFFORT_S:
                        break
                    time.sleep(pause_s)
                    self._handle.renew()
        try:
            return read()
        except READ_ERRORS as error:
            raise self._corrupt(field, error) from error

    def _corrupt(self, field: str, error: Exception) -> Exception:
        if isinstance(error, RecordingError) and not isinstance(error, CorruptRecordingError):
            return error
        self._handle.check_open()  # the cause may be that another thread has closed it
        what = str(error) if isinstance(error, CorruptRecordingError) else f"/{field} cannot be read: {error}"
        return CorruptRecordingError(f"{self._handle.path}: {what}")

    def _dataset(self, field: str) -> _Dataset:
        file = self._handle.file
        if self._generation != self._handle.generation:
            self._datasets.clear()
            self._generation = self._handle.generation
        dataset = self._datasets.get(field)
        if dataset is None:
            found = open_dataset(file, field)
            if field in self._fields:
                check_field(found, self._fields[field])
            dataset = self._datasets[field] = _Dataset(found, self._handle)
        return dataset


class _Dataset:
    """One dataset, and the chunk that was read last."""

    def __init__(self, dataset: h5py.Dataset, handle: Handle) -> None:
        self._dataset = dataset
        self._handle = handle
        self._stored = StoredChunks(dataset)
        self._dtype = dataset.dtype
        self._length, self._shape = len(dataset), dataset.shape[1:]
        self.rows = int(dataset.chunks[0])
        self._last: tuple[int, np.ndarray] = (-1, np.empty(0))

    def __len__(self) -> int:
        return self._length

    def check_stored(self, count: int) -> None:
        self._stored.check_stored(count, self._handle.size_bytes)

    def items(self, start: int, stop: int) -> np.ndarray:
        self._check(start, stop)
        chunks = range(start // self.rows, -(-stop // self.rows)) if start < stop else range(0)
        if len(chunks) > 1:
            if (stop - start) * math.prod(self._shape) * self._dtype.itemsize > UNCHECKED_BYTES:
                self.check_stored(stop)
            if not self._stored.filter_id:
                return self._checked(self._dataset[start:stop])
        items = np.empty((stop - start, *self._shape), self._dtype)
        if self._last[0] in chunks[1:]:  # read it before another chunk takes its place
            chunks = chunks[::-1]
        for chunk in chunks:
            offset = chunk * self.rows
            low, high = max(start, offset), min(stop, offset + self.rows)
            items[low - start : high - start] = self._chunk(chunk)[low - offset : high - offset]
        return items

    def view(self, row: int) -> np.ndarray:
        self._check(row, row + 1)
        chunk, at = divmod(row, self.rows)
        return self._chunk(chunk)[at : at + 1]

    def _check(self, start: int, stop: int) -> None:
        if not 0 <= start <= stop <= self._length:
            raise CorruptRecordingError(
                f"{self._dataset.name} has {self._length} items, items {start} to {stop} are needed"
            )

    def _chunk(self, number: int) -> np.ndarray:
        last, items = self._last  # both at once: another thread may read another chunk meanwhile
        if number != last:
            first = number * self.rows
            if self._stored.filter_id:
                items = self._checked(self._stored.read(first))
            else:
                items = self._checked(self._dataset[first : min(first + self.rows, self._length)])
            self._last = (number, items)
        return items

    def _checked(self, items: np.ndarray) -> np.ndarray:
        """The items; booleans must be 0 or 1, as NumPy computes wrongly with others."""
        if self._dtype.kind == "b" and items.size and items.view(np.uint8).max() > 1:
            raise CorruptRecordingError(f"{self._dataset.name} holds booleans that are neither true nor false")
        return items
