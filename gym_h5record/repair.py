"""Bring what a dead recorder left into the file, or say why that cannot be.

Recovery itself is ``gym_h5record.writer.recovery``: the normal way of writing
done once more, safe to be killed at any instant and to be run again. Here it is
decided whether it may be run at all: it is rehearsed first, and a file that is
damaged beyond it is not touched. ``gym_h5record.salvage`` then saves what can
be read.
"""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gym_h5record.errors import (
    CorruptRecordingError,
    NotARecordingError,
    RecordingError,
    RecordingInUseError,
    RecordingNotFoundError,
    RecordingPathError,
    WriterError,
)
from gym_h5record.guard import READ_ERRORS
from gym_h5record.journal import BLOB_ENDS, FLAGS, Control, Journal, is_unfinished, journal_path
from gym_h5record.lock import RecordingLock
from gym_h5record.printable import printable_lines
from gym_h5record.reader import Access, EpisodeIndex, Handle, Storage
from gym_h5record.salvage import check_target, readable
from gym_h5record.salvage import salvage as salvage_rows
from gym_h5record.schema_json import schema_from_json
from gym_h5record.state import State, has_journal, recording_state
from gym_h5record.superblock import cut_bytes, is_torn
from gym_h5record.validation import Problem, Severity, structure_problems, validate
from gym_h5record.writer import (
    DRAIN_ERRORS,
    PATIENCE_S,
    WRITE_ERRORS,
    check_belongs,
    is_outlived,
    recover_locked,
    rehearse,
)

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

    @property
    def ok(self) -> bool:
        """Whether the recording is whole, or would be."""
        return not self.problem


