"""Diagnose what a dead recorder left: what the file holds, what its journal holds, and whether the two fit.

Nothing is changed, and no claim is believed: file and journal may both be damaged.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from gym_h5record.display import printable_lines
from gym_h5record.errors import NotARecordingError, RecordingError, RecordingPathError
from gym_h5record.format import names as fmt
from gym_h5record.format.claims import Commit, LaneCommit, read_commit
from gym_h5record.format.schema import all_fields
from gym_h5record.format.schema_json import schema_from_json
from gym_h5record.maintenance.validation.lanes import open_lanes
from gym_h5record.maintenance.validation.problems import Problem, reason
from gym_h5record.maintenance.validation.structure import Structure
from gym_h5record.reading.episode_index import EpisodeIndex
from gym_h5record.storage.column_reader import ColumnReader
from gym_h5record.storage.handle import Access, Handle
from gym_h5record.storage.hdf5.objects import READ_ERRORS, has_link
from gym_h5record.storage.hdf5.superblock import cut_bytes
from gym_h5record.storage.paths import journal_path
from gym_h5record.storage.state import cut_short_text
from gym_h5record.writing.dry_run import rehearse
from gym_h5record.writing.journal import Journal
from gym_h5record.writing.journal_control import Control
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

_EMPTY = Commit(0, 0)


@dataclass(frozen=True)
class Diagnosis:
    """What the file and its journal hold, and what the file will hold once the journal has been drained.

    Attributes:
        journal_id: The journal that was last drained into the file; None without a file, or if the journal replaces it.
        committed: The last commit of the file.
        num_running: Episodes behind its last ones, whose recorder died: up to one for each lane.
        journal: The journal, if it has rows to drain into the file.
        drained: What draining it would commit, and how many episodes would then be running. None without a journal.
        outlived: The journal, if a power cut made it worthless.
        problem: Why the recording cannot be repaired, "" if it can.
    """

    journal_id: str | None = None
    committed: Commit | LaneCommit = _EMPTY
    num_running: int = 0
    journal: Journal | None = None
    drained: tuple[Commit | LaneCommit, int] | None = None
    outlived: Journal | None = None
    problem: str = ""

    @property
    def num_rows(self) -> int:
        """Committed rows of the file."""
        return self.committed.rows

    @property
    def num_episodes(self) -> int:
        """Committed episodes of the file."""
        return self.committed.episodes

    @property
    def num_steps(self) -> int:
        """Committed steps of the file."""
        return self.num_rows - self.num_episodes - self.num_running

    @property
    def rows_after(self) -> int:
        """Rows of the file after a repair."""
        return self.num_rows if self.drained is None else self.drained[0].rows

    @property
    def episodes_after(self) -> int:
        """Episodes of the file after a repair; the one that was running counts."""
        ended = self.num_episodes if self.drained is None else self.drained[0].episodes
        return ended + self.running_after

    @property
    def newly_discarded(self) -> int:
        """Episodes that the journal says were discarded and the file does not know of."""
        return 0 if self.drained is None else self.drained[0].discarded_episodes - self.committed.discarded_episodes

    @property
    def running_after(self) -> int:
        """How many episodes were running: rows lie behind the last one that ended, journal included."""
        return self.num_running if self.drained is None else self.drained[1]

    @property
    def journal_bytes(self) -> int:
        """Bytes in memory of the rows that only the journal has."""
        journal = self.journal
        if journal is None:
            return 0
        head, tail = journal.control[Control.HEAD], journal.control[Control.TAIL]
        start = max(self.committed.head if self.is_continued else 0, tail)
        row_bytes = sum(int(each[0].nbytes) for name, each in journal.columns.items() if name not in (FLAGS, BLOB_ENDS))
        return row_bytes * (head - start) + journal.blob_head - journal.blob_start(start)

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
        return max(0, head - (max(self.committed.head, tail) if is_ours else tail))

    @property
    def is_continued(self) -> bool:
        """Whether rows of the journal have been drained into the file."""
        return self.journal is not None and self.journal_id == self.journal.header.get("journal_id")


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
    problem, drained = diagnosis.problem or problem, None
    if journal is not None and not problem:
        try:
            drained = _rehearsed(path, diagnosis, journal)
        except RecordingError as error:
            problem = reason(error, path)
    return replace(diagnosis, journal=journal, outlived=outlived, drained=drained, problem=problem)


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
            reader = ColumnReader(handle)
            index = EpisodeIndex.committed(reader)
            has_positions = has_link(handle.file, fmt.POSITIONS)  # an earlier version of this package wrote none
            if has_positions:
                committed = read_commit(reader.items, reader.num_envs)
            else:
                committed = Commit(index.num_rows, index.num_episodes)
            if handle.num_envs is None:
                problems = Structure(handle).problems
            else:
                problems = list(open_lanes(handle).all_problems())
            num_running = 0 if problems else index.num_running
    except NotARecordingError:
        raise
    except (RecordingError, *READ_ERRORS) as error:
        return Diagnosis("", problem=cut_short or reason(error, path))
    problem = cut_short or next(map(problem_text, problems), "")
    return Diagnosis(journal_id, committed, num_running, problem=problem)


def _rehearsed(path: Path, diagnosis: Diagnosis, journal: Journal) -> tuple[Commit | LaneCommit, int]:
    """What draining the journal would commit, and how many episodes would then be running.

    Raises:
        RecordingError: If the journal cannot be drained into the file.
    """
    with damage_as_corrupt(f"the header of {journal.path.name} cannot be read"):
        continues = check_belongs(path, journal, diagnosis.journal_id, diagnosis.committed)
        rehearsed = Journal.open(journal.path)
        if not continues:
            return rehearse(rehearsed)
        is_known = diagnosis.journal_id == journal.header["journal_id"]
        committed = diagnosis.committed if is_known else diagnosis.committed.for_another_journal
        with closing(Handle(path, Access.DAMAGED)) as handle:
            schema = schema_from_json(str(handle.metadata().get("schema")))
            reader = ColumnReader(handle)
            reader.expect(all_fields(schema))
            return rehearse(rehearsed, schema, reader, committed)
