"""Chunks of a dataset, read past HDF5: from their place in the file, and decoded outside of its lock.

A compressed RGB frame of Atari takes h5py 90 microseconds, and ``Recording`` 22 (``scripts/bench_read.py``). The file
is read with ``pread``. Were it mapped, a file that another program cuts short would kill the process.
"""

from __future__ import annotations

import math
from bisect import bisect_left

import h5py
import numpy as np

from gym_h5record.cached import cached_property
from gym_h5record.errors import CorruptRecordingError, RecordingClosedError
from gym_h5record.limits import UNCHECKED_BYTES
from gym_h5record.storage.hdf5.chunk_index import index_head
from gym_h5record.storage.hdf5.chunk_table import ChunkPlace, ChunkTable, chunk_origin
from gym_h5record.storage.hdf5.filters import ChunkFilters, largest_chunk
from gym_h5record.storage.hdf5.guarded_file import GuardedFile
from gym_h5record.storage.hdf5.objects import READ_ERRORS, storage_layout

__all__ = ["ChunkReader", "StoredChunks"]

_INDEX_ENTRY_BYTES = 8  # the address of a chunk
_PIECE_BYTES = 256 << 10  # of a dataset without chunks: what is read at once
_ENTRY_BYTES = 200  # what Python takes for a chunk that is kept, beside its bytes


