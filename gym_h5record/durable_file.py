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

import errno
import io
import os
import stat
import struct
import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isal import isal_zlib

from gym_h5record.atomic import sync_directory
from gym_h5record.blocks import check_block
from gym_h5record.errors import CorruptRecordingError
from gym_h5record.superblock import marked_live

__all__ = ["DurableFile", "abandon_all", "logged_changes", "patch", "redo", "redo_path"]

_MAGIC = b"GH5REDO1"
_HEADER = struct.Struct("<8sQI")  # magic, bytes that follow, their CRC-32
_TARGET = struct.Struct("<QI")  # size of the file when all is done, its fingerprint
_CHANGE = struct.Struct("<QQ")  # offset, bytes
_FINGERPRINT_BYTES = 64 << 10
_MAX_BYTES = 1 << 60


class DurableFile(io.RawIOBase):
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


_all: weakref.WeakSet[DurableFile] = weakref.WeakSet()


def abandon_all() -> None:
    """Keep this process from ever touching any of its files again."""
    for file in list(_all):
        file.abandon()


def patch(view: memoryview, start: int, changes: Iterable[tuple[int, bytes]]) -> None:
    """Put changes into what was read of a file at ``start``, in their order."""
    for offset, data in changes:
        low, high = max(start, offset), min(start + len(view), offset + len(data))
        if low < high:
            view[low - start : high - start] = data[low - offset : high - offset]


def redo_path(recording: Path) -> Path:
    """Where the log of a recording's changes lies."""
    return recording.with_name(f"{recording.name}.redo")


def redo(path: Path) -> bool:
    """Write the changes of an interrupted ``sync`` to their places, and remove the log.

    Safe to interrupt and to repeat. A log that is not whole is of a ``sync`` that
    had not changed anything yet.

    Returns:
        Whether there was anything to write.

    Raises:
        CorruptRecordingError: If something else than a file lies in the place of the log.
        OSError: If the file or its log cannot be read or written.
    """
    log = _open_log(path)
    if log is not None:
        target = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            # What has been written behind the end since stays: nothing refers to it.
            _apply(target, log.changes, max(log.size_bytes, os.fstat(target).st_size))
            os.fdatasync(target)
        finally:
            os.close(target)
    redo_path(path).unlink(missing_ok=True)
    return log is not None


def logged_changes(path: Path) -> list[tuple[int, bytes]]:
    """The changes in the log of a recording, by offset; none if the log is not whole, or not this file's.

    Raises:
        CorruptRecordingError: If something else than a file lies in the place of the log.
        OSError: If the log is there and cannot be read.
    """
    log = _open_log(path)
    return [] if log is None else log.changes


@dataclass(frozen=True)
class _Log:
    """What a ``sync`` is about to do.

    Attributes:
        size_bytes: Size of the file when it is done.
        fingerprint: What then tells the file from others that have come to its place.
        changes: What to write, by offset.
    """

    size_bytes: int
    fingerprint: int
    changes: list[tuple[int, bytes]]


def _fingerprint(descriptor: int, size_bytes: int, changes: list[tuple[int, bytes]]) -> int:
    """CRC-32 of the end of a file, as it will be; the same whether none, some or all of the changes are made."""
    start = max(0, size_bytes - _FINGERPRINT_BYTES)
    view = memoryview(bytearray(size_bytes - start))
    os.preadv(descriptor, [view], start)
    patch(view, start, changes)
    return int(isal_zlib.crc32(view))


def _pack_log(log: _Log) -> bytes:
    body = b"".join(_CHANGE.pack(offset, len(data)) + data for offset, data in log.changes)
    body = _TARGET.pack(log.size_bytes, log.fingerprint) + body
    return _HEADER.pack(_MAGIC, len(body), isal_zlib.crc32(body)) + body


def _open_log(path: Path) -> _Log | None:
    """The log of a recording, None if there is none that is whole and about this file."""
    log_path = redo_path(path)
    try:
        descriptor = os.open(log_path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise CorruptRecordingError(f"{log_path} is no log of changes but a symbolic link") from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise CorruptRecordingError(f"{log_path} is no log of changes: it is not a regular file")
        log = _read_log(descriptor)
    finally:
        os.close(descriptor)
    return log if log is not None and _is_about(path, log) else None


def _is_about(path: Path, log: _Log) -> bool:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return _fingerprint(descriptor, log.size_bytes, log.changes) == log.fingerprint
    finally:
        os.close(descriptor)


def _read_log(descriptor: int) -> _Log | None:
    header = os.pread(descriptor, _HEADER.size, 0)
    if len(header) < _HEADER.size:
        return None
    magic, body_bytes, crc = _HEADER.unpack(header)
    if magic != _MAGIC or not _TARGET.size <= body_bytes <= os.fstat(descriptor).st_size:
        return None
    body = os.pread(descriptor, body_bytes, _HEADER.size)
    if len(body) != body_bytes or isal_zlib.crc32(body) != crc:
        return None
    size_bytes, fingerprint = _TARGET.unpack_from(body)
    changes, at = [], _TARGET.size
    while at + _CHANGE.size <= len(body):
        offset, length = _CHANGE.unpack_from(body, at)
        at += _CHANGE.size
        changes.append((offset, body[at : at + length]))
        at += length
    is_sound = at == len(body) and size_bytes <= _MAX_BYTES
    is_sound = is_sound and all(offset + len(data) <= size_bytes for offset, data in changes)
    return _Log(size_bytes, fingerprint, changes) if is_sound else None


def _apply(descriptor: int, changes: list[tuple[int, bytes]], size_bytes: int) -> None:
    # In the order of writing, as a reader who follows has to see them.
    for offset, data in changes:
        _write_all(descriptor, memoryview(data), offset)
    os.ftruncate(descriptor, size_bytes)


def _do_not_wait(descriptor: int) -> None:
    """What has been written belongs to the operating system, which does not die with a process."""


def _write_all(descriptor: int, data: memoryview, offset: int) -> None:
    while data:
        written = os.pwrite(descriptor, data, offset)
        data, offset = data[written:], offset + written
