"""Move ticks from the journal of a vector recording into the file and commit them: ``commit.Drain`` for lanes.

A second run over the same ticks gives the same file, so a drain that was killed is simply run again.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format import names as fmt
from gym_h5record.format.claims import LaneCommit, committed_items
from gym_h5record.format.lanes import address, row_of
from gym_h5record.format.names import RowFlag, TypeCode
from gym_h5record.format.nodes import Field, Text
from gym_h5record.format.snapshot_text import packed_state
from gym_h5record.storage.recording_file import RecordingFile
from gym_h5record.writing.journal import Journal
from gym_h5record.writing.journal_control import Control
from gym_h5record.writing.journal_rows import BLOB_ENDS, CODES, FLAGS
from gym_h5record.writing.lane_episodes import RunOfLanes
from gym_h5record.writing.lane_index import LaneIndexWriter
from gym_h5record.writing.lane_rows import LaneRows, find_lane_rows
from gym_h5record.writing.segments import Segment

__all__ = ["LaneDrain"]

_OUTCOME = (fmt.REWARDS, fmt.TERMINATIONS, fmt.TRUNCATIONS)


class LaneDrain:
    """Moves ticks from a journal into a vector recording.

    Args:
        journal: The journal of this recording, laid out.
        file: The recording, after ``RecordingFile.start``.
    """

    def __init__(self, journal: Journal, file: RecordingFile) -> None:
        committed = file.committed
        if not isinstance(committed, LaneCommit):
            raise CorruptRecordingError("the journal has lanes, the recording has none")
        self.journal = journal
        self._file = file
        self._committed = committed
        self._schema = file.schema
        self._step_names = {each.name for each in self._schema.step_fields}
        texts = [each for each in self._schema.fields if each.name.startswith(f"{fmt.EXCEPTIONS}/")]
        self._ragged = (*self._schema.ragged_fields, *texts)
        self._fields = {each.name: each for each in self._ragged}
        self._index = LaneIndexWriter(file, committed)
        # The writer may have been killed between its last commit and the next line of ``run``.
        journal.control[Control.TAIL] = max(journal.control[Control.TAIL], committed.tail)
        self._discarded: set[tuple[int, int]] = set()  # discarded episodes that the next run meets again
        num_lanes = len(committed.lane_rows)
        self._cursors = {each.name: np.zeros(num_lanes, np.int64) for each in self._ragged}
        self._ends = {each.name: np.zeros(num_lanes, np.int64) for each in self._ragged if each.is_ends}
        for lane in range(num_lanes) if committed.rows else ():
            self._count_items(lane, committed.tail_rows[lane])

    @property
    def num_running(self) -> int:
        """How many episodes are running, after the last run: up to one for each lane."""
        return self._index.num_running

    def run(self, *, is_last: bool = False) -> None:
        """Write and commit all ticks of the journal, then release those that never change again.

        Args:
            is_last: Whether no tick and no mark will follow, so that all are released.
        """
        control = self.journal.control
        events, head, tail = control[Control.EVENTS], control[Control.HEAD], control[Control.TAIL]
        if head > tail:
            before = self._committed
            flags = self.journal.take(FLAGS, tail, head)
            kept = find_lane_rows(flags, tail, np.array(before.tail_rows, np.int64), self._index.open_starts)
            for lane in np.flatnonzero(kept.drops_open).tolist():
                self._index.drop_open(lane)
                self._count_items(lane, int(kept.first_rows[lane]))
            for lane in {lane for _, lane in set(kept.discarded) - self._discarded}:
                self._file.forget_rows(lane, 0)  # the first ragged item that changes is not known
            new_tail = head if is_last else self._released(kept, tail, head)
            is_released = kept.ticks < new_tail - tail
            episodes = self._write(kept, is_released)
            more, steps = kept.discarded_before(new_tail)
            num_released = np.bincount(kept.lanes[is_released], minlength=len(kept.first_rows))
            self._committed = LaneCommit(
                tuple(kept.next_rows.tolist()),
                *(episodes, before.discarded_episodes + more, before.discarded_steps + steps, head, new_tail),
                tuple((kept.first_rows + num_released).tolist()),
            )
            self._file.commit(self._committed)
            self._discarded = {each for each in kept.discarded if each[0] > new_tail}
            # Order matters: recovery trusts TAIL. BLOB_TAIL frees bytes of the ticks before TAIL, so it moves second.
            control[Control.TAIL] = new_tail
            control[Control.BLOB_TAIL] = self.journal.blob_start(new_tail)
        control[Control.COMMITTED_EVENTS] = events
        control[Control.COMMITTED_HEAD] = head

    def _released(self, kept: LaneRows, tail: int, head: int) -> int:
        """The first tick that may change, or that has rows of a chunk that is not full.

        The newest row of a lane whose episode runs waits for its step, and the newest tick may be discarded.
        """
        most = self.journal.capacity_rows // 2
        held = min(self._file.held_rows, most)
        is_running = kept.is_newest & ((kept.flags & RowFlag.LAST) == 0)
        released = min(head - 1, tail + int(kept.ticks[is_running].min(initial=head - tail)))
        is_partial = kept.rows >= np.maximum(kept.next_rows - 1, 0)[kept.lanes] // held * held
        filled = tail + int(kept.ticks[is_partial].min(initial=head - tail))
        first = min(released, filled) if head - filled <= most else released
        whole = self._before_cuts(kept, first - tail) + tail
        # A reset and the rows that it cuts short are parted only where the recorder would wait for room for ever.
        return whole if whole > tail or head - whole < self.journal.usable_rows else first

    def _before_cuts(self, kept: LaneRows, first: int) -> int:
        """The largest tick up to ``first`` that parts no episode from the reset that cut it short.

        The entry of such an episode has its place behind those of the episodes that ended before the reset.
        """
        at = np.flatnonzero(kept.is_last)
        begins = (kept.flags[at] & RowFlag.FIRST) != 0
        is_first = (at == 0) | (kept.lanes[at] != kept.lanes[at - 1])
        slots, lanes = self._slots(kept)[at - 1], kept.lanes[at]
        flags = [self.journal.columns[name][slots, lanes] for name in (fmt.TERMINATIONS, fmt.TRUNCATIONS)]
        has_ended = np.where(is_first, self._index.has_ended[lanes], flags[0] | flags[1]) & ~begins
        cuts = at[~has_ended]
        while (is_parted := (kept.ticks[cuts] < first) & (kept.next_ticks[cuts] >= first)).any():
            first = int(kept.ticks[cuts][is_parted].min())
        return first

    def _write(self, kept: LaneRows, is_released: np.ndarray) -> int:
        """Write the kept rows; returns the number of episodes that have ended."""
        padding = kept.is_last | kept.is_newest
        self._write_ring(kept, padding)
        items, exceptions, begins = self._parse(kept)
        self._write_ragged(kept, items, exceptions, is_released)
        rewards, terminations, truncations = (self._take(name, kept) for name in _OUTCOME)
        terms = self._schema.reward_terms(rewards, lambda: self._take(CODES, kept))
        return self._index.write(RunOfLanes(kept, terms, np.stack([terminations, truncations], 1), begins), is_released)

    # Columns ------------------------------------------------------------------------------------

    def _slots(self, kept: LaneRows) -> np.ndarray:
        slots: np.ndarray = (kept.start + kept.ticks) & self.journal.mask
        return slots

    def _take(self, name: str, kept: LaneRows) -> np.ndarray:
        """A copy of the kept rows of a ring column, ``(n, *shape)``."""
        items: np.ndarray = self.journal.columns[name][self._slots(kept), kept.lanes]
        return items

    def _write_ring(self, kept: LaneRows, padding: np.ndarray) -> None:
        if kept.is_block:
            self._write_ring_block(kept, padding)
            return
        slots, lanes, rows = self._slots(kept), kept.lanes, kept.rows
        for each in self._schema.ring_fields:
            column, of_step = self.journal.columns[each.name], each.name in self._step_names

            def take(at: np.ndarray, column: np.ndarray = column, *, of_step: bool = of_step) -> np.ndarray:
                items: np.ndarray = column[slots[at], lanes[at]]
                if of_step:
                    items[padding[at]] = 0
                return items

            self._file.write_lanes(each.name, lanes, rows, take)
        dones = (self._take(fmt.TERMINATIONS, kept) | self._take(fmt.TRUNCATIONS, kept)) & ~padding
        self._file.write_lanes(fmt.DONES, lanes, rows, lambda at: dones[at])
        codes = self._take(CODES, kept)
        codes[padding, : self._schema.num_step_codes] = TypeCode.ABSENT
        self._file.write_lanes(fmt.TYPES, lanes, rows, lambda at: codes[at])

    def _write_ring_block(self, kept: LaneRows, padding: np.ndarray) -> None:
        """Write the rows of all lanes together: nothing has to be sorted."""
        journal, row, is_padding = self.journal, int(kept.first_rows[0]), kept.by_tick(padding)
        start, stop = kept.start, kept.start + kept.num_ticks
        for each in self._schema.ring_fields:
            of_step, at = each.name in self._step_names, 0
            for slots in journal.slots(start, stop):
                items = journal.columns[each.name][slots]
                if of_step:
                    items = items.copy()
                    items[is_padding[at : at + len(items)]] = 0
                self._file.write_block(each.name, row + at, items)
                at += len(items)
        dones = journal.take(fmt.TERMINATIONS, start, stop) | journal.take(fmt.TRUNCATIONS, start, stop)
        self._file.write_block(fmt.DONES, row, dones & ~is_padding)
        codes = journal.take(CODES, start, stop)
        codes[is_padding, : self._schema.num_step_codes] = TypeCode.ABSENT
        self._file.write_block(fmt.TYPES, row, codes)

    def _parse(self, kept: LaneRows) -> tuple[dict[str, dict[int, bytes]], dict[int, Any], dict[int, Any]]:
        """Sort the segments: bytes of items by field and position, exceptions and begins by position.

        A step's segments are stored with the row that the step led to. A position is that of a row among the kept ones.
        """
        items: dict[str, dict[int, bytes]] = {each.name: {} for each in self._ragged}
        exceptions: dict[int, dict[str, Any]] = {}
        begins: dict[int, dict[str, Any]] = {}
        start, stop = kept.start, kept.start + kept.num_ticks
        ends = self.journal.take(BLOB_ENDS, start, stop)
        starts = np.concatenate([[self.journal.blob_start(start)], ends[:-1]]).astype(np.uint64)
        has_any = np.flatnonzero(ends > starts).tolist()
        places = kept.places() if has_any else np.empty((0, 0), np.int64)
        for tick in has_any:
            for segment in self.journal.read_segments(int(starts[tick]), int(ends[tick])):
                if segment.lane >= places.shape[1]:
                    raise CorruptRecordingError(f"the journal has a value of lane {segment.lane}")
                at = int(places[tick, segment.lane])
                if at >= 0:
                    self._sort(segment, at, kept, items, exceptions, begins)
        return items, exceptions, begins

    def _sort(
        self,
        segment: Segment,
        at: int,
        kept: LaneRows,
        items: dict[str, dict[int, bytes]],
        exceptions: dict[int, dict[str, Any]],
        begins: dict[int, dict[str, Any]],
    ) -> None:
        number = segment.number
        if number == Segment.EPISODE:
            begins[at] = json.loads(segment.data)
            return
        if number == Segment.SNAPSHOT:
            provider, _, state = segment.data.partition(b"\0")
            begins[at]["json"].setdefault(fmt.SNAPSHOT, {})[provider.decode()] = packed_state(state)
            return
        is_exceptions = number in (Segment.ROW_EXCEPTIONS, Segment.STEP_EXCEPTIONS)
        name = "" if is_exceptions else self._ragged[number].name
        if number == Segment.STEP_EXCEPTIONS or name in self._step_names:
            at -= 1
            if at < 0 or kept.lanes[at] != segment.lane:  # the row before is released: its items are in the file
                return
        if is_exceptions:
            exceptions.setdefault(at, {}).update(json.loads(segment.data))
        else:
            items[name][at] = items[name].get(at, b"") + segment.data

    def _write_ragged(
        self, kept: LaneRows, items: dict[str, dict[int, bytes]], exceptions: dict[int, Any], is_released: np.ndarray
    ) -> None:
        texts = {at: json.dumps(each, separators=(",", ":")).encode() for at, each in exceptions.items()}
        ends, values = (each.name for each in Text(fmt.EXCEPTIONS).fields())
        items[ends] = {at: np.int64(len(text)).tobytes() for at, text in texts.items()}
        items[values] = texts
        for each in self._ragged:
            if each.parent is None:
                self._write_row_items(each, kept, items[each.name], is_released)
            else:
                self._write_list_items(each, kept, items[each.name], is_released)

    def _write_row_items(self, each: Field, kept: LaneRows, found: dict[int, bytes], is_released: np.ndarray) -> None:
        """Write a field with one item per row, zero for a row without a segment."""
        if kept.is_block and not found:
            before: Any = self._ends[each.name] if each.is_ends else np.zeros(each.shape, each.dtype)
            shape = (kept.num_ticks, len(kept.first_rows), *each.shape)
            self._file.write_block(each.name, int(kept.first_rows[0]), np.broadcast_to(before, shape))
            return
        items = np.zeros((len(kept.rows), *each.shape), each.dtype)
        for at, data in found.items():
            items[at] = np.frombuffer(data, each.dtype).reshape(each.shape)
        if each.is_ends:
            items = self._summed(each, kept.lanes, items, is_released)
        self._file.write_lanes(each.name, kept.lanes, kept.rows, lambda at: items[at])

    def _write_list_items(self, each: Field, kept: LaneRows, found: dict[int, bytes], is_released: np.ndarray) -> None:
        """Write the items of lists. The cursors pass the released rows; the next run rewrites the rest."""
        order = sorted(found)
        counts = np.array([len(found[at]) // each.item_bytes for at in order], np.int64)
        lanes = np.repeat(kept.lanes[order], counts) if order else np.empty(0, np.int64)
        items = np.frombuffer(b"".join(found[at] for at in order), each.dtype).reshape(-1, *each.shape)
        per_lane = np.bincount(lanes, minlength=len(kept.first_rows))
        firsts = np.cumsum(per_lane) - per_lane
        cursors = self._cursors[each.name]
        rows = cursors[lanes] + np.arange(len(lanes)) - firsts[lanes]
        moved = np.array([is_released[at] for at in order], np.bool_)
        if each.is_ends:
            items = self._summed(each, lanes, items, np.repeat(moved, counts))
        self._file.write_lanes(each.name, lanes, rows, lambda at: items[at])
        weights = np.bincount(kept.lanes[order][moved], counts[moved], len(cursors)) if order else 0
        self._cursors[each.name] = cursors + np.asarray(weights, np.int64)

    def _summed(self, each: Field, lanes: np.ndarray, sizes: np.ndarray, is_released: np.ndarray) -> np.ndarray:
        """Ends from sizes, ``(n,)``: added up in each lane, behind the end before its first item."""
        before = self._ends[each.name]
        sums = np.cumsum(sizes, dtype=np.int64)
        begins = np.flatnonzero(np.diff(lanes, prepend=-1))
        counts = np.diff(begins, append=len(lanes))
        ends: np.ndarray = sums + np.repeat(before[lanes[begins]] - (sums[begins] - sizes[begins]), counts)
        before[lanes[is_released]] = ends[is_released]  # of several, the last one of a lane stays
        return ends

    def _end_at(self, ends: str, at: int) -> int:
        return int(row_of(self._file.read(ends, at, at + 1)[0]))

    def _count_items(self, lane: int, row: int) -> None:
        """Set the cursors of a lane: how many items of each ragged field belong to the rows before, and their end."""
        for each in self._ragged:
            count = committed_items(
                each, self._fields, row, 0, lambda ends, index: self._end_at(ends, address(lane, index))
            )
            self._cursors[each.name][lane] = count
            if each.is_ends:
                self._ends[each.name][lane] = self._end_at(each.name, address(lane, count - 1)) if count else 0
