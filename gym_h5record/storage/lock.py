"""One writer per recording: an operating-system lock on ``<recording>.lock``.

The lock belongs to the open file. The recorder and its writer process share one descriptor, so the recording stays
locked until both have ended, and the kernel drops the lock however they end. A lock file that a dead process left
behind is not locked.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from pathlib import Path

from gym_h5record.errors import RecordingInUseError, RecordingPathError
from gym_h5record.storage.paths import closing_descriptor, lock_path, open_unlinked

__all__ = ["RecordingLock", "check_only_name", "is_locked", "occupy_standard_streams"]

_RETRY_S = 0.001
_GLANCE_S = 0.2
"""The least time to wait for the lock: ``is_locked`` holds it for an instant, longer if its thread has to wait then."""
_NO_LOCK = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.EINVAL)
"""Errors of opening a lock file that is missing, or is a link, a socket, a FIFO or a device."""


class RecordingLock:
    """An exclusive lock on a recording, held from construction to ``release``.

    Args:
        recording: The recording.
        descriptor: An inherited descriptor that already holds the lock.
        patience_s: How long to wait for the lock. The writer of a killed recorder holds it until all rows are in
            the file.

    Raises:
        RecordingInUseError: If another process, or another lock of this process, holds it.
    """

    def __init__(self, recording: Path, descriptor: int | None = None, *, patience_s: float = 0.0) -> None:
        self._path = lock_path(recording)
        self._descriptor: int | None = self._acquire(recording, patience_s) if descriptor is None else descriptor

    @property
    def descriptor(self) -> int:
        """The descriptor that holds the lock, to be passed to a child process."""
        if self._descriptor is None:
            raise RecordingInUseError(f"the lock on {self._path} has been released")
        return self._descriptor

    def release(self) -> None:
        """Remove the lock file and give the lock up; may be called again."""
        if self._descriptor is not None:
            self._path.unlink(missing_ok=True)
            self.forget()

    def forget(self) -> None:
        """Close the descriptor only. Another process with a copy of it keeps the lock."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    @property
    def is_current(self) -> bool:
        """Whether the lock file on the disk is this one. ``release``, in any process, removes the file."""
        return self._descriptor is not None and _names_open_file(self._path, self._descriptor)

    def _acquire(self, recording: Path, patience_s: float) -> int:
        occupy_standard_streams()  # the holder of a lock opens the files that it writes next
        deadline_s = time.monotonic() + max(patience_s, _GLANCE_S)
        while True:
            descriptor = open_unlinked(self._path, os.O_RDWR | os.O_CREAT)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # The last holder may have removed the file between our open and our flock.
                if _names_open_file(self._path, descriptor):
                    return descriptor
            except BlockingIOError as error:
                if time.monotonic() >= deadline_s:
                    os.close(descriptor)
                    raise RecordingInUseError(
                        f"{recording} is being recorded: its lock {self._path.name} is held by a living process. "
                        "Wait for it, or record to another path."
                    ) from error
                time.sleep(_RETRY_S)
            os.close(descriptor)


def _names_open_file(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def check_only_name(recording: Path) -> None:
    """Refuse a file with hard links. The lock lies beside one of its names, and does not protect the others."""
    if recording.stat().st_nlink > 1:
        raise RecordingPathError(
            f"{recording} has other names (hard links). It may be being recorded under one of them, and a change "
            "here changes the file under all of them. Copy the file, and go on with the copy."
        )


def is_locked(recording: Path) -> bool:
    """Whether a living process holds the lock of a recording."""
    try:
        descriptor = open_unlinked(lock_path(recording), os.O_RDONLY)
    except OSError as error:
        if error.errno in _NO_LOCK:
            return False
        raise
    with closing_descriptor(descriptor):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def occupy_standard_streams() -> None:
    """Open ``/dev/null`` for each standard stream that is closed, until the process ends.

    Otherwise the next file that this process opens gets the number of a standard stream, and a ``print`` writes into
    it. A program that this process starts does not inherit them: its streams are closed as before.
    """
    for stream in (0, 1, 2):
        try:
            os.fstat(stream)
        except OSError:  # noqa: PERF203  # at most three times
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this stream's
