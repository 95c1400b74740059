"""HDF5's global heap, where text attributes are kept: does it make sense?

HDF5 2.0 walks through a heap by the sizes that its objects claim, and never
comes back from one that claims nothing. Whoever reads a file through Python
looks at every heap that comes by. Layout: HDF5 File Format Specification 3.0,
section III.E.
"""

from __future__ import annotations

import errno
import struct

__all__ = ["check_heap"]

_SIGNATURE = b"GCOL"
_HEAD = struct.Struct("<4sB3xQ")  # signature, version, size of the heap
_OBJECT = struct.Struct("<HH4xQ")  # number, references, size


def check_heap(data: memoryview, max_bytes: int) -> None:
    """Make sure that HDF5 comes back from what it has just read.

    Args:
        data: Any bytes of a file, read at once; those that begin no heap, or only part of one, are fine.
        max_bytes: How large a heap may be.

    Raises:
        OSError: If they are a heap in which HDF5 would go in circles, or one that is too large.
    """
    if data[:4] != _SIGNATURE or len(data) < _HEAD.size:
        return
    _, _, size = _HEAD.unpack_from(data)
    if size > max_bytes:
        raise OSError(errno.EFBIG, f"a heap of {size} bytes")
    if size > len(data):  # HDF5 is about to read the whole of it
        return
    at = _HEAD.size
    while at + _OBJECT.size <= size:
        number, _, length = _OBJECT.unpack_from(data, at)
        # Object 0 is the free space, whose size includes its head; what is behind it is not looked at.
        step = length if number == 0 else _OBJECT.size + -(-length // 8) * 8
        if step < _OBJECT.size or step > size - at:
            raise OSError(errno.EIO, f"a damaged heap: object {number} of {length} bytes")
        at += step
