"""The chunks of a dataset as they are stored, compressed or not, for a copy of the dataset.

HDF5 says once where they lie, and they are read past it: a chunk of 3 kB takes 7 us. HDF5 itself calls Python for each
chunk that it reads, which takes 34 us.
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
from gym_h5record.storage.hdf5.chunks import CAN_LIST_CHUNKS, StoredChunks
from gym_h5record.storage.hdf5.filters import largest_chunk

__all__ = ["StoredChunk", "stored_chunks"]


class StoredChunk(NamedTuple):
    """A chunk as it is stored.

    Attributes:
        at: Where it begins in the dataset.
        mask: Its unused filters, as HDF5 notes them.
        data: Its bytes, which are valid until the next chunk is read.
    """

    at: tuple[int, ...]
    mask: int
    data: memoryview


def stored_chunks(descriptor: int, dataset: h5py.Dataset, count: int) -> Iterator[StoredChunk]:
    """The chunks of the first ``count`` items. The file must not change meanwhile.

    Where several chunks lie side by side, one for each lane, those are left out that are not there: a lane may have
    fewer items than others.

    Args:
        descriptor: The open file.
        dataset: Its dataset.
        count: How many items are asked for.

    Raises:
        OSError, RuntimeError, ValueError: If a chunk is missing, not in the file, or larger than any compressed chunk.
    """
    shape = dataset.chunks
    groups = -(-dataset.shape[1] // shape[1]) if len(shape) > 1 else 1
    num_chunks = -(-count // shape[0]) * groups
    buffer = np.empty(largest_chunk(math.prod(shape) * dataset.dtype.itemsize), np.uint8)
    listed = _listed(descriptor, dataset, groups, num_chunks)
    if listed is None:  # ``is_indexed`` goes through all chunks: 49 s for 2,461 steps of five lanes with pictures
        chunks, read = StoredChunks(dataset), dataset.id.read_direct_chunk
        for number in range(num_chunks):
            at = chunk_origin(number, groups, shape)
            if groups == 1 or chunks.is_indexed(at):
                yield StoredChunk(at, *read(at, out=buffer))
        return
    numbers, offsets, sizes, masks = listed
    if groups == 1 and len(numbers) < num_chunks:
        raise OSError(f"{dataset.name} has {len(numbers)} chunks, {num_chunks} expected")
    for index in np.argsort(numbers).tolist():
        size = sizes[index]
        data = buffer.data[:size]
        if len(data) < size or os.preadv(descriptor, [data], offsets[index]) < size:
            raise OSError(f"{dataset.name}: {size} bytes at {offsets[index]} are no chunk of the file")
        yield StoredChunk(chunk_origin(numbers[index], groups, shape), masks[index], data)


def _listed(
    descriptor: int, dataset: h5py.Dataset, groups: int, num_chunks: int
) -> tuple[array[int], array[int], array[int], array[int]] | None:
    """Number, offset, size and mask of each chunk, as HDF5 lists them.

    None if it is too old to do so, or if the index claims more chunks than the file can hold: HDF5 would look for all.
    """
    claimed = indexed_chunks(descriptor, dataset) if CAN_LIST_CHUNKS else None
    if claimed is None or claimed > os.fstat(descriptor).st_size:
        return None
    shape = dataset.chunks
    numbers, offsets, sizes, masks = array("q"), array("q"), array("q"), array("q")

    def note(chunk: Any) -> None:
        at = chunk.chunk_offset
        number = at[0] // shape[0] * groups + (at[1] // shape[1] if groups > 1 else 0)
        if number < num_chunks and chunk.byte_offset is not None:
            numbers.append(number)
            offsets.append(chunk.byte_offset)
            sizes.append(chunk.size)
            masks.append(chunk.filter_mask)

    dataset.id.chunk_iter(note)
    return numbers, offsets, sizes, masks
