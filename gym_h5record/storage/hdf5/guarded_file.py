"""A recording whose writer has not closed it, as a file that HDF5 opens for reading.

HDF5 refuses such a file, or opens it in its SWMR mode, in which damaged metadata
is read again and again for longer than anybody lives, with the interpreter
locked. Here HDF5 sees the same bytes, but a superblock without the flags; what
it cannot read is an error at once, and whoever follows a live file tries again.
The file itself is only read, and no lock is taken on it.
"""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gym_h5record.storage.hdf5.block_checks import check_block
from gym_h5record.storage.hdf5.redo_log import patch
from gym_h5record.storage.hdf5.superblock import SUPERBLOCK_BYTES, closed_superblock

__all__ = ["GuardedFile"]


_SIZE_BYTES = 1 << 60  # larger than it will ever be: a live file grows behind our back
_GUESSED_BYTES = 4096  # at most, HDF5 reads so much of a block before it knows how large it is


class GuardedFile(io.RawIOBase):
    """What h5py's ``fileobj`` driver reads from.

    Args:
        path: The recording.
        changes: By offset, bytes to be seen in place of the file's.
        is_closed: Whether its writer has closed it; its superblock is then read as it is.

    Raises:
        OSError: If it cannot be opened.
        NotARecordingError: If it is not an HDF5 file.
    """

    def __init__(self, path: Path, changes: Iterable[tuple[int, bytes]] = (), *, is_closed: bool = False) -> None:
        self._position = 0
        self._changes = list(changes)
        self._descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            self._size_bytes = os.fstat(self._descriptor).st_size if is_closed else _SIZE_BYTES
            if not is_closed:
                block = bytearray(SUPERBLOCK_BYTES)
                self._read(memoryview(block), 0)
                self._changes.append((0, closed_superblock(bytes(block), _SIZE_BYTES)))
        except BaseException:
            self.close()  # by ours: left open, it would close the descriptor once more when it is collected
            raise

    def readinto(self, buffer: Any) -> int:
        """Fill ``buffer``; a little behind the end of the file there are zeros.

        Raises:
            OSError: If HDF5 wants what is not there, as a damaged or hostile file makes it, at any size.
        """
        view = memoryview(buffer).cast("B")
        self._read(view, self._position)
        check_block(view)
        self._position += len(view)
        return len(view)

    def _read(self, view: memoryview, start: int) -> None:
        done = os.preadv(self._descriptor, [view], start)
        missing = len(view) - done
        if missing > (_GUESSED_BYTES if done or not start else 0):
            raise OSError(errno.EIO, f"{len(view)} bytes at {start} are not in the file")
        if missing:
            view[done:] = bytes(missing)
        if self._changes:
            patch(view, start, self._changes)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move; the end is farther away than any address in the file."""
        if whence == os.SEEK_SET:  # before every read
            self._position = offset
            return offset
        start = {os.SEEK_CUR: self._position, os.SEEK_END: self._size_bytes}[whence]
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        """Where the next read begins."""
        return self._position

    def fileno(self) -> int:
        """The descriptor that is read from."""
        return self._descriptor

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def close(self) -> None:
        """Close the descriptor; may be called again."""
        if not self.closed:
            os.close(self._descriptor)
        super().close()
