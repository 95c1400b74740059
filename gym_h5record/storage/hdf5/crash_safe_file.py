"""A file that is always as its last ``sync`` left it, at whatever instant its writer dies.

HDF5 changes its blocks in place. ``kill -9`` may cut such a write in two where a page ends, and after a power cut the
disk may hold any of the writes, or half of one. So HDF5 writes through this Python file object. What HDF5 appends
behind the safe end of the file is written at once: nothing refers to it yet. What it changes before that end is kept
until ``sync``, is written to ``<file>.redo`` with a checksum, and only then to its place; ``redo_log.redo`` does that
again after a crash. This is a redo log with one transaction, as in C. Mohan et al., ARIES, ACM TODS 17 (1992). Only
against a power cut has the disk to be waited for.
"""

from __future__ import annotations

import os
import weakref
from pathlib import Path
from typing import Any

from gym_h5record.storage.hdf5.atomic import sync_directory
from gym_h5record.storage.hdf5.file_object import FileObject
from gym_h5record.storage.hdf5.redo_log import apply_changes, write_all, write_log
from gym_h5record.storage.hdf5.superblock import marked_live
from gym_h5record.storage.paths import redo_path

__all__ = ["CrashSafeFile", "abandon_all"]


class CrashSafeFile(FileObject):
    """A file for h5py's ``fileobj`` driver, for reading and writing.

    Args:
        path: An existing file.
        survives_power_cut: Whether to wait for the disk. Otherwise the data is handed to the operating system only:
            written pages belong to it, and it outlives the process.
        tail_bytes: How many bytes are appended to the file until ``finish``, unknown to HDF5. The file is then longer
            than its superblock says, so that the file, and a copy of it, is seen not to be closed.

    Attributes:
        failure: Why a write of HDF5 failed. HDF5 itself is told that it succeeded: HDF5 may crash after a failed
            write, at once or as late as at the end of the process.
    """

    def __init__(self, path: Path, *, survives_power_cut: bool = True, tail_bytes: int = 0) -> None:
        self.failure: OSError | None = None
        self._survives_power_cut = survives_power_cut
        descriptor = os.open(path, os.O_RDWR)
        super().__init__(descriptor, os.fstat(descriptor).st_size)
        try:
            redo_path(path).unlink(missing_ok=True)  # of an earlier writer: it does not describe the present file
            self._log = os.open(redo_path(path), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
        except BaseException:
            super().close()
            raise
        if survives_power_cut:
            sync_directory(path.parent)
        self._path = path
        self._safe_bytes = self._size_bytes
        self._is_abandoned = False
        self._tail_bytes = tail_bytes
        _all.add(self)

    # What HDF5 calls ------------------------------------------------------------------------------

    def write(self, data: Any) -> int:
        """Write ``data``: behind the safe end of the file at once, before it with the next ``sync``."""
        view = memoryview(data).cast("B")
        start, stop = self._position, self._position + len(view)
        split = len(view) if self._is_abandoned else min(max(self._safe_bytes - start, 0), len(view))
        if split:
            before = bytes(view[:split])
            self._changes.append((start, before if start else marked_live(before)))
        if split < len(view):
            try:
                write_all(self._descriptor, view[split:], start + split)
            except OSError as error:
                self.failure, self._is_abandoned = error.with_traceback(None), True
                self._changes.append((start + split, bytes(view[split:])))
        self._size_bytes = max(self._size_bytes, stop)
        self._position = stop
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        """Note the new size: the file itself gets it with the next ``sync``."""
        self._size_bytes = self._position if size is None else size
        return self._size_bytes

    def writable(self) -> bool:
        return True

    # What the recording calls ---------------------------------------------------------------------

    def sync(self) -> None:
        """Make everything written so far survive the death of this process, or a power cut as well.

        Raises:
            OSError: If the disk is full or fails, or did so at a write since the last ``sync``.
        """
        self._sync(self._tail_bytes)

    def _sync(self, tail_bytes: int) -> None:
        if self.failure is not None:
            raise OSError(*self.failure.args)  # a new one each time: a traceback keeps all its frames in memory
        if self._is_abandoned:
            return
        self._wait(self._descriptor)
        size_bytes = self._size_bytes
        if self._changes:
            if self._tail_bytes and os.fstat(self._descriptor).st_size <= size_bytes:
                os.ftruncate(self._descriptor, size_bytes + self._tail_bytes)  # before the superblock says this size
            changes = [(offset, data[: size_bytes - offset]) for offset, data in self._changes if offset < size_bytes]
            write_log(self._log, self._descriptor, changes, size_bytes)
            self._wait(self._log)
            apply_changes(self._descriptor, changes, size_bytes + tail_bytes)
            self._wait(self._descriptor)
            self._changes.clear()
        elif size_bytes + tail_bytes != os.fstat(self._descriptor).st_size:
            os.ftruncate(self._descriptor, size_bytes + tail_bytes)
            self._wait(self._descriptor)
        self._safe_bytes = size_bytes

    def _wait(self, descriptor: int) -> None:
        if self._survives_power_cut:
            os.fdatasync(descriptor)

    def finish(self) -> None:
        """Sync for the last time, remove the log and close."""
        try:
            self._sync(0)
            if not self._is_abandoned:
                redo_path(self._path).unlink(missing_ok=True)
                if self._survives_power_cut:
                    sync_directory(self._path.parent)  # else a power cut may bring the log back, beside a newer file
        finally:
            self.close()

    def abandon(self) -> None:
        """Never write to the file again in this process. HDF5's later writes are kept in memory."""
        self._is_abandoned = True

    def close(self) -> None:
        """Close the descriptors without ``sync``."""
        if not self.closed:
            os.close(self._log)
        super().close()


_all: weakref.WeakSet[CrashSafeFile] = weakref.WeakSet()


def abandon_all() -> None:
    """Call ``abandon`` of every file of this process."""
    for file in list(_all):
        file.abandon()
