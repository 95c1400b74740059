"""Compare the items of every dataset with its checksums, chunk by chunk.

Only a recording made with ``checksum=True`` has ``/checksums``; nothing is wrong with one that lacks them. In an
interrupted file, blocks with rows that the journal still has are not compared: a repair writes them again.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from gym_h5record.display import counted
from gym_h5record.errors import CorruptRecordingError, RecordingError
from gym_h5record.format import names as fmt
from gym_h5record.format.claims import LaneCommit, read_commit
from gym_h5record.format.nodes import Field
from gym_h5record.format.schema import Schema, all_fields
from gym_h5record.maintenance.validation.lanes import Lanes, in_lane
from gym_h5record.maintenance.validation.problems import Problem, make_problem, reason
from gym_h5record.maintenance.validation.structure import Structure
from gym_h5record.maintenance.validation.target import Target
from gym_h5record.storage.checksums import block_checksum, checksum_field
from gym_h5record.storage.column_reader import ColumnReader
from gym_h5record.storage.handle import Handle
from gym_h5record.storage.hdf5.objects import has_group
from gym_h5record.storage.lane_view import LaneView
from gym_h5record.writing.left_journal import DRAIN_ERRORS, check_belongs, is_outlived, open_left_journal

__all__ = ["checksum_problems", "first_journal_row", "lane_checksum_problems"]

_READ_CHECKSUMS = 1 << 14


def checksum_problems(structure: Structure, target: Target) -> Iterator[Problem]:
    """Find, for each dataset, the first block of items that differs from its checksum, and how many more there are."""
    if not has_group(target.handle.file, fmt.CHECKSUMS):
        return
    storage = _fresh_reader(target.handle, target.schema)
    comparison = _BlockComparison(target, storage, first_journal_row(target), is_indexed=structure.is_indexed)
    yield from comparison.problems(field for field in target.fields.values() if field.name not in structure.broken)


def lane_checksum_problems(handle: Handle, lanes: Lanes) -> Iterator[Problem]:
    """``checksum_problems`` of a vector recording: of each lane, then of the episodes of all lanes."""
    targets = [structure.target for structure in lanes.structures]
    known = next((target for target in targets if target is not None), None)
    if known is None or lanes.index is None or not has_group(handle.file, fmt.CHECKSUMS):
        return
    schema = replace(known.schema, num_envs=handle.num_envs)
    storage = _fresh_reader(handle, schema)  # for all lanes: they share chunks
    fields = {field.name: field for field in all_fields(schema)}
    missing = {name: _why_none(storage, name) for name, field in fields.items() if field.num_lanes is not None}
    yield from (problem for problem in missing.values() if problem is not None)
    journal_rows = _journal_rows(handle, storage, is_settled=known.is_settled)
    for lane, (structure, target) in enumerate(zip(lanes.structures, targets, strict=True)):
        if target is not None:
            first = target.num_rows if journal_rows is None else min(journal_rows[lane], target.num_rows)
            view = LaneView(handle, storage, lane, target.num_rows, np.empty(0, np.int64))
            view.expect(target.fields.values())
            comparison = _BlockComparison(target, view, first, is_indexed=structure.is_indexed)
            of_lane = (
                field
                for name, field in target.fields.items()
                if fields[name].num_lanes is not None and missing[name] is None and name not in structure.broken
            )
            yield from (in_lane(problem, lane) for problem in comparison.problems(of_lane))
    broken = set[str]().union(*(structure.broken for structure in lanes.structures))
    whole = Target(handle, storage, schema, lanes.index.num_rows, lanes.index.num_episodes)
    comparison = _BlockComparison(whole, storage, whole.num_rows, is_indexed=False)
    yield from comparison.problems(
        field for name, field in fields.items() if field.num_lanes is None and name not in broken
    )


def first_journal_row(target: Target) -> int:
    """The first row that a repair writes again from the journal; ``num_rows`` if it writes none."""
    rows = _journal_rows(target.handle, target.storage, is_settled=target.is_settled)
    return target.num_rows if rows is None else min(rows[0], target.num_rows)


def _journal_rows(handle: Handle, storage: ColumnReader, *, is_settled: bool) -> tuple[int, ...] | None:
    """The first row of each lane that a repair writes again from the journal; None if it writes none."""
    if is_settled:
        return None
    try:
        journal = open_left_journal(handle.path)
        if journal is None or is_outlived(journal):
            return None
        committed = read_commit(storage.items, storage.num_envs)
        continues = check_belongs(handle.path, journal, str(handle.metadata().get("journal_id")), committed)
    except (RecordingError, OSError, *DRAIN_ERRORS):  # a repair cannot drain this journal
        return None
    if not continues:
        return None
    return committed.tail_rows if isinstance(committed, LaneCommit) else (committed.tail_row,)


def _fresh_reader(handle: Handle, schema: Schema) -> ColumnReader:
    """A reader of its own: the target's has chunks in memory that were read before."""
    storage = ColumnReader(handle)
    fields = [*all_fields(schema)]
    storage.expect([*fields, *map(checksum_field, fields)])
    return storage


def _why_none(storage: ColumnReader, name: str) -> Problem | None:
    """Why the checksums of a field cannot be read, None if they can."""
    checksums = f"{fmt.CHECKSUMS}/{name}"
    try:
        storage.length(checksums)
    except CorruptRecordingError as error:
        return make_problem("checksum", f"/{checksums}", reason(error, storage.handle.path))
    return None


class _BlockComparison:
    """Compares the blocks of datasets with their checksums.

    Args:
        target: The recording, or one lane of it.
        storage: Reads the items and the checksums.
        first_journal_row: See there.
        is_indexed: Whether the episodes can be told.
    """

    def __init__(self, target: Target, storage: ColumnReader, first_journal_row: int, *, is_indexed: bool) -> None:
        self._target = target
        self._storage = storage
        self._first_journal_row = first_journal_row
        self._is_indexed = is_indexed

    def problems(self, fields: Iterable[Field]) -> Iterator[Problem]:
        """What is wrong with some fields."""
        for field in fields:
            problem = self._problem(field)
            if problem is not None:
                yield problem

    def _problem(self, field: Field) -> Problem | None:
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
        starts = self._target.storage.item
        first, last = (
            bisect_right(episodes, row, key=lambda number: starts(f"{fmt.EPISODES}/starts", number)) - 1
            for row in (start, stop - 1)
        )
        return f" of {_numbers('episode', first, last)}"


def _numbers(noun: str, first: int, last: int) -> str:
    return f"{noun}s {first:,} to {last:,}" if last > first else f"{noun} {first:,}"
