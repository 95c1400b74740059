"""Writes a mask into a closed recording, so that a kill at any instant leaves the file with it or without it.

A file of moderate size is copied, and the copy takes its place: the recording is complete at every instant. A larger
file is changed in place through a redo log, as by appending. A kill within these milliseconds leaves it interrupted,
and ``repair`` completes it.
"""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

import numpy as np

from gym_h5record.storage.compaction import keep_owner
from gym_h5record.storage.empty_recording import LIBVER
from gym_h5record.storage.hdf5.atomic import atomic_path
from gym_h5record.storage.hdf5.new_file import NewFile
from gym_h5record.storage.hdf5.thread_lock import open_through_python
from gym_h5record.storage.mask_datasets import put_mask
from gym_h5record.storage.recording_file import RecordingFile

__all__ = ["write_mask"]

_COPIED_BYTES = 256 << 20  # copied in 0.3 s (docs/decisions/0017)


def write_mask(path: Path, name: str, numbers: np.ndarray) -> None:
    """Write a mask into a closed recording. The caller holds its lock, and has checked name and numbers.

    Args:
        path: The recording.
        name: The name of the mask. One that exists is replaced.
        numbers: The numbers of its episodes, rising, ``(n,)`` int64.

    Raises:
        CorruptRecordingError: If the file is damaged.
        OSError: If it cannot be written, for example because the disk is full. If the file was changed in place, it is
            left as by a kill.
    """
    (_write_copy if path.stat().st_size <= _COPIED_BYTES else _write_in_place)(path, name, numbers)


def _write_copy(path: Path, name: str, numbers: np.ndarray) -> None:
    with atomic_path(path) as new:
        shutil.copyfile(path, new)
        with closing(NewFile(new)) as stream:
            with open_through_python(stream, "r+", libver=LIBVER) as file:
                put_mask(file, name, numbers)
            stream.check()
        keep_owner(path, new)


def _write_in_place(path: Path, name: str, numbers: np.ndarray) -> None:
    file = RecordingFile(path, durable=True)
    try:
        file.check_closed()
        file.put_mask(name, numbers)
    except BaseException:
        file.discard()
        raise
    file.close()
