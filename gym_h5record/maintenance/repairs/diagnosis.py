"""Diagnose what a dead recorder left: what the file holds, what its journal holds, and whether the two fit.

Nothing is changed, and no claim is believed: file and journal may both be damaged.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gym_h5record.display import printable_lines
from gym_h5record.errors import NotARecordingError, RecordingError, RecordingPathError
from gym_h5record.format.schema_json import schema_from_json
from gym_h5record.maintenance.validation.problems import Problem, reason
from gym_h5record.maintenance.validation.structure import Structure
from gym_h5record.reading.episode_index import EpisodeIndex
from gym_h5record.storage.column_reader import ColumnReader
from gym_h5record.storage.handle import Access, Handle
from gym_h5record.storage.hdf5.objects import READ_ERRORS
from gym_h5record.storage.hdf5.superblock import cut_bytes
from gym_h5record.storage.paths import journal_path
from gym_h5record.storage.state import cut_short_text
from gym_h5record.writing.dry_run import rehearse
from gym_h5record.writing.journal import Journal
from gym_h5record.writing.journal_format import Control
from gym_h5record.writing.journal_rows import BLOB_ENDS, FLAGS
from gym_h5record.writing.left_journal import (
    DRAIN_ERRORS,
    check_belongs,
    check_positions,
    damage_as_corrupt,
    is_outlived,
    open_left_journal,
)

__all__ = ["Diagnosis", "diagnose", "problem_text"]


@dataclass(frozen=True)
class Diagnosis:
    """What the file and its journal hold, and what the file will hold once the journal has been drained.

    Attributes:
        journal_id: The journal that was last drained into the file; None without a file, or if the journal replaces it.
        num_rows: Committed rows of the file.
        num_episodes: Committed episodes of the file.
        open_start: The first row behind these episodes.
        journal: The journal, if it has rows to drain into the file.
        outlived: The journal, if a power cut made it worthless.
        problem: Why the recording cannot be repaired, "" if it can.
    """

    journal_id: str | None = None
    num_rows: int = 0
    num_episodes: int = 0
    open_start: int = 0
    journal: Journal | None = None
    outlived: Journal | None = None
    problem: str = ""

    @property
    def num_steps(self) -> int:
        """Committed steps of the file."""
        return self.num_rows - self.num_episodes - (self.open_start < self.num_rows)

    @property
    def rows_after(self) -> int:
        """Rows of the file after a repair."""
        return self.num_rows if self.journal is None else self.journal.control[Control.HEAD]

    @property
    def episodes_after(self) -> int:
        """Episodes of the file after a repair; the one that was running counts."""
        return self._ended()[0] + self.has_running_episode

    @property
    def has_running_episode(self) -> bool:
        """Whether an episode was running: rows lie behind the last episode that ended, journal included."""
        return self._ended()[1] < self.rows_after

    @property
    def journal_bytes(self) -> int:
        """Bytes in memory of the rows that only the journal has."""
        journal = self.journal
        if journal is None:
            return 0
        start = max(self.num_rows, journal.control[Control.TAIL])
        row_bytes = sum(int(each[0].nbytes) for name, each in journal.columns.items() if name not in (FLAGS, BLOB_ENDS))
        return row_bytes * (self.rows_after - start) + journal.blob_head - journal.blob_start(start)

    @property
    def outlived_rows(self) -> int:
        """Rows that a worthless journal claims beside those in the file; 0 if its claims cannot be true."""
        journal = self.outlived
        if journal is None:
            return 0
        try:
            check_positions(journal)
        except DRAIN_ERRORS:
            return 0
        head, tail = journal.control[Control.HEAD], journal.control[Control.TAIL]
        is_ours = self.journal_id == journal.header.get("journal_id")
        return max(0, head - (max(self.num_rows, tail) if is_ours else tail))

    def _ended(self) -> tuple[int, int]:
        """How many episodes have ended, journal included, and the first row behind them."""
        if self.journal is None:
            return self.num_episodes, self.open_start
        tail = self.journal.control[Control.TAIL]
        last = tail + np.flatnonzero(self.journal.last_rows(tail, self.rows_after))
        last = last[last >= self.open_start]  # earlier ones are in the index of the file
        return self.num_episodes + len(last), int(last[-1]) + 1 if len(last) else self.open_start


def diagnose(path: Path) -> Diagnosis:
    """Read a file and the journal beside it; one of the two may be missing.

    Raises:
        NotARecordingError: If the file is not HDF5, not a recording, or too new, and no journal replaces it.
        RecordingPathError: If the journal may not be read.
    """
    journal, problem = _open_journal(path)
    outlived = journal if journal is not None and is_outlived(journal) else None
    journal = None if outlived else journal
    diagnosis = _diagnose_target(path, journal)
    problem = diagnosis.problem or problem or _misfit(path, diagnosis, journal)
    return replace(diagnosis, journal=journal, outlived=outlived, problem=problem)


def problem_text(problem: Problem) -> str:
    """A problem that validation found, in one line."""
    return printable_lines(f"{problem.place}: {problem.message}")


def _open_journal(path: Path) -> tuple[Journal | None, str]:
    """The journal, None if it has no rows, and what is wrong with it."""
    try:
        return open_left_journal(path), ""
    except PermissionError as error:
        raise RecordingPathError(f"cannot repair {path}: no permission to use {journal_path(path)}.") from error
    except (RecordingError, OSError) as error:
        return None, reason(error, path)


def _diagnose_target(path: Path, journal: Journal | None) -> Diagnosis:
    """Diagnose the file that the journal is drained into; an empty diagnosis if that file is still to be made."""
    if not path.exists():
        return Diagnosis()
    header = {} if journal is None else journal.header
    # Whether a new recording takes the place of the file, and the journal has all of its rows.
    replaces = (
        journal is not None and header.get("replaces") and journal.control[Control.TAIL] == header.get("first_row")
    )
    try:
        diagnosis = _diagnose_file(path)
    except NotARecordingError:
        if replaces:
            return Diagnosis()
        raise
    is_replaced = replaces and (diagnosis.problem or diagnosis.journal_id != header.get("journal_id"))
    return Diagnosis() if is_replaced else diagnosis


def _diagnose_file(path: Path) -> Diagnosis:
    missing_bytes = cut_bytes(path)
    cut_short = cut_short_text(missing_bytes) if missing_bytes else ""
    try:
        with closing(Handle(path, Access.DAMAGED)) as handle:
            journal_id = str(handle.metadata().get("journal_id"))
            index = EpisodeIndex.committed(ColumnReader(handle))
            problems = Structure(handle).problems
            open_start = index.num_rows if problems else index.open_start
    except NotARecordingError:
        raise
    except (RecordingError, *READ_ERRORS) as error:
        return Diagnosis("", problem=cut_short or reason(error, path))
    problem = cut_short or next(map(problem_text, problems), "")
    return Diagnosis(journal_id, index.num_rows, index.num_episodes, open_start, problem=problem)


def _misfit(path: Path, diagnosis: Diagnosis, journal: Journal | None) -> str:
    """Say why a journal cannot be drained into the file, "" if it can."""
    if journal is None:
        return ""
    try:
        with damage_as_corrupt(f"the header of {journal.path.name} cannot be read"):
            continues = check_belongs(path, journal, diagnosis.journal_id, diagnosis.num_rows)
            rehearsed = Journal.open(journal.path)
            if not continues:
                rehearse(rehearsed)
                return ""
            with closing(Handle(path, Access.DAMAGED)) as handle:
                schema = schema_from_json(str(handle.metadata().get("schema")))
                rehearse(rehearsed, schema, ColumnReader(handle), diagnosis.num_rows, diagnosis.num_episodes)
    except RecordingError as error:
        return reason(error, path)
    return ""
