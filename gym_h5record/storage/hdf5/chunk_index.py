"""The head of the index of a dataset's chunks: how many entries there are, and where.

HDF5 visits every entry to add up the sizes of the chunks, up to the highest that ever existed. A file of a few
kilobytes may claim 2^32 entries, and HDF5 then walks for minutes, with the interpreter locked. The number stands in the
head of the index, an "extensible array" for all datasets of a recording. Layout: HDF5 File Format Specification 3.0,
sections IV.A and VII.C.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from dataclasses import dataclass

import h5py

from gym_h5record.storage.hdf5.block_checks import header_messages

__all__ = ["IndexHead", "index_head", "indexed_chunks", "stored_bytes"]

_HEADER_BYTES = 4096  # read of the header of a dataset; those of recordings have some 300
_LAYOUT_MESSAGE = 8
_CHUNKED, _EXTENSIBLE_ARRAY = 2, 4
_INDEX_HEAD = struct.Struct(
    "<4s2xB5x32xQQQ"
)  # signature, bytes of an entry, highest entry plus one, their number, where
_END_OF_ADDRESSES = 1 << 62


@dataclass(frozen=True)
class IndexHead:
    """The head of an extensible array.

    Attributes:
        entry_bytes: Size of an entry: 8 for an address, more for a compressed chunk.
        num_entries: The highest entry that ever existed, plus one.
        block_address: Where the first block of the index is.
    """

    entry_bytes: int
    num_entries: int
    block_address: int


def index_head(read: Callable[[int, int], bytes | bytearray], dataset: h5py.Dataset) -> IndexHead | None:
    """The head of the index of the chunks of a dataset.

    Args:
        read: Gives up to so many bytes from an address on: ``read(address, size)``.
        dataset: The dataset.

    Returns:
        None if the index is no extensible array, or is not found by the header of the dataset.
    """
    try:
        address = _index_address(bytes(read(h5py.h5o.get_info(dataset.id).addr, _HEADER_BYTES)))
        signature, entry_bytes, num_entries, _, block = _INDEX_HEAD.unpack(read(address, _INDEX_HEAD.size))
    except (LookupError, struct.error):
        return None
    return IndexHead(entry_bytes, num_entries, block) if signature == b"EAHD" else None


def indexed_chunks(descriptor: int, dataset: h5py.Dataset) -> int | None:
    """How many entries the index of the chunks of a dataset has, with or without a chunk.

    None if the index is no extensible array, or is not found by the header of the dataset.
    """

    def read(address: int, size: int) -> bytes:
        return os.pread(descriptor, size, address) if address < _END_OF_ADDRESSES else b""

    head = index_head(read, dataset)
    return None if head is None else head.num_entries


def stored_bytes(descriptor: int, dataset: h5py.Dataset) -> int:
    """The bytes of the chunks of a dataset; 0 if the index claims more entries than the file has bytes.

    HDF5 walks through all entries.
    """
    chunks = indexed_chunks(descriptor, dataset)
    if chunks is None or chunks > os.fstat(descriptor).st_size:
        return 0
    return int(dataset.id.get_storage_size())


def _index_address(header: bytes) -> int:
    """The address of the index, from the header of a dataset.

    Raises:
        LookupError, struct.error: If the header has another version, or no such index.
    """
    if header[:5] != b"OHDR\x02":
        raise LookupError("no header of version 2")
    at, stop, head_bytes = header_messages(header)
    while at < stop:
        kind, length = struct.unpack_from("<BH", header, at)
        at += head_bytes
        if kind == _LAYOUT_MESSAGE:
            return _layout_address(header[at : at + length])
        at += length
    raise LookupError("no layout in the first part of the header")


def _layout_address(message: bytes) -> int:
    version, kind, _, rank, length_bytes = struct.unpack_from("<5B", message)
    at = 5 + rank * length_bytes
    if (version, kind, message[at]) != (4, _CHUNKED, _EXTENSIBLE_ARRAY):
        raise LookupError("another layout than the datasets of a recording have")
    (address,) = struct.unpack_from("<Q", message, at + 6)  # behind five parameters
    return int(address)
