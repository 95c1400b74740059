"""The redo log of a crash-safe file: changes are logged before they are made in place."""

from __future__ import annotations

import errno
import os
import stat
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from isal import isal_zlib

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.storage.paths import redo_path

__all__ = ["logged_changes", "patch", "redo"]


_MAGIC = b"GH5REDO1"
_HEADER = struct.Struct("<8sQI")  # magic, bytes that follow, their CRC-32
_TARGET = struct.Struct("<QI")  # size of the file when all is done, its fingerprint
_CHANGE = struct.Struct("<QQ")  # offset, bytes
_FINGERPRINT_BYTES = 64 << 10
_MAX_BYTES = 1 << 60


def patch(view: memoryview, start: int, changes: Iterable[tuple[int, bytes]]) -> None:
    """Put changes into what was read of a file at ``start``, in their order."""
    for offset, data in changes:
        low, high = max(start, offset), min(start + len(view), offset + len(data))
        if low < high:
            view[low - start : high - start] = data[low - offset : high - offset]


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


def _write_all(descriptor: int, data: memoryview, offset: int) -> None:
    while data:
        written = os.pwrite(descriptor, data, offset)
        data, offset = data[written:], offset + written
