"""One writer per recording: an operating-system lock on ``<recording>.lock``.

The lock belongs to an open file, so the kernel drops it when the last process
that holds the file ends, however it ends; a lock file left behind by a dead
process means nothing. The recorder hands its descriptor to the writer process,
so the recording stays locked until both are gone.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from pathlib import Path

from gym_h5record.errors import RecordingInUseError, RecordingPathError
from gym_h5record.storage.paths import lock_path

__all__ = ["RecordingLock", "check_only_name", "is_locked", "occupy_standard_streams"]


_RETRY_S = 0.001
_OPEN_FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # whatever lies in its place is not followed
_GLANCE_S = 0.05  # somebody may only be looking, see is_locked


class RecordingLock:
    """An exclusive lock on a recording, held from construction to ``release``.

    Args:
        recording: Path of the recording.
        descriptor: An inherited descriptor that already holds the lock.
        patience_s: How long to wait for the lock: the writer of a recorder that
            was killed holds it until everything is in the file.

    Raises:
        RecordingInUseError: If somebody else holds the lock.
        OSError: If the lock file cannot be created.
    """

    def __init__(self, recording: Path, descriptor: int | None = None, *, patience_s: float = 0.0) -> None:
        self._path = lock_path(recording)
        self._descriptor: int | None = descriptor
        if descriptor is None:
            self._descriptor = self._acquire(recording, patience_s)

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
        """Close the descriptor only: whoever else holds it keeps the lock."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    @property
    def is_current(self) -> bool:
        """Whether the lock file is still this one: whoever gives a recording up removes it."""
        return self._descriptor is not None and _names_open_file(self._path, self._descriptor)

    def _acquire(self, recording: Path, patience_s: float) -> int:
        occupy_standard_streams()  # whoever has a lock is about to open what it writes
        deadline_s = time.monotonic() + max(patience_s, _GLANCE_S)
        while True:
            descriptor = os.open(self._path, _OPEN_FLAGS | os.O_RDWR | os.O_CREAT, 0o644)
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                os.close(descriptor)
                raise OSError(errno.EINVAL, "not a regular file", str(self._path))
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # The last holder may have unlinked the name between our two calls.
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
    """Make sure that a file has no other name, by which nobody would see its lock.

    Raises:
        RecordingPathError: If it has hard links.
    """
    if recording.stat().st_nlink > 1:
        raise RecordingPathError(
            f"{recording} has other names (hard links), by one of which it may be being recorded; what is changed "
            "would be changed under all of them. Copy the file, and go on with the copy."
        )


def is_locked(recording: Path) -> bool:
    """Whether a living process holds the lock of a recording."""
    try:
        descriptor = os.open(lock_path(recording), _OPEN_FLAGS | os.O_RDONLY)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO):
            return False  # nothing there, or nothing of ours
        raise
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


_NUM_STREAMS = 3


def occupy_standard_streams() -> None:
    """Open ``/dev/null`` in the place of standard streams that are closed, for as long as the process runs.

    The descriptors are not inherited: a program that is started finds them closed as before.
    """
    for stream in range(_NUM_STREAMS):
        try:
            os.fstat(stream)
        except OSError:  # noqa: PERF203  # three of them
            os.open(os.devnull, os.O_RDWR)  # the lowest descriptor that is free: this one
