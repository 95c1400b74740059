"""Whether the items of every dataset are those that its checksums were made of.

A recording made without ``checksum=True`` has no ``/checksums``, and nothing is
wrong with that. Datasets are read chunk by chunk. Blocks of an interrupted file
that a repair is going to write from its journal are left out.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from gym_h5record.errors import CorruptRecordingError, RecordingError
from gym_h5record.format import names as fmt
from gym_h5record.format.nodes import Field
from gym_h5record.format.schema import all_fields
from gym_h5record.maintenance.validation.problems import Problem, make_problem, reason
from gym_h5record.maintenance.validation.structure import Structure
from gym_h5record.maintenance.validation.target import Target
from gym_h5record.storage.checksums import block_checksum, checksum_field
from gym_h5record.storage.column_reader import ColumnReader
from gym_h5record.storage.hdf5.objects import has_group, open_dataset
from gym_h5record.storage.paths import has_journal, journal_path
from gym_h5record.writing.journal import Journal
from gym_h5record.writing.journal_format import Control, is_unfinished
from gym_h5record.writing.left_journal import DRAIN_ERRORS, check_belongs, is_outlived

__all__ = ["checksum_problems", "first_held_row"]


_READ_CHECKSUMS = 1 << 14


def checksum_problems(structure: Structure, subject: Target) -> Iterator[Problem]:
    """What is not as it was when its checksum was made.

    Args:
        structure: The structure of the recording, which has been looked at.
        subject: The recording.

    Yields:
        At most one problem for each dataset: the first block that is wrong, and how many more there are.
    """
    if not has_group(subject.handle.file, fmt.CHECKSUMS):
        return
    storage = ColumnReader(subject.handle)  # not what another one has kept of its last chunk
    fields = {field.name: field for field in all_fields(subject.schema)}
    storage.expect([*fields.values(), *map(checksum_field, fields.values())])
    comparison = _Comparison(subject, storage, fields, is_indexed=structure.is_indexed)
    for field in fields.values():
        if field.name not in structure.broken:
            problem = comparison.problem(field)
            if problem is not None:
                yield problem


@dataclass(frozen=True)
class _Wrong:
    """A block that is not as its checksum says.

    Attributes:
        start: Its first item.
        stop: Behind its last committed item.
        detail: What is wrong with it.
    """

    start: int
    stop: int
    detail: str


class _Comparison:
    """Compares datasets with their checksums."""

    def __init__(self, subject: Target, storage: ColumnReader, fields: dict[str, Field], *, is_indexed: bool) -> None:
        self._subject = subject
        self._storage = storage
        self._fields = fields
        self._is_indexed = is_indexed
        self._first_held_row = first_held_row(subject)

    def problem(self, field: Field) -> Problem | None:
        """What is wrong with a field, None if nothing is."""
        checksums = checksum_field(field).name
        try:
            count = self._committed(field)
            size = open_dataset(self._subject.handle.file, field.name).chunks[0]
            # Behind them, a repair writes all blocks once more; a copy that was made of a live file has some half done.
            needed, found = -(-self._first_held(field) // size), self._storage.length(checksums)
            if found < needed:
                return make_problem("checksum", f"/{checksums}", f"{needed} checksums are needed, there are {found}")
            self._storage.check_stored(checksums, needed)
        except CorruptRecordingError as error:
            return make_problem("checksum", f"/{checksums}", reason(error, self._subject.handle.path))
        wrong = self._wrong_blocks(field, count, size, needed)
        first = next(wrong, None)
        if first is None:
            return None
        unit = self._unit(field)
        more = sum(1 for _ in wrong)
        others = f"; likewise {more:,} more block{'s' if more > 1 else ''}" if more else ""
        last = first.stop - 1
        items = f"{unit}s {first.start:,} to {last:,}" if last > first.start else f"{unit} {first.start:,}"
        detail = f"{items}{self._episodes(first) if unit == 'row' else ''}: {first.detail}{others}"
        return make_problem("checksum", f"/{field.name} {unit} {first.start}", detail)

    def _wrong_blocks(self, field: Field, count: int, size: int, blocks: int) -> Iterator[_Wrong]:
        """Those of the first blocks of a field that are wrong, in their order."""
        checksums, length = checksum_field(field).name, self._storage.length(field.name)
        for first in range(0, blocks, _READ_CHECKSUMS):
            last = min(first + _READ_CHECKSUMS, blocks)
            try:
                kept = self._storage.items(checksums, first, last).tolist()
            except CorruptRecordingError as error:
                detail = f"their checksums cannot be read: {reason(error, self._subject.handle.path)}"
                yield _Wrong(first * size, min(last * size, count), detail)
                continue
            for number, (covered, checksum) in enumerate(kept, first):
                start, stop = number * size, min(number * size + size, count)
                if not stop - start <= covered <= min(size, length - start):
                    detail = f"the checksum is of {covered} items, {stop - start} are committed, {length - start} there"
                else:
                    detail = self._difference(field, start, start + covered, checksum)
                if detail:
                    yield _Wrong(start, stop, detail)

    def _difference(self, field: Field, start: int, stop: int, checksum: int) -> str:
        """What is wrong with the items of a block, empty if nothing is."""
        try:
            _, found = block_checksum(self._storage.items(field.name, start, stop))
        except CorruptRecordingError as error:
            return f"they cannot be read: {reason(error, self._subject.handle.path)}"
        return "" if found == checksum else f"their CRC-32 is {found:#010x}, it was {checksum:#010x} when written"

    def _committed(self, field: Field) -> int:
        """How many items of a field are committed."""
        return self._count(field, self._subject.num_rows)

    def _first_held(self, field: Field) -> int:
        """The first item of a field that only rows have which the journal still has; those of episodes are kept."""
        return self._count(field, self._first_held_row)

    def _count(self, field: Field, rows: int) -> int:
        """How many items of a field so many rows have, or all episodes."""
        if field.parent is not None:
            lists = self._count(self._fields[field.parent], rows)
            return int(self._storage.items(field.parent, lists - 1, lists)[0]) if lists else 0
        return self._subject.num_episodes if self._unit(field) == "episode" else rows

    def _unit(self, field: Field) -> str:
        if field.parent is not None:
            return "item"
        return "episode" if field.name.startswith(f"{fmt.EPISODES}/") else "row"

    def _episodes(self, wrong: _Wrong) -> str:
        """In which episodes the rows of a block are, if that can be told."""
        if not self._is_indexed or not self._subject.num_episodes:
            return ""
        starts = range(self._subject.num_episodes)
        try:
            first, last = (bisect_right(starts, row, key=self._start) - 1 for row in (wrong.start, wrong.stop - 1))
        except CorruptRecordingError:
            return ""
        return f" of episodes {first:,} to {last:,}" if last > first else f" of episode {first:,}"

    def _start(self, episode: int) -> int:
        return int(self._storage.items(f"{fmt.EPISODES}/starts", episode, episode + 1)[0])


def first_held_row(subject: Target) -> int:
    """The first row that the journal of an interrupted recording still has, ``num_rows`` if it has none.

    Args:
        subject: The recording. Its journal may be anything.
    """
    path = subject.handle.path
    if subject.is_settled or not has_journal(path):
        return subject.num_rows
    try:
        if is_unfinished(journal_path(path)):
            return subject.num_rows
        journal = Journal.open(journal_path(path))
        if not journal.is_laid_out or is_outlived(journal):
            return subject.num_rows
        journal.check_positions()
        journal_id = str(subject.handle.metadata().get("journal_id"))
        continues = check_belongs(path, journal, journal_id, subject.num_rows)
    except (RecordingError, OSError, *DRAIN_ERRORS):  # there is nothing in it that a repair could bring in
        return subject.num_rows
    return min(journal.control[Control.TAIL], subject.num_rows) if continues else subject.num_rows
