"""An open HDF5 file that may be pickled and forked: every process opens its own.

Also the doorkeeper: says clearly why a path is not a recording that can be read.
"""

from __future__ import annotations

import os
import weakref
from contextlib import ExitStack, suppress
from enum import Enum
from pathlib import Path
from typing import Any

import h5py

from gym_h5record.errors import (
    CorruptRecordingError,
    InterruptedRecordingError,
    NotARecordingError,
    RecordingClosedError,
    RecordingError,
    RecordingInUseError,
    RecordingNotFoundError,
)
from gym_h5record.storage.format_checks import check_format, open_metadata
from gym_h5record.storage.hdf5.guarded_file import GuardedFile
from gym_h5record.storage.hdf5.objects import READ_ERRORS, open_attribute
from gym_h5record.storage.hdf5.redo_log import logged_changes
from gym_h5record.storage.hdf5.superblock import cut_bytes, is_torn
from gym_h5record.storage.hdf5.thread_lock import open_through_python
from gym_h5record.storage.paths import has_journal
from gym_h5record.storage.state import State, recording_state

__all__ = ["Access", "Handle"]


class Access(Enum):
    """Which recordings may be opened.

    Attributes:
        CLOSED: Only those that are whole.
        LIVE: Also those that are being made, up to their last commit.
        DAMAGED: Whatever is left of a recording that nobody is making.
    """

    CLOSED = "closed"
    LIVE = "live"
    DAMAGED = "damaged"


