"""How many entries the index of a dataset's chunks has: so far HDF5 walks to add up their sizes.

HDF5 visits every entry, up to the highest that ever existed. A file of a few kilobytes may claim 2^32 entries, and HDF5
then walks for minutes, with the interpreter locked. The number stands in the head of the index, an "extensible array"
for all datasets of a recording. Layout: HDF5 File Format Specification 3.0, sections IV.A and VII.C.
"""

from __future__ import annotations

import os
import struct

import h5py

from gym_h5record.storage.hdf5.block_checks import header_messages

__all__ = ["indexed_chunks", "stored_bytes"]

_HEADER_BYTES = 4096  # read of the header of a dataset; those of recordings have some 300
_LAYOUT_MESSAGE = 8
_CHUNKED, _EXTENSIBLE_ARRAY = 2, 4
_INDEX_HEAD = struct.Struct("<4s8x32xQ")  # signature, shape and sizes of the index, highest entry plus one
_END_OF_ADDRESSES = 1 << 62


def indexed_chunks(descriptor: int, dataset: h5py.Dataset) -> int | None:
    """How many entries the index of the chunks of a dataset has, with or without a chunk.

    None if the index is no extensible array, or is not found by the header of the dataset.
    """

    def read(address: int, size: int) -> bytes:
        return os.pread(descriptor, size, address) if address < _END_OF_ADDRESSES else b""

    try:
        address = _index_address(read(h5py.h5o.get_info(dataset.id).addr, _HEADER_BYTES))
        signature, chunks = _INDEX_HEAD.unpack(read(address, _INDEX_HEAD.size))
    except (LookupError, struct.error):
        return None
    return int(chunks) if signature == b"EAHD" else None


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
