"""Where HDF5 says that the chunks of a dataset lie, so that they are read past it.

HDF5 itself calls Python for each chunk that it reads: a chunk of 3 kB takes 34 us, and 7 us past it.
"""

from __future__ import annotations

import math
import os
from array import array
from collections.abc import Iterator
from typing import Any, NamedTuple

import h5py
import numpy as np

from gym_h5record.storage.hdf5.chunk_index import indexed_chunks
from gym_h5record.storage.hdf5.chunk_table import chunk_origin
from gym_h5record.storage.hdf5.chunks import WrittenChunks
from gym_h5record.storage.hdf5.filters import largest_chunk

__all__ = ["ChunkList", "ListedChunk", "list_chunks", "listed_chunks"]

_CAN_LIST = hasattr(h5py.h5d.DatasetID, "chunk_iter")  # HDF5 1.12.3


class ChunkList(NamedTuple):
    """The chunks of a dataset, in any order.

    Attributes:
        numbers: Their numbers, as in ``chunk_origin``.
        offsets: Their first bytes in the file.
        sizes: Their bytes in the file.
        masks: Their unused filters, as HDF5 notes them.
    """

    numbers: array[int]
    offsets: array[int]
    sizes: array[int]
    masks: array[int]


class ListedChunk(NamedTuple):
    """A chunk as it is stored, compressed or not.

    Attributes:
        at: Where it begins in the dataset.
        mask: Its unused filters.
        data: Its bytes, which are valid until the next chunk is read.
    """

    at: tuple[int, ...]
    mask: int
    data: memoryview


def list_chunks(descriptor: int, dataset: h5py.Dataset, least_bytes: int = 1) -> ChunkList | None:
    """Have HDF5 list the chunks of a dataset.

    Args:
        descriptor: The open file.
        dataset: Its dataset.
        least_bytes: The least size of a chunk.

    Returns:
        None if HDF5 is too old for it, or if the index of the chunks claims more than the file can hold: HDF5 would
        look for all of them.
    """
    claimed = indexed_chunks(descriptor, dataset) if _CAN_LIST else None
    if claimed is None or claimed * least_bytes > os.fstat(descriptor).st_size:
        return None
    shape, groups = dataset.chunks, _groups(dataset)
    found = ChunkList(array("q"), array("q"), array("q"), array("q"))

    def note(chunk: Any) -> None:
        at = chunk.chunk_offset
        found.numbers.append(at[0] // shape[0] * groups + (at[1] // shape[1] if groups > 1 else 0))
        found.offsets.append(chunk.byte_offset)
        found.sizes.append(chunk.size)
        found.masks.append(chunk.filter_mask)

    dataset.id.chunk_iter(note)
    return found


def listed_chunks(descriptor: int, dataset: h5py.Dataset, count: int) -> Iterator[ListedChunk]:
    """Read the chunks of the first ``count`` items, for a copy. The file must not change meanwhile.

    Where several chunks lie side by side, one for each lane, those that are missing are left out: a lane may have fewer
    items than others.

    Args:
        descriptor: The open file.
        dataset: Its dataset.
        count: How many items are asked for.

    Raises:
        OSError, RuntimeError, ValueError, OverflowError: If a chunk is missing, not in the file, or larger than any
            compressed chunk.
    """
    shape, groups = dataset.chunks, _groups(dataset)
    num_chunks = -(-count // shape[0]) * groups
    buffer = np.empty(largest_chunk(math.prod(shape) * dataset.dtype.itemsize), np.uint8)
    found = list_chunks(descriptor, dataset)
    if found is None:  # ``is_indexed`` goes through all chunks: 49 s for 2,461 steps of five lanes with pictures
        chunks, read = WrittenChunks(dataset), dataset.id.read_direct_chunk
        for number in range(num_chunks):
            at = chunk_origin(number, groups, shape)
            if groups == 1 or chunks.is_indexed(at):
                yield ListedChunk(at, *read(at, out=buffer))
        return
    order = [each for each in np.argsort(found.numbers).tolist() if found.numbers[each] < num_chunks]
    if groups == 1 and len(order) < num_chunks:
        raise OSError(f"{dataset.name} has {len(order)} chunks, {num_chunks} expected")
    for each in order:
        size, offset = found.sizes[each], found.offsets[each]
        data = buffer.data[:size]
        if len(data) < size or os.preadv(descriptor, [data], offset) < size:
            raise OSError(f"{dataset.name}: {size} bytes at {offset} are no chunk of the file")
        yield ListedChunk(chunk_origin(found.numbers[each], groups, shape), found.masks[each], data)


def _groups(dataset: h5py.Dataset) -> int:
    """How many chunks lie side by side along the second axis, which is that of lanes."""
    return -(-dataset.shape[1] // dataset.chunks[1]) if dataset.ndim > 1 else 1
