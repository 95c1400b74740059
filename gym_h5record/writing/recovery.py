"""Opening a recording to drain into it, new, closed, or left by a dead recorder.

Recovery is the normal way of writing done once more: mend the superblock,
drain what is in the journal, close the torn episode as incomplete.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gym_h5record.errors import CorruptRecordingError, NotARecordingError, RecordingError, RecordingExistsError
from gym_h5record.format.schema import Schema
from gym_h5record.format.schema_json import schema_from_json
from gym_h5record.storage.hdf5.atomic import sync_directory
from gym_h5record.storage.hdf5.codecs import make_codec
from gym_h5record.storage.hdf5.redo_log import redo
from gym_h5record.storage.hdf5.superblock import clear_write_flags, cut_bytes, is_torn
from gym_h5record.storage.lock import check_only_name
from gym_h5record.storage.paths import has_journal, journal_path, redo_path, spare_path
from gym_h5record.storage.recording_file import RecordingFile, create_file
from gym_h5record.writing.drain import Drain
from gym_h5record.writing.index_writer import close_open_episode, next_start
from gym_h5record.writing.journal import Journal
from gym_h5record.writing.journal_format import has_rows, is_unfinished
from gym_h5record.writing.left_journal import DRAIN_ERRORS, check_belongs, is_outlived
from gym_h5record.writing.options import exists_error

__all__ = ["PATIENCE_S", "Existing", "finish", "is_interrupted", "open_drain", "recover_locked"]


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


@dataclass(frozen=True)
class Existing:
    """A recording that is being appended to."""

    schema: Schema
    rows: int
    metadata: Mapping[str, Any]


def _clear_path(path: Path, mode: str) -> Existing | None:
    """Make sure that the mode allows what is about to happen.

    Returns:
        The recording to append to, or None if a new one is to be made.
    """
    if mode == "x" and path.exists():
        raise exists_error(path)
    if mode == "x" and has_rows(journal_path(path)):
        raise RecordingExistsError(
            f'an interrupted recording has left {journal_path(path)}. Record with mode="a" to bring it into '
            'the file and go on, or with mode="w" to throw it away.'
        )
    if mode == "a" and is_interrupted(path):
        recover_locked(path)
    for leftover in (journal_path(path), redo_path(path)):
        leftover.unlink(missing_ok=True)
    if mode != "a" or not path.exists():
        return None
    check_only_name(path)
    file = RecordingFile(path)
    try:
        file.check_closed()
        if next_start(file) != file.rows:  # a recording that has been closed has no row behind its episodes
            raise CorruptRecordingError(f"{path}: the last episode does not end with the last of {file.rows} rows")
        return Existing(file.schema, file.rows, file.metadata())
    finally:
        file.close()
