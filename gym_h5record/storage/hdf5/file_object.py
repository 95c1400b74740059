"""What HDF5 reads through: a file whose blocks are checked, and whose changes may not be in place yet."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from typing import Any

from gym_h5record.storage.hdf5.block_checks import check_block
from gym_h5record.storage.hdf5.redo_log import patch

__all__ = ["FileObject"]


class FileObject(io.RawIOBase):
    """A file for h5py's ``fileobj`` driver, which calls ``seek`` and ``readinto`` for every block.

    Args:
        descriptor: The open file. It is closed by ``close``.
        size_bytes: Size of the file that HDF5 is told.
        changes: By offset, bytes that are read in place of the file's.
    """

    def __init__(self, descriptor: int, size_bytes: int, changes: Iterable[tuple[int, bytes]] = ()) -> None:
        self._descriptor = descriptor
        self._size_bytes = size_bytes
        self._changes = list(changes)
        self._position = 0

    def readinto(self, buffer: Any) -> int:
        """Fill ``buffer``, behind the end of the file with zeros. Blocks that HDF5 must not see are an ``OSError``."""
        view = memoryview(buffer).cast("B")
        self._read(view, self._position)
        check_block(view)
        self._position += len(view)
        return len(view)

    def _read(self, view: memoryview, start: int) -> None:
        done = os.preadv(self._descriptor, [view], start)
        if done < len(view):
            self._check_end(start, done, len(view))
            view[done:] = bytes(len(view) - done)
        patch(view, start, self._changes)

    def _check_end(self, start: int, done: int, count: int) -> None:
        """Called if only ``done`` of ``count`` bytes at ``start`` are in the file; may raise ``OSError``."""

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence != os.SEEK_SET:  # HDF5 calls seek with an address before every read
            offset += {os.SEEK_CUR: self._position, os.SEEK_END: self._size_bytes}[whence]
        self._position = offset
        return offset

    def tell(self) -> int:
        return self._position

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        """Close the descriptor; may be called again."""
        if not self.closed:
            self._close_descriptor()
        super().close()

    def _close_descriptor(self) -> None:
        os.close(self._descriptor)
