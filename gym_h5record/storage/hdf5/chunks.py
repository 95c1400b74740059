"""Chunks of a dataset, read from the file as they are stored and decompressed here.

HDF5 itself is not asked to decompress: for a chunk of the wrong size it returns memory that was never written, and for
szip it allocates as much as the chunk claims. Without HDF5, zstd and LZ4 also need no plugin.
"""

from __future__ import annotations

import math

import h5py
import numpy as np

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.limits import UNCHECKED_BYTES
from gym_h5record.storage.hdf5.codecs import SZIP, decode_chunk
from gym_h5record.storage.hdf5.objects import READ_ERRORS
from gym_h5record.storage.hdf5.szip import SzipDecoder

__all__ = ["StoredChunks", "check_stored", "chunk_buffer", "read_stored_chunk", "stored_items"]


_MAX_SPARE_BYTES = 4 << 20
"""The largest buffer that is kept for the next chunk."""
_INDEX_ENTRY_BYTES = 8  # the address of a chunk
_MARGIN_BYTES = 64 << 10
"""A compressed chunk may be larger than its items by an eighth and this."""


class StoredChunks:
    """Reads chunks of one dataset. Several threads may do so at the same time.

    Args:
        dataset: From ``open_dataset``: it has at most one filter, of ``FILTERS``.

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
        self._own = range(0)  # items of the chunks that check_overwritten has checked
        self._spare: list[np.ndarray] = []  # the last buffer: to get new memory takes longer than to read a chunk

    def __contains__(self, first: int) -> bool:
        """Whether there is a chunk that begins with item ``first``."""
        return self._dataset.id.get_chunk_info_by_coord(self._at(first)).byte_offset is not None

    def read(self, first: int) -> np.ndarray:
        """The items of the chunk that begins with item ``first``, as a read-only array of their own.

        Raises:
            OSError, RuntimeError, ValueError: If it is missing, damaged, or larger than any compressed chunk.
            MissingDependencyError: If the filter needs a library that is not installed.
        """
        try:
            buffer = self._spare.pop()  # atomic: no other thread gets the same buffer
        except IndexError:
            buffer = chunk_buffer(self._dataset)
        mask, data = read_stored_chunk(self._dataset, self._at(first), buffer)
        items = np.frombuffer(self._decoded(mask, data), self._dtype).reshape(self._shape)
        if buffer.nbytes <= _MAX_SPARE_BYTES:
            self._spare = [buffer]
        return items

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
        rows = self._shape[0]
        aligned = start - start % rows
        for first in range(aligned, stop, rows):
            is_read = first < start or first + rows > stop
            if is_read and first not in self._own and first in self:
                self.read_to_append(first)
        own = self._own or range(aligned, stop)
        self._own = range(min(own.start, aligned), max(own.stop, stop))

    def _at(self, first: int) -> tuple[int, ...]:
        return (first, *(0 for _ in self._shape[1:]))

    def _decoded(self, mask: int, data: memoryview) -> bytes:
        if mask & 1:  # stored as it is: the filter could not make it smaller
            return decode_chunk(0, data, self._size_bytes)
        if self._szip is not None:
            return self._szip.decode(bytes(data))
        return decode_chunk(self.filter_id, data, self._size_bytes)


def check_stored(dataset: h5py.Dataset, count: int, file_bytes: int) -> None:
    """Make sure that ``count`` items of a dataset are in the file, and not only claimed.

    HDF5 is not asked for the stored size: it would walk through the index of chunks, which may claim 2^32 entries.

    Args:
        dataset: From ``open_dataset``.
        count: Items that are committed, or about to be read at once.
        file_bytes: Size of the file.

    Raises:
        CorruptRecordingError: If the dataset has fewer items, a file of this size cannot hold so many, or the last of
            them is not in the file.
    """
    name = dataset.name
    if len(dataset) < count:
        raise CorruptRecordingError(f"{name} has {len(dataset)} items, {count} are needed")
    if count * _item_bytes(dataset) <= UNCHECKED_BYTES:
        return
    chunks = -(-count // dataset.chunks[0])
    if chunks * _least_chunk_bytes(dataset) > file_bytes:
        raise CorruptRecordingError(f"{name} claims {count} items, which cannot be in a file of {file_bytes} bytes")
    if not _has_chunk(dataset, chunks - 1):
        raise CorruptRecordingError(f"{name} claims {count} items, the last of which are not in the file")


def stored_items(dataset: h5py.Dataset, file_bytes: int) -> int:
    """How many items of a dataset are in the file, whatever length it claims.

    Items are written in order. So a binary search finds the first chunk that is missing.

    Args:
        dataset: From ``open_dataset``.
        file_bytes: Size of the file.
    """
    rows = int(dataset.chunks[0])
    low, high = 0, min(-(-len(dataset) // rows), file_bytes // _least_chunk_bytes(dataset))
    if high and _has_chunk(dataset, high - 1):  # a damaged chunk before the last costs its own rows only
        low = high
    while low < high:  # chunks before low are there
        middle = (low + high) // 2
        if _has_chunk(dataset, middle):
            low = middle + 1
        else:
            high = middle
    return min(len(dataset), low * rows)


def chunk_buffer(dataset: h5py.Dataset) -> np.ndarray:
    """A buffer for any stored chunk of a dataset that is not larger than a compressed chunk may be."""
    chunk_bytes = math.prod(dataset.chunks) * dataset.dtype.itemsize
    return np.empty(chunk_bytes * 9 // 8 + _MARGIN_BYTES, np.uint8)


def read_stored_chunk(dataset: h5py.Dataset, first: tuple[int, ...], buffer: np.ndarray) -> tuple[int, memoryview]:
    """A chunk as it is stored, and the mask of the filters that were not applied to it.

    Args:
        dataset: From ``open_dataset``.
        first: The first item of the chunk, as an index of all axes.
        buffer: From ``chunk_buffer``. The chunk is read into it.

    Raises:
        OSError, RuntimeError, ValueError: If it is missing, or larger than any compressed chunk.
    """
    mask, data = dataset.id.read_direct_chunk(first, out=buffer)
    return int(mask), data


def _item_bytes(dataset: h5py.Dataset) -> int:
    return int(math.prod(dataset.shape[1:]) * dataset.dtype.itemsize)


def _least_chunk_bytes(dataset: h5py.Dataset) -> int:
    """The least that a chunk takes in the file."""
    is_filtered = dataset.id.get_create_plist().get_nfilters() > 0
    return _INDEX_ENTRY_BYTES if is_filtered else int(dataset.chunks[0]) * _item_bytes(dataset)


def _has_chunk(dataset: h5py.Dataset, number: int) -> bool:
    try:
        rows, *others = dataset.chunks
        read_stored_chunk(dataset, (number * rows, *(0 for _ in others)), chunk_buffer(dataset))
    except READ_ERRORS:
        return False
    return True
