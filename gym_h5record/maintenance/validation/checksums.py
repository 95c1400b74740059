"""Compare the items of every dataset with its checksums, chunk by chunk.

Only a recording made with ``checksum=True`` has ``/checksums``; nothing is wrong with one that lacks them. In an
interrupted file, blocks with rows that the journal still has are not compared: a repair writes them again.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

from gym_h5record.display import counted
from gym_h5record.errors import CorruptRecordingError, RecordingError
from gym_h5record.format import names as fmt
from gym_h5record.format.claims import read_commit
from gym_h5record.format.nodes import Field
from gym_h5record.maintenance.validation.problems import Problem, make_problem, reason
from gym_h5record.maintenance.validation.structure import Structure
from gym_h5record.maintenance.validation.target import Target
from gym_h5record.storage.checksums import block_checksum, checksum_field
from gym_h5record.storage.column_reader import ColumnReader
from gym_h5record.storage.hdf5.objects import has_group
from gym_h5record.writing.left_journal import DRAIN_ERRORS, check_belongs, is_outlived, open_left_journal

__all__ = ["checksum_problems", "first_journal_row"]

_READ_CHECKSUMS = 1 << 14


def checksum_problems(structure: Structure, target: Target) -> Iterator[Problem]:
    """Find, for each dataset, the first block of items that differs from its checksum, and how many more there are."""
    if not has_group(target.handle.file, fmt.CHECKSUMS):
        return
    comparison = _BlockComparison(target, is_indexed=structure.is_indexed)
    for field in target.fields.values():
        if field.name not in structure.broken:
            problem = comparison.problem(field)
            if problem is not None:
                yield problem


def first_journal_row(target: Target) -> int:
    """The first row that a repair writes again from the journal; ``num_rows`` if it writes none."""
    path, num_rows = target.handle.path, target.num_rows
    if target.is_settled:
        return num_rows
    try:
        journal = open_left_journal(path)
        if journal is None or is_outlived(journal):
            return num_rows
        journal_id = str(target.handle.metadata().get("journal_id"))
        reader = target.storage
        committed = read_commit(reader.items, reader.num_envs)
        continues = check_belongs(path, journal, journal_id, committed)
    except (RecordingError, OSError, *DRAIN_ERRORS):  # a repair cannot drain this journal
        return num_rows
    return min(committed.tail_row, num_rows) if continues else num_rows


class _BlockComparison:
    """Compares the blocks of datasets with their checksums."""

    def __init__(self, target: Target, *, is_indexed: bool) -> None:
        self._target = target
        self._is_indexed = is_indexed
        self._first_journal_row = first_journal_row(target)
        self._storage = ColumnReader(
            target.handle
        )  # of its own: the target's has chunks in memory that were read before
        self._storage.expect([*target.fields.values(), *map(checksum_field, target.fields.values())])

    def problem(self, field: Field) -> Problem | None:
        """What is wrong with a field, None if nothing is."""
        target, checksums = self._target, checksum_field(field).name
        try:
            count = target.committed(field, target.num_rows)
            size = self._storage.chunk_rows(field.name)
            # Later blocks are written again by a repair. In a copy of a live file they may be half written.
            needed = -(-target.committed(field, self._first_journal_row) // size)
            found = self._storage.length(checksums)
            if found < needed:
                raise CorruptRecordingError(f"{needed} checksums are needed, there are {found}")
            self._storage.check_stored(checksums, needed)
        except CorruptRecordingError as error:
            return make_problem("checksum", f"/{checksums}", reason(error, target.handle.path))
        wrong = self._wrong_blocks(field, count, size, needed)
        first = next(wrong, None)
        if first is None:
            return None
        start, stop, detail = first
        episodes = self._episodes(start, stop) if field.axis == "row" else ""
        more = sum(1 for _ in wrong)
        likewise = f"; likewise {counted(more, 'more block')}" if more else ""
        message = f"{_numbers(field.axis, start, stop - 1)}{episodes}: {detail}{likewise}"
        return make_problem("checksum", f"/{field.name} {field.axis} {start}", message)

    def _wrong_blocks(self, field: Field, count: int, size: int, blocks: int) -> Iterator[tuple[int, int, str]]:
        """Find the wrong ones of the first ``blocks`` blocks of a field, in their order.

        Yields:
            The first item, the one behind the last committed one, and what is wrong.
        """
        checksums, length = checksum_field(field).name, self._storage.length(field.name)
        for first in range(0, blocks, _READ_CHECKSUMS):
            last = min(first + _READ_CHECKSUMS, blocks)
            try:
                kept = self._storage.items(checksums, first, last).tolist()
            except CorruptRecordingError as error:
                detail = f"their checksums cannot be read: {reason(error, self._target.handle.path)}"
                yield first * size, min(last * size, count), detail
                continue
            for number, (covered, checksum) in enumerate(kept, first):
                start, stop = number * size, min(number * size + size, count)
                if not stop - start <= covered <= min(size, length - start):
                    detail = f"the checksum is of {covered} items, {stop - start} are committed, {length - start} there"
                else:
                    detail = self._difference(field, start, start + covered, checksum)
                if detail:
                    yield start, stop, detail

    def _difference(self, field: Field, start: int, stop: int, checksum: int) -> str:
        """What is wrong with the items of a block, "" if nothing is."""
        try:
            _, found = block_checksum(self._storage.items(field.name, start, stop))
        except CorruptRecordingError as error:
            return f"they cannot be read: {reason(error, self._target.handle.path)}"
        return "" if found == checksum else f"their CRC-32 is {found:#010x}, it was {checksum:#010x} when written"

    def _episodes(self, start: int, stop: int) -> str:
        """Say which episodes some rows belong to, "" if the index does not tell."""
        episodes = range(self._target.num_episodes)
        if not self._is_indexed or not episodes:
            return ""
        first, last = (
            bisect_right(episodes, row, key=lambda number: self._storage.item(f"{fmt.EPISODES}/starts", number)) - 1
            for row in (start, stop - 1)
        )
        return f" of {_numbers('episode', first, last)}"


def _numbers(noun: str, first: int, last: int) -> str:
    return f"{noun}s {first:,} to {last:,}" if last > first else f"{noun} {first:,}"
