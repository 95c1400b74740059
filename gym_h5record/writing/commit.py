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
from gym_h5record.format.claims import committed_items
from gym_h5record.format.names import TypeCode
from gym_h5record.format.nodes import Field
from gym_h5record.format.snapshot_text import packed_state
from gym_h5record.storage.recording_file import RecordingFile
from gym_h5record.writing.index_writer import IndexWriter
from gym_h5record.writing.journal import Journal
from gym_h5record.writing.journal_format import Control, Segment
from gym_h5record.writing.journal_rows import BLOB_ENDS, CODES

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
        tail = journal.control[Control.TAIL]
        fields = {each.name: each for each in (*self._ragged, *_EXCEPTION_FIELDS)}
        self._cursors = {  # items of the rows before the tail
            each.name: committed_items(each, fields, tail, file.episodes, self._end_at) for each in fields.values()
        }
        self._index = IndexWriter(file)

    def run(self) -> None:
        """Write and commit all rows of the journal, then release those that never change again."""
        control = self.journal.control
        events, head, tail = control[Control.EVENTS], control[Control.HEAD], control[Control.TAIL]
        if head > tail:
            last = self.journal.last_rows(tail, head)
            segments = self._parse(tail, head)
            self._write_ring(tail, head, last)
            released = self._released(head, closed=bool(last[-1]))
            self._write_ragged(segments, head - tail, released - tail)
            rewards, terminations, truncations = (self.journal.take(name, tail, head) for name in _OUTCOME)
            episodes = self._index.write(tail, last, rewards, terminations, truncations, segments.begins)
            self._file.commit(head, episodes)
            # Order matters: recovery trusts TAIL. BLOB_TAIL frees bytes of the rows before TAIL, so it moves second.
            control[Control.TAIL] = released
            control[Control.BLOB_TAIL] = self.journal.blob_start(released)
        control[Control.COMMITTED_EVENTS] = events
        control[Control.COMMITTED_HEAD] = head

    def _end_at(self, ends: str, index: int) -> int:
        return int(self._file.read(ends, index, index + 1)[0])

    def _released(self, head: int, *, closed: bool) -> int:
        """Rows before this one never change again: they fill whole chunks, and their step is known."""
        whole = head if closed else head - 1
        # A ring of few large rows may hold less than a chunk of a small column. Such a chunk is read back and extended.
        held = min(self._file.held_rows, self.journal.capacity_rows // 2)
        return max(self.journal.control[Control.TAIL], whole // held * held)

    # Columns ------------------------------------------------------------------------------------

    def _write_ring(self, tail: int, head: int, last: np.ndarray) -> None:
        padding = last.copy()
        padding[-1] = True  # its step is not known yet
        for each in self._schema.ring_fields:
            if each.name not in self._step_names:
                start = tail
                for slots in self.journal.slots(tail, head):
                    self._file.write(each.name, start, self.journal.columns[each.name][slots])
                    start += slots.stop - slots.start
                continue
            items = self.journal.take(each.name, tail, head)
            items[padding] = 0
            self._file.write(each.name, tail, items)
            if each.name == fmt.TERMINATIONS:
                dones = items
            elif each.name == fmt.TRUNCATIONS:
                self._file.write(fmt.DONES, tail, dones | items)
        codes = self.journal.take(CODES, tail, head)
        codes[padding, : self._schema.num_step_codes] = TypeCode.ABSENT
        self._file.write(fmt.TYPES, tail, codes)

    def _parse(self, tail: int, head: int) -> _Segments:
        """Sort the segments of the rows. A step's segments are stored with the row that the step led to."""
        segments = _Segments({each.name: {} for each in self._ragged})
        ends = self.journal.take(BLOB_ENDS, tail, head)
        starts = np.concatenate([[self.journal.blob_start(tail)], ends[:-1]]).astype(np.uint64)
        for row in np.flatnonzero(ends > starts).tolist():  # most rows have none
            for segment in self.journal.read_segments(int(starts[row]), int(ends[row])):
                self._sort(segment, row, tail, segments)
        return segments

    def _sort(self, segment: Segment, row: int, tail: int, segments: _Segments) -> None:
        if segment.number == Segment.EPISODE:
            segments.begins[tail + row] = json.loads(segment.data)
        elif segment.number == Segment.SNAPSHOT:
            provider, _, state = segment.data.partition(b"\0")
            states = segments.begins[tail + row]["json"].setdefault(fmt.SNAPSHOT, {})
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


_OUTCOME = (fmt.REWARDS, fmt.TERMINATIONS, fmt.TRUNCATIONS)
_EXCEPTION_FIELDS = (
    Field(f"{fmt.EXCEPTIONS}/{fmt.ENDS}", np.dtype(np.int64), is_ends=True),
    Field(f"{fmt.EXCEPTIONS}/{fmt.VALUES}", np.dtype(np.uint8), parent=f"{fmt.EXCEPTIONS}/{fmt.ENDS}"),
)
