"""Items of HDF5 datasets, by any range of rows.

The chunk last read of each dataset is kept: rows are read one after the other
more often than not.
"""

from __future__ import annotations

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
from gym_h5record.storage.hdf5.chunks import StoredChunks, check_stored
from gym_h5record.storage.hdf5.objects import READ_ERRORS, open_dataset

__all__ = ["ColumnReader"]


T = TypeVar("T")

_PAUSES_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1)
"""Between looks at a file that is being written, where a block of it may be half there."""

_MAX_EFFORT_S = 0.1
"""Of processor time, for looks in vain: what is half there is soon found out, what takes long is damaged."""

_FIXED = {
    field.name: field
    for field in (
        Field(fmt.COMMIT, np.dtype(np.int64)),
        Field(fmt.REWARDS, np.dtype(np.float64)),
        *(Field(name, np.dtype(np.bool_)) for name in (fmt.TERMINATIONS, fmt.TRUNCATIONS, fmt.DONES)),
        *(Field(f"{fmt.EPISODES}/{name}", dtype) for name, dtype in fmt.EPISODE_COLUMNS.items()),
    )
}
"""Datasets that are the same in every recording, whatever its schema says."""


class ColumnReader:
    """Reads items of any dataset of a recording.

    Args:
        handle: The open file.
    """

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._generation = handle.generation
        self._datasets: dict[str, _Dataset] = {}
        self._fields: dict[str, Field] = _FIXED

    @property
    def may_move(self) -> bool:
        """Whether somebody may write the file meanwhile."""
        return self._handle.may_move

    def __reduce__(self) -> tuple[type[ColumnReader], tuple[Handle]]:
        return ColumnReader, (self._handle,)

    def expect(self, fields: Iterable[Field]) -> None:
        """Refuse datasets that hold something else than these say."""
        self._fields = {**_FIXED, **{field.name: field for field in fields}}
        self._datasets.clear()

    def length(self, field: str) -> int:
        """How many items a dataset has, valid or not."""
        return len(self.reading(field, lambda: self._dataset(field)))

    def check_stored(self, field: str, count: int) -> None:
        """Make sure that a dataset really has ``count`` items.

        Raises:
            CorruptRecordingError: If it has fewer, or claims what no file of its size can hold.
        """
        self.reading(field, lambda: self._dataset(field).check_stored(count, self._handle))

    def items(self, field: str, start: int, stop: int) -> np.ndarray:
        """Items ``start`` to ``stop`` of a dataset, as an array of the caller's own.

        Raises:
            CorruptRecordingError: If they are not there, or damaged.
        """
        return self.reading(field, lambda: self._dataset(field).items(start, stop, self._handle))

    def row(self, field: str, row: int) -> np.ndarray:
        """One item, with the first axis kept, as a view that must not be changed or handed out."""
        try:
            return self._dataset(field).view(row)
        except READ_ERRORS as error:
            if self._handle.may_move:
                return self.reading(field, lambda: self._dataset(field).view(row))
            raise self._corrupt(field, error) from error

    def reading(self, field: str, read: Callable[[], T]) -> T:
        """Call ``read``, which reads ``field``; from a file that may be being written, again if that fails.

        Raises:
            CorruptRecordingError: If it keeps failing.
        """
        begun_s = time.thread_time()
        for pause_s in _PAUSES_S if self._handle.may_move else ():
            try:
                return read()
            except READ_ERRORS:  # noqa: PERF203  # whoever writes it is about to finish what is half there
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
        self._handle.check_open()  # closed meanwhile by another thread, it cannot be read either
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
            dataset = self._datasets[field] = _Dataset(found)
        return dataset


class _Dataset:
    """One dataset, and its chunk that was read last."""

    def __init__(self, dataset: h5py.Dataset) -> None:
        self._dataset = dataset
        self._dtype = dataset.dtype
        self._shape = dataset.shape[1:]
        self._rows = dataset.chunks[0]
        self._length = len(dataset)
        self._stored = StoredChunks(dataset)
        self._item_bytes = int(np.prod(self._shape, dtype=np.int64)) * self._dtype.itemsize
        self._last: tuple[int, np.ndarray] = (-1, np.empty(0))

    def __len__(self) -> int:
        return self._length

    def items(self, start: int, stop: int, handle: Handle) -> np.ndarray:
        self._check(start, stop)
        if start == stop:
            return np.empty((0, *self._shape), self._dtype)
        first_chunk = start // self._rows
        if stop <= (first_chunk + 1) * self._rows:  # all in one chunk
            offset = first_chunk * self._rows
            return self._chunk(first_chunk)[start - offset : stop - offset].copy()
        if (stop - start) * self._item_bytes > UNCHECKED_BYTES:
            self.check_stored(stop, handle)
        if not self._stored.filter_id:
            return self._checked(self._dataset[start:stop])
        items = np.empty((stop - start, *self._shape), self._dtype)
        for chunk in range(first_chunk, (stop - 1) // self._rows + 1):
            offset = chunk * self._rows
            low, high = max(start, offset), min(stop, offset + self._rows)
            items[low - start : high - start] = self._chunk(chunk)[low - offset : high - offset]
        return items

    def check_stored(self, count: int, handle: Handle) -> None:
        check_stored(self._dataset, count, handle.size_bytes)

    def view(self, row: int) -> np.ndarray:
        if not 0 <= row < self._length:
            self._check(row, row + 1)
        chunk, at = divmod(row, self._rows)
        last, items = self._last
        if chunk != last:
            items = self._chunk(chunk)
        return items[at : at + 1]

    def _check(self, start: int, stop: int) -> None:
        if not 0 <= start <= stop <= self._length:
            raise CorruptRecordingError(
                f"{self._dataset.file.filename}: {self._dataset.name} has {self._length} items, "
                f"items {start} to {stop} are needed"
            )

    def _chunk(self, number: int) -> np.ndarray:
        last, items = self._last
        if number != last:
            items = self._read_chunk(number)
            self._last = (number, items)
        return items

    def _read_chunk(self, number: int) -> np.ndarray:
        first = number * self._rows
        if not self._stored.filter_id:
            return self._checked(self._dataset[first : min(first + self._rows, self._length)])
        return self._checked(self._stored.read(first))

    def _checked(self, items: np.ndarray) -> np.ndarray:
        """The items, if booleans are all 0 or 1: NumPy is wrong about others."""
        if self._dtype.kind == "b" and items.size and items.view(np.uint8).max() > 1:
            raise CorruptRecordingError(f"{self._dataset.name} holds booleans that are neither true nor false")
        return items