class Handle:
    """A recording opened for reading.

    Args:
        path: The recording.
        access: What it may be in the middle of.

    Attributes:
        path: The recording, links resolved: its journal and its lock lie beside the file itself.
        generation: Changes whenever the file has been opened anew.
        state: What the recording was when it was last opened.

    Raises:
        RecordingNotFoundError: If there is no file, or another one than before.
        NotARecordingError: If it is not HDF5, or not ours, or too new.
        CorruptRecordingError: If it has lost its end.
        RecordingInUseError: If it is being recorded right now.
        InterruptedRecordingError: If its recorder died.
    """

    state: State

    def __init__(self, path: Path, access: Access = Access.CLOSED) -> None:
        self.path = Path(os.path.realpath(path))
        self._access = access
        self._identity: tuple[int, int] | None = None
        self.generation = 0
        self._open()

    @property
    def file(self) -> h5py.File:
        """The open file of this process.

        Raises:
            RecordingClosedError: If ``close`` has been called.
        """
        self.check_open()
        if self._pid != os.getpid():  # a handle from before a fork is its parent's
            self.renew()
        return self._file

    def check_open(self) -> None:
        """Make sure that nobody has closed it, in whatever thread.

        Raises:
            RecordingClosedError: If so.
        """
        if not self._release.alive:
            raise RecordingClosedError(f"{self.path} has been closed.")

    def metadata(self) -> dict[str, Any]:
        """The attributes of ``/metadata``.

        Raises:
            CorruptRecordingError: If they cannot be read.
        """
        return open_metadata(self.file)

    def attribute(self, name: str) -> Any:
        """An attribute of the root.

        Raises:
            CorruptRecordingError: If it is missing, or cannot be read.
        """
        return open_attribute(self.file, name)

    @property
    def may_move(self) -> bool:
        """Whether somebody may write the file meanwhile: what cannot be read now may be readable in a moment."""
        return self._access is Access.LIVE

    @property
    def size_bytes(self) -> int:
        """Size of the file."""
        return self.path.stat().st_size

    def renew(self) -> None:
        """Open the file again, to see what has been written since.

        Raises:
            RecordingError: As when it is opened first; it then stays open as it was.
        """
        self.check_open()
        release = self._release
        self._open()
        release()

    def close(self) -> None:
        """Close the file; reading is an error from here on."""
        self._release()

    def _open(self) -> None:
        while True:
            state = recording_state(self.path)
            self._check(state)
            try:
                self._open_as(state)
            except RecordingError:
                if recording_state(self.path) is state:  # otherwise somebody has begun to write, or has ended
                    raise
            else:
                return

    def _open_as(self, state: State) -> None:
        is_whole = state is State.CLOSED and self._access is not Access.DAMAGED
        with ExitStack() as opened:
            file, descriptor = self._open_file(opened, is_whole=is_whole)
            opened.callback(_close, file)
            check_format(file, self.path)
            self._check_identity(descriptor)
            # HDF5 calls what it reads from when it is done with it. At the end of the process that must
            # not be after the end of Python, which would crash.
            self._release = weakref.finalize(self, opened.pop_all().close)
        self._file = file
        self._pid = os.getpid()
        self.state = state
        self.generation += 1

    def _open_file(self, opened: ExitStack, *, is_whole: bool) -> tuple[h5py.File, int]:
        """Open it for HDF5 to read through Python, with a look at every block that comes by."""
        if not self.path.exists():
            raise RecordingNotFoundError(f"{self.path} has not been written yet: only its journal is there.")
        # Nobody else would finish what an interrupted sync had begun; a living writer does it himself.
        changes = logged_changes(self.path) if self._access is Access.DAMAGED else []
        try:
            unclosed = opened.enter_context(GuardedFile(self.path, changes, is_closed=is_whole))
        except NotARecordingError as error:
            raise NotARecordingError(f"{self.path} is not a recording: {error}.") from error
        if is_whole and is_torn(self.path):  # HDF5 would not mind; whoever has called looks once more
            raise CorruptRecordingError(f"{self.path} has not been closed.")
        try:
            return open_through_python(unclosed, "r"), unclosed.fileno()
        except READ_ERRORS as error:
            kind = NotARecordingError if is_whole else CorruptRecordingError
            raise kind(f"{self.path} cannot be opened as an HDF5 file: {error}") from error

    def _check_identity(self, descriptor: int) -> None:
        status = os.fstat(descriptor)
        identity = status.st_dev, status.st_ino
        if self._identity not in (None, identity):
            raise RecordingNotFoundError(f"{self.path} has been replaced by another recording. Open it again.")
        self._identity = identity

    def _check(self, state: State) -> None:
        if self._access is Access.DAMAGED:
            return
        if state is State.LIVE and self._access is not Access.LIVE:
            raise RecordingInUseError(
                f"{self.path} is being recorded; it can be read once its recorder has called close(), "
                "and until then with live=True."
            )
        if state is State.CUT_SHORT:
            raise CorruptRecordingError(
                f"{self.path} is cut short: {cut_bytes(self.path)} bytes are missing. Copy it again, or save what is "
                f"left of it with `gym-h5record repair {self.path} --salvage FILE`."
            )
        if state is State.INTERRUPTED and not has_journal(self.path):
            raise InterruptedRecordingError(
                f"{self.path} was left by a recorder that died, or is a copy of a file that was being recorded, and "
                "its journal is not beside it: copy that as well if there is one. To do without it, complete the file "
                f"with gym_h5record.repair({str(self.path)!r}) or `gym-h5record repair {self.path}`, or go on "
                'recording with mode="a".'
            )
        if state is State.INTERRUPTED:
            raise InterruptedRecordingError(
                f"{self.path} was left by a recorder that died. Everything it recorded is still there: bring it into "
                f"the file with gym_h5record.repair({str(self.path)!r}) or `gym-h5record repair {self.path}`, or go on "
                'recording with mode="a".'
            )

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "access": self._access}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.path, self._access = state["path"], state["access"]
        self._identity = None
        self.generation = 0
        self._open()


def _close(file: h5py.File) -> None:
    """Close a file that has only been read: if HDF5 cannot, because of what it has read, nothing is lost."""
    with suppress(*READ_ERRORS):
        file.close()