def repair(
    path: str | os.PathLike[str], *, dry_run: bool = False, salvage: str | os.PathLike[str] | None = None
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
        return _report(target, state, dry_run=dry_run, salvage=salvage)
    lock = _lock(target)
    try:
        return _report(target, recording_state(target, is_ours=True), dry_run=False, salvage=salvage)
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


def _report(path: Path, state: State, *, dry_run: bool, salvage: str | os.PathLike[str] | None) -> RepairReport:
    report = _look(path, state)
    if report.found == State.INTERRUPTED.value and not dry_run:
        report = _recover(path, report)
    if salvage is not None and report.ok and path.exists():
        problem = _first_error(path)
        report = replace(report, found=_DAMAGED, problem=problem) if problem else report
    return report if report.ok else _with_readable(report, path, salvage, dry_run=dry_run)


def _recover(path: Path, report: RepairReport) -> RepairReport:
    """Do what the report says."""
    try:
        recover_locked(path)
    except CorruptRecordingError as error:  # damage that neither a look nor a rehearsal has found
        return RepairReport(_DAMAGED, report.num_steps, report.num_episodes, problem=_reason(error, path))
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
        index = EpisodeIndex.committed(Storage(handle))
    return replace(report, num_steps=index.num_rows - index.num_episodes, num_episodes=index.num_episodes)


def _first_error(path: Path) -> str:
    """What is wrong with the contents of a file, "" if nothing is."""
    errors = (each for each in validate(path, deep=True) if each.severity is Severity.ERROR)
    return next((_words(each) for each in errors if each.code not in _FORESEEN), "")


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _words(problem: Problem) -> str:
    return printable_lines(f"{problem.place}: {problem.message}")


def _reason(error: BaseException, path: Path) -> str:
    """What an error says, without the name of the file, which is known."""
    text = str(error)
    while text.startswith(f"{path}: "):
        text = text.removeprefix(f"{path}: ")
    return text


# Looking --------------------------------------------------------------------------------------------


def _look(path: Path, state: State) -> RepairReport:
    """What is there, and what would be done about it; nothing is changed."""
    journal, problem = _open_journal(path)
    outlived = journal if journal is not None and is_outlived(journal) else None
    journal = None if outlived else journal
    survey = _survey(path, journal)
    problem = survey.problem or problem or _misfit(path, survey, journal)
    if problem:
        return RepairReport(_DAMAGED, survey.num_steps, survey.episodes, problem=problem)
    if state is State.CLOSED:
        return RepairReport(state.value, survey.num_steps, survey.episodes)
    return _plan(path, survey, journal, outlived)


@dataclass(frozen=True)
class _Survey:
    """What the file itself holds, without its journal."""

    journal_id: str | None = None  # None if there is no file, or a new one is to take its place
    rows: int = 0
    episodes: int = 0
    open_start: int = 0  # first row behind the episodes
    problem: str = ""

    @property
    def num_steps(self) -> int:
        return self.rows - self.episodes - (self.open_start < self.rows)


def _survey(path: Path, journal: Journal | None) -> _Survey:
    """What the file holds, nothing if the journal begins another one in its place."""
    if not path.exists():
        return _Survey()
    try:
        survey = _survey_file(path)
    except NotARecordingError:
        if journal is not None and _begins_anew(journal):
            return _Survey()
        raise
    if journal is not None and _begins_anew(journal) and (survey.problem or survey.journal_id != _id_of(journal)):
        return _Survey()
    return survey


def _survey_file(path: Path) -> _Survey:
    try:
        with closing(Handle(path, Access.DAMAGED)) as handle:
            journal_id = str(handle.metadata().get("journal_id"))
            index = EpisodeIndex.committed(Storage(handle))
            problem = next(map(_words, structure_problems(handle)), "")
            open_start = index.num_rows if problem else index.open_start
    except (NotARecordingError, RecordingInUseError):
        raise
    except (RecordingError, *READ_ERRORS) as error:
        return _Survey("", problem=_cut_short(path) or _reason(error, path))
    return _Survey(journal_id, index.num_rows, index.num_episodes, open_start, _cut_short(path) or problem)


def _cut_short(path: Path) -> str:
    missing = cut_bytes(path)
    return f"{missing} bytes are missing at its end: it was cut short after it had been closed" if missing else ""


def _open_journal(path: Path) -> tuple[Journal | None, str]:
    """The journal if it is laid out, and what is wrong with it."""
    try:
        if not has_journal(path) or is_unfinished(journal_path(path)):
            return None, ""
        journal = Journal.open(journal_path(path))
        if not journal.is_laid_out:
            return None, ""
        if not is_outlived(journal):
            journal.check_positions()
    except PermissionError as error:
        raise RecordingPathError(f"cannot repair {path}: no permission to use {journal_path(path)}.") from error
    except (RecordingError, OSError) as error:
        return None, _reason(error, path)
    except DRAIN_ERRORS as error:
        return None, f"the header of {journal_path(path)} cannot be read: {error!r}"
    return journal, ""


def _begins_anew(journal: Journal) -> bool:
    """Whether a new recording is to take the place of whatever is there, and has all its rows in the journal."""
    return bool(journal.header.get("replaces")) and journal.control[Control.TAIL] == journal.header.get("first_row")


def _id_of(journal: Journal) -> str:
    return str(journal.header.get("journal_id"))


def _misfit(path: Path, survey: _Survey, journal: Journal | None) -> str:
    """Why a journal cannot be drained into the file, "" if it can."""
    if journal is None:
        return ""
    try:
        continues = check_belongs(path, journal, survey.journal_id, survey.rows)
        rehearsed = Journal.open(journal.path)
        if not continues:
            rehearse(rehearsed)
            return ""
        with closing(Handle(path, Access.DAMAGED)) as handle:
            schema = schema_from_json(str(handle.metadata().get("schema")))
            rehearse(rehearsed, schema, Storage(handle), survey.rows, survey.episodes)
    except RecordingError as error:
        return _reason(error, path)
    except DRAIN_ERRORS as error:
        return f"the header of {journal.path} cannot be read: {error!r}"
    return ""


def _plan(path: Path, survey: _Survey, journal: Journal | None, outlived: Journal | None) -> RepairReport:
    """The report of a recovery, before it is run."""
    actions = []
    rows, ended, open_start, recovered_bytes = survey.rows, survey.episodes, survey.open_start, 0
    is_new = survey.journal_id is None
    if is_new and journal is not None:
        actions.append("make the file, in the place of another one" if path.exists() else "make the file")
    elif not is_new and is_torn(path):
        actions.append("clear the marks of its writer in the superblock and set the end of the file")
    if journal is not None:
        head, tail = journal.control[Control.HEAD], journal.control[Control.TAIL]
        if head > rows:
            recovered_bytes = _journal_bytes(journal, max(rows, tail))
            actions.append(f"bring in {_counted(head - rows, 'row')} that only the journal has")
        rows = head
        last = tail + np.flatnonzero(journal.last_rows(tail, head)) if head > tail else np.empty(0, np.int64)
        last = last[last >= open_start]
        ended += len(last)
        open_start = int(last[-1]) + 1 if len(last) else open_start
    if open_start < rows:
        ended += 1
        actions.append("close the episode that was running as incomplete")
    if outlived is not None:
        actions.append("remove the journal, which the machine did not have time to save before it stopped")
    elif has_journal(path):
        actions.append("remove the journal")
    return RepairReport(
        State.INTERRUPTED.value,
        rows - ended,
        ended,
        recovered=Amount(rows - survey.rows, ended - survey.episodes, recovered_bytes),
        lost=Amount() if outlived is None else _outlived_rows(outlived, survey),
        actions=tuple(actions),
    )


def _journal_bytes(journal: Journal, start: int) -> int:
    """Bytes of the rows in a journal from this one on."""
    row_bytes = sum(int(each[0].nbytes) for name, each in journal.columns.items() if name not in (FLAGS, BLOB_ENDS))
    return row_bytes * (journal.control[Control.HEAD] - start) + journal.blob_head - journal.blob_start(start)


def _outlived_rows(journal: Journal, survey: _Survey) -> Amount:
    """What a journal says it had, if that makes sense."""
    try:
        journal.check_positions()
    except (CorruptRecordingError, *DRAIN_ERRORS):
        return Amount()
    head, tail = journal.control[Control.HEAD], journal.control[Control.TAIL]
    start = max(survey.rows, tail) if survey.journal_id == _id_of(journal) else tail
    return Amount(rows=max(0, head - start))


# Damaged files --------------------------------------------------------------------------------------


def _with_readable(
    report: RepairReport, path: Path, out: str | os.PathLike[str] | None, *, dry_run: bool
) -> RepairReport:
    """The report of a damaged file, once its rows have been read, and copied if that is wanted."""
    try:
        found = readable(path) if out is None or dry_run else salvage_rows(path, out)
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
