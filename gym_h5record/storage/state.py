"""Is a recording being made, closed, or left by a recorder that died?

The journal, the lock and the superblock tell. HDF5 is not called, and nothing is changed.
"""

from __future__ import annotations

from enum import Enum
from pathlib import Path

from gym_h5record.errors import CorruptRecordingError, NotARecordingError, RecordingNotFoundError
from gym_h5record.storage.hdf5.superblock import cut_bytes, read_superblock
from gym_h5record.storage.lock import is_locked
from gym_h5record.storage.paths import has_journal

__all__ = ["State", "cut_short_error", "cut_short_text", "recording_state"]


class State(Enum):
    """What may be done with a recording.

    Attributes:
        CLOSED: It is complete, and no process is writing it.
        LIVE: A living process holds its lock: a recorder, its writer, or a repair.
        INTERRUPTED: The process that was writing it died.
        CUT_SHORT: It has lost its end since it was closed, perhaps in a copy.
    """

    CLOSED = "closed"
    LIVE = "live"
    INTERRUPTED = "interrupted"
    CUT_SHORT = "cut short"


def cut_short_text(missing_bytes: int) -> str:
    """What is wrong with a recording that is ``State.CUT_SHORT``, for a message."""
    return f"{missing_bytes} bytes are missing at its end: it was cut short after it had been closed"


def cut_short_error(path: Path) -> CorruptRecordingError:
    """The error for a recording that is ``State.CUT_SHORT``, with what to do about it."""
    return CorruptRecordingError(
        f"{path}: {cut_short_text(cut_bytes(path))}. Copy it again, or save what is left of it with "
        f"`gym-h5record repair {path} --salvage FILE`."
    )


def recording_state(path: Path, *, is_ours: bool = False) -> State:
    """The state of a recording. While it is being made, it may consist of a journal without a file.

    If ``is_ours``, the caller holds its lock, so the lock says nothing about other processes.

    Raises:
        RecordingNotFoundError: If there is neither a file nor a journal.
        NotARecordingError: If the file is not HDF5, and no journal says that a recording will replace it.
    """
    # Each pass looks at the file, then at the lock. Two passes: one recorder may end, and another one begin, between
    # the two looks of a pass. The last look is for a writer that has closed the file meanwhile.
    for _ in range(0 if is_ours else 2):
        if _unlocked_state(path) is State.CLOSED:
            return State.CLOSED
        if is_locked(path):
            return State.LIVE
    return _unlocked_state(path)


def _unlocked_state(path: Path) -> State:
    """The state of a recording whose lock no process holds, by one look at its journal and its superblock."""
    if not path.exists():
        if has_journal(path):
            return State.INTERRUPTED
        raise RecordingNotFoundError(f"there is no recording at {path}.")
    if not path.is_file():
        raise NotARecordingError(f"{path} is not a regular file.")
    if has_journal(path):  # its recorder may be about to replace the file, whatever it is: mode "w"
        return State.INTERRUPTED
    superblock = read_superblock(path)
    if superblock is None:
        raise NotARecordingError(f"{path} is not an HDF5 file.")
    if not superblock.is_torn:
        return State.CLOSED
    return State.CUT_SHORT if superblock.cut_bytes else State.INTERRUPTED
