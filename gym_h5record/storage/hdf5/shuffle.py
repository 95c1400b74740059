"""HDF5's shuffle filter, outside of HDF5: the first bytes of all elements, then the second bytes, and so on.

Numbers that are close to each other differ in their last bytes only, so that the shuffled bytes compress better.
"""

from __future__ import annotations

import numpy as np
from isal import isal_zlib

__all__ = ["shuffle_and_compress", "unshuffled"]

_LEVEL = 1
_ZLIB_WINDOW_BITS = 15


def shuffle_and_compress(items: np.ndarray) -> bytes:
    """What HDF5's filters 2 (shuffle) and 1 (gzip) make of the items of a chunk; filter 1 alone for single bytes.

    Each group of bytes is compressed in a block of its own, with its own codes. For the floats of CartPole this is as
    small as zlib's level 4, in a fifth of the time; ISA-L's level 1 alone takes 12 % more space.
    """
    planes = np.ascontiguousarray(items).reshape(-1).view(np.uint8).reshape(-1, items.dtype.itemsize).T
    deflate = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, _ZLIB_WINDOW_BITS)
    *first, last = (np.ascontiguousarray(plane).data for plane in planes)
    parts = [part for plane in first for part in (deflate.compress(plane), deflate.flush(isal_zlib.Z_FULL_FLUSH))]
    return b"".join([*parts, deflate.compress(last), deflate.flush()])


def unshuffled(data: bytes | bytearray | memoryview, element_bytes: int) -> bytes:
    """Undo the shuffle of elements of ``element_bytes``."""
    return np.frombuffer(data, np.uint8).reshape(element_bytes, -1).T.tobytes()
