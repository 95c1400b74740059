"""How far HDF5 walks when it is asked what the chunks of a dataset take.

It looks at every entry of the index, up to the highest that was ever there: a
file of a few kilobytes may claim 2^32 of them, and HDF5 is then at it for
minutes, with the interpreter locked. The number stands in the head of the index,
an "extensible array", which all datasets of a recording have. Layout: HDF5 File
Format Specification 3.0, sections IV.A and VII.C; nothing else is parsed here.
"""

from __future__ import annotations

import os
import struct

import h5py

__all__ = ["indexed_chunks"]


_HEADER_BYTES = 4096  # of the header of a dataset that is looked at; those of recordings have some 300
_TIMES, _PHASES, _ORDER = 0x20, 0x10, 0x04  # flags of a header: what it has beside its messages
_LAYOUT_MESSAGE = 8
_CHUNKED, _EXTENSIBLE_ARRAY = 2, 4
_INDEX_HEAD = struct.Struct("<4s8x32xQ")  # signature, what the index is made of, highest entry plus one


def indexed_chunks(descriptor: int, dataset: h5py.Dataset) -> int | None:
    """How many entries the index of the chunks of a dataset has, whether there is a chunk or not.

    Args:
        descriptor: Of the file.
        dataset: One of its datasets.

    Returns:
        None if that cannot be told: it is no extensible array, or not where those of a recording are.
    """

    def read(address: int, size: int) -> bytes:
        return os.pread(descriptor, size, address) if address < 1 << 62 else b""

    try:
        address = _index_address(read(h5py.h5o.get_info(dataset.id).addr, _HEADER_BYTES))
        signature, chunks = _INDEX_HEAD.unpack(read(address, _INDEX_HEAD.size))
    except (LookupError, struct.error):
        return None
    return int(chunks) if signature == b"EAHD" else None


def _index_address(header: bytes) -> int:
    """Where the index of chunks is, by the header of a dataset of version 2.

    Raises:
        LookupError, struct.error: If the header does not say.
    """
    flags = header[5]
    if header[:5] != b"OHDR\x02":
        raise LookupError("no header of version 2")
    at = 6 + (16 if flags & _TIMES else 0) + (4 if flags & _PHASES else 0)
    size_bytes = 1 << (flags & 3)
    stop = at + size_bytes + int.from_bytes(header[at : at + size_bytes], "little")
    at += size_bytes
    while at < stop:
        kind, length = struct.unpack_from("<BH", header, at)
        at += 6 if flags & _ORDER else 4
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
