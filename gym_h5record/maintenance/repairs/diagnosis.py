"""What a dead recorder left: what the file holds, what its journal has, whether they go together.

Nothing is changed, and nothing is believed: neither may be what it was.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gym_h5record.display import printable_lines
from gym_h5record.errors import (
    CorruptRecordingError,
    NotARecordingError,
    RecordingError,
    RecordingInUseError,
    RecordingPathError,
)
from gym_h5record.format.schema_json import schema_from_json
from gym_h5record.maintenance.validation.problems import Problem
from gym_h5record.maintenance.validation.structure import structure_problems
from gym_h5record.reading.episode_index import EpisodeIndex
from gym_h5record.storage.column_reader import ColumnReader
from gym_h5record.storage.handle import Access, Handle
from gym_h5record.storage.hdf5.objects import READ_ERRORS
from gym_h5record.storage.hdf5.superblock import cut_bytes
from gym_h5record.storage.paths import has_journal, journal_path
from gym_h5record.writing.dry_run import rehearse
from gym_h5record.writing.journal import BLOB_ENDS, FLAGS, Journal
from gym_h5record.writing.journal_format import Control, is_unfinished
from gym_h5record.writing.left_journal import DRAIN_ERRORS, check_belongs, is_outlived

__all__ = ["Diagnosis", "diagnose", "problem_text", "reason"]


@dataclass(frozen=True)
class Diagnosis:
    """What is there.

    Attributes:
        journal_id: The journal that was last drained into the file, None if there
            is no file, or a new one is to take its place.
        rows: Rows that are committed in the file.
        episodes: Episodes likewise.
        open_start: First row behind these episodes.
        journal: The journal, if it has rows that can be drained into the file.
        outlived: The journal, if a power cut makes it worthless.
        problem: Why this cannot be repaired, "" if it can.
    """

    journal_id: str | None = None
    rows: int = 0
    episodes: int = 0
    open_start: int = 0
    journal: Journal | None = None
    outlived: Journal | None = None
    problem: str = ""

    @property
    def num_steps(self) -> int:
        """Steps that are committed in the file."""
        return self.rows - self.episodes - (self.open_start < self.rows)

    @property
    def rows_then(self) -> int:
        """Rows once the journal has been drained."""
        return self.rows if self.journal is None else self.journal.control[Control.HEAD]

    @property
    def episodes_then(self) -> int:
        """Episodes likewise, the one that was running included."""
        ended, open_start = self._ended()
        return ended + (open_start < self.rows_then)

    @property
    def is_open_then(self) -> bool:
        """Whether there are rows behind the last episode that ended, then."""
        return self._ended()[1] < self.rows_then

    @property
    def journal_bytes(self) -> int:
        """Bytes in memory of the rows that only the journal has."""
        journal = self.journal
        if journal is None or self.rows_then == self.rows:
            return 0
        start = max(self.rows, journal.control[Control.TAIL])
        row_bytes = sum(int(each[0].nbytes) for name, each in journal.columns.items() if name not in (FLAGS, BLOB_ENDS))
        return row_bytes * (self.rows_then - start) + journal.blob_head - journal.blob_start(start)

    @property
    def outlived_rows(self) -> int:
        """Rows that a journal had before the power cut, if what it says makes sense."""
        journal = self.outlived
        if journal is None:
            return 0
        try:
            journal.check_positions()
        except (CorruptRecordingError, *DRAIN_ERRORS):
            return 0
        head, tail = journal.control[Control.HEAD], journal.control[Control.TAIL]
        return max(0, head - (max(self.rows, tail) if self.journal_id == _id_of(journal) else tail))

    def _ended(self) -> tuple[int, int]:
        """Episodes that have ended, and the first row behind them."""
        if self.journal is None:
            return self.episodes, self.open_start
        head, tail = self.rows_then, self.journal.control[Control.TAIL]
        last = tail + np.flatnonzero(self.journal.last_rows(tail, head)) if head > tail else np.empty(0, np.int64)
        last = last[last >= self.open_start]  # the others are in the index already
        return self.episodes + len(last), int(last[-1]) + 1 if len(last) else self.open_start


def diagnose(path: Path) -> Diagnosis:
    """Look at a file and the journal beside it, of which one may be missing.

    Raises:
        NotARecordingError: If the file is not HDF5, not ours, or too new, and not about to be replaced.
        RecordingPathError: If the journal is somebody else's.
    """
    journal, problem = _open_journal(path)
    outlived = journal if journal is not None and is_outlived(journal) else None
    journal = None if outlived else journal
    survey = _survey(path, journal)
    problem = survey.problem or problem or _misfit(path, survey, journal)
    return replace(survey, journal=journal, outlived=outlived, problem=problem)


def problem_text(problem: Problem) -> str:
    """What validation has found, in one line."""
    return printable_lines(f"{problem.place}: {problem.message}")


def reason(error: BaseException, path: Path) -> str:
    """What an error says, without the name of the file, which is known."""
    text = str(error)
    while text.startswith(f"{path}: "):
        text = text.removeprefix(f"{path}: ")
    return text


def _survey(path: Path, journal: Journal | None) -> Diagnosis:
    """What the file holds, nothing if the journal begins another one in its place."""
    if not path.exists():
        return Diagnosis()
    try:
        survey = _survey_file(path)
    except NotARecordingError:
        if journal is not None and _begins_anew(journal):
            return Diagnosis()
        raise
    if journal is not None and _begins_anew(journal) and (survey.problem or survey.journal_id != _id_of(journal)):
        return Diagnosis()
    return survey


def _survey_file(path: Path) -> Diagnosis:
    try:
        with closing(Handle(path, Access.DAMAGED)) as handle:
            journal_id = str(handle.metadata().get("journal_id"))
            index = EpisodeIndex.committed(ColumnReader(handle))
            problem = next(map(problem_text, structure_problems(handle)), "")
            open_start = index.num_rows if problem else index.open_start
    except (NotARecordingError, RecordingInUseError):
        raise
    except (RecordingError, *READ_ERRORS) as error:
        return Diagnosis("", problem=_cut_short(path) or reason(error, path))
    return Diagnosis(journal_id, index.num_rows, index.num_episodes, open_start, problem=_cut_short(path) or problem)


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
        return None, reason(error, path)
    except DRAIN_ERRORS as error:
        return None, f"the header of {journal_path(path)} cannot be read: {error!r:.200}"
    return journal, ""


def _begins_anew(journal: Journal) -> bool:
    """Whether a new recording is to take the place of whatever is there, and has all its rows in the journal."""
    return bool(journal.header.get("replaces")) and journal.control[Control.TAIL] == journal.header.get("first_row")


def _id_of(journal: Journal) -> str:
    return str(journal.header.get("journal_id"))


def _misfit(path: Path, survey: Diagnosis, journal: Journal | None) -> str:
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
            rehearse(rehearsed, schema, ColumnReader(handle), survey.rows, survey.episodes)
    except RecordingError as error:
        return reason(error, path)
    except DRAIN_ERRORS as error:
        return f"the header of {journal.path} cannot be read: {error!r:.200}"
    return ""
