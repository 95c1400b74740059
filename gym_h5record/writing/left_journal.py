"""Open and check a journal that a dead recorder left, for repair, appending and validation.

The file may be damaged, a copy, or no journal at all. Its rows count only after ``open_left_journal`` has checked that
they lie in the rings, and ``check_belongs`` that they continue the recording beside it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from gym_h5record.errors import CorruptRecordingError, RecordingError, RecordingExistsError, RecordingNotFoundError
from gym_h5record.format.claims import Commit, LaneCommit
from gym_h5record.limits import MAX_VALUE_BYTES
from gym_h5record.storage.paths import has_journal, journal_path
from gym_h5record.writing.journal import Journal
from gym_h5record.writing.journal_control import Control, is_unfinished
from gym_h5record.writing.journal_rows import BLOB_ENDS

__all__ = [
    "DRAIN_ERRORS",
    "boot_id",
    "check_belongs",
    "check_positions",
    "damage_as_corrupt",
    "is_outlived",
    "open_left_journal",
]

DRAIN_ERRORS = (ValueError, TypeError, LookupError, ArithmeticError, MemoryError, RuntimeError, struct.error)
"""The errors that reading a damaged journal raises; ``CorruptRecordingError`` is a ``ValueError``."""

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_HEADER_TYPES: dict[str, Any] = {"journal_id": str, "creates": bool, "replaces": bool, "schema": str}
_HEADER_TYPES |= {"codec": list, "fps": (float, int), "metadata": dict}


def boot_id() -> str:
    """A text that changes with every start of the machine; empty if the system has none."""
    try:
        return _BOOT_ID.read_text("ascii").strip()
    except OSError:
        return ""


def open_left_journal(recording: Path) -> Journal | None:
    """Open the journal beside a recording whose recorder died.

    Returns:
        The journal; None if there is none, or one without a layout and so without rows. ``check_positions`` has passed,
        but for a journal that ``is_outlived``.

    Raises:
        CorruptRecordingError: If it is no journal, or damaged.
        OSError: If it cannot be read.
    """
    path = journal_path(recording)
    if not has_journal(recording) or is_unfinished(path):
        return None
    with damage_as_corrupt(f"the header of {path} cannot be read"):
        journal = Journal.open(path)
        if not journal.is_laid_out:
            return None
        if not is_outlived(journal):
            check_positions(journal)
    return journal


@contextmanager
def damage_as_corrupt(message: str) -> Iterator[None]:
    """Turn any of the ``DRAIN_ERRORS`` from the block into a ``CorruptRecordingError`` with this message."""
    try:
        yield
    except RecordingError:
        raise
    except DRAIN_ERRORS as error:
        raise CorruptRecordingError(f"{message}: {error!r:.200}") from error


def is_outlived(journal: Journal) -> bool:
    """Whether the journal is of a recording with ``durability="power"``, and the machine has started again since.

    After a power cut some pages of the journal may be missing on the disk. The synced rows are in the file.
    """
    header = journal.header
    return header.get("durability") == "power" and header.get("boot_id") != boot_id()


def check_positions(journal: Journal) -> None:
    """Check that the rows and segments that wait in a journal lie in its rings.

    Raises:
        CorruptRecordingError: If they do not, or the header has a value of a wrong type.
    """
    path, header, control, columns = journal.path, journal.header, journal.control, journal.columns
    for name, kind in _HEADER_TYPES.items():
        if name in header and not isinstance(header[name], kind):
            raise CorruptRecordingError(f"the header of {path} has {name}={header[name]!r:.80}")
    head, tail, first = control[Control.HEAD], control[Control.TAIL], header["first_row"]
    if type(first) is not int or not 0 <= first <= tail <= head < 1 << 62 or head - tail > journal.capacity_rows:
        raise CorruptRecordingError(f"{path} claims rows {tail} to {head} of a ring of {journal.capacity_rows}")
    ends = [journal.blob_start(tail)] + [int(columns[BLOB_ENDS][row & journal.mask]) for row in range(tail, head)]
    if ends != sorted(ends) or ends[-1] - ends[0] > journal.blob_bytes:
        raise CorruptRecordingError(f"{path} claims segments that do not follow each other")
    used_bytes = ends[-1] - ends[0] + (head - tail) * sum(column[0].nbytes for column in columns.values())
    if used_bytes > journal.stored_bytes + MAX_VALUE_BYTES:  # a copy may have holes in the place of zeros
        raise CorruptRecordingError(f"{path} claims {used_bytes} bytes, and has {journal.stored_bytes}")
    for name, column in columns.items():
        is_bool = column.dtype.kind == "b" and head > tail
        if is_bool and journal.take(name, tail, head).view(np.uint8).max(initial=0) > 1:
            raise CorruptRecordingError(f"{path} has booleans for /{name} that are neither true nor false")


def check_belongs(path: Path, journal: Journal, journal_id: str | None, committed: Commit | LaneCommit | None) -> bool:
    """Check that a journal belongs to the file at its path.

    Args:
        path: The recording.
        journal: Its journal, laid out.
        journal_id: The journal that was last drained into the file, None if there is no file.
        committed: What is committed in the file, None if there is no file.

    Returns:
        True if the journal is drained into that file, False if a new file has to be made.

    Raises:
        RecordingExistsError: If another file has taken the path meanwhile.
        RecordingNotFoundError: If the file has vanished.
        CorruptRecordingError: If the journal continues another file, or another state of it.
    """
    header, name = journal.header, journal.path.name
    if journal_id == header["journal_id"]:
        head, tail = journal.control[Control.HEAD], journal.control[Control.TAIL]
        reached = 0 if committed is None else committed.head
        if not tail <= reached <= head:  # one of the two files is an older copy
            raise CorruptRecordingError(
                f"the journal {name} has rows {tail} to {head}, {path} has {reached}: they are not of the same "
                "instant. One of the two files is an older copy."
            )
        return True
    if header["creates"]:
        if journal_id is not None and not header["replaces"]:
            raise RecordingExistsError(f"{path} is another recording than the one its journal {name} is for.")
        if journal.control[Control.TAIL] > header["first_row"]:
            raise RecordingNotFoundError(f"{path} has vanished; its journal {name} continues it.")
        return False
    if journal_id is None or committed is None:
        raise RecordingNotFoundError(f"{path} has vanished; its journal {name} continues it.")
    if committed.rows != header["first_row"]:
        raise CorruptRecordingError(
            f"the journal {name} continues a recording of {header['first_row']} rows, {path} has {committed.rows}."
        )
    return True
