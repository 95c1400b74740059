"""Journals as files: where they lie, and what can be said of one without mapping it."""

from __future__ import annotations

import errno
import os
import stat
import struct
from pathlib import Path

from gym_h5record.errors import CorruptRecordingError

__all__ = ["HEADER_AT", "MAGIC", "has_rows", "is_unfinished", "journal_path", "open_regular", "spare_path"]

MAGIC = int.from_bytes(b"GH5RJRN1", "little")
"""The first control word of a journal."""

HEADER_AT = 2 * 4096
"""Where the JSON header begins, behind the control words and the writer's error."""

_FIRST_WORDS = struct.Struct("=2Q")  # magic, and the bytes of the header: 0 until the rows have a layout


def is_unfinished(path: Path) -> bool:
    """Whether the recorder died while it made the journal: there can be no row in it."""
    with os.fdopen(open_regular(path, os.O_RDONLY), "rb") as file:
        return not any(file.read(HEADER_AT)) or os.fstat(file.fileno()).st_size < HEADER_AT


def has_rows(path: Path) -> bool:
    """Whether there is a journal in which there can be rows: one that was laid out, or whatever else lies there."""
    if not os.path.lexists(path):
        return False
    try:
        with os.fdopen(open_regular(path, os.O_RDONLY), "rb") as file:
            first = file.read(HEADER_AT)
    except CorruptRecordingError:
        return True
    return any(first) and (len(first) < HEADER_AT or _FIRST_WORDS.unpack_from(first) != (MAGIC, 0))


def open_regular(path: Path, flags: int) -> int:
    """Open a journal, but not what a link, a FIFO or a device in its place leads to.

    Raises:
        FileNotFoundError: If there is none.
        CorruptRecordingError: If something else is in its place.
    """
    try:
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise CorruptRecordingError(f"{path} is no journal but a symbolic link") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise CorruptRecordingError(f"{path} is no journal: it is not a regular file")
    return descriptor


def spare_path(recording: Path) -> Path:
    """Where a larger journal is made before it takes the place of the journal."""
    return recording.with_name(f"{recording.name}.journal.new")


def journal_path(recording: Path) -> Path:
    """Where the journal of a recording lies."""
    return recording.with_name(f"{recording.name}.journal")
