"""A recording opened for reading, or an error that says why it cannot be read.

A ``Handle`` may be pickled and forked: every process opens the file anew.
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
from gym_h5record.storage.hdf5.superblock import is_torn
from gym_h5record.storage.hdf5.thread_lock import open_through_python
from gym_h5record.storage.paths import has_journal
from gym_h5record.storage.state import State, cut_short_error, recording_state

__all__ = ["Access", "Handle"]

_IDENTITY = ("run_id", "created_at")
"""Attributes of ``/metadata`` that tell recordings apart. They never change."""


class Access(Enum):
    """Which recordings may be opened.

    Attributes:
        CLOSED: Only complete ones.
        LIVE: Also those that are being made, up to their last commit.
        DAMAGED: Also those that are interrupted, cut short or damaged.
    """

    CLOSED = "closed"
    LIVE = "live"
    DAMAGED = "damaged"


class Handle:
    """A recording opened for reading.

    Args:
        path: The recording.
        access: In which states it may be.

    Attributes:
        path: The recording, links resolved: its journal and its lock lie beside the file itself.
        stamp: Stands for this opening of the file: another one after ``renew``, None after ``close``, and None in a
            forked child until it opens the file for itself. To compare it takes a tenth of ``check_open``.
        state: The state of the recording when it was last opened.
        num_envs: Lanes of a vector recording, None if it is none.

    Raises:
        RecordingNotFoundError: If there is no file, or that of another recording than before.
        NotARecordingError: If it is not HDF5, not a recording, or of a newer version.
        CorruptRecordingError: If it has lost its end.
        RecordingInUseError: If it is being recorded.
        InterruptedRecordingError: If its recorder died.
    """

    def __init__(self, path: Path, access: Access = Access.CLOSED) -> None:
        self.path = Path(os.path.realpath(path))
        self._access = access
        self._is_known = False  # whether the file has been opened before
        self.stamp: object | None = None
        self._open()
        _handles.add(self)

    @property
    def file(self) -> h5py.File:
        """The open file of this process, as HDF5 reads it."""
        self._open_in_this_process()
        return self._file

    @property
    def guarded(self) -> GuardedFile:
        """The open file of this process, to be read without HDF5."""
        self._open_in_this_process()
        return self._guarded

    def _open_in_this_process(self) -> None:
        self.check_open()
        if self.stamp is None:  # opened before a fork, by the parent
            self.renew()

    def check_open(self) -> None:
        """Raise a ``RecordingClosedError`` if any thread has closed it."""
        if not self._release.alive:
            raise RecordingClosedError(f"{self.path} has been closed.")

    def metadata(self) -> dict[str, Any]:
        """The attributes of ``/metadata``."""
        return open_metadata(self.file)

    def attribute(self, name: str) -> Any:
        """An attribute of the root."""
        return open_attribute(self.file, name)

    @property
    def may_move(self) -> bool:
        """Whether a writer may change the file meanwhile: a block that cannot be read now may be complete soon."""
        return self._access is Access.LIVE

    @property
    def size_bytes(self) -> int:
        """Size of the open file; another one may have its name by now."""
        self.check_open()
        return self._guarded.size_bytes()

    def renew(self) -> None:
        """Open the file again, to see what has been written since.

        Raises:
            RecordingError: As of the constructor. The file then stays open as it was.
        """
        self.check_open()
        release = self._release
        self._open()
        release()

    def close(self) -> None:
        """Close the file. Reading from it is an error from now on."""
        self.stamp = None
        self._release()

    def _open(self) -> None:
        while True:
            state = recording_state(self.path)
            self._check(state)
            try:
                self._open_as(state)
            except RecordingError:
                if recording_state(self.path) is state:  # else a writer has begun or ended meanwhile: look again
                    raise
            else:
                return

    def _open_as(self, state: State) -> None:
        is_whole = state is State.CLOSED and self._access is not Access.DAMAGED
        with ExitStack() as opened:
            file, guarded = self._open_file(opened, is_whole=is_whole)
            opened.callback(_close, file)
            self.num_envs = check_format(file, self.path)
            if self._is_known and not self._continues(file, guarded):
                raise RecordingNotFoundError(f"{self.path} has been replaced by another recording. Open it again.")
            # HDF5 calls the Python file object when it closes the file. weakref.finalize closes it before Python ends;
            # a file closed later crashes the process (docs/decisions/0009).
            self._release = weakref.finalize(self, opened.pop_all().close)
        self._file, self._guarded = file, guarded
        self.state = state
        self._is_known = True
        self.stamp = object()

    def _continues(self, file: h5py.File, guarded: GuardedFile) -> bool:
        """Whether the file that now has the name is the one that was open, or what compaction made of it."""
        if os.path.samestat(os.fstat(self._guarded.fileno()), os.fstat(guarded.fileno())):
            return True
        one, other = ({name: open_metadata(each).get(name) for name in _IDENTITY} for each in (self._file, file))
        return one == other and None not in one.values()

    def _open_file(self, opened: ExitStack, *, is_whole: bool) -> tuple[h5py.File, GuardedFile]:
        """Open it for HDF5 through a ``GuardedFile``, which checks every block that HDF5 reads."""
        if not self.path.exists():
            raise RecordingNotFoundError(f"{self.path} has not been written yet: only its journal is there.")
        # An interrupted commit is shown as if it were finished. A living writer finishes its commits itself.
        changes = logged_changes(self.path) if self._access is Access.DAMAGED else []
        try:
            guarded = opened.enter_context(GuardedFile(self.path, changes, is_closed=is_whole))
        except NotARecordingError as error:
            raise NotARecordingError(f"{self.path} is not a recording: {error}.") from error
        if is_whole and is_torn(self.path):  # a writer has begun since recording_state; _open looks again
            raise CorruptRecordingError(f"{self.path} has not been closed.")
        try:
            return open_through_python(guarded, "r"), guarded
        except READ_ERRORS as error:
            kind = NotARecordingError if is_whole else CorruptRecordingError
            raise kind(f"{self.path} cannot be opened as an HDF5 file: {error}") from error

    def _check(self, state: State) -> None:
        if self._access is Access.DAMAGED:
            return
        if state is State.LIVE and self._access is not Access.LIVE:
            raise RecordingInUseError(
                f"{self.path} is being recorded; it can be read once its recorder has called close(), "
                "and until then with live=True."
            )
        if state is State.CUT_SHORT:
            raise cut_short_error(self.path)
        if state is State.INTERRUPTED:
            raise self._interrupted_error()

    def _interrupted_error(self) -> InterruptedRecordingError:
        if has_journal(self.path):
            advice = ". Everything it recorded is still there: bring it into the file"
        else:
            advice = (
                ", or is a copy of a file that was being recorded, and its journal is not beside it. Copy the journal "
                "as well if there is one. To do without it, complete the file"
            )
        return InterruptedRecordingError(
            f"{self.path} was left by a recorder that died{advice} with gym_h5record.repair({str(self.path)!r}) or "
            f'`gym-h5record repair {self.path}`, or go on recording with mode="a".'
        )

    def __reduce__(self) -> tuple[type[Handle], tuple[Path, Access]]:
        return Handle, (self.path, self._access)


_handles: weakref.WeakSet[Handle] = weakref.WeakSet()


def _forget_after_fork() -> None:
    for handle in _handles:
        handle.stamp = None


os.register_at_fork(after_in_child=_forget_after_fork)


def _close(file: h5py.File) -> None:
    """Close a file that was only read. If HDF5 fails because of damaged blocks, no data is lost."""
    with suppress(*READ_ERRORS):
        file.close()
