"""Where the chunks of a dataset are in the file, so that they are read without HDF5.

HDF5 finds a chunk in 4 microseconds, and all of its calls hold one lock. Its index of chunks, an "extensible array" for
the datasets of a recording, is read here instead, block by block as chunks are asked for: a block has the addresses of
up to 1,024 chunks. HDF5 reads one chunk of each block first, and so compares the checksum of the block: in Python that
takes 2 ms. Layout: HDF5 File Format Specification 3.0, section VII.C.
"""

from __future__ import annotations

from typing import NamedTuple

import h5py
import numpy as np

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.storage.hdf5.chunk_index import IndexHead
from gym_h5record.storage.hdf5.filters import largest_chunk
from gym_h5record.storage.hdf5.guarded_file import GuardedFile

__all__ = ["ChunkPlace", "ChunkTable", "chunk_origin"]

_ADDRESS_BYTES, _MASK_BYTES, _CHECKSUM_BYTES = 8, 4, 4
_UNDEFINED = (1 << 64) - 1
_MISSING = -1  # in a table: the index has no chunk there
_LARGEST_OFFSET = 1 << 62
_MOST_BYTES = (1 << 32) - 1  # more than any chunk that is read

# The shape of the array that HDF5 makes for chunks; ``block_checks`` refuses any other one.
_FIRST_ENTRIES = 4  # in the index block itself
_LEAST_ENTRIES = 16  # in a data block
_FIRST_GROUPS, _FIRST_BLOCKS = 4, 6  # groups of data blocks whose addresses are in the index block, and these blocks
_PAGE_ENTRIES = 1 << 10  # a larger data block has pages, each with a checksum
_NUM_GROUPS = 29
_INDEX_BLOCK_HEAD_BYTES, _BLOCK_HEAD_BYTES = 14, 18  # signature, version, client, head; of data blocks also an offset


class ChunkPlace(NamedTuple):
    """Where a chunk is.

    Attributes:
        offset: Its first byte in the file.
        size: Its bytes in the file.
        mask: Filters that were left out, as HDF5 notes it.
    """

    offset: int
    size: int
    mask: int


