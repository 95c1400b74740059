"""Chunks of a dataset that is being written, as HDF5 gives them.

HDF5 knows where the chunks are that it has just written; ``chunk_reader`` reads those of files that are only read.
"""

from __future__ import annotations

import h5py
import numpy as np

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.storage.hdf5.filters import ChunkFilters, largest_chunk
from gym_h5record.storage.hdf5.objects import hdf5_errors_as_corrupt

__all__ = ["WrittenChunks"]

_MAX_SPARE_BYTES = 4 << 20
"""The largest buffer that is kept for the next chunk."""


class WrittenChunks:
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
        self._filters = ChunkFilters(dataset)
        self.filter_id = self._filters.filter_id
        self._own = range(0)  # items of the chunks that check_overwritten has checked
        self._spare: list[np.ndarray] = []  # the last buffer: to get new memory takes longer than to read a chunk

    def read(self, first: int | tuple[int, ...]) -> np.ndarray:
        """The items of the chunk that begins with item ``first``, or there, as a read-only array of their own.

        Raises:
            OSError, RuntimeError, ValueError: If it is missing, damaged, or larger than any compressed chunk.
            MissingDependencyError: If the filter needs a library that is not installed.
        """
        try:
            buffer = self._spare.pop()  # atomic: no other thread gets the same buffer
        except IndexError:
            buffer = self._new_buffer()
        mask, data = self._dataset.id.read_direct_chunk(self._at(first), out=buffer)
        decoded = self._filters.decode(mask, data)
        items = np.frombuffer(bytes(decoded) if decoded is data else decoded, self._dtype).reshape(self._shape)
        if buffer.nbytes <= _MAX_SPARE_BYTES:
            self._spare = [buffer]
        return items

    def read_to_append(self, first: int | tuple[int, ...]) -> np.ndarray:
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

    def is_indexed(self, first: int | tuple[int, ...]) -> bool:
        """Whether the index of chunks has one that begins with item ``first``, or there, be it damaged or not.

        HDF5 goes through all chunks to tell it, which takes 15 ms for 100,000 chunks.

        Raises:
            CorruptRecordingError: If the index is damaged.
        """
        with hdf5_errors_as_corrupt(f"{self._dataset.name} cannot be appended to"):
            return self._dataset.id.get_chunk_info_by_coord(self._at(first)).byte_offset is not None

    def _at(self, first: int | tuple[int, ...]) -> tuple[int, ...]:
        return first if isinstance(first, tuple) else (first, *(0 for _ in self._shape[1:]))

    def _new_buffer(self) -> np.ndarray:
        return np.empty(largest_chunk(self._filters.chunk_bytes), np.uint8)
