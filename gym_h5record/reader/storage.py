"""Items of HDF5 datasets, decoded outside HDF5 where we know the filter.

Reading a chunk as it is stored and decompressing it here is faster than HDF5's
own filters, needs no plugin, and refuses chunks of the wrong size, which HDF5
2.0 answers with uninitialised memory. The chunk last read of each dataset is
kept: rows are read one after the other more often than not.
"""

from __future__ import annotations

import h5py
import numpy as np

from gym_h5record.codecs import decode_chunk, readable_filter
from gym_h5record.errors import CorruptRecordingError
from gym_h5record.reader.handle import Handle

__all__ = ["Storage"]

_READ_ERRORS = (OSError, RuntimeError, ValueError, MemoryError)  # what h5py makes of damaged data


class Storage:
    """Reads items of any dataset of a recording.

    Args:
        handle: The open file.
    """

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._generation = handle.generation
        self._datasets: dict[str, _Dataset] = {}

    def __reduce__(self) -> tuple[type[Storage], tuple[Handle]]:
        return Storage, (self._handle,)

    def items(self, field: str, start: int, stop: int) -> np.ndarray:
        """Items ``start`` to ``stop`` of a dataset, as an array of the caller's own.

        Raises:
            CorruptRecordingError: If they are not there, or damaged.
        """
        dataset = self._dataset(field)
        try:
            return dataset.items(start, stop)
        except _READ_ERRORS as error:
            raise self._corrupt(field, error) from error

    def row(self, field: str, row: int) -> np.ndarray:
        """One item, with the first axis kept, as a view that must not be changed or handed out."""
        dataset = self._dataset(field)
        try:
            return dataset.view(row)
        except _READ_ERRORS as error:
            raise self._corrupt(field, error) from error

    def _corrupt(self, field: str, error: Exception) -> CorruptRecordingError:
        if isinstance(error, CorruptRecordingError):
            return error
        return CorruptRecordingError(f"{self._handle.path}: /{field} cannot be read: {error}")

    def _dataset(self, field: str) -> _Dataset:
        file = self._handle.file
        if self._generation != self._handle.generation:
            self._datasets.clear()
            self._generation = self._handle.generation
        dataset = self._datasets.get(field)
        if dataset is None:
            try:
                found = file.get(field)
            except (OSError, RuntimeError, ValueError, KeyError) as error:
                raise self._corrupt(field, error) from error
            if not isinstance(found, h5py.Dataset):
                raise CorruptRecordingError(f"{self._handle.path} lacks the dataset /{field}")
            dataset = self._datasets[field] = _Dataset(found)
        return dataset


class _Dataset:
    """One dataset, and its chunk that was read last."""

    def __init__(self, dataset: h5py.Dataset) -> None:
        self._dataset = dataset
        self._dtype = dataset.dtype
        self._shape = dataset.shape[1:]
        self._rows = dataset.chunks[0] if dataset.chunks else max(1, len(dataset))
        self._length = len(dataset)
        self._filter = _only_filter(dataset)
        self._chunk_bytes = self._rows * int(np.prod(self._shape, dtype=np.int64)) * self._dtype.itemsize
        self._last: tuple[int, np.ndarray] = (-1, np.empty(0))

    def items(self, start: int, stop: int) -> np.ndarray:
        self._check(start, stop)
        if start == stop:
            return np.empty((0, *self._shape), self._dtype)
        first_chunk = start // self._rows
        if stop <= (first_chunk + 1) * self._rows:  # all in one chunk
            offset = first_chunk * self._rows
            return self._chunk(first_chunk)[start - offset : stop - offset].copy()
        if not self._filter:
            whole: np.ndarray = self._dataset[start:stop]
            return whole
        items = np.empty((stop - start, *self._shape), self._dtype)
        for chunk in range(first_chunk, (stop - 1) // self._rows + 1):
            offset = chunk * self._rows
            low, high = max(start, offset), min(stop, offset + self._rows)
            items[low - start : high - start] = self._chunk(chunk)[low - offset : high - offset]
        return items

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
        if not self._filter:
            items: np.ndarray = self._dataset[first : min(first + self._rows, self._length)]
            return items
        mask, data = self._dataset.id.read_direct_chunk((first, *(0 for _ in self._shape)))
        decoded = decode_chunk(0 if mask else self._filter, data, self._chunk_bytes)
        return np.frombuffer(decoded, self._dtype).reshape(self._rows, *self._shape)


def _only_filter(dataset: h5py.Dataset) -> int:
    """The filter of the chunks if we decode it, 0 to leave decoding to HDF5."""
    create = dataset.id.get_create_plist()
    if create.get_nfilters() != 1:
        return 0
    filter_id = int(create.get_filter(0)[0])
    return filter_id if readable_filter(filter_id) else 0
