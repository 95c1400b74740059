"""Opening a recording to drain into it, new, closed, or left by a dead recorder.

Recovery is the normal way of writing done once more: mend the superblock,
drain what is in the journal, close the torn episode as incomplete.
"""

from __future__ import annotations

from pathlib import Path

from gym_h5record.atomic import sync_directory
from gym_h5record.boot import boot_id
from gym_h5record.codecs import make_codec
from gym_h5record.durable_file import redo, redo_path
from gym_h5record.errors import (
    CorruptRecordingError,
    NotARecordingError,
    RecordingError,
    RecordingExistsError,
    RecordingNotFoundError,
)
from gym_h5record.journal import Control, Journal, is_unfinished, journal_path, spare_path
from gym_h5record.layout import RecordingFile, create_file
from gym_h5record.lock import check_only_name
from gym_h5record.schema_json import schema_from_json
from gym_h5record.state import has_journal
from gym_h5record.superblock import clear_write_flags, cut_bytes, is_torn
from gym_h5record.writer.drain import Drain
from gym_h5record.writer.index import close_open_episode
from gym_h5record.writer.rehearsal import DRAIN_ERRORS

__all__ = ["PATIENCE_S", "check_belongs", "finish", "is_interrupted", "is_outlived", "open_drain", "recover_locked"]

PATIENCE_S = 2.0
"""How long to wait for the writer of a dead recorder to finish its work."""


def is_interrupted(path: Path) -> bool:
    """Whether a recorder left the recording without closing it, or is still at it."""
    return has_journal(path) or (path.exists() and is_torn(path))


def recover_locked(path: Path) -> None:
    """Bring everything an interrupted recorder left into the file and close it.

    Does nothing to a recording that was closed. The caller holds the lock.
    """
    if path.exists() and is_torn(path) and not has_journal(path):
        check_only_name(path)  # the journal would be beside the name that it is recorded by
    spare_path(path).unlink(missing_ok=True)
    journal_file = journal_path(path)
    if path.exists() and is_interrupted(path):
        redo(path)
    is_empty = has_journal(path) and is_unfinished(journal_file)
    journal = Journal.open(journal_file) if has_journal(path) and not is_empty else None
    has_rows = journal is not None and journal.is_laid_out
    if journal is not None and has_rows and not is_outlived(journal):
        _drain_left(path, journal)
    elif path.exists() and (is_empty or has_rows or is_torn(path)):
        _close_as_it_is(path)
    journal_file.unlink(missing_ok=True)
    redo_path(path).unlink(missing_ok=True)


def is_outlived(journal: Journal) -> bool:
    """Whether the machine has been restarted since a recording with ``durability="power"`` was made.

    What is in such a journal may be half there; what was synced is in the file.
    """
    header = journal.header
    return header.get("durability") == "power" and header.get("boot_id") != boot_id()


def _close_as_it_is(path: Path) -> None:
    """Complete a file that has no journal to bring in, in a way that a power cut does not harm either."""
    if is_torn(path):
        _check_whole(path)
        journal_path(path).touch()  # as long as nothing in the file says any more that it is not complete
        sync_directory(path.parent)
        _mend(path)
    file = RecordingFile(path, durable=True)
    try:
        file.check_complete()
        close_open_episode(file)
    except BaseException:
        file.discard()
        raise
    file.close()


def _drain_left(path: Path, journal: Journal) -> None:
    """Drain a journal that may be anybody's, and damaged."""
    try:
        journal.check_positions()
        drain, file = open_drain(path, journal)
        try:
            file.check_complete()
            finish(drain, file)
        except BaseException:
            file.discard()
            raise
    except DRAIN_ERRORS as error:
        if isinstance(error, RecordingError):
            raise
        raise CorruptRecordingError(f"the journal {journal.path} cannot be drained: {error!r:.200}") from error


def open_drain(path: Path, journal: Journal) -> tuple[Drain, RecordingFile]:
    """Open the recording that a journal belongs to, or create it, and start draining.

    Raises:
        RecordingExistsError: If another file has taken the path meanwhile.
        CorruptRecordingError: If the journal does not fit the file.
    """
    header = journal.header
    journal_id = header["journal_id"]
    durable = header.get("durability") == "power"
    file = _open_existing(path, must_be_recording=not header["replaces"], durable=durable)
    try:
        is_ours = check_belongs(path, journal, file.journal_id if file else None, file.rows if file else 0)
    except BaseException:
        if file is not None:
            file.close()
        raise
    if file is None or not is_ours:
        if file is not None:
            file.close()
        create_file(
            path,
            schema_from_json(header["schema"]),
            make_codec(*header["codec"]),
            fps=header["fps"],
            metadata=header["metadata"],
            journal_id=journal_id,
            checksum=header.get("checksum", False),
        )
        file = RecordingFile(path, durable=durable)
    file.start(journal_id)
    return Drain(journal, file), file


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


def finish(drain: Drain, file: RecordingFile) -> None:
    """Drain the last rows, close the open episode as incomplete, close the file."""
    drain.run()
    close_open_episode(file)
    file.close()


def _check_whole(path: Path) -> None:
    if cut_bytes(path):
        raise CorruptRecordingError(
            f"{path} is cut short: {cut_bytes(path)} bytes are missing. Copy it again, or save what is left of it "
            f"with `gym-h5record repair {path} --salvage FILE`."
        )


def _mend(path: Path) -> None:
    _check_whole(path)
    clear_write_flags(path)


def _open_existing(path: Path, *, must_be_recording: bool, durable: bool) -> RecordingFile | None:
    if not path.exists():
        return None
    try:
        if is_torn(path):
            _mend(path)
        return RecordingFile(path, durable=durable)
    except (NotARecordingError, CorruptRecordingError, OSError):
        if must_be_recording:
            raise
        return None  # mode "w" replaces whatever is there
