"""Opening a recording to drain into it, new, closed, or left by a dead recorder.

Recovery is the normal way of writing done once more: mend the superblock,
drain what is in the journal, close the torn episode as incomplete.
"""

from __future__ import annotations

import os
from pathlib import Path

from gym_h5record.codecs import make_codec
from gym_h5record.errors import CorruptRecordingError, NotARecordingError, RecordingExistsError, RecordingNotFoundError
from gym_h5record.journal import Control, Journal, is_unfinished, journal_path, spare_path
from gym_h5record.layout import RecordingFile, create_file
from gym_h5record.lock import RecordingLock
from gym_h5record.schema_json import schema_from_json
from gym_h5record.superblock import clear_write_flags, cut_bytes, is_torn
from gym_h5record.writer.drain import Drain
from gym_h5record.writer.index import close_open_episode

__all__ = ["PATIENCE_S", "finish", "is_interrupted", "open_drain", "recover", "recover_locked"]

PATIENCE_S = 2.0
"""How long to wait for the writer of a dead recorder to finish its work."""


def is_interrupted(path: Path) -> bool:
    """Whether a recorder left the recording without closing it, or is still at it."""
    return journal_path(path).exists() or (path.exists() and is_torn(path))


def recover(path: str | os.PathLike[str]) -> None:
    """Bring everything an interrupted recorder left into the file and close it.

    Does nothing to a recording that was closed.

    Raises:
        RecordingInUseError: If the recorder, or its writer, is still alive.
        RecordingNotFoundError: If there is neither a file nor a journal.
    """
    target = Path(path)
    if not target.exists() and not journal_path(target).exists():
        raise RecordingNotFoundError(f"{target} does not exist, nor does a journal of it.")
    lock = RecordingLock(target, patience_s=PATIENCE_S)
    try:
        recover_locked(target)
    finally:
        lock.release()


def recover_locked(path: Path) -> None:
    """``recover`` for a caller that holds the lock."""
    spare_path(path).unlink(missing_ok=True)
    journal_file = journal_path(path)
    if journal_file.is_file() and is_unfinished(journal_file):
        journal_file.unlink()
    if journal_file.exists():
        journal = Journal.open(journal_file)
        if journal.is_laid_out:
            finish(*open_drain(path, journal))
        journal_file.unlink()
    elif path.exists() and is_torn(path):
        _mend(path)
        file = RecordingFile(path)
        close_open_episode(file)
        file.close()


def open_drain(path: Path, journal: Journal) -> tuple[Drain, RecordingFile]:
    """Open the recording that a journal belongs to, or create it, and start draining.

    Raises:
        RecordingExistsError: If another file has taken the path meanwhile.
        CorruptRecordingError: If the journal does not fit the file.
    """
    header = journal.header
    journal_id = header["journal_id"]
    file = _open_existing(path, must_be_recording=not header["replaces"])
    if file is not None and file.journal_id != journal_id and header["creates"]:
        file.close()
        file = None
        if not header["replaces"]:
            raise RecordingExistsError(
                f"{path} is another recording than the one its journal {journal.path.name} is for."
            )
    if file is None:
        if not header["creates"] or journal.control[Control.TAIL] > header["first_row"]:
            raise RecordingNotFoundError(f"{path} has vanished; its journal {journal.path.name} continues it.")
        create_file(
            path,
            schema_from_json(header["schema"]),
            make_codec(*header["codec"]),
            fps=header["fps"],
            metadata=header["metadata"],
            journal_id=journal_id,
        )
        file = RecordingFile(path)
    if file.journal_id != journal_id and file.rows != header["first_row"]:
        rows = file.rows
        file.close()
        raise CorruptRecordingError(
            f"the journal {journal.path.name} continues a recording of {header['first_row']} rows, {path} has {rows}."
        )
    file.start(journal_id)
    return Drain(journal, file), file


def finish(drain: Drain, file: RecordingFile) -> None:
    """Drain the last rows, close the open episode as incomplete, close the file."""
    drain.run()
    close_open_episode(file)
    file.close()


def _mend(path: Path) -> None:
    if cut_bytes(path):
        raise CorruptRecordingError(f"{path} is cut short: {cut_bytes(path)} bytes are missing. Copy it again.")
    clear_write_flags(path)


def _open_existing(path: Path, *, must_be_recording: bool) -> RecordingFile | None:
    if not path.exists():
        return None
    try:
        if is_torn(path):
            _mend(path)
        return RecordingFile(path)
    except (NotARecordingError, CorruptRecordingError, OSError):
        if must_be_recording:
            raise
        return None  # mode "w" replaces whatever is there
