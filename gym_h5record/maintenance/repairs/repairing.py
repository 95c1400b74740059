"""Bring what a dead recorder left into the file, or say why that cannot be.

Recovery itself is ``gym_h5record.writing.recovery``: the normal way of writing
done once more, safe to be killed at any instant and to be run again. Before it is
run, ``gym_h5record.maintenance.repairs.diagnosis`` looks at what is there, and it is rehearsed: a file that
is damaged beyond it is not touched. ``gym_h5record.maintenance.repairs.salvaging`` then saves what can
be read.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from gym_h5record.errors import (
    CorruptRecordingError,
    RecordingError,
    RecordingInUseError,
    RecordingNotFoundError,
    RecordingPathError,
    WriterError,
)
from gym_h5record.maintenance.repairs.diagnosis import Diagnosis, diagnose, problem_text, reason
from gym_h5record.maintenance.repairs.salvaged_episodes import OnProgress
from gym_h5record.maintenance.repairs.salvaging import check_target, readable
from gym_h5record.maintenance.repairs.salvaging import salvage as salvage_rows
from gym_h5record.maintenance.validation.problems import Severity
from gym_h5record.maintenance.validation.validator import validate
from gym_h5record.reading.episode_index import EpisodeIndex
from gym_h5record.storage.column_reader import ColumnReader
from gym_h5record.storage.handle import Access, Handle
from gym_h5record.storage.hdf5.superblock import is_torn
from gym_h5record.storage.lock import RecordingLock
from gym_h5record.storage.paths import has_journal
from gym_h5record.storage.state import State, recording_state
from gym_h5record.writing.recovery import PATIENCE_S, recover_locked
from gym_h5record.writing.worker import WRITE_ERRORS

__all__ = ["Amount", "RepairReport", "repair"]


_DAMAGED = "damaged"
_FORESEEN = ("interrupted", "cut-short")  # what validation finds, and is dealt with here


@dataclass(frozen=True)
class Amount:
    """Part of a recording.

    Attributes:
        rows: Rows, one per observation.
        episodes: Episodes, incomplete ones included.
        bytes: Bytes in memory, before compression; of damaged files without what varies in size.
    """

    rows: int = 0
    episodes: int = 0
    bytes: int = 0


@dataclass(frozen=True)
class RepairReport:
    """What was found, what was done, and what a recording holds now.

    Attributes:
        found: ``"closed"``, ``"interrupted"`` or ``"damaged"``.
        num_steps: Steps in the file; after a dry run, what would be there. Of a
            damaged file, what it says itself.
        num_episodes: Episodes likewise; the last one may be incomplete.
        recovered: What only the journal had, or the file did not count yet.
        lost: What cannot be brought back: rows that were committed, and episodes
            that are not whole any more; or rows in a journal that a power cut left.
        actions: What was done, or after a dry run would be, in words.
        problem: Why a damaged file cannot be repaired, "" otherwise.
        readable: Rows of a damaged file that can be read, and the episodes, or
            pieces of episodes, that they make.
        salvaged: The file that they have been copied to.
        without_journal: Whether an interrupted file was found alone, as in a copy of it:
            nobody knows whether its journal had more rows.
    """

    found: str
    num_steps: int = 0
    num_episodes: int = 0
    recovered: Amount = Amount()
    lost: Amount = Amount()
    actions: tuple[str, ...] = ()
    problem: str = ""
    readable: Amount = Amount()
    salvaged: Path | None = None
    without_journal: bool = False

    @property
    def ok(self) -> bool:
        """Whether the recording is whole, or would be."""
        return not self.problem


def repair(
    path: str | os.PathLike[str],
    *,
    dry_run: bool = False,
    salvage: str | os.PathLike[str] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> RepairReport:
    """Complete a recording whose recorder, writer, or both were killed.

    Every step that had returned is in the file afterwards, and the episode that
    was running is closed as incomplete. A recording that was closed is left as
    it is, and so is one that is damaged beyond repair: the report says why, and
    what can still be read. Safe to interrupt at any instant, and to run again.

    Args:
        path: The recording.
        dry_run: Only say what would be done.
        salvage: A new file. Every row of the recording is then read, and if any
            is damaged, all that are readable are copied into this file. Without
            it, only what is quick to look at is looked at.
        on_progress: Called while rows are read one by one, again and again, with
            how many have been, and how many there are. It may raise to end that.

    Raises:
        RecordingInUseError: If its recorder, or its writer, is still alive.
        RecordingNotFoundError: If there is neither a file nor a journal.
        NotARecordingError: If the file is not HDF5, not ours, or too new.
        RecordingExistsError: If the file to salvage into exists.
        RecordingPathError: If that cannot be made, or the recording not be changed.
        WriterError: If writing fails: the disk is full, say. Nothing is harmed.
    """
    target = Path(os.path.realpath(path))
    state = recording_state(target)
    if salvage is not None:
        check_target(salvage)
    if state is State.LIVE and dry_run:
        raise RecordingInUseError(f"{target} is being recorded: there is nothing to repair.")
    if dry_run or state in (State.CLOSED, State.CUT_SHORT):  # nothing is changed, nobody shut out
        return _report(target, state, salvage, on_progress, dry_run=dry_run)
    lock = _lock(target)
    try:
        return _report(target, recording_state(target, is_ours=True), salvage, on_progress, dry_run=False)
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
    report = _look(path, state)
    if report.found == State.INTERRUPTED.value and not dry_run:
        report = _recover(path, report)
    if salvage is not None and report.ok and path.exists():
        problem = _first_error(path, on_progress)
        report = replace(report, found=_DAMAGED, problem=problem) if problem else report
    return report if report.ok else _with_readable(report, path, salvage, on_progress, dry_run=dry_run)


def _recover(path: Path, report: RepairReport) -> RepairReport:
    """Do what the report says."""
    try:
        recover_locked(path)
    except CorruptRecordingError as error:  # damage that neither a look nor a rehearsal has found
        return RepairReport(_DAMAGED, report.num_steps, report.num_episodes, problem=reason(error, path))
    except RecordingError:
        raise
    except WRITE_ERRORS as error:
        raise WriterError(
            f"cannot repair {path}: {' '.join(str(error).split())}. Nothing is lost; once the cause is gone, "
            f"run it again: gym-h5record repair {path}"
        ) from error
    if not path.exists():  # there was nothing in the journal
        return report
    with closing(Handle(path, Access.DAMAGED)) as handle:
        index = EpisodeIndex.committed(ColumnReader(handle))
    return replace(report, num_steps=index.num_rows - index.num_episodes, num_episodes=index.num_episodes)


def _first_error(path: Path, on_progress: OnProgress | None) -> str:
    """What is wrong with the contents of a file, "" if nothing is."""
    errors = (each for each in validate(path, deep=True, on_progress=on_progress) if each.severity is Severity.ERROR)
    return next((problem_text(each) for each in errors if each.code not in _FORESEEN), "")


def _look(path: Path, state: State) -> RepairReport:
    """What is there, and what would be done about it; nothing is changed."""
    survey = diagnose(path)
    if survey.problem:
        return RepairReport(_DAMAGED, survey.num_steps, survey.episodes, problem=survey.problem)
    if state is State.CLOSED:
        return RepairReport(state.value, survey.num_steps, survey.episodes)
    return _plan(path, survey)


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _plan(path: Path, survey: Diagnosis) -> RepairReport:
    """The report of a recovery, before it is run."""
    actions = []
    is_new = survey.journal_id is None
    if is_new and survey.journal is not None:
        actions.append("make the file, in the place of another one" if path.exists() else "make the file")
    elif not is_new and survey.journal is None and is_torn(path):
        actions.append("clear the marks of its writer in the superblock and set the end of the file")
    if survey.rows_then > survey.rows:
        actions.append(f"bring in {_counted(survey.rows_then - survey.rows, 'row')} that only the journal has")
    if survey.is_open_then:
        actions.append("close the episode that was running as incomplete")
    without_journal = not has_journal(path)
    if without_journal:
        actions.append("do without the journal, which is not there")
    elif survey.outlived is not None:
        actions.append("remove the journal, which the machine did not have time to save before it stopped")
    else:
        actions.append("remove the journal")
    rows, episodes = survey.rows_then, survey.episodes_then
    return RepairReport(
        State.INTERRUPTED.value,
        rows - episodes,
        episodes,
        recovered=Amount(rows - survey.rows, episodes - survey.episodes, survey.journal_bytes),
        lost=Amount(survey.outlived_rows),
        actions=tuple(actions),
        without_journal=without_journal,
    )


# Damaged files --------------------------------------------------------------------------------------


def _with_readable(
    report: RepairReport,
    path: Path,
    out: str | os.PathLike[str] | None,
    on_progress: OnProgress | None,
    *,
    dry_run: bool,
) -> RepairReport:
    """The report of a damaged file, once its rows have been read, and copied if that is wanted."""
    try:
        found = readable(path, on_progress) if out is None or dry_run else salvage_rows(path, out, on_progress)
    except (CorruptRecordingError, RecordingNotFoundError):
        return report  # nothing can be read
    lost_rows, lost_episodes = found.committed_rows - found.rows, found.committed_episodes - found.whole_episodes
    report = replace(
        report,
        num_steps=report.num_steps or found.committed_rows - found.committed_episodes,
        num_episodes=report.num_episodes or found.committed_episodes,
        readable=Amount(found.rows, found.episodes, found.rows * found.row_bytes),
        lost=Amount(lost_rows, max(0, lost_episodes), lost_rows * found.row_bytes),
    )
    if out is None or not found.rows:
        return report
    copying = f"copy {_counted(found.rows, 'row')} in {_counted(found.episodes, 'episode')} to {os.fspath(out)}"
    return replace(report, actions=(*report.actions, copying), salvaged=None if dry_run else Path(out))
