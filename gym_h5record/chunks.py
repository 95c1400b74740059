"""A chunk of a dataset, as items: taken out of the file as it is stored, and decompressed here.

HDF5 itself answers chunks of the wrong size with memory that was never written,
and gives szip's as much memory as they ask for. Reading past it is also faster,
and needs no plugin. What becomes of the items is the business of
``gym_h5record.reader`` and ``gym_h5record.column``.
"""

from __future__ import annotations

import math

import h5py
import numpy as np

from gym_h5record.codecs import SZIP, decode_chunk
from gym_h5record.guard import chunk_buffer, read_stored_chunk
from gym_h5record.szip import SzipDecoder

__all__ = ["StoredChunks"]

_MAX_SPARE_BYTES = 4 << 20  # of memory that is kept for the next chunk


class StoredChunks:
    """Reads chunks of one dataset. Threads may do so at the same time.

    Args:
        dataset: From ``open_dataset``: it has one filter at most, which is known.

    Attributes:
        filter_id: The number of its filter, 0 if it has none.
    """

    def __init__(self, dataset: h5py.Dataset) -> None:
        self._dataset = dataset
        self._dtype, self._shape = dataset.dtype, dataset.chunks
        self._size_bytes = math.prod(self._shape) * self._dtype.itemsize
        create = dataset.id.get_create_plist()
        self.filter_id = int(create.get_filter(0)[0]) if create.get_nfilters() else 0
        self._szip = SzipDecoder(dataset) if self.filter_id == SZIP else None
        self._spare: list[np.ndarray] = []  # what the last chunk was read to: new memory takes longer than reading

    def __contains__(self, first: int) -> bool:
        """Whether there is a chunk that begins with item ``first``."""
        return self._dataset.id.get_chunk_info_by_coord(self._at(first)).byte_offset is not None

    def read(self, first: int) -> np.ndarray:
        """The items of the chunk that begins with item ``first``, in memory of their own, not to be written.

        Raises:
            OSError, RuntimeError, ValueError: If it is not there, is damaged, or is larger than any
                compressed chunk.
            MissingDependencyError: If the filter needs a library that is not installed.
        """
        try:
            buffer = self._spare.pop()  # nobody else has it then
        except IndexError:
            buffer = chunk_buffer(self._dataset)
        mask, data = read_stored_chunk(self._dataset, self._at(first), buffer)
        items = np.frombuffer(self._decoded(mask, data), self._dtype).reshape(self._shape)
        if buffer.nbytes <= _MAX_SPARE_BYTES:
            self._spare = [buffer]
        return items

    def _at(self, first: int) -> tuple[int, ...]:
        return (first, *(0 for _ in self._shape[1:]))

    def _decoded(self, mask: int, data: memoryview) -> bytes:
        if mask & 1:  # what the filter could not make smaller
            return decode_chunk(0, data, self._size_bytes)
        if self._szip is not None:
            return self._szip.decode(bytes(data))
        return decode_chunk(self.filter_id, data, self._size_bytes)
