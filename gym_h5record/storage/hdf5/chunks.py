"""Chunks of a dataset, read from the file as they are stored and decompressed here.

HDF5 itself is not asked to decompress: for a chunk of the wrong size it returns memory that was never written, and for
szip it allocates as much as the chunk claims. Without HDF5, zstd and LZ4 also need no plugin.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator

import h5py
import numpy as np

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.limits import UNCHECKED_BYTES
from gym_h5record.storage.hdf5.codecs import SZIP, decode_chunk
from gym_h5record.storage.hdf5.objects import READ_ERRORS, filter_ids, hdf5_errors_as_corrupt
from gym_h5record.storage.hdf5.shuffle import unshuffled
from gym_h5record.storage.hdf5.szip import SzipDecoder

__all__ = ["StoredChunks"]

_MAX_SPARE_BYTES = 4 << 20
"""The largest buffer that is kept for the next chunk."""
_INDEX_ENTRY_BYTES = 8  # the address of a chunk
_MARGIN_BYTES = 64 << 10
"""A compressed chunk may be larger than its items by an eighth and this."""


class StoredChunks:
    """Reads chunks of one dataset. Several threads may do so at the same time.

    Args:
        dataset: From ``open_dataset``: it has at most one filter of ``FILTERS``, perhaps with shuffle in front.

    Attributes:
        filter_id: The number of the filter that compresses it, 0 if none does.
    """

    def __init__(self, dataset: h5py.Dataset) -> None:
        self._dataset = dataset
        self._dtype, self._shape = dataset.dtype, dataset.chunks
        self._rows = int(self._shape[0])
        self._size_bytes = math.prod(self._shape) * self._dtype.itemsize
        self._filters = filter_ids(dataset.id)
        self.filter_id = self._filters[-1] if self._filters else 0
        self._szip = SzipDecoder(dataset) if self.filter_id == SZIP else None
        self._own = range(0)  # items of the chunks that check_overwritten has checked
        self._spare: list[np.ndarray] = []  # the last buffer: to get new memory takes longer than to read a chunk

    def read(self, first: int) -> np.ndarray:
        """The items of the chunk that begins with item ``first``, as a read-only array of their own.

        Raises:
            OSError, RuntimeError, ValueError: If it is missing, damaged, or larger than any compressed chunk.
            MissingDependencyError: If the filter needs a library that is not installed.
        """
        try:
            buffer = self._spare.pop()  # atomic: no other thread gets the same buffer
        except IndexError:
            buffer = self._new_buffer()
        mask, data = self._dataset.id.read_direct_chunk(self._at(first), out=buffer)
        items = np.frombuffer(self._decoded(mask, data), self._dtype).reshape(self._shape)
        if buffer.nbytes <= _MAX_SPARE_BYTES:
            self._spare = [buffer]
        return items

    def stored(self, count: int) -> Iterator[tuple[tuple[int, ...], int, memoryview]]:
        """The chunks of the first ``count`` items, as they are stored.

        Yields:
            Where a chunk begins, its mask of unused filters, and its bytes, which are valid until the next one.

        Raises:
            OSError, RuntimeError, ValueError: If one is missing, or larger than any compressed chunk.
        """
        buffer, read = self._new_buffer(), self._dataset.id.read_direct_chunk
        for first in range(0, count, self._rows):
            at = self._at(first)
            yield at, *read(at, out=buffer)

    def read_to_append(self, first: int) -> np.ndarray:
        """``read`` a chunk that is about to be written again with more items.

        Raises:
            CorruptRecordingError: If it is damaged.
        """
        try:
            return self.read(first)
        except (OSError, RuntimeError, ValueError) as error:
            raise CorruptRecordingError(f"{self._dataset.name} cannot be appended to: {error}") from error

    def check_overwritten(self, start: int, stop: int) -> None:
        """Check the chunks of which items ``start`` to ``stop`` are a part, before HDF5 overwrites these items.

        HDF5 decompresses such a chunk without checking its size. Each chunk is checked once: later ones are HDF5's own.

        Raises:
            CorruptRecordingError: If a chunk is damaged.
        """
        aligned = start - start % self._rows
        for first in range(aligned, stop, self._rows):
            is_read = first < start or first + self._rows > stop
            if is_read and first not in self._own and self.is_indexed(first):
                self.read_to_append(first)
        own = self._own or range(aligned, stop)
        self._own = range(min(own.start, aligned), max(own.stop, stop))

    def check_stored(self, count: int, file_bytes: int) -> None:
        """Make sure that ``count`` items are in the file, which has ``file_bytes``, and not only claimed.

        HDF5 is not asked for the stored size: it would walk through the index of chunks, which may claim 2^32 entries.

        Raises:
            CorruptRecordingError: If there are fewer items, a file of this size cannot hold so many, or the last of
                them is not in the file.
        """
        name, length = self._dataset.name, len(self._dataset)
        if length < count:
            raise CorruptRecordingError(f"{name} has {length} items, {count} are needed")
        if count * self._size_bytes <= UNCHECKED_BYTES * self._rows:
            return
        chunks = -(-count // self._rows)
        if chunks * self._least_bytes() > file_bytes:
            raise CorruptRecordingError(f"{name} claims {count} items, which cannot be in a file of {file_bytes} bytes")
        if not self._is_stored(chunks - 1):
            raise CorruptRecordingError(f"{name} claims {count} items, the last of which are not in the file")

    def stored_items(self, file_bytes: int) -> int:
        """How many items are in the file, which has ``file_bytes``, whatever length the dataset claims.

        Items are written in order. So a binary search finds the first chunk that is missing.
        """
        chunks = min(-(-len(self._dataset) // self._rows), file_bytes // self._least_bytes())
        # If the last chunk is there, a damaged one before it costs its own rows only.
        if not chunks or not self._is_stored(chunks - 1):
            chunks = bisect_left(range(chunks), 1, key=lambda number: not self._is_stored(number))
        return min(len(self._dataset), chunks * self._rows)

    def is_indexed(self, first: int) -> bool:
        """Whether the index of chunks has one that begins with item ``first``, be it damaged or not.

        Raises:
            CorruptRecordingError: If the index is damaged.
        """
        with hdf5_errors_as_corrupt(f"{self._dataset.name} cannot be appended to"):
            return self._dataset.id.get_chunk_info_by_coord(self._at(first)).byte_offset is not None

    def _is_stored(self, number: int) -> bool:
        try:
            self._dataset.id.read_direct_chunk(self._at(number * self._rows), out=self._new_buffer())
        except READ_ERRORS:
            return False
        return True

    def _least_bytes(self) -> int:
        """The least that a chunk takes in the file."""
        return _INDEX_ENTRY_BYTES if self.filter_id else self._size_bytes

    def _at(self, first: int) -> tuple[int, ...]:
        return (first, *(0 for _ in self._shape[1:]))

    def _new_buffer(self) -> np.ndarray:
        return np.empty(self._size_bytes * 9 // 8 + _MARGIN_BYTES, np.uint8)

    def _decoded(self, mask: int, data: memoryview) -> bytes:
        """Undo the filters of a chunk, last one first, but not those that its mask says were left out."""
        last = max(len(self._filters) - 1, 0)
        if mask >> last & 1:
            decoded = decode_chunk(0, data, self._size_bytes)
        elif self._szip is not None:
            decoded = self._szip.decode(bytes(data))
        else:
            decoded = decode_chunk(self.filter_id, data, self._size_bytes)
        is_shuffled = last and not mask & 1  # shuffle is the only filter that stands in front of another one
        return unshuffled(decoded, self._dtype.itemsize) if is_shuffled else decoded
