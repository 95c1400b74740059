"""The redo log of a crash-safe file: a commit writes its changes to the log before it makes them in place."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from isal import isal_zlib

from gym_h5record.storage.paths import closing_descriptor, open_regular, redo_path

__all__ = ["apply_changes", "logged_changes", "patch", "redo", "write_all", "write_log"]

_MAGIC = b"GH5REDO1"
_HEADER = struct.Struct("<8sQI")  # magic, bytes that follow, their CRC-32
_TARGET = struct.Struct("<QI")  # size of the file after the commit, its fingerprint
_CHANGE = struct.Struct("<QQ")  # offset, bytes
_FINGERPRINT_BYTES = 64 << 10
_MAX_BYTES = 1 << 60


@dataclass(frozen=True)
class _Log:
    """What a commit is about to do."""

    size_bytes: int  # of the file after the commit
    fingerprint: int  # CRC-32 of the end of the file, which tells it from another file of the same name
    changes: list[tuple[int, bytes]]  # what to write, by offset


def patch(view: memoryview, start: int, changes: Iterable[tuple[int, bytes]]) -> None:
    """Make changes, in their order, in bytes that were read from a file at ``start``."""
    for offset, data in changes:
        low, high = max(start, offset), min(start + len(view), offset + len(data))
        if low < high:
            view[low - start : high - start] = data[low - offset : high - offset]


def write_log(log: int, target: int, changes: list[tuple[int, bytes]], size_bytes: int) -> None:
    """Write to the log what a commit is about to do in the file ``target``, which then has ``size_bytes``."""
    body = b"".join(_CHANGE.pack(offset, len(data)) + data for offset, data in changes)
    body = _TARGET.pack(size_bytes, _fingerprint(target, size_bytes, changes)) + body
    write_all(log, memoryview(_HEADER.pack(_MAGIC, len(body), isal_zlib.crc32(body)) + body), 0)


def apply_changes(target: int, changes: list[tuple[int, bytes]], size_bytes: int) -> None:
    """Make changes in a file, in the order of writing: a reader that follows the file relies on it.

    After the last change the file gets the size ``size_bytes``.
    """
    for offset, data in changes:
        write_all(target, memoryview(data), offset)
    os.ftruncate(target, size_bytes)


def write_all(descriptor: int, data: memoryview, offset: int) -> None:
    """Write all of ``data`` at ``offset``; ``os.pwrite`` may write a part."""
    while data:
        written = os.pwrite(descriptor, data, offset)
        data, offset = data[written:], offset + written


def redo(path: Path) -> bool:
    """Make the changes of an interrupted commit, and remove the log.

    Safe to interrupt and to repeat. An incomplete log is removed only: its commit had not changed anything yet.

    Returns:
        Whether there was a complete log of this file.

    Raises:
        CorruptRecordingError: If the log is a link, a device or a directory.
        OSError: If the file or its log cannot be read or written.
    """
    log = _open_log(path)
    if log is not None:
        with closing_descriptor(os.open(path, os.O_RDWR)) as target:
            # The writer may have appended to the file since. Nothing refers to that yet, and it stays.
            apply_changes(target, log.changes, max(log.size_bytes, os.fstat(target).st_size))
            os.fdatasync(target)
    redo_path(path).unlink(missing_ok=True)
    return log is not None


def logged_changes(path: Path) -> list[tuple[int, bytes]]:
    """The changes in the log of a recording, by offset; none if ``redo`` would make none."""
    log = _open_log(path)
    return [] if log is None else log.changes


def _fingerprint(descriptor: int, size_bytes: int, changes: list[tuple[int, bytes]]) -> int:
    """CRC-32 of the end of a file after the commit; the same before, during and after the changes."""
    start = max(0, size_bytes - _FINGERPRINT_BYTES)
    view = memoryview(bytearray(size_bytes - start))
    os.preadv(descriptor, [view], start)
    patch(view, start, changes)
    return int(isal_zlib.crc32(view))


def _open_log(path: Path) -> _Log | None:
    """The log of a recording, None if there is none, or it is incomplete or of another file."""
    try:
        descriptor = open_regular(redo_path(path), os.O_RDONLY, "log of changes")
    except FileNotFoundError:
        return None
    with closing_descriptor(descriptor):
        log = _read_log(descriptor)
    if log is None:
        return None
    with closing_descriptor(os.open(path, os.O_RDONLY)) as target:
        is_ours = _fingerprint(target, log.size_bytes, log.changes) == log.fingerprint
    return log if is_ours else None


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
    is_within = all(offset + len(data) <= size_bytes for offset, data in changes)
    if at != len(body) or size_bytes > _MAX_BYTES or not is_within:
        return None
    return _Log(size_bytes, fingerprint, changes)
