"""The path of a recording as a user gives it, and the files beside it: their names, and how to open one safely."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gym_h5record.errors import CorruptRecordingError

__all__ = [
    "closing_descriptor",
    "given_path",
    "has_journal",
    "journal_path",
    "lock_path",
    "open_regular",
    "open_unlinked",
    "partial_path",
    "redo_path",
    "spare_path",
]


def given_path(path: str | os.PathLike[str]) -> Path:
    """A path as a user gives it: ``~`` at its beginning is the home directory, as in a shell.

    Raises:
        TypeError: If it is neither text nor an object with a path as text.
    """
    if not isinstance(path, (str, os.PathLike)):
        # The types say that nothing else comes here; a user's program may not be type checked.
        advice = "; os.fsdecode(path) makes text of it" if isinstance(path, bytes) else ""  # type: ignore[unreachable]
        raise TypeError(f"a path is a str or a pathlib.Path, not {path!r:.80}{advice}")
    return Path(os.path.expanduser(path))  # noqa: PTH111  # Path.expanduser raises where there is no such user


def journal_path(recording: Path) -> Path:
    """The journal of a recording."""
    return recording.with_name(f"{recording.name}.journal")


def spare_path(recording: Path) -> Path:
    """A larger journal in the making, before it replaces the journal."""
    return recording.with_name(f"{recording.name}.journal.new")


def redo_path(recording: Path) -> Path:
    """The log of the changes that a commit is about to make."""
    return recording.with_name(f"{recording.name}.redo")


def lock_path(recording: Path) -> Path:
    """The lock of a recording."""
    return recording.with_name(f"{recording.name}.lock")


def partial_path(recording: Path) -> Path:
    """A file in the making, before it is renamed to the recording."""
    return recording.with_name(f"{recording.name}.partial")


def has_journal(recording: Path) -> bool:
    """Whether a file, link or directory has the name of the journal."""
    journal = journal_path(recording)
    return journal.is_symlink() or journal.exists()


def open_unlinked(path: Path, flags: int) -> int:
    """Open a regular file. A symbolic link is not followed, and a FIFO or a device does not block.

    Raises:
        OSError: As of ``os.open``; with ``ELOOP`` for a symbolic link, with ``EINVAL`` if it is not a regular file.
    """
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return descriptor


def open_regular(path: Path, flags: int, what: str = "journal") -> int:
    """Open a file beside a recording, as ``open_unlinked`` does. The error says ``what`` the file should be.

    Raises:
        CorruptRecordingError: If a symbolic link, a FIFO, a device or a directory has the name.
    """
    try:
        return open_unlinked(path, flags)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.EINVAL):
            raise
        kind = "it is a symbolic link" if error.errno == errno.ELOOP else "it is not a regular file"
        raise CorruptRecordingError(f"{path} is no {what}: {kind}") from error


@contextmanager
def closing_descriptor(descriptor: int) -> Iterator[int]:
    """Close a descriptor at the end of a ``with`` block."""
    try:
        yield descriptor
    finally:
        os.close(descriptor)
