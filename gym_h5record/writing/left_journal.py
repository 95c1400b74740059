"""A journal that a dead recorder left: opened once, for repair, resume and validation alike."""

from __future__ import annotations

import struct
from pathlib import Path

from gym_h5record.errors import CorruptRecordingError, RecordingExistsError, RecordingNotFoundError
from gym_h5record.writing.journal import Journal
from gym_h5record.writing.journal_format import Control

__all__ = ["DRAIN_ERRORS", "boot_id", "check_belongs", "is_outlived"]


_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """A text that is another one after every start of the machine; empty where there is none to be had."""
    try:
        return _BOOT_ID.read_text("ascii").strip()
    except OSError:
        return ""


def is_outlived(journal: Journal) -> bool:
    """Whether the machine has been restarted since a recording with ``durability="power"`` was made.

    What is in such a journal may be half there; what was synced is in the file.
    """
    header = journal.header
    return header.get("durability") == "power" and header.get("boot_id") != boot_id()


def check_belongs(path: Path, journal: Journal, journal_id: str | None, rows: int) -> bool:
    """Make sure that a journal goes with the file at its path.

    Args:
        path: The recording.
        journal: Its journal, laid out.
        journal_id: The journal that was last drained into the file, None if there is no file.
        rows: Committed rows of the file.

    Returns:
        Whether to drain into that file; otherwise a new one has to be made.

    Raises:
        RecordingExistsError: If another file has taken the path meanwhile.
        RecordingNotFoundError: If the file has vanished.
        CorruptRecordingError: If the journal continues another file, or another state of it.
    """
    header, name = journal.header, journal.path.name
    if journal_id == header["journal_id"]:
        head, tail = journal.control[Control.HEAD], journal.control[Control.TAIL]
        if not tail <= rows <= head:  # one of them has been copied earlier than the other, or put back
            raise CorruptRecordingError(
                f"the journal {name} has rows {tail} to {head}, {path} has {rows}: they are not of the same instant."
            )
        return True
    if header["creates"]:
        if journal_id is not None and not header["replaces"]:
            raise RecordingExistsError(f"{path} is another recording than the one its journal {name} is for.")
        if journal.control[Control.TAIL] > header["first_row"]:
            raise RecordingNotFoundError(f"{path} has vanished; its journal {name} continues it.")
        return False
    if journal_id is None:
        raise RecordingNotFoundError(f"{path} has vanished; its journal {name} continues it.")
    if rows != header["first_row"]:
        raise CorruptRecordingError(
            f"the journal {name} continues a recording of {header['first_row']} rows, {path} has {rows}."
        )
    return True


DRAIN_ERRORS = (ValueError, TypeError, LookupError, ArithmeticError, MemoryError, RuntimeError, struct.error)
"""What draining makes of a damaged journal; ``CorruptRecordingError`` is a ``ValueError``."""
