"""Szip chunks, which only HDF5 can decompress, with a test whether the data is complete.

HDF5 believes that the data fills the chunk. If it is cut short, the rest of the chunk is memory that was never written.
Truncation test: decompress twice, with different padding behind the data. Complete data ignores the padding, so both
results agree.
"""

from __future__ import annotations

import itertools
import math
import threading

import h5py
import numpy as np

__all__ = ["SzipDecoder"]

_numbers = itertools.count()  # for names: HDF5 makes no two open files of one name, not even in memory


class SzipDecoder:
    """Decompresses chunks of one dataset, whose only filter is szip."""

    def __init__(self, dataset: h5py.Dataset) -> None:
        self._chunk, self._dtype = dataset.chunks, dataset.dtype
        self._size_bytes = math.prod(self._chunk) * self._dtype.itemsize
        name = f"szip-{next(_numbers)}"
        self._file = h5py.File(name, "w", driver="core", backing_store=False, rdcc_nbytes=0)
        _, flags, values, _ = dataset.id.get_create_plist().get_filter(0)
        create = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        create.set_chunk(self._chunk)
        create.set_filter(h5py.h5z.FILTER_SZIP, flags, values)
        space = h5py.h5s.create_simple(self._chunk)
        self._dataset = h5py.h5d.create(self._file.id, b"chunk", dataset.id.get_type(), space, create)
        self._lock = threading.Lock()

    def decode(self, data: bytes) -> bytes:
        """Decompress one chunk.

        Raises:
            OSError, RuntimeError, ValueError: If it is damaged.
        """
        if int.from_bytes(data[:4], "little") != self._size_bytes:
            raise ValueError("the szip data announces another size than that of the chunk")
        with self._lock:
            decoded, again = (self._decode(data + bytes([byte]) * 2 * self._size_bytes) for byte in (0x00, 0xFF))
        if decoded != again:
            raise ValueError("the szip data is cut short")
        return decoded

    def _decode(self, data: bytes) -> bytes:
        self._dataset.write_direct_chunk((0,) * len(self._chunk), data)
        items = np.zeros(self._chunk, self._dtype)
        self._dataset.read(h5py.h5s.ALL, h5py.h5s.ALL, items)
        return items.tobytes()
