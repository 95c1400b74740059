"""Compare the items of every dataset with its checksums, chunk by chunk.

Only a recording made with ``checksum=True`` has ``/checksums``; nothing is wrong with one that lacks them. In an
interrupted file, blocks with rows that the journal still has are not compared: a repair writes them again.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from gym_h5record.display import counted
from gym_h5record.errors import CorruptRecordingError, RecordingError
from gym_h5record.format import names as fmt
from gym_h5record.format.commit import committed_items
from gym_h5record.format.nodes import Field
from gym_h5record.format.schema import all_fields
from gym_h5record.maintenance.validation.problems import Problem, make_problem, reason
from gym_h5record.maintenance.validation.structure import Structure
from gym_h5record.maintenance.validation.target import Target
from gym_h5record.storage.checksums import block_checksum, checksum_field
from gym_h5record.storage.column_reader import ColumnReader
from gym_h5record.storage.hdf5.objects import has_group, open_dataset
from gym_h5record.writing.journal_format import Control
from gym_h5record.writing.left_journal import DRAIN_ERRORS, check_belongs, is_outlived, open_left_journal

__all__ = ["checksum_problems", "first_journal_row"]


_READ_CHECKSUMS = 1 << 14


def checksum_problems(structure: Structure, target: Target) -> Iterator[Problem]:
    """Find blocks of items that differ from their checksum.

    Args:
        structure: The structure of the recording, whose ``problems`` have been run through.
        target: The recording.

    Yields:
        At most one problem for each dataset: the first wrong block, and how many more there are.
    """
    if not has_group(target.handle.file, fmt.CHECKSUMS):
        return
    storage = ColumnReader(target.handle)  # of its own: the target's has chunks in memory that were read before
    fields = {field.name: field for field in all_fields(target.schema)}
    storage.expect([*fields.values(), *map(checksum_field, fields.values())])
    comparison = _BlockComparison(target, storage, fields, is_indexed=structure.is_indexed)
    for field in fields.values():
        if field.name not in structure.broken:
            problem = comparison.problem(field)
            if problem is not None:
                yield problem


def first_journal_row(target: Target) -> int:
    """The first row that a repair writes again from the journal; ``num_rows`` if it writes none.

    Args:
        target: The recording. Its journal may be damaged, or of another recording.
    """
    path, num_rows = target.handle.path, target.num_rows
    if target.is_settled:
        return num_rows
    try:
        journal = open_left_journal(path)
        if journal is None or is_outlived(journal):
            return num_rows
        journal_id = str(target.handle.metadata().get("journal_id"))
        continues = check_belongs(path, journal, journal_id, num_rows)
    except (RecordingError, OSError, *DRAIN_ERRORS):  # a repair cannot drain this journal
        return num_rows
    return min(journal.control[Control.TAIL], num_rows) if continues else num_rows


@dataclass(frozen=True)
class _WrongBlock:
    """A block that differs from its checksum.

    Attributes:
        start: Its first item.
        stop: The item behind its last committed one.
        detail: What is wrong with it.
    """

    start: int
    stop: int
    detail: str


class _BlockComparison:
    """Compares the blocks of datasets with their checksums."""

    def __init__(self, target: Target, storage: ColumnReader, fields: dict[str, Field], *, is_indexed: bool) -> None:
        self._target = target
        self._storage = storage
        self._fields = fields
        self._is_indexed = is_indexed
        self._first_journal_row = first_journal_row(target)

    def problem(self, field: Field) -> Problem | None:
        """What is wrong with a field, None if nothing is."""
        checksums = checksum_field(field).name
        try:
            count = self._count(field, self._target.num_rows)
            size = open_dataset(self._target.handle.file, field.name).chunks[0]
            # Later blocks are written again by a repair. In a copy of a live file they may be half written.
            needed = -(-self._count(field, self._first_journal_row) // size)
            found = self._storage.length(checksums)
            if found < needed:
                return make_problem("checksum", f"/{checksums}", f"{needed} checksums are needed, there are {found}")
            self._storage.check_stored(checksums, needed)
        except CorruptRecordingError as error:
            return make_problem("checksum", f"/{checksums}", reason(error, self._target.handle.path))
        wrong = self._wrong_blocks(field, count, size, needed)
        first = next(wrong, None)
        return None if first is None else self._first_problem(field, first, sum(1 for _ in wrong))

    def _first_problem(self, field: Field, first: _WrongBlock, more: int) -> Problem:
        unit, last = field.axis, first.stop - 1
        items = f"{unit}s {first.start:,} to {last:,}" if last > first.start else f"{unit} {first.start:,}"
        episodes = self._episodes(first) if unit == "row" else ""
        likewise = f"; likewise {counted(more, 'more block')}" if more else ""
        return make_problem(
            "checksum", f"/{field.name} {unit} {first.start}", f"{items}{episodes}: {first.detail}{likewise}"
        )

    def _wrong_blocks(self, field: Field, count: int, size: int, blocks: int) -> Iterator[_WrongBlock]:
        """Find the wrong ones of the first ``blocks`` blocks of a field, in their order."""
        checksums, length = checksum_field(field).name, self._storage.length(field.name)
        for first in range(0, blocks, _READ_CHECKSUMS):
            last = min(first + _READ_CHECKSUMS, blocks)
            try:
                kept = self._storage.items(checksums, first, last).tolist()
            except CorruptRecordingError as error:
                detail = f"their checksums cannot be read: {reason(error, self._target.handle.path)}"
                yield _WrongBlock(first * size, min(last * size, count), detail)
                continue
            for number, (covered, checksum) in enumerate(kept, first):
                start, stop = number * size, min(number * size + size, count)
                if not stop - start <= covered <= min(size, length - start):
                    detail = f"the checksum is of {covered} items, {stop - start} are committed, {length - start} there"
                else:
                    detail = self._difference(field, start, start + covered, checksum)
                if detail:
                    yield _WrongBlock(start, stop, detail)

    def _difference(self, field: Field, start: int, stop: int, checksum: int) -> str:
        """What is wrong with the items of a block, "" if nothing is."""
        try:
            _, found = block_checksum(self._storage.items(field.name, start, stop))
        except CorruptRecordingError as error:
            return f"they cannot be read: {reason(error, self._target.handle.path)}"
        return "" if found == checksum else f"their CRC-32 is {found:#010x}, it was {checksum:#010x} when written"

    def _count(self, field: Field, num_rows: int) -> int:
        """How many items of a field belong to the first rows, or to all committed episodes."""
        return committed_items(field, self._fields, num_rows, self._target.num_episodes, self._item)

    def _item(self, name: str, at: int) -> int:
        return int(self._storage.row(name, at)[0])

    def _episodes(self, block: _WrongBlock) -> str:
        """Say which episodes the rows of a block belong to, "" if the index does not tell."""
        if not self._is_indexed or not self._target.num_episodes:
            return ""
        episodes = range(self._target.num_episodes)
        try:
            first, last = (
                bisect_right(episodes, row, key=lambda number: self._item(f"{fmt.EPISODES}/starts", number)) - 1
                for row in (block.start, block.stop - 1)
            )
        except CorruptRecordingError:
            return ""
        return f" of episodes {first:,} to {last:,}" if last > first else f" of episode {first:,}"
