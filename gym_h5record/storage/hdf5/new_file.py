"""A file that HDF5 fills before it gets its name: no process reads it yet, so all writes go to their place at once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from gym_h5record.storage.hdf5.file_object import FileObject
from gym_h5record.storage.hdf5.redo_log import write_all

__all__ = ["NewFile"]


class NewFile(FileObject):
    """A file for h5py's ``fileobj`` driver, for reading and writing.

    HDF5 is told that every write succeeded: it may crash after one that failed. ``check`` tells the truth.

    Args:
        path: An existing file.
    """

    def __init__(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDWR)
        super().__init__(descriptor, os.fstat(descriptor).st_size)
        self._failure: OSError | None = None

    def write(self, data: Any) -> int:
        """Write ``data``. After a failure, and until the file is given up, it is kept in memory."""
        view = memoryview(data).cast("B")
        try:
            if self._failure is None:
                write_all(self._descriptor, view, self._position)
        except OSError as error:
            self._failure = error.with_traceback(None)
        if self._failure is not None:
            self._changes.append((self._position, bytes(view)))  # HDF5 may read it again
        self._position += len(view)
        self._size_bytes = max(self._size_bytes, self._position)
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        """Give the file the size that HDF5 asks for."""
        self._size_bytes = self._position if size is None else size
        if self._failure is None:
            try:
                os.ftruncate(self._descriptor, self._size_bytes)
            except OSError as error:
                self._failure = error.with_traceback(None)
        return self._size_bytes

    def writable(self) -> bool:
        """See ``io.RawIOBase``."""
        return True

    def check(self) -> None:
        """Make sure that everything written so far is in the file.

        Raises:
            OSError: If the disk is full or fails, or did so before.
        """
        if self._failure is not None:
            raise OSError(*self._failure.args)  # a new one each time: a traceback keeps all its frames in memory
