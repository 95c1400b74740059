"""Where the files beside a recording lie, and how they are opened safely."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from gym_h5record.errors import CorruptRecordingError

__all__ = ["has_journal", "journal_path", "lock_path", "open_regular", "redo_path", "spare_path"]


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


def redo_path(recording: Path) -> Path:
    """Where the log of a recording's changes lies."""
    return recording.with_name(f"{recording.name}.redo")


def lock_path(recording: Path) -> Path:
    """Where the lock of a recording lies."""
    return recording.with_name(f"{recording.name}.lock")


def has_journal(path: Path) -> bool:
    """Whether there is anything where the journal of a recording would be."""
    journal = journal_path(path)
    return journal.is_symlink() or journal.exists()
