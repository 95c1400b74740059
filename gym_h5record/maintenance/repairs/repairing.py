"""``repair``: complete a recording whose recorder died, or say why that is impossible.

``gym_h5record.writing.recovery`` does the work: it drains the journal as a writer does, may be killed at any instant
and run again. Before that, ``diagnosis`` rehearses it, so a file that cannot be completed is not touched. ``salvaging``
then saves the readable rows.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from gym_h5record.display import counted
from gym_h5record.errors import (
    CorruptRecordingError,
    RecordingError,
    RecordingInUseError,
    RecordingNotFoundError,
    RecordingPathError,
    WriterError,
)
from gym_h5record.maintenance.repairs.diagnosis import Diagnosis, diagnose, problem_text
from gym_h5record.maintenance.repairs.salvaged_episodes import OnProgress
from gym_h5record.maintenance.repairs.salvaging import check_can_be_made
from gym_h5record.maintenance.repairs.salvaging import salvage as salvage_rows
from gym_h5record.maintenance.validation.problems import Severity, reason
from gym_h5record.maintenance.validation.validator import validate
from gym_h5record.storage.hdf5.superblock import is_torn
from gym_h5record.storage.lock import RecordingLock
from gym_h5record.storage.paths import given_path, has_journal, lock_path, partial_path, redo_path, spare_path
from gym_h5record.storage.state import State, recording_state
from gym_h5record.writing.claim import PATIENCE_S
from gym_h5record.writing.recovery import recover_locked
from gym_h5record.writing.write_failures import WRITE_ERRORS

__all__ = ["RepairReport", "RowCount", "repair"]

_DAMAGED = "damaged"
_REPAIRABLE = ("interrupted", "cut-short")  # codes of problems that ``diagnose`` deals with


@dataclass(frozen=True)
class RowCount:
    """How many rows, in how many episodes.

    Attributes:
        rows: Rows, one per observation.
        episodes: Episodes, incomplete ones included.
        bytes: Bytes in memory, before compression. For damaged files without values of varying size.
    """

    rows: int = 0
    episodes: int = 0
    bytes: int = 0


@dataclass(frozen=True)
class RepairReport:
    """What ``repair`` found, what it did, and what the recording holds now.

    Attributes:
        found: ``"closed"``, ``"interrupted"`` or ``"damaged"``.
        num_steps: Steps in the file. After a dry run, steps that a repair would leave. Of a damaged file, steps that
            it claims.
        num_episodes: Episodes, likewise; the last one may be incomplete.
        recovered: Rows that only the journal had, and episodes that the index did not have. Rows of the file whose
            episode had been discarded count against them.
        lost: Of a damaged file, committed rows that cannot be read and episodes that are not whole any more. Of an
            interrupted one, rows in a journal that a power cut made worthless.
        actions: What was done, in words; after a dry run, what would be done.
        problem: Why a damaged file cannot be repaired, "" otherwise.
        readable: Of a damaged file, the rows that can be read, and the episodes that they make.
        salvaged: The file that they were copied to.
        without_journal: Whether an interrupted file has no journal beside it, as in a copy. It is then unknown whether
            the journal had more rows.
    """

    found: str
    num_steps: int = 0
    num_episodes: int = 0
    recovered: RowCount = RowCount()
    lost: RowCount = RowCount()
    actions: tuple[str, ...] = ()
    problem: str = ""
    readable: RowCount = RowCount()
    salvaged: Path | None = None
    without_journal: bool = False

    @property
    def ok(self) -> bool:
        """Whether the recording is whole; after a dry run, whether a repair would make it whole."""
        return not self.problem


def repair(
    path: str | os.PathLike[str],
    *,
    dry_run: bool = False,
    salvage: str | os.PathLike[str] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> RepairReport:
    """Complete a recording whose recorder, writer, or both were killed.

    Afterwards the file has every step that had returned, and the episode that was running is closed as incomplete. A
    closed recording is not changed. Neither is one that is damaged beyond repair: the report says why, and how much of
    it can be read. ``repair`` may be killed at any instant and run again.

    Args:
        path: The recording.
        dry_run: Change nothing, and report what would be done.
        salvage: A file to make. Every row of the recording is then read, and if any is damaged, all readable rows are
            copied into this file, lane by lane if it is a vector recording. Without it, only the structure of the
            recording is checked, which is fast.
        on_progress: While rows are read one by one, called again and again with the number of rows read and the number
            of all rows. It may raise to stop.

    Raises:
        RecordingInUseError: If its recorder, or its writer, is still alive.
        RecordingNotFoundError: If there is neither a file nor a journal.
        NotARecordingError: If the file is not HDF5, not a recording, or too new.
        RecordingExistsError: If the file to salvage into exists.
        RecordingPathError: If the file to salvage into cannot be made, or the recording cannot be changed.
        WriterError: If writing fails, for example because the disk is full. Nothing is lost.
    """
    target = Path(os.path.realpath(given_path(path)))
    try:
        state = recording_state(target)
    except RecordingNotFoundError:  # perhaps its recorder was killed when it had only the lock
        if not dry_run:
            _remove_leftovers(target)
        raise
    if state is State.CLOSED and not dry_run:
        _remove_leftovers(target)
    if salvage is not None:
        salvage = given_path(salvage)
        check_can_be_made(salvage)
    if state is State.LIVE and dry_run:
        raise RecordingInUseError(f"{target} is being recorded: there is nothing to repair.")
    if dry_run or state in (State.CLOSED, State.CUT_SHORT):  # nothing is changed, so no lock is needed
        return _report(target, state, salvage, on_progress, dry_run=dry_run)
    lock = _lock(target)
    try:
        return _report(target, recording_state(target, is_ours=True), salvage, on_progress, dry_run=False)
    finally:
        lock.release()


def _remove_leftovers(path: Path) -> None:
    """Remove what a killed compaction or repair left beside a closed recording, and a lock that no process holds."""
    leftovers = (partial_path(path), redo_path(path), spare_path(path))
    if any(map(os.path.lexists, (*leftovers, lock_path(path)))):
        with suppress(RecordingInUseError, OSError):  # it still runs, or nothing can be changed in the directory
            lock = RecordingLock(path)
            try:
                if recording_state(path, is_ours=True) is State.CLOSED:  # else a recorder has come meanwhile, and died
                    for each in leftovers:
                        each.unlink(missing_ok=True)
            finally:
                lock.release()


def _lock(path: Path) -> RecordingLock:
    try:
        return RecordingLock(path, patience_s=PATIENCE_S)
    except RecordingError:
        raise
    except OSError as error:
        raise RecordingPathError(
            f"cannot repair {path}: {error.strerror}: {error.filename}. Its directory has to be writable."
        ) from error


def _report(
    path: Path, state: State, salvage: str | os.PathLike[str] | None, on_progress: OnProgress | None, *, dry_run: bool
) -> RepairReport:
    report = _foresee(path, state)
    if report.found == State.INTERRUPTED.value and not dry_run:
        report = _recover(path, report)
    if salvage is not None and report.ok and path.exists():
        problem = _first_error(path, on_progress)
        report = replace(report, found=_DAMAGED, problem=problem) if problem else report
    return report if report.ok else _with_readable(report, path, salvage, on_progress, dry_run=dry_run)


# Interrupted recordings -------------------------------------------------------------------------------


def _foresee(path: Path, state: State) -> RepairReport:
    """Report what a repair would do. Nothing is changed."""
    diagnosis = diagnose(path)
    if diagnosis.problem or state is State.CLOSED:
        found = _DAMAGED if diagnosis.problem else state.value
        return RepairReport(found, diagnosis.num_steps, diagnosis.num_episodes, problem=diagnosis.problem)
    return _foresee_recovery(path, diagnosis)


def _foresee_recovery(path: Path, diagnosis: Diagnosis) -> RepairReport:
    actions = []
    is_new = diagnosis.journal_id is None
    if is_new and diagnosis.journal is not None:
        actions.append("make the file, in the place of another one" if path.exists() else "make the file")
    elif not is_new and diagnosis.journal is None and is_torn(path):
        actions.append("clear the marks of its writer in the superblock and set the end of the file")
    rows, episodes = diagnosis.rows_after, diagnosis.episodes_after
    if rows > diagnosis.num_rows:
        actions.append(f"bring in {counted(rows - diagnosis.num_rows, 'row')} that only the journal has")
    if diagnosis.newly_discarded:
        actions.append(f"leave out {counted(diagnosis.newly_discarded, 'discarded episode')}")
    if diagnosis.running_after == 1:
        actions.append("close the episode that was running as incomplete")
    elif diagnosis.running_after:
        actions.append(f"close the {diagnosis.running_after} episodes that were running as incomplete")
    without_journal = not has_journal(path)
    if without_journal:
        actions.append("do without the journal, which is not there")
    elif diagnosis.outlived is not None:
        actions.append("remove the journal, which the machine did not have time to save before it stopped")
    else:
        actions.append("remove the journal")
    return RepairReport(
        State.INTERRUPTED.value,
        rows - episodes,
        episodes,
        recovered=RowCount(
            max(rows - diagnosis.num_rows, 0),  # fewer where the file has rows of an episode that has been discarded
            max(episodes - diagnosis.num_episodes, 0),
            diagnosis.journal_bytes,
        ),
        lost=RowCount(diagnosis.outlived_rows),
        actions=tuple(actions),
        without_journal=without_journal,
    )


def _recover(path: Path, report: RepairReport) -> RepairReport:
    """Do what the report foresees. ``diagnose`` has rehearsed it, so the file then holds what the report says."""
    try:
        recover_locked(path)
    except CorruptRecordingError as error:  # damage that the diagnosis did not find
        return RepairReport(_DAMAGED, report.num_steps, report.num_episodes, problem=reason(error, path))
    except RecordingError:
        raise
    except WRITE_ERRORS as error:
        raise WriterError(
            f"cannot repair {path}: {' '.join(str(error).split())}. Nothing is lost; once the cause is gone, "
            f"run it again: gym-h5record repair {path}"
        ) from error
    return report


# Damaged files --------------------------------------------------------------------------------------


def _first_error(path: Path, on_progress: OnProgress | None) -> str:
    """Read every row; say what is wrong with the first damaged one, "" if none is."""
    errors = (each for each in validate(path, deep=True, on_progress=on_progress) if each.severity is Severity.ERROR)
    return next((problem_text(each) for each in errors if each.code not in _REPAIRABLE), "")


def _with_readable(
    report: RepairReport,
    path: Path,
    out: str | os.PathLike[str] | None,
    on_progress: OnProgress | None,
    *,
    dry_run: bool,
) -> RepairReport:
    """Read the rows of a damaged file, copy them if ``out`` is given, and add both to the report."""
    try:
        found = salvage_rows(path, None if dry_run else out, on_progress)
    except (CorruptRecordingError, RecordingNotFoundError):
        return report  # no row can be read
    lost_rows, lost_episodes = found.committed_rows - found.rows, found.committed_episodes - found.whole_episodes
    report = replace(
        report,
        num_steps=report.num_steps or found.committed_rows - found.committed_episodes,
        num_episodes=report.num_episodes or found.committed_episodes,
        readable=RowCount(found.rows, found.episodes, found.rows * found.row_bytes),
        lost=RowCount(lost_rows, max(0, lost_episodes), lost_rows * found.row_bytes),
    )
    if out is None or not found.rows:
        return report
    copying = f"copy {counted(found.rows, 'row')} in {counted(found.episodes, 'episode')} to {os.fspath(out)}"
    return replace(report, actions=(*report.actions, copying), salvaged=None if dry_run else Path(out))
