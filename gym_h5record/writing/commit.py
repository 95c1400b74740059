"""Move rows from the journal into the file and commit them. There is no other way to commit rows.

The writer process, the inline worker, appending and recovery all run ``Drain``. A second run over the same rows gives
the same file, so a drain that was killed is simply run again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gym_h5record.format import names as fmt
from gym_h5record.format.claims import Commit, committed_items
from gym_h5record.format.names import RowFlag, TypeCode
from gym_h5record.format.nodes import Field
from gym_h5record.format.snapshot_text import packed_state
from gym_h5record.storage.recording_file import RecordingFile
from gym_h5record.writing.index_writer import IndexWriter
from gym_h5record.writing.journal import Journal
from gym_h5record.writing.journal_control import Control
from gym_h5record.writing.journal_rows import BLOB_ENDS, CODES, FLAGS
from gym_h5record.writing.kept_rows import KeptRows, find_kept_rows
from gym_h5record.writing.segments import Segment

__all__ = ["Drain"]


@dataclass
class _Segments:
    """The segments of a run of rows, sorted by kind. Rows are counted from the first of the run."""

    items: dict[str, dict[int, bytes]]  # ragged field -> row -> bytes of its items
    exceptions: dict[int, dict[str, Any]] = field(default_factory=dict)
    begins: dict[int, dict[str, Any]] = field(default_factory=dict)


class Drain:
    """Moves rows from a journal into a recording.

    Args:
        journal: The journal of this recording, laid out.
        file: The recording, after ``RecordingFile.start``.
    """

    def __init__(self, journal: Journal, file: RecordingFile) -> None:
        self.journal = journal
        self._file = file
        self._schema = file.schema
        self._ragged = self._schema.ragged_fields
        self._step_names = {each.name for each in self._schema.step_fields}
        self._fields = {each.name: each for each in (*self._ragged, *_EXCEPTION_FIELDS)}
        self._index = IndexWriter(file)
        # The writer may have been killed between its last commit and the next line of ``run``.
        journal.control[Control.TAIL] = max(journal.control[Control.TAIL], file.committed.tail)
        self._count_items(file.committed.tail_row)

    def run(self, *, is_last: bool = False) -> None:
        """Write and commit all rows of the journal, then release those that never change again.

        Args:
            is_last: Whether no row and no mark will follow, so that all are released.
        """
        control = self.journal.control
        events, head, tail = control[Control.EVENTS], control[Control.HEAD], control[Control.TAIL]
        if head > tail:
            flags = self.journal.take(FLAGS, tail, head)  # once: the recorder may mark rows meanwhile
            kept = find_kept_rows(flags, tail, self._file.committed.tail_row, self._index.open_start)
            if kept.drops_open:
                self._index.drop_open()
                self._count_items(kept.first_row)
            last = _last_rows(flags)
            last = np.concatenate([last[start - tail : stop - tail] for start, stop in kept.runs] or [last[:0]])
            new_tail, tail_row = (head, kept.next_row) if is_last else kept.position(self._released(kept))
            episodes = self._write(kept, last, tail_row - kept.first_row)
            more, steps = kept.discarded_before(new_tail)
            before = self._file.committed
            self._file.commit(
                Commit(
                    *(kept.next_row, episodes, before.discarded_episodes + more, before.discarded_steps + steps),
                    *(head, new_tail, tail_row),
                )
            )
            # Order matters: recovery trusts TAIL. BLOB_TAIL frees bytes of the rows before TAIL, so it moves second.
            control[Control.TAIL] = new_tail
            control[Control.BLOB_TAIL] = self.journal.blob_start(new_tail)
        control[Control.COMMITTED_EVENTS] = events
        control[Control.COMMITTED_HEAD] = head

    @property
    def num_running(self) -> int:
        """How many episodes are running, after the last run: rows then lie behind the last one that ended."""
        return int(self._index.open_start < self._file.committed.rows)

    def _released(self, kept: KeptRows) -> int:
        """The first row that may change: those before it fill whole chunks. The newest may become a discarded one."""
        # A ring of few large rows may hold less than a chunk of a small column. Such a chunk is read back and extended.
        most = self.journal.capacity_rows // 2
        held = min(self._file.held_rows, most)
        released = max(kept.next_row - 1, 0) // held * held
        if kept.stop - kept.position(released)[0] <= most:
            return released
        # Discarded rows fill the ring. They go together with the rows before them, or the recorder would wait for ever.
        return kept.next_row if kept.ends_discarded else kept.next_row - 1

    def _write(self, kept: KeptRows, last: np.ndarray, num_released: int) -> int:
        """Write the kept rows; returns the number of episodes that have ended."""
        segments = self._parse(kept)
        self._write_ring(kept, last)
        self._write_ragged(segments, kept.num_rows, num_released)
        rewards, terminations, truncations = (self._take(name, kept) for name in _OUTCOME)
        terms = self._schema.reward_terms(rewards, lambda: self._take(CODES, kept))
        return self._index.write(kept.first_row, last, terms, terminations, truncations, segments.begins, num_released)

    def _count_items(self, row: int) -> None:
        """Set the cursors: how many items of each ragged field belong to the rows before this one."""
        self._cursors = {
            each.name: committed_items(each, self._fields, row, self._file.episodes, self._end_at)
            for each in self._fields.values()
        }

    def _end_at(self, ends: str, index: int) -> int:
        return int(self._file.read(ends, index, index + 1)[0])

    def _take(self, name: str, kept: KeptRows) -> np.ndarray:
        """A copy of the kept rows of a ring column."""
        column = self.journal.columns[name]
        parts = [column[slots] for start, stop in kept.runs for slots in self.journal.slots(start, stop)]
        return np.concatenate(parts or [column[:0]])

    # Columns ------------------------------------------------------------------------------------

    def _write_ring(self, kept: KeptRows, last: np.ndarray) -> None:
        padding = last.copy()
        padding[-1:] = True  # its step is not known yet
        first = kept.first_row
        for each in self._schema.ring_fields:
            if each.name not in self._step_names:
                row = first
                for slots in (slots for run in kept.runs for slots in self.journal.slots(*run)):
                    self._file.write(each.name, row, self.journal.columns[each.name][slots])
                    row += slots.stop - slots.start
                continue
            items = self._take(each.name, kept)
            items[padding] = 0
            self._file.write(each.name, first, items)
            if each.name == fmt.TERMINATIONS:
                dones = items
            elif each.name == fmt.TRUNCATIONS:
                self._file.write(fmt.DONES, first, dones | items)
        codes = self._take(CODES, kept)
        codes[padding, : self._schema.num_step_codes] = TypeCode.ABSENT
        self._file.write(fmt.TYPES, first, codes)

    def _parse(self, kept: KeptRows) -> _Segments:
        """Sort the segments of the rows. A step's segments are stored with the row that the step led to."""
        segments = _Segments({each.name: {} for each in self._ragged})
        first = 0
        for start, stop in kept.runs:
            ends = self.journal.take(BLOB_ENDS, start, stop)
            starts = np.concatenate([[self.journal.blob_start(start)], ends[:-1]]).astype(np.uint64)
            for row in np.flatnonzero(ends > starts).tolist():  # most rows have none
                for segment in self.journal.read_segments(int(starts[row]), int(ends[row])):
                    self._sort(segment, first + row, kept.first_row, segments)
            first += stop - start
        return segments

    def _sort(self, segment: Segment, row: int, first_row: int, segments: _Segments) -> None:
        if segment.number == Segment.EPISODE:
            segments.begins[first_row + row] = json.loads(segment.data)
        elif segment.number == Segment.SNAPSHOT:
            provider, _, state = segment.data.partition(b"\0")
            states = segments.begins[first_row + row]["json"].setdefault(fmt.SNAPSHOT, {})
            states[provider.decode()] = packed_state(state)
        elif segment.number in (Segment.ROW_EXCEPTIONS, Segment.STEP_EXCEPTIONS):
            of_step = segment.number == Segment.STEP_EXCEPTIONS
            segments.exceptions.setdefault(row - of_step, {}).update(json.loads(segment.data))
        else:
            name = self._ragged[segment.number].name
            items, at = segments.items[name], row - (name in self._step_names)
            items[at] = items.get(at, b"") + segment.data

    def _write_ragged(self, segments: _Segments, count: int, num_released: int) -> None:
        for each in self._ragged:
            self._write_items(each, segments.items[each.name], count, num_released)
        texts = {row: json.dumps(each, separators=(",", ":")).encode() for row, each in segments.exceptions.items()}
        ends, values = _EXCEPTION_FIELDS
        self._write_items(
            ends, {row: np.int64(len(text)).tobytes() for row, text in texts.items()}, count, num_released
        )
        self._write_items(values, texts, count, num_released)

    def _write_items(self, each: Field, rows: dict[int, bytes], count: int, num_released: int) -> None:
        """Write the items of ``count`` rows. The cursor passes the released rows; the next run rewrites the rest."""
        # A step segment in the first row belongs to the row before. That row is released: its items are in the file.
        rows = {row: data for row, data in rows.items() if row >= 0}
        if each.parent is None:  # one item per row, zero for a row without a segment
            items = np.zeros((count, *each.shape), each.dtype)
            for row, data in rows.items():
                items[row] = np.frombuffer(data, each.dtype).reshape(each.shape)
            num_moved = num_released
        else:
            items = np.frombuffer(b"".join(rows[row] for row in sorted(rows)), each.dtype).reshape(-1, *each.shape)
            num_moved = sum(len(data) for row, data in rows.items() if row < num_released) // each.item_bytes
        cursor = self._cursors[each.name]
        if each.is_ends:
            before = self._end_at(each.name, cursor - 1) if cursor else 0
            items = before + np.cumsum(items, dtype=np.int64)
        self._file.write(each.name, cursor, items)
        self._cursors[each.name] = cursor + num_moved


def _last_rows(flags: np.ndarray) -> np.ndarray:
    """Which rows are the last of their episode, judged by the flags of rows that follow each other."""
    last: np.ndarray = (flags & RowFlag.LAST) != 0
    last[:-1] |= (flags[1:] & RowFlag.FIRST) != 0
    return last


_OUTCOME = (fmt.REWARDS, fmt.TERMINATIONS, fmt.TRUNCATIONS)
_EXCEPTION_FIELDS = (
    Field(f"{fmt.EXCEPTIONS}/{fmt.ENDS}", np.dtype(np.int64), is_ends=True),
    Field(f"{fmt.EXCEPTIONS}/{fmt.VALUES}", np.dtype(np.uint8), parent=f"{fmt.EXCEPTIONS}/{fmt.ENDS}"),
)
