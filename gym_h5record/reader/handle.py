"""An open HDF5 file that may be pickled and forked: every process opens its own.

Also the doorkeeper: says clearly why a path is not a recording that can be read.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import h5py

from gym_h5record.errors import (
    CorruptRecordingError,
    InterruptedRecordingError,
    NotARecordingError,
    RecordingClosedError,
    RecordingInUseError,
    RecordingNotFoundError,
)
from gym_h5record.journal import journal_path
from gym_h5record.layout import check_format
from gym_h5record.lock import is_locked
from gym_h5record.superblock import cut_bytes, is_torn, read_superblock

__all__ = ["Handle"]


class Handle:
    """A recording opened for reading.

    Args:
        path: The recording.

    Raises:
        RecordingNotFoundError: If there is no file.
        NotARecordingError: If it is not HDF5, or not ours, or too new.
        RecordingInUseError: If it is being recorded right now.
        InterruptedRecordingError: If its recorder died.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._open()

    @property
    def file(self) -> h5py.File:
        """The open file of this process.

        Raises:
            RecordingClosedError: If ``close`` has been called.
        """
        if self._closed:
            raise RecordingClosedError(f"{self.path} has been closed.")
        if self._pid != os.getpid():  # a handle from before a fork is its parent's
            self._open()
        return self._file

    @property
    def generation(self) -> int:
        """Changes whenever the file has been opened anew."""
        return self._pid

    def close(self) -> None:
        """Close the file; reading is an error from here on."""
        self._closed = True
        if self._pid == os.getpid():
            self._file.close()

    def _open(self) -> None:
        _check_readable(self.path)
        # h5py's own defaults: HDF5 refuses a file that the process has open with other locking.
        try:
            file = h5py.File(self.path, "r")
        except OSError as error:
            if error.errno is not None:
                raise
            raise NotARecordingError(f"{self.path} cannot be opened as an HDF5 file: {error}") from error
        try:
            check_format(file, self.path)
        except BaseException:
            file.close()
            raise
        self._file = file
        self._closed = False
        self._pid = os.getpid()

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.path = state["path"]
        self._open()


def _check_readable(path: Path) -> None:
    interrupted = journal_path(path).exists()
    if not path.exists() and not interrupted:
        raise RecordingNotFoundError(f"there is no recording at {path}.")
    if path.exists() and not path.is_file():
        raise NotARecordingError(f"{path} is not a regular file.")
    if path.exists() and read_superblock(path) is None:
        raise NotARecordingError(f"{path} is not an HDF5 file.")
    if not interrupted and not is_torn(path):
        return
    if not interrupted and cut_bytes(path):
        raise CorruptRecordingError(f"{path} is cut short: {cut_bytes(path)} bytes are missing. Copy it again.")
    if is_locked(path):
        raise RecordingInUseError(f"{path} is being recorded; it can be read once its recorder has called close().")
    raise InterruptedRecordingError(
        f"{path} was left by a recorder that died. Everything it recorded is still there: bring it into the file "
        f'with gym_h5record.repair({str(path)!r}), or go on recording with mode="a".'
    )
