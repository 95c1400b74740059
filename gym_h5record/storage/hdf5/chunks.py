"""A chunk of a dataset, as items: taken out of the file as it is stored, and decompressed here.

HDF5 itself answers chunks of the wrong size with memory that was never written,
and gives szip's as much memory as they ask for. Reading past it is also faster,
and needs no plugin. What becomes of the items is the business of
``gym_h5record.reading`` and ``gym_h5record.storage.column_writer``.
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


_INDEX_ENTRY_BYTES = 8  # the address of a chunk
_SPARE_BYTES = 64 << 10  # what a compressed chunk may have beside an eighth more than its items


def check_stored(dataset: h5py.Dataset, count: int, file_bytes: int) -> None:
    """Make sure that a dataset has ``count`` items, and can have them in the file rather than as a claim.

    HDF5 is not asked how much it stores: it walks through an index of chunks to
    tell, which may say that it has 2^32 entries.

    Args:
        dataset: From ``open_dataset``.
        count: Items that are about to be read at once, or said to be there.
        file_bytes: Size of the file.

    Raises:
        CorruptRecordingError: If it has fewer items, or a file of this size cannot have as many, or the
            last of them is not there.
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
    """How many items a dataset has in the file, whatever it claims, as they were written one after the other.

    Args:
        dataset: From ``open_dataset``.
        file_bytes: Size of the file.
    """
    rows = int(dataset.chunks[0])
    low, high = 0, min(-(-len(dataset) // rows), file_bytes // _least_chunk_bytes(dataset))
    if high and _has_chunk(dataset, high - 1):  # then others may be missing, and their rows alone
        low = high
    while low < high:  # chunks before low are there
        middle = (low + high) // 2
        if _has_chunk(dataset, middle):
            low = middle + 1
        else:
            high = middle
    return min(len(dataset), low * rows)


def chunk_buffer(dataset: h5py.Dataset) -> np.ndarray:
    """Memory that any chunk of a dataset fits into as it is stored, unless it is larger than it may be."""
    chunk_bytes = math.prod(dataset.chunks) * dataset.dtype.itemsize
    return np.empty(chunk_bytes * 9 // 8 + _SPARE_BYTES, np.uint8)


def read_stored_chunk(dataset: h5py.Dataset, first: tuple[int, ...], buffer: np.ndarray) -> tuple[int, memoryview]:
    """A chunk as it is stored, and the mask of the filters that were left out.

    Args:
        dataset: From ``open_dataset``.
        first: Where the chunk begins, along each axis.
        buffer: From ``chunk_buffer``: what it is read to.

    Raises:
        OSError, RuntimeError, ValueError: If it is not there, or larger than any compressed chunk.
    """
    mask, data = dataset.id.read_direct_chunk(first, out=buffer)
    return int(mask), data


def _item_bytes(dataset: h5py.Dataset) -> int:
    return int(math.prod(dataset.shape[1:]) * dataset.dtype.itemsize)


def _least_chunk_bytes(dataset: h5py.Dataset) -> int:
    """What a chunk takes in the file at least."""
    is_filtered = dataset.id.get_create_plist().get_nfilters() > 0
    return _INDEX_ENTRY_BYTES if is_filtered else int(dataset.chunks[0]) * _item_bytes(dataset)


def _has_chunk(dataset: h5py.Dataset, number: int) -> bool:
    try:
        rows, *others = dataset.chunks
        read_stored_chunk(dataset, (number * rows, *(0 for _ in others)), chunk_buffer(dataset))
    except READ_ERRORS:
        return False
    return True
