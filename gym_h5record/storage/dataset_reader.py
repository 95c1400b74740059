"""Items of one dataset, by any range or list of rows, decoded chunk by chunk into one array.

The newest chunks are kept in memory: rows are mostly read one after the other.
"""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any

import h5py
import numpy as np

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.limits import UNCHECKED_BYTES
from gym_h5record.storage.handle import Handle
from gym_h5record.storage.hdf5.chunk_reader import ChunkReader, StoredChunks

__all__ = ["DatasetReader"]

_KEPT_BYTES = 1 << 20
"""Chunks that are kept of one dataset: 32 of those with small items, of which 130,000 rewards are read at random."""

_WORTH_KEEPING = 16
"""If fewer chunks than these can be kept, random rows rarely find one again, and decoding is faster into memory that
is in the processor's cache: 18 us a chunk of 113 kB, and 19. The last chunk is kept, as the next rows may follow."""


class DatasetReader:
    """Reads items of one dataset. Several threads may do so at the same time.

    Args:
        dataset: From ``open_dataset``.
        handle: The open file.
    """

    def __init__(self, dataset: h5py.Dataset, handle: Handle) -> None:
        self._name = dataset.name
        self._handle = handle
        self._chunks = ChunkReader(dataset, handle.guarded)
        self._dtype = np.dtype(dataset.dtype.str)  # h5py's own is equal, but shown as <f8
        self._shape = dataset.shape[1:]
        self._item_bytes = max(math.prod(self._shape) * self._dtype.itemsize, 1)
        self._length = len(dataset)
        self.rows = self._chunks.rows
        self._kept: dict[int, np.ndarray] = {}
        self._most_kept = max(_KEPT_BYTES // (self._item_bytes * self.rows), 1)

    def __len__(self) -> int:
        return self._length

    def check_stored(self, count: int) -> None:
        """See ``ChunkReader.check_stored``."""
        self._chunks.check_stored(count, self._handle.size_bytes)

    def keep_stored(self, chunks: StoredChunks) -> None:
        """Keep every chunk that is read from now on as it is in the file, as far as there is room."""
        self._chunks.stored = chunks

    def item(self, row: int) -> Any:
        """One item, as a view of a chunk in memory: not to be changed or returned to users.

        Raises:
            READ_ERRORS: If it is missing or damaged.
        """
        chunk = row // self.rows
        at = row - chunk * self.rows
        try:
            return self._kept[chunk][at]
        except (KeyError, IndexError):  # not kept, or not whole
            self._check(row, row + 1)
            return self._chunk(chunk, at + 1)[at]

    def items(self, start: int, stop: int) -> np.ndarray:
        """Items ``start`` to ``stop``, ``(stop - start, *shape)``, as an array that the caller may change.

        Raises:
            READ_ERRORS: If one is missing or damaged.
        """
        self._check(start, stop)
        rows = self.rows
        if start < stop <= start - start % rows + rows:  # all in one chunk
            first = start - start % rows
            return self._chunk(start // rows, stop - first)[start - first : stop - first].copy()
        if (stop - start) * self._item_bytes > UNCHECKED_BYTES:
            self.check_stored(stop)
        items = np.empty((stop - start, *self._shape), self._dtype)
        for chunk in range(start // rows, -(-stop // rows)) if start < stop else ():
            first = chunk * rows
            low, high = max(start, first), min(stop, first + rows)
            found = self._chunk(chunk, high - first, keep=high - low < rows)
            items[low - start : high - start] = found[low - first : high - first]
        return items

    def check(self, start: int, stop: int) -> None:
        """Decode items ``start`` to ``stop`` and give none: to copy large items takes as long as to decode them.

        Raises:
            READ_ERRORS: If one is missing or damaged.
        """
        self._check(start, stop)
        for chunk in range(start // self.rows, -(-stop // self.rows)) if start < stop else ():
            self._chunk(chunk, min(stop - chunk * self.rows, self.rows))

    def take(self, indices: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """The items of these rows, ``(n, *shape)``, in the order of ``indices``, ``(n,)`` int64.

        Args:
            indices: The rows.
            out: Memory that they may be put into, of their dtype and shape; None for new memory.

        Raises:
            READ_ERRORS: If one is missing or damaged.
        """
        items = np.empty((len(indices), *self._shape), self._dtype) if out is None else out
        if not len(indices):
            return items
        self._check(int(indices.min()), int(indices.max()) + 1)
        chunks = indices // self.rows
        is_in_order = bool((chunks[1:] >= chunks[:-1]).all())  # then the items of a chunk follow each other
        order = np.arange(len(indices)) if is_in_order else np.argsort(chunks, kind="stable")
        begins = np.flatnonzero(np.diff(chunks[order], prepend=-1))
        keeps_all = self._most_kept >= _WORTH_KEEPING
        for begin, end in zip(begins.tolist(), [*begins[1:].tolist(), len(order)], strict=True):
            places = order[begin:end]
            chunk = int(chunks[places[0]])
            within = indices[places] - chunk * self.rows
            found = self._chunk(chunk, int(within.max()) + 1, keep=keeps_all or end == len(order))
            if is_in_order:  # an index on both sides copies twice
                found.take(within, axis=0, out=items[begin:end], mode="clip")  # other modes copy once more
            else:
                items[places] = found[within]
        return items

    def _check(self, start: int, stop: int) -> None:
        if not 0 <= start <= stop <= self._length:
            raise CorruptRecordingError(f"{self._name} has {self._length} items, items {start} to {stop} are needed")

    def _chunk(self, number: int, count: int, *, keep: bool = True) -> np.ndarray:
        """A chunk, of which ``count`` items are needed; kept unless the caller needs all of it, and now."""
        items = self._kept.get(number)
        if items is None:
            items = self._checked(self._chunks.read(number))
            if keep:
                self._keep(number, items)
        if len(items) < count:
            raise CorruptRecordingError(f"{self._name} has {len(items)} items in chunk {number}, {count} are needed")
        return items

    def _keep(self, number: int, items: np.ndarray) -> None:
        with suppress(KeyError, RuntimeError, StopIteration):  # another thread may drop chunks at the same time
            while len(self._kept) >= self._most_kept:
                del self._kept[next(iter(self._kept))]
        self._kept[number] = items

    def _checked(self, items: np.ndarray) -> np.ndarray:
        """The items; booleans must be 0 or 1, as NumPy computes wrongly with others."""
        if self._dtype.kind == "b" and items.size and items.view(np.uint8).max() > 1:
            raise CorruptRecordingError(f"{self._name} holds booleans that are neither true nor false")
        return items
