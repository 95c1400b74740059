"""Is a recording being made, closed, or left by a recorder that died?

Told from outside, by the superblock, the journal and the lock; nothing is
opened with HDF5, nothing is changed.
"""

from __future__ import annotations

from enum import Enum
from pathlib import Path

from gym_h5record.errors import NotARecordingError, RecordingNotFoundError
from gym_h5record.storage.hdf5.superblock import cut_bytes, is_torn, read_superblock
from gym_h5record.storage.lock import is_locked
from gym_h5record.storage.paths import has_journal

__all__ = ["State", "recording_state"]


class State(Enum):
    """What may be done with a recording.

    Attributes:
        CLOSED: It is whole and nobody is writing it.
        LIVE: A living process holds its lock: a recorder, its writer, or a repair.
        INTERRUPTED: Whoever was writing it died.
        CUT_SHORT: It has lost its end since it was closed, perhaps in a copy.
    """

    CLOSED = "closed"
    LIVE = "live"
    INTERRUPTED = "interrupted"
    CUT_SHORT = "cut short"


def recording_state(path: Path, *, is_ours: bool = False) -> State:
    """The state of the recording at ``path``, of which perhaps only the journal is there yet.

    Args:
        path: The recording.
        is_ours: Whether the caller holds its lock.

    Raises:
        RecordingNotFoundError: If there is neither a file nor a journal.
        NotARecordingError: If the file is not HDF5, and no journal says that one will take its place.
    """
    # Twice: one recorder may have ended, and another one begun, between two of our looks.
    for _ in range(2):
        if not _is_unclosed(path):
            return State.CLOSED
        if not is_ours and is_locked(path):
            return State.LIVE
    if not _is_unclosed(path):  # its writer has completed it meanwhile
        return State.CLOSED
    return State.INTERRUPTED if has_journal(path) or not cut_bytes(path) else State.CUT_SHORT


def _is_unclosed(path: Path) -> bool:
    if not path.exists():
        if has_journal(path):
            return True
        raise RecordingNotFoundError(f"there is no recording at {path}.")
    if not path.is_file():
        raise NotARecordingError(f"{path} is not a regular file.")
    if has_journal(path):  # perhaps of a recorder that replaces whatever is there
        return True
    if read_superblock(path) is None:
        raise NotARecordingError(f"{path} is not an HDF5 file.")
    return is_torn(path)
