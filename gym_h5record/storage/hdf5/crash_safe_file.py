"""A file that is always as the last ``sync`` left it, whatever dies.

HDF5 changes its blocks in place, and ``kill -9`` may cut a write in two where a
page ends; a disk may have written any of them, or half of one, when the power
goes. Here HDF5 writes through a Python file object: what lies behind the end
that is safe is written at once, since nothing refers to it yet; what is changed
in place is kept until ``sync``, is written to ``<file>.redo`` first, with a
checksum, and only then to its place. ``redo`` writes it there again. The method
is a redo log, as in C. Mohan et al., ARIES, ACM TODS 17 (1992), with one
transaction. Only a power cut needs the disk to be waited for.
"""

from __future__ import annotations

import io
import os
import weakref
from pathlib import Path
from typing import Any

from gym_h5record.storage.hdf5.atomic import sync_directory
from gym_h5record.storage.hdf5.block_checks import check_block
from gym_h5record.storage.hdf5.redo_log import _apply, _fingerprint, _Log, _pack_log, _write_all, patch
from gym_h5record.storage.hdf5.superblock import marked_live
from gym_h5record.storage.paths import redo_path

__all__ = ["CrashSafeFile", "abandon_all"]


class CrashSafeFile(io.RawIOBase):
    """What h5py's ``fileobj`` driver writes to.

    Args:
        path: An existing file.
        survives_power_cut: Whether to wait for the disk; otherwise for the operating system only.
        tail_bytes: By how much the file is longer, until ``finish``, than HDF5 has been told and its
            superblock says. Whoever finds it so, or a copy of it, sees that it was not closed.

    Attributes:
        failure: Why a write that HDF5 asked for has failed. HDF5 itself is not told: when it
            is, it may crash, then or as late as at the end of the process.

    Raises:
        OSError: If it, or the log beside it, cannot be opened.
    """

    def __init__(self, path: Path, *, survives_power_cut: bool = True, tail_bytes: int = 0) -> None:
        self.failure: OSError | None = None
        self._wait = os.fdatasync if survives_power_cut else _do_not_wait
        self._survives_power_cut = survives_power_cut
        self._position = 0
        self._descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            redo_path(path).unlink(missing_ok=True)  # whatever it is: nothing in it is about the file as it is now
            self._log = os.open(redo_path(path), os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        except BaseException:
            os.close(self._descriptor)
            super().close()  # left open, it would close the descriptor once more when it is collected
            raise
        if survives_power_cut:
            sync_directory(path.parent)
        self._path = path
        self._size_bytes = self._safe_bytes = os.fstat(self._descriptor).st_size
        self._changes: list[tuple[int, bytes]] = []
        self._is_abandoned = False
        self._tail_bytes = tail_bytes
        _all.add(self)

    # What HDF5 calls ------------------------------------------------------------------------------

    def readinto(self, buffer: Any) -> int:
        """Fill ``buffer`` with what has been written, in its place already or not."""
        view = memoryview(buffer).cast("B")
        start, stop = self._position, self._position + len(view)
        done = os.preadv(self._descriptor, [view], start)
        view[done:] = bytes(len(view) - done)
        patch(view, start, self._changes)
        check_block(view)
        self._position = stop
        return len(view)

    def write(self, data: Any) -> int:
        """Write ``data``, behind the safe end of the file at once, before it with the next ``sync``."""
        view = memoryview(data).cast("B")
        start, stop = self._position, self._position + len(view)
        split = len(view) if self._is_abandoned else min(max(self._safe_bytes - start, 0), len(view))
        if split:
            self._changes.append((start, marked_live(bytes(view[:split])) if start == 0 else bytes(view[:split])))
        if split < len(view):
            try:
                _write_all(self._descriptor, view[split:], start + split)
            except OSError as error:
                self.failure, self._is_abandoned = error.with_traceback(None), True
                self._changes.append((start + split, bytes(view[split:])))
        self._size_bytes = max(self._size_bytes, stop)
        self._position = stop
        return len(view)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to ``offset``."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size_bytes}[whence]
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        """Where the next read or write begins."""
        return self._position

    def truncate(self, size: int | None = None) -> int:
        """Note the size; the file never gets shorter than what is safe of it before ``sync``."""
        self._size_bytes = self._position if size is None else size
        return self._size_bytes

    def readable(self) -> bool:
        """It is."""
        return True

    def writable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    # What the recording calls ---------------------------------------------------------------------

    def sync(self) -> None:
        """Return once everything written so far survives the death of this process, or a power cut as well.

        Raises:
            OSError: If the disk is full, or fails, or has been when something was written since the last time.
        """
        self._sync(self._tail_bytes)

    def _sync(self, tail_bytes: int) -> None:
        if self.failure is not None:
            raise OSError(*self.failure.args)  # another one: its traceback would hold on to everything
        if self._is_abandoned:
            return
        self._wait(self._descriptor)
        size_bytes = self._size_bytes
        if self._changes:
            if self._tail_bytes and os.fstat(self._descriptor).st_size <= size_bytes:
                os.ftruncate(self._descriptor, size_bytes + self._tail_bytes)  # before the superblock has this size
            changes = [(offset, data[: size_bytes - offset]) for offset, data in self._changes if offset < size_bytes]
            log = _Log(size_bytes, _fingerprint(self._descriptor, size_bytes, changes), changes)
            _write_all(self._log, memoryview(_pack_log(log)), 0)
            self._wait(self._log)
            _apply(self._descriptor, changes, size_bytes + tail_bytes)
            self._wait(self._descriptor)
            self._changes.clear()
        elif size_bytes + tail_bytes != os.fstat(self._descriptor).st_size:
            _apply(self._descriptor, [], size_bytes + tail_bytes)
            self._wait(self._descriptor)
        self._safe_bytes = size_bytes

    def finish(self) -> None:
        """Sync for the last time, remove the log and close."""
        try:
            self._sync(0)
            if not self._is_abandoned:
                redo_path(self._path).unlink(missing_ok=True)
            if not self._is_abandoned and self._survives_power_cut:
                sync_directory(self._path.parent)  # it must not come back beside a file that has gone on
        finally:
            self.close()

    def abandon(self) -> None:
        """Keep this process from ever touching the file again; HDF5 goes on with it in memory."""
        self._is_abandoned = True

    def close(self) -> None:
        """Close the descriptors without syncing; may be called again."""
        if not self.closed:
            os.close(self._descriptor)
            os.close(self._log)
        super().close()


_all: weakref.WeakSet[CrashSafeFile] = weakref.WeakSet()


def abandon_all() -> None:
    """Keep this process from ever touching any of its files again."""
    for file in list(_all):
        file.abandon()


def _do_not_wait(descriptor: int) -> None:
    """What has been written belongs to the operating system, which does not die with a process."""
