"""The filters of a dataset, undone outside of HDF5: from the bytes of a chunk in the file to its items.

HDF5 itself is not asked: for a chunk of the wrong size it returns memory that was never written, and for szip it
allocates as much as the chunk claims. Without HDF5, zstd and LZ4 also need no plugin, and no lock is held.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import h5py
import numpy as np

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.storage.hdf5.codecs import FILTERS, FLETCHER32, NBIT, SHUFFLE, SZIP, decode_chunk
from gym_h5record.storage.hdf5.shuffle import unshuffled
from gym_h5record.storage.hdf5.szip import SzipDecoder

__all__ = ["ChunkFilters", "check_filters", "filters_of", "largest_chunk"]

_MARGIN_BYTES = 64 << 10
_FLETCHER_BYTES = 4
_MODULUS = 65535


def largest_chunk(chunk_bytes: int) -> int:
    """The most bytes that a compressed chunk may have: its items, an eighth of them and 64 KiB."""
    return chunk_bytes * 9 // 8 + _MARGIN_BYTES


class ChunkFilters:
    """Decodes chunks of one dataset. Several threads may do so at the same time.

    Args:
        dataset: One that ``check_filters`` accepts.

    Attributes:
        is_any: Whether there are filters.
        filter_id: The number of the filter that compresses it, 0 if none does.
        chunk_bytes: Size of a chunk in memory.
    """

    def __init__(self, dataset: h5py.Dataset) -> None:
        self.chunk_bytes = math.prod(dataset.chunks) * dataset.dtype.itemsize
        self._filters = [number for number, _ in filters_of(dataset.id.get_create_plist())]
        self.is_any = bool(self._filters)
        self._element_bytes = dataset.dtype.itemsize
        self.filter_id = next((number for number in self._filters if number in FILTERS), 0)
        self._szip = SzipDecoder(dataset) if self.filter_id == SZIP else None
        is_single = len(self._filters) == 1 and self._szip is None
        self._single = self.filter_id if is_single else 0  # the usual case, which needs no loop

    def decode(self, mask: int, data: bytes | bytearray | memoryview) -> bytes | bytearray | memoryview:
        """Undo the filters of a chunk, last one first, but not those that its mask says were left out.

        Raises:
            CorruptRecordingError, ValueError: If the data is damaged or has another size than a chunk.
            MissingDependencyError: If the filter needs a library that is not installed.
        """
        if self._single and not mask:
            return decode_chunk(self._single, data, self.chunk_bytes)
        for at in range(len(self._filters) - 1, -1, -1):
            if not mask >> at & 1:
                data = self._undone(self._filters[at], data)
        if len(data) != self.chunk_bytes:
            raise CorruptRecordingError(f"a chunk has {len(data)} bytes, expected {self.chunk_bytes}")
        return data

    def _undone(self, number: int, data: bytes | bytearray | memoryview) -> bytes | bytearray | memoryview:
        if number == SHUFFLE:
            return unshuffled(data, self._element_bytes)
        if number == FLETCHER32:
            return _without_fletcher32(memoryview(data))
        if number == NBIT:  # ``check_filters``: it stores all bits
            return data
        if self._szip is not None:
            return self._szip.decode(bytes(data))
        size = self.chunk_bytes + (_FLETCHER_BYTES if self._has_checksum_inside(number) else 0)
        return decode_chunk(number, data, size)

    def _has_checksum_inside(self, number: int) -> bool:
        """Whether the data in front of a filter has its checksum with it."""
        return FLETCHER32 in self._filters[: self._filters.index(number)]


def check_filters(name: str, filters: Sequence[tuple[int, tuple[int, ...]]], element_bytes: int) -> None:
    """Refuse filters that cannot be undone.

    Args:
        name: The dataset.
        filters: What ``filters_of`` gives.
        element_bytes: Size of an element of the dataset.

    Raises:
        CorruptRecordingError: If there is one.
    """
    numbers = [number for number, _ in filters]
    known = {*FILTERS, SHUFFLE, FLETCHER32, NBIT}
    if not known >= {*numbers} or len(numbers) != len({*numbers}) or sum(number in FILTERS for number in numbers) > 1:
        raise CorruptRecordingError(
            f"/{name} has the filters {numbers}; each of {sorted(known)} may be there once, and one that compresses"
        )
    for number, values in filters:
        if number == SHUFFLE and values != (element_bytes,):
            raise CorruptRecordingError(f"/{name} is shuffled by {values} bytes, which is not the size of its elements")
        if number == NBIT and values[1:2] != (1,):
            raise CorruptRecordingError(f"/{name} stores some bits of its elements only")
        if number == SZIP and len(numbers) > 1:
            raise CorruptRecordingError(f"/{name} has the filters {numbers}: szip cannot be undone with another filter")


def filters_of(create: h5py.h5p.PropDCID) -> list[tuple[int, tuple[int, ...]]]:
    """The numbers and the client data of the filters that the properties of a dataset have, in their order."""
    found = (create.get_filter(index) for index in range(create.get_nfilters()))
    return [(int(number), tuple(values)) for number, _, values, _ in found]


def _without_fletcher32(data: memoryview) -> memoryview:
    """The data in front of its checksum, which is compared: two sums of 16-bit words, modulo 65535."""
    data, kept = data[:-_FLETCHER_BYTES], bytes(data[-_FLETCHER_BYTES:])
    words = np.frombuffer(data[: len(data) // 2 * 2], ">u2").astype(np.uint64)
    if len(data) % 2:
        words = np.append(words, np.uint64(data[-1] << 8))
    first = int(words.sum()) % _MODULUS
    second = int((words * (np.arange(len(words), 0, -1, dtype=np.uint64) % _MODULUS) % _MODULUS).sum()) % _MODULUS
    stored = int.from_bytes(kept, "little")
    if len(kept) < _FLETCHER_BYTES or (stored >> 16) % _MODULUS != second or (stored & 0xFFFF) % _MODULUS != first:
        raise CorruptRecordingError("a chunk does not match its Fletcher-32 checksum")
    return data
