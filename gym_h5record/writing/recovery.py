"""Open a recording to drain into it: a new one, a closed one, or one that a dead recorder left.

Recovery is the same work as the writer's: clear the write flags in the superblock, drain the journal, close the open
episode as incomplete.
"""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

from gym_h5record.errors import CorruptRecordingError, NotARecordingError
from gym_h5record.format import names as fmt
from gym_h5record.format.lanes import address
from gym_h5record.format.schema_json import schema_from_json
from gym_h5record.storage.compaction import compact
from gym_h5record.storage.hdf5.atomic import sync_directory
from gym_h5record.storage.hdf5.codecs import make_codec
from gym_h5record.storage.hdf5.redo_log import redo
from gym_h5record.storage.hdf5.superblock import clear_write_flags, cut_bytes, is_torn
from gym_h5record.storage.lock import check_only_name
from gym_h5record.storage.paths import has_journal, journal_path, partial_path, redo_path, spare_path
from gym_h5record.storage.recording_file import RecordingFile, create_file
from gym_h5record.writing.drains import AnyDrain, close_running, ends_with_episodes, make_drain
from gym_h5record.writing.journal import Journal
from gym_h5record.writing.journal_control import is_unfinished
from gym_h5record.writing.left_journal import check_belongs, damage_as_corrupt, is_outlived, open_left_journal
from gym_h5record.writing.options import Existing

__all__ = ["existing_recording", "finish", "is_interrupted", "open_drain", "recover_locked"]

_MAX_ELAPSED_NS = 1 << 62  # 146 years; later times still fit into int64


def is_interrupted(path: Path) -> bool:
    """Whether the recording has not been closed: its recorder died, or is still recording."""
    return has_journal(path) or (path.exists() and is_torn(path))


def recover_locked(path: Path) -> None:
    """Bring the rows that a dead recorder left into the file, close it and compact it.

    A recording that was closed is not changed. The caller holds the lock.
    """
    if _recover(path):
        compact(path)


def _recover(path: Path) -> bool:
    """``recover_locked`` without compaction. Returns whether the recording had not been closed."""
    if path.exists() and is_torn(path) and not has_journal(path):
        check_only_name(path)  # with hard links the journal may lie beside another name
    for leftover in (spare_path(path), partial_path(path)):
        leftover.unlink(missing_ok=True)
    was_interrupted = path.exists() and is_interrupted(path)
    if was_interrupted:
        redo(path)
    left = open_left_journal(path)
    if left is not None and not is_outlived(left):
        _drain_left(path, left)
    elif path.exists() and (left is not None or is_torn(path) or _has_unfinished_journal(path)):
        _close_as_it_is(path)
    journal_path(path).unlink(missing_ok=True)
    redo_path(path).unlink(missing_ok=True)
    return was_interrupted or left is not None


def _has_unfinished_journal(path: Path) -> bool:
    return has_journal(path) and is_unfinished(journal_path(path))


def _close_as_it_is(path: Path) -> None:
    """Complete a file that has no journal to drain. A power cut at any instant leaves a file that can be repaired."""
    if is_torn(path):
        _check_whole(path)
        journal_path(path).touch()  # marks the file as incomplete, because the mended superblock no longer does
        sync_directory(path.parent)
        _mend(path)
    file = RecordingFile(path, durable=True)
    try:
        file.check_complete()
        close_running(file)
    except BaseException:
        file.discard()
        raise
    file.close()


def _drain_left(path: Path, journal: Journal) -> None:
    """Drain a left journal. Its positions are checked, but its rows may be damaged."""
    with damage_as_corrupt(f"the journal {journal.path} cannot be drained"):
        drain, file = open_drain(path, journal)
        try:
            file.check_complete()
            finish(drain, file)
        except BaseException:
            file.discard()
            raise


def open_drain(path: Path, journal: Journal) -> tuple[AnyDrain, RecordingFile]:
    """Open the recording that a journal belongs to, or create it, and prepare to drain.

    Raises:
        RecordingExistsError: If another file has taken the path meanwhile.
        CorruptRecordingError: If the journal does not fit the file.
    """
    header = journal.header
    journal_id = header["journal_id"]
    durable = header.get("durability") == "power"
    file = _open_existing(path, must_be_recording=not header["replaces"], durable=durable)
    try:
        is_ours = check_belongs(path, journal, file.journal_id if file else None, file.committed if file else None)
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
    return make_drain(journal, file), file


def finish(drain: AnyDrain, file: RecordingFile) -> None:
    """Drain the last rows, close the open episode as incomplete, close the file."""
    drain.run(is_last=True)
    close_running(file)
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
        return None  # mode "w" replaces any file


def existing_recording(path: Path) -> Existing | None:
    """Recover the recording at a path if needed, and describe it for appending; None if there is no file.

    Raises:
        CorruptRecordingError: If rows lie behind its last episode, or a column is too short.
        RecordingPathError: If the file has hard links: another recorder may be writing it by another name.
    """
    if is_interrupted(path):
        _recover(path)
    for leftover in (journal_path(path), redo_path(path), partial_path(path)):
        leftover.unlink(missing_ok=True)
    if not path.exists():
        return None
    check_only_name(path)
    file = RecordingFile(path)
    try:
        file.check_closed()
        if not ends_with_episodes(file):
            raise CorruptRecordingError(f"{path}: the last episode does not end with the last of {file.rows} rows")
        return Existing(file.schema, file.rows, file.metadata(), _elapsed_ns(file))
    finally:
        file.close()


def _elapsed_ns(file: RecordingFile) -> int:
    """Nanoseconds since the recording began: by the wall clock, but not less than the time of its last row."""
    if not file.schema.times or not file.rows:
        return 0
    last_rows = (address(lane, rows) for lane, rows in enumerate(file.committed.lane_rows) if rows)
    last_ns = max(int(file.read(fmt.TIMES, row - 1, row)[0]) for row in last_rows)
    if not 0 <= last_ns <= _MAX_ELAPSED_NS:
        raise CorruptRecordingError(f"/{fmt.TIMES} of the last row is {last_ns}: no recording lasts so long.")
    try:
        began = datetime.fromisoformat(str(file.metadata().get("created_at")))
        wall_ns = int((datetime.now(timezone.utc) - began).total_seconds() * 1e9)
    except (ValueError, TypeError):  # not a time, or one without a zone: another program has written it
        return last_ns
    return max(last_ns, wall_ns) if wall_ns <= _MAX_ELAPSED_NS else last_ns
