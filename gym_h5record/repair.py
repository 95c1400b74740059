"""Bring what a dead recorder left into the file, or say why that cannot be.

Recovery itself is ``gym_h5record.writer.recovery``: the normal way of writing
done once more, safe to be killed at any instant and to be run again. Here it is
decided whether it may be run at all: a file that is damaged beyond it is not
touched. ``gym_h5record.salvage`` then saves what can be read.
"""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gym_h5record.errors import NotARecordingError, RecordingError, RecordingInUseError
from gym_h5record.guard import READ_ERRORS, open_metadata
from gym_h5record.journal import Control, Journal, is_unfinished, journal_path
from gym_h5record.lock import RecordingLock
from gym_h5record.reader import Access, EpisodeIndex, Handle, Storage
from gym_h5record.salvage import salvage as salvage_rows
from gym_h5record.state import State, has_journal, recording_state
from gym_h5record.superblock import cut_bytes, is_torn
from gym_h5record.validation import structure_problems
from gym_h5record.writer import PATIENCE_S, check_belongs, is_outlived, recover_locked

__all__ = ["Amount", "RepairReport", "repair"]


@dataclass(frozen=True)
class Amount:
    """Part of a recording.

    Attributes:
        rows: Rows, one per observation.
        episodes: Episodes, incomplete ones included.
        bytes: Bytes in memory, before compression.
    """

    rows: int = 0
    episodes: int = 0
    bytes: int = 0


@dataclass(frozen=True)
class RepairReport:
    """What was found, what was done, and what a recording holds now.

    Attributes:
        found: ``"closed"``, ``"interrupted"`` or ``"damaged"``.
        num_steps: Steps in the file; after a dry run, what would be there.
        num_episodes: Episodes likewise; the last one may be incomplete.
        recovered: What only the journal had, or the file did not count yet.
        lost: What cannot be brought back.
        actions: What was done, or after a dry run would be, in words.
        problem: Why a damaged file cannot be repaired, "" otherwise.
        readable: Rows and episodes that can be read of a damaged file.
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
        salvage: If the file is beyond repair, copy every readable committed row
            into this new file.

    Raises:
        RecordingInUseError: If its recorder, or its writer, is still alive.
        RecordingNotFoundError: If there is neither a file nor a journal.
        NotARecordingError: If the file is not HDF5, not ours, or too new.
        RecordingExistsError: If the file to salvage into exists.
    """
    target = Path(os.path.realpath(path))
    state = recording_state(target)
    if state is State.LIVE and dry_run:
        raise RecordingInUseError(f"{target} is being recorded: there is nothing to repair.")
    if dry_run or (state is State.CLOSED and salvage is None):
        return _look(target, state)
    lock = RecordingLock(target, patience_s=PATIENCE_S)
    try:
        return _repair_locked(target, salvage)
    finally:
        lock.release()


def _repair_locked(path: Path, salvage: str | os.PathLike[str] | None) -> RepairReport:
    report = _look(path, recording_state(path, is_ours=True))
    if report.problem:
        return _with_salvage(report, path, salvage)
    if report.found == State.CLOSED.value:  # its writer has completed it while we waited for the lock
        return report
    recover_locked(path)
    with closing(Handle(path, Access.DAMAGED)) as handle:
        index = EpisodeIndex.committed(Storage(handle))
    return replace(report, num_steps=index.num_rows - index.num_episodes, num_episodes=index.num_episodes)


def _look(path: Path, state: State) -> RepairReport:
    """What is there, and what would be done about it; nothing is changed."""
    survey = _survey(path, state)
    journal, problem = _open_journal(path, survey)
    problem = survey.problem or problem
    if problem:
        readable = Amount(survey.rows, survey.episodes)
        return RepairReport("damaged", survey.num_steps, survey.episodes, problem=problem, readable=readable)
    if state is State.CLOSED:
        return RepairReport(state.value, survey.num_steps, survey.episodes)
    return _plan(path, survey, journal)


@dataclass(frozen=True)
class _Survey:
    """What the file itself holds, without its journal."""

    journal_id: str | None = None  # None if there is no file
    rows: int = 0
    episodes: int = 0
    open_start: int = 0  # first row behind the episodes
    problem: str = ""

    @property
    def num_steps(self) -> int:
        return self.rows - self.episodes - (self.open_start < self.rows)


def _survey(path: Path, state: State) -> _Survey:
    if not path.exists():
        return _Survey()
    try:
        with closing(Handle(path, Access.DAMAGED)) as handle:
            journal_id = str(open_metadata(handle.file).get("journal_id"))
            index = EpisodeIndex.committed(Storage(handle))
            problem = next(map(str, structure_problems(handle)), "")
            open_start = index.num_rows if problem else index.open_start
    except (NotARecordingError, RecordingInUseError):
        raise
    except (RecordingError, *READ_ERRORS) as error:
        return _Survey("", problem=str(error))
    if state is State.CUT_SHORT:
        problem = f"{cut_bytes(path)} bytes are missing at its end: it was cut short after it had been closed"
    return _Survey(journal_id, index.num_rows, index.num_episodes, open_start, problem)


def _open_journal(path: Path, survey: _Survey) -> tuple[Journal | None, str]:
    """The journal if it has rows, and what is wrong with it."""
    try:
        if not has_journal(path) or is_unfinished(journal_path(path)):
            return None, ""
        journal = Journal.open(journal_path(path))
        if not journal.is_laid_out:
            return None, ""
        if is_outlived(journal):
            return None, ""
        journal.check_positions()
        if not survey.problem:
            check_belongs(path, journal, survey.journal_id, survey.rows)
    except (RecordingError, OSError) as error:
        return None, str(error)
    return journal, ""


def _plan(path: Path, survey: _Survey, journal: Journal | None) -> RepairReport:
    """The report of a recovery, before it is run."""
    actions = []
    rows, ended, open_start, recovered_bytes = survey.rows, survey.episodes, survey.open_start, 0
    if not path.exists():
        actions.append("make the file")
    elif is_torn(path):
        actions.append("clear the marks of its writer in the superblock and set the end of the file")
    if journal is not None:
        head, tail = journal.control[Control.HEAD], journal.control[Control.TAIL]
        if head > rows:
            recovered_bytes = (head - rows) * sum(column[0].nbytes for column in journal.columns.values())
            recovered_bytes += journal.blob_head - journal.blob_start(max(rows, tail))
            actions.append(f"bring in {head - rows} rows that only the journal has")
        rows = head
        last = tail + np.flatnonzero(journal.last_rows(tail, head)) if head > tail else np.empty(0, np.int64)
        last = last[last >= open_start]
        ended += len(last)
        open_start = int(last[-1]) + 1 if len(last) else open_start
    if open_start < rows:
        ended += 1
        actions.append("close the episode that was running as incomplete")
    if has_journal(path):
        actions.append("remove the journal")
    recovered = Amount(rows - survey.rows, ended - survey.episodes, recovered_bytes)
    return RepairReport(State.INTERRUPTED.value, rows - ended, ended, recovered=recovered, actions=tuple(actions))


def _with_salvage(report: RepairReport, path: Path, out: str | os.PathLike[str] | None) -> RepairReport:
    """The report of a damaged file, once its rows have been copied if that is wanted."""
    if out is None:
        return report
    salvaged = salvage_rows(path, out)
    return replace(
        report,
        readable=Amount(salvaged.rows, salvaged.episodes),
        lost=Amount(salvaged.lost_rows),
        actions=(f"copy {salvaged.rows} rows in {salvaged.episodes} episodes to {os.fspath(out)}",),
        salvaged=Path(out),
    )