class ChunkTable:
    """The places of the chunks of a dataset, each read when it is first asked for.

    Args:
        dataset: A chunked dataset whose chunks hold whole items.
        head: The head of its index.
        file: The file, for reading without HDF5.
        chunk_bytes: Size of a chunk that is not compressed.

    Raises:
        CorruptRecordingError: If index and dataset claim more chunks than the file has bytes.
    """

    def __init__(self, dataset: h5py.Dataset, head: IndexHead, file: GuardedFile, chunk_bytes: int) -> None:
        # The index keeps the entries of chunks that the dataset once had.
        self._groups = -(-dataset.shape[1] // dataset.chunks[1]) if dataset.ndim > 1 else 1
        num_chunks = min(head.num_entries, -(-len(dataset) // dataset.chunks[0]) * self._groups)
        if num_chunks > file.size_bytes():
            raise CorruptRecordingError(f"{dataset.name} claims {num_chunks} chunks, more than the file can hold")
        self._dataset = dataset
        self._chunk_bytes = chunk_bytes
        self._array = _ExtensibleArray(head, file)
        self._offsets = np.zeros(num_chunks, np.int64)  # 0: not read yet; memory is taken as it is filled
        has_sizes = head.entry_bytes > _ADDRESS_BYTES  # else all chunks are alike
        self._sizes = np.zeros(num_chunks if has_sizes else 0, np.uint32)
        self._masks: dict[int, int] = {}  # those that are not 0

    def place(self, number: int) -> ChunkPlace:
        """Where chunk ``number`` is.

        Raises:
            CorruptRecordingError: If it is not in the file, or its entry in the index makes no sense.
            OSError, RuntimeError: If the index is damaged.
        """
        offset = int(self._offsets[number]) if number < len(self._offsets) else _MISSING
        if not offset:
            self._load(number)
            offset = int(self._offsets[number])
        if offset == _MISSING:
            raise CorruptRecordingError(f"{self._dataset.name} lacks chunk {number}")
        size = int(self._sizes[number]) if len(self._sizes) else self._chunk_bytes
        return ChunkPlace(offset, size, self._masks.get(number, 0) if self._masks else 0)

    def _load(self, number: int) -> None:
        """Read the block of the index that has the entry of a chunk."""
        # HDF5 compares the checksum of the block, and refuses it if it is damaged.
        at = chunk_origin(number, self._groups, self._dataset.chunks)
        self._dataset.id.read_direct_chunk(at, out=np.empty(largest_chunk(self._chunk_bytes), np.uint8))
        first, entries = self._array.block(number)
        self._fill(first, entries[: len(self._offsets) - first])

    def _fill(self, first: int, entries: np.ndarray) -> None:
        stop = first + len(entries)
        offsets = entries[:, :_ADDRESS_BYTES].copy().view("<u8")[:, 0]
        if len(self._sizes):
            sizes = _whole_numbers(entries[:, _ADDRESS_BYTES:-_MASK_BYTES])
            self._sizes[first:stop] = np.minimum(sizes.view(np.uint64), _MOST_BYTES)
            masks = _whole_numbers(entries[:, -_MASK_BYTES:])
            self._masks.update({first + at: int(masks[at]) for at in np.flatnonzero(masks).tolist()})
        # Offsets last: another thread takes an entry as read once it has an offset.
        is_there = (offsets > 0) & (offsets < _LARGEST_OFFSET)
        self._offsets[first:stop] = np.where(is_there, offsets, _UNDEFINED).view(np.int64)


class _ExtensibleArray:
    """The index of chunks that HDF5 makes for datasets that grow along one axis."""

    def __init__(self, head: IndexHead, file: GuardedFile) -> None:
        self._head = head
        self._file = file
        self._group_starts = np.cumsum([0, *(blocks * entries for blocks, entries in map(_group, range(_NUM_GROUPS)))])

    def block(self, number: int) -> tuple[int, np.ndarray]:
        """The block, or page of a block, that has an entry.

        Returns:
            Number of its first entry, and the entries, ``(entries, entry_bytes)`` uint8.

        Raises:
            OSError: If it is not in the file.
        """
        head = self._head
        if number < _FIRST_ENTRIES:
            return 0, self._entries(head.block_address + _INDEX_BLOCK_HEAD_BYTES, _FIRST_ENTRIES)
        behind = number - _FIRST_ENTRIES
        group = int(np.searchsorted(self._group_starts, behind, "right")) - 1
        _, num_entries = _group(group)
        block, entry = divmod(behind - int(self._group_starts[group]), num_entries)
        address = self._block_address(group, block) + _BLOCK_HEAD_BYTES
        first = number - entry
        if num_entries > _PAGE_ENTRIES:
            page, entry = divmod(entry, _PAGE_ENTRIES)
            address += _CHECKSUM_BYTES + page * (_PAGE_ENTRIES * head.entry_bytes + _CHECKSUM_BYTES)
            first, num_entries = number - entry, _PAGE_ENTRIES
        return first, self._entries(address, num_entries)

    def _block_address(self, group: int, block: int) -> int:
        addresses = self._head.block_address + _INDEX_BLOCK_HEAD_BYTES + _FIRST_ENTRIES * self._head.entry_bytes
        if group < _FIRST_GROUPS:
            before = sum(_group(each)[0] for each in range(group))
            return self._address(addresses + (before + block) * _ADDRESS_BYTES)
        at = addresses + (_FIRST_BLOCKS + group - _FIRST_GROUPS) * _ADDRESS_BYTES
        num_blocks, num_entries = _group(group)
        pages = num_entries // _PAGE_ENTRIES
        bitmap_bytes = num_blocks * -(-pages // 8) if pages > 1 else 0  # says which pages have been written
        return self._address(self._address(at) + _BLOCK_HEAD_BYTES + bitmap_bytes + block * _ADDRESS_BYTES)

    def _address(self, at: int) -> int:
        return int.from_bytes(self._file.bytes_at(at, _ADDRESS_BYTES), "little")

    def _entries(self, address: int, count: int) -> np.ndarray:
        size = self._head.entry_bytes
        return np.frombuffer(self._file.bytes_at(address, count * size), np.uint8).reshape(count, size)


def chunk_origin(number: int, groups: int, chunks: tuple[int, ...]) -> tuple[int, ...]:
    """Where a chunk begins in its dataset.

    Args:
        number: Its number. Those of chunks side by side along the second axis follow each other.
        groups: How many chunks lie side by side.
        chunks: The shape of a chunk.
    """
    row, group = divmod(number, groups)
    return (row * chunks[0], group * chunks[1], *(0,) * (len(chunks) - 2)) if len(chunks) > 1 else (row * chunks[0],)


def _group(number: int) -> tuple[int, int]:
    """How many data blocks a group has, and how many entries each of them has."""
    return 1 << number // 2, _LEAST_ENTRIES << (number + 1) // 2


def _whole_numbers(columns: np.ndarray) -> np.ndarray:
    """Numbers from their bytes, the least first: ``(n, bytes)`` uint8 to ``(n,)`` int64."""
    numbers = np.zeros(len(columns), np.int64)
    for at, column in enumerate(columns.T):
        numbers += column.astype(np.int64) << 8 * at
    return numbers
