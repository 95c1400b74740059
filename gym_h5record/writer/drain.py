"""From the journal to the file: the one way rows are committed.

The writer process, the inline writer, resuming and recovery all run ``Drain``.
It may be run over the same rows again: the result is the same, so a drain that
died half way is simply repeated.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gym_h5record import format as fmt
from gym_h5record.format import RowFlag, TypeCode
from gym_h5record.journal import BLOB_ENDS, CODES, FLAGS, Control, Journal, Segment
from gym_h5record.layout import RecordingFile
from gym_h5record.schema import Field
from gym_h5record.writer.index import IndexWriter, end_of_list

__all__ = ["Drain"]


@dataclass
class _Rows:
    """The segments of rows ``[tail, head)``, taken apart."""

    items: dict[str, list[list[bytes]]]  # by ragged field: of each row, the bytes of its items
    exceptions: list[dict[str, Any]]
    begins: dict[int, dict[str, Any]] = field(default_factory=dict)


class Drain:
    """Moves rows from a journal into a recording.

    Args:
        journal: Laid out, for this recording.
        file: The recording, with readers let in.
    """

    def __init__(self, journal: Journal, file: RecordingFile) -> None:
        self.journal = journal
        self._file = file
        self._schema = file.schema
        self._ragged = self._schema.ragged_fields
        self._step_names = {each.name for each in self._schema.step_fields}
        tail = journal.control[Control.TAIL]
        self._cursors = {each.name: _position(file, each, tail) for each in (*self._ragged, *_EXCEPTION_FIELDS)}
        self._index = IndexWriter(file)

    def run(self) -> None:
        """Write everything in the journal and commit it, then release what is whole."""
        control = self.journal.control
        events, head, tail = control[Control.EVENTS], control[Control.HEAD], control[Control.TAIL]
        if head > tail:
            last = self._last_rows(tail, head)
            parsed = self._parse(tail, head)
            self._write_ring(tail, head, last)
            released = self._released(head, closed=bool(last[-1]))
            self._write_ragged(tail, released, parsed)
            rewards, terminations, truncations = (self._take(name, tail, head) for name in _OUTCOME)
            episodes = self._index.write(tail, last, rewards, terminations, truncations, parsed.begins)
            self._file.commit(head, episodes)
            control[Control.BLOB_TAIL] = self._blob_end(released)
            control[Control.TAIL] = released
        control[Control.COMMITTED_EVENTS] = events
        control[Control.COMMITTED_HEAD] = head

    def _released(self, head: int, *, closed: bool) -> int:
        """Rows before this one are whole: in full chunks, and their step is known."""
        whole = head if closed else head - 1
        held = self._file.held_rows
        return max(self.journal.control[Control.TAIL], whole // held * held)

    def _slots(self, start: int, stop: int) -> list[slice]:
        """The slots of rows ``start`` to ``stop``: one run, or two around the end of the ring."""
        capacity, first = self.journal.capacity_rows, start & self.journal.mask
        if first + stop - start <= capacity:
            return [slice(first, first + stop - start)]
        return [slice(first, capacity), slice(0, first + stop - start - capacity)]

    def _take(self, name: str, start: int, stop: int) -> np.ndarray:
        """A copy of rows of a ring column."""
        return np.concatenate([self.journal.columns[name][slots] for slots in self._slots(start, stop)])

    def _last_rows(self, tail: int, head: int) -> np.ndarray:
        """Which rows have no step: the last of each episode, and the newest row."""
        flags = self._take(FLAGS, tail, head)
        last: np.ndarray = (flags & RowFlag.LAST) != 0
        last[:-1] |= (flags[1:] & RowFlag.FIRST) != 0
        return last

    # Columns ------------------------------------------------------------------------------------

    def _write_ring(self, tail: int, head: int, last: np.ndarray) -> None:
        padding = last.copy()
        padding[-1] = True  # its step may come, but has not come yet
        for each in self._schema.ring_fields:
            if each.name not in self._step_names:
                start = tail
                for slots in self._slots(tail, head):
                    self._file.write(each.name, start, self.journal.columns[each.name][slots])
                    start += slots.stop - slots.start
                continue
            items = self._take(each.name, tail, head)
            items[padding] = 0
            self._file.write(each.name, tail, items)
            if each.name == fmt.TERMINATIONS:
                dones = items
            elif each.name == fmt.TRUNCATIONS:
                self._file.write(fmt.DONES, tail, dones | items)
        codes = self._take(CODES, tail, head)
        codes[padding, : self._schema.num_step_codes] = TypeCode.ABSENT
        self._file.write(fmt.TYPES, tail, codes)

    def _parse(self, tail: int, head: int) -> _Rows:
        """Take the segments of the rows apart; a step's travel with the row it led to."""
        count = head - tail
        parsed = _Rows({each.name: [[] for _ in range(count)] for each in self._ragged}, [{} for _ in range(count)])
        ends = self._take(BLOB_ENDS, tail, head).tolist()
        start = self.journal.control[Control.BLOB_TAIL]
        for index, end in enumerate(ends):
            for segment in self.journal.read_segments(start, end) if end > start else ():
                self._sort(segment, index, tail, parsed)
            start = end
        return parsed

    def _sort(self, segment: Segment, index: int, tail: int, parsed: _Rows) -> None:
        if segment.number == Segment.EPISODE:
            parsed.begins[tail + index] = json.loads(segment.data)
        elif segment.number == Segment.ROW_EXCEPTIONS:
            parsed.exceptions[index].update(json.loads(segment.data))
        elif segment.number == Segment.STEP_EXCEPTIONS:
            if index:  # else the row it belongs to has been released
                parsed.exceptions[index - 1].update(json.loads(segment.data))
        else:
            name = self._ragged[segment.number].name
            row = index - 1 if name in self._step_names else index
            if row >= 0:
                parsed.items[name][row].append(segment.data)

    def _write_ragged(self, tail: int, released: int, parsed: _Rows) -> None:
        for each in self._ragged:
            self._write_items(each, parsed.items[each.name], released - tail)
        texts = [json.dumps(odd, separators=(",", ":")).encode() if odd else b"" for odd in parsed.exceptions]
        ends, values = _EXCEPTION_FIELDS
        self._write_items(ends, [[np.int64(len(text)).tobytes()] for text in texts], released - tail)
        self._write_items(values, [[text] for text in texts], released - tail)

    def _write_items(self, each: Field, rows: list[list[bytes]], num_released: int) -> None:
        """Write the items of rows; the cursor moves past those that are released only."""
        if each.parent is None:  # one item per row: a row without the value still has one
            nothing = bytes(each.item_bytes)
            rows = [row or [nothing] for row in rows]
        cursor = self._cursors[each.name]
        items = np.frombuffer(b"".join(b"".join(row) for row in rows), each.dtype).reshape(-1, *each.shape)
        if each.is_ends:
            before = end_of_list(self._file, each.name, cursor)
            items = np.cumsum(np.concatenate([[before], items]), dtype=np.int64)[1:]
        self._file.write(each.name, cursor, items)
        released_bytes = sum(len(part) for row in rows[:num_released] for part in row)
        self._cursors[each.name] = cursor + released_bytes // each.item_bytes

    def _blob_end(self, row: int) -> int:
        """Where the segments of the rows before ``row`` end."""
        if row == self.journal.control[Control.TAIL]:
            return self.journal.control[Control.BLOB_TAIL]
        return int(self.journal.columns[BLOB_ENDS][(row - 1) & self.journal.mask])


_OUTCOME = (fmt.REWARDS, fmt.TERMINATIONS, fmt.TRUNCATIONS)
_EXCEPTION_FIELDS = (
    Field(f"{fmt.EXCEPTIONS}/{fmt.ENDS}", np.dtype(np.int64), is_ends=True),
    Field(f"{fmt.EXCEPTIONS}/{fmt.VALUES}", np.dtype(np.uint8), parent=f"{fmt.EXCEPTIONS}/{fmt.ENDS}"),
)


def _position(file: RecordingFile, each: Field, row: int) -> int:
    """How many items of a field the rows before ``row`` have."""
    if each.parent is None:
        return row
    fields = {known.name: known for known in (*file.schema.ragged_fields, *_EXCEPTION_FIELDS)}
    return end_of_list(file, each.parent, _position(file, fields[each.parent], row))