class StoredChunks:
    """Chunks as they are in the file, kept in memory by those that have read them: as many as a budget allows.

    Args:
        most_bytes: The budget.

    Attributes:
        num_bytes: What they take.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self.num_bytes = 0
        self._kept: dict[tuple[str, int], tuple[int, bytes | bytearray | memoryview]] = {}

    def get(self, dataset: str, number: int) -> tuple[int, bytes | bytearray | memoryview] | None:
        """The mask and the bytes of a chunk, None if it is not kept."""
        return self._kept.get((dataset, number))

    def add(self, dataset: str, number: int, mask: int, data: bytes | bytearray | memoryview) -> None:
        """Keep a chunk if there is room for it."""
        size = len(data) + _ENTRY_BYTES
        if self.num_bytes + size <= self._most_bytes and (dataset, number) not in self._kept:
            self._kept[dataset, number] = mask, bytes(data)  # a view would keep all memory that it is a part of
            self.num_bytes += size

    def clear(self) -> None:
        """Forget all chunks: the file has changed."""
        self._kept.clear()
        self.num_bytes = 0


class ChunkReader:
    """Reads chunks of one dataset. Several threads may do so at the same time.

    A dataset without chunks, which other programs make, is read in pieces, as if these were its chunks. Where the index
    of chunks is of another kind than that of a recording, HDF5 finds and reads each chunk, and holds its lock.

    Args:
        dataset: From ``open_dataset``.
        file: The file, for reading without HDF5.

    Attributes:
        rows: Items in a chunk.
        groups: How many chunks lie side by side along the second axis: more than one if chunks hold some lanes only.
        num_items: Items of the dataset.
        stored: Keeps the chunks that are read; None if they are not kept.
    """

    stored: StoredChunks | None = None

    def __init__(self, dataset: h5py.Dataset, file: GuardedFile) -> None:
        self._dataset = dataset
        self._name = dataset.name  # h5py takes its lock to tell it
        self._file = file
        shape, chunks = dataset.shape, dataset.chunks  # h5py asks HDF5 for each, every time
        self.num_items = int(shape[0])
        self._dtype = np.dtype(dataset.dtype.str)  # h5py's own is equal, but shown as <f8
        self._shape = shape[1:]
        self._chunk_shape = (-1, *(chunks or shape)[1:])
        self.groups = -(-self._shape[0] // self._chunk_shape[1]) if self._shape else 1
        self._item_bytes = math.prod(self._shape) * self._dtype.itemsize
        self._filters: ChunkFilters | None = None
        self._chunk_bytes = 0
        layout = storage_layout(dataset.id)
        self._offset, self._whole = layout.offset, layout.is_compact
        if layout.is_chunked:
            self.rows = int(chunks[0])
            self._filters = ChunkFilters(dataset)
            self._chunk_bytes = self._filters.chunk_bytes
        else:
            self.rows = max(_PIECE_BYTES // max(self._item_bytes, 1), 1)

    def read(self, number: int) -> np.ndarray:
        """The items of a chunk, ``(rows, *shape)``, fewer at the end of the dataset. They must not be changed.

        Chunks side by side follow each other in the numbering. Such a chunk has some of the lanes, and perhaps more
        than there are.

        Raises:
            CorruptRecordingError, OSError, RuntimeError, ValueError: If it is missing, damaged, or larger than any
                compressed chunk.
            MissingDependencyError: If the filter needs a library that is not installed.
        """
        first = number // self.groups * self.rows
        count = min(self.rows, self.num_items - first)
        if number < 0 or count <= 0:
            raise CorruptRecordingError(f"{self._dataset.name} has {self.num_items} items, no chunk {number}")
        if self._filters is None:
            return self._read_piece(first, count)
        table = self._table
        if table is not None and not self._filters.is_any:  # at the end of a file that is cut short, some are there
            return self._items_at(table.place(number).offset, count, self._chunk_shape[1:])
        found = None if self.stored is None else self.stored.get(self._name, number)
        mask, data = found or (self._stored_by_hdf5(number) if table is None else self._stored(table.place(number)))
        items = np.frombuffer(self._filters.decode(mask, data), self._dtype).reshape(self._chunk_shape)
        if self.stored is not None and found is None:  # only now, as a writer may have been in the middle of it
            self.stored.add(self._name, number, mask, data)
        return items if count == self.rows else items[:count]

    def check_stored(self, count: int, file_bytes: int) -> None:
        """Make sure that ``count`` items are in the file, which has ``file_bytes``, and not only claimed.

        HDF5 is not asked for the stored size: it would walk through the index of chunks, which may claim 2^32 entries.

        Raises:
            CorruptRecordingError: If there are fewer items, a file of this size cannot hold so many, or the last of
                them is not in the file.
        """
        name = self._dataset.name
        if self.num_items < count:
            raise CorruptRecordingError(f"{name} has {self.num_items} items, {count} are needed")
        if count * self._item_bytes <= UNCHECKED_BYTES:
            return
        chunks = -(-count // self.rows) * self.groups
        if chunks // self.groups * self._least_bytes() > file_bytes:  # a lane that is behind the others lacks chunks
            raise CorruptRecordingError(f"{name} claims {count} items, which cannot be in a file of {file_bytes} bytes")
        if not any(map(self._is_stored, range(chunks - self.groups, chunks))):
            raise CorruptRecordingError(f"{name} claims {count} items, the last of which are not in the file")

    def stored_items(self, file_bytes: int) -> int:
        """How many items are in the file, which has ``file_bytes``, whatever length the dataset claims.

        Items are written in order. So a binary search finds the first chunk that is missing.
        """
        chunks = min(-(-self.num_items // self.rows), file_bytes // self._least_bytes())

        def is_stored(number: int) -> bool:
            return any(map(self._is_stored, range(number * self.groups, (number + 1) * self.groups)))

        # If the last chunk is there, a damaged one before it costs its own rows only.
        if not chunks or not is_stored(chunks - 1):
            chunks = bisect_left(range(chunks), 1, key=lambda number: not is_stored(number))
        return min(self.num_items, chunks * self.rows)

    def _read_piece(self, first: int, count: int) -> np.ndarray:
        if self._whole:  # in the header of the dataset, at most 64 KiB
            items: np.ndarray = self._dataset[first : first + count]
            return items
        if self._offset is None:
            raise CorruptRecordingError(f"{self._dataset.name} has no items in the file")
        return self._items_at(self._offset + first * self._item_bytes, count, self._shape)

    def _items_at(self, offset: int, count: int, shape: tuple[int, ...]) -> np.ndarray:
        num_elements = math.prod(shape)
        item_bytes = num_elements * self._dtype.itemsize
        data = self._file.some_bytes_at(offset, count * item_bytes)
        num_items = len(data) // item_bytes
        return np.frombuffer(data, self._dtype, num_items * num_elements).reshape(num_items, *shape)

    @cached_property
    def _table(self) -> ChunkTable | None:
        """Where the chunks are; None if the index is of another kind than the datasets of a recording have."""
        head = index_head(self._file.some_bytes_at, self._dataset)
        return None if head is None else ChunkTable(self._dataset, head, self._file, self._chunk_bytes)

    def _stored(self, place: ChunkPlace) -> tuple[int, bytes | bytearray]:
        if place.size > largest_chunk(self._chunk_bytes):
            raise CorruptRecordingError(f"{self._dataset.name} has a chunk of {place.size} bytes")
        return place.mask, self._file.bytes_at(place.offset, place.size)

    def _stored_by_hdf5(self, number: int) -> tuple[int, memoryview]:
        at = chunk_origin(number, self.groups, self._dataset.chunks)
        mask, data = self._dataset.id.read_direct_chunk(at, out=np.empty(largest_chunk(self._chunk_bytes), np.uint8))
        return mask, data

    def _is_stored(self, number: int) -> bool:
        try:
            if self._filters is None:
                return len(self.read(number)) > 0
            table = self._table
            if table is None:
                self._stored_by_hdf5(number)
            else:
                place = table.place(number)
                self._file.bytes_at(place.offset + max(place.size - 1, 0), 1)
        except RecordingClosedError:
            raise
        except READ_ERRORS:
            return False
        return True

    def _least_bytes(self) -> int:
        """The least that a chunk takes in the file."""
        is_compressed = self._filters is not None and self._filters.filter_id
        return _INDEX_ENTRY_BYTES if is_compressed else max(self.rows * self._item_bytes, 1)
