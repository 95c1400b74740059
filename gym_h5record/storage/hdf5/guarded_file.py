"""A recording as HDF5 reads it, whether its writer has closed it or not.

HDF5 refuses a file that its writer has not closed, or opens it in its SWMR mode: there it reads a damaged block a
hundred times, with pauses that double and the interpreter locked (docs/decisions/0005). So HDF5 is shown the same bytes
with a superblock without the write flags. A block that it cannot read is then an error at once, and a reader that
follows a live file tries again. The file is only read, and no lock is taken on it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from pathlib import Path

from gym_h5record.storage.hdf5.descriptor import Descriptor
from gym_h5record.storage.hdf5.file_object import FileObject
from gym_h5record.storage.hdf5.redo_log import patch
from gym_h5record.storage.hdf5.superblock import SUPERBLOCK_BYTES, closed_superblock

__all__ = ["GuardedFile"]

_SIZE_BYTES = 1 << 60  # more than any file: a live file grows after HDF5 has asked for its size
_GUESSED_BYTES = 4096  # HDF5 reads up to so much of a block before it knows the size of the block


class GuardedFile(FileObject):
    """A file for h5py's ``fileobj`` driver, for reading.

    Args:
        path: The recording.
        changes: By offset, bytes that are read in place of the file's.
        is_closed: Whether its writer has closed it. Its superblock is then read as it is.

    Raises:
        NotARecordingError: If it is not an HDF5 file.
    """

    def __init__(self, path: Path, changes: Iterable[tuple[int, bytes]] = (), *, is_closed: bool = False) -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self._shared = Descriptor(descriptor)
        super().__init__(descriptor, _SIZE_BYTES, changes)
        try:
            if is_closed:
                self._size_bytes = os.fstat(descriptor).st_size
            else:
                block = bytearray(SUPERBLOCK_BYTES)
                self._read(memoryview(block), 0)
                self._changes.append((0, closed_superblock(bytes(block), _SIZE_BYTES)))
        except BaseException:
            self.close()  # else the garbage collector closes it later, when the number may be that of another file
            raise

    def size_bytes(self) -> int:
        """The size of the file now."""
        return os.fstat(self.fileno()).st_size

    def bytes_at(self, offset: int, size: int) -> bytes | bytearray:
        """The ``size`` bytes from ``offset`` on. Any thread may call it, also while HDF5 reads or the file is closed.

        Raises:
            OSError: If the file does not have them.
            RecordingClosedError: If the file has been closed.
        """
        data = self.some_bytes_at(offset, size)
        if len(data) < size:
            raise OSError(errno.EIO, f"{size} bytes at {offset} are not in the file")
        return data

    def some_bytes_at(self, offset: int, size: int) -> bytes | bytearray:
        """As ``bytes_at``, but fewer bytes where the file ends."""
        data: bytes | bytearray = self._shared.read(size, offset)
        if self._changes:
            data = bytearray(data)
            patch(memoryview(data), offset, self._changes)
        return data

    def _check_end(self, start: int, done: int, count: int) -> None:
        """Allow for HDF5's guesses. A damaged or hostile file makes HDF5 ask for any bytes, as many as it likes."""
        if count - done > (_GUESSED_BYTES if done or not start else 0):
            raise OSError(errno.EIO, f"{count} bytes at {start} are not in the file")

    def fileno(self) -> int:
        return self._shared.fileno()

    def _close_descriptor(self) -> None:
        self._shared.close()
