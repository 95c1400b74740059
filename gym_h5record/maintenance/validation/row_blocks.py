"""Read columns block by block, each item once, and note the chunks that cannot be read."""

from __future__ import annotations

import numpy as np

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.maintenance.validation.problems import Findings, reason
from gym_h5record.maintenance.validation.target import Target

__all__ = ["RowBlock", "TargetColumns"]


class TargetColumns:
    """Reads items of the target's columns, damaged columns included.

    Args:
        broken: Columns that must not be read; ``structure`` has found what is wrong with them.
        findings: Gets the chunks that cannot be read.
    """

    def __init__(self, target: Target, broken: set[str], findings: Findings) -> None:
        self.target = target
        self.findings = findings
        self._broken = broken

    def read(self, name: str, start: int, stop: int) -> np.ndarray | None:
        """Items ``start`` to ``stop`` of a column, None if any of them cannot be read."""
        if name in self._broken:
            return None
        try:
            return self.target.storage.items(name, start, stop)
        except CorruptRecordingError as error:
            self._note_chunks(name, start, stop, error)
            return None

    def check(self, name: str, start: int, stop: int) -> None:
        """Note the chunks of items ``start`` to ``stop`` of a column that cannot be read; the items are not needed."""
        if name not in self._broken:
            try:
                self.target.storage.check(name, start, stop)
            except CorruptRecordingError as error:
                self._note_chunks(name, start, stop, error)

    def length(self, name: str) -> int | None:
        """How many items a column has, None if it is broken."""
        return None if name in self._broken else self.target.storage.length(name)

    def _note_chunks(self, name: str, start: int, stop: int, error: CorruptRecordingError) -> None:
        """Note which chunks between two items cannot be read."""
        handle = self.target.handle
        size = self.target.storage.chunk_rows(name)
        found = False
        for first in range(start // size * size, stop, size):
            low, high = max(first, start), min(first + size, stop)
            try:
                self.target.storage.items(name, low, high)
            except CorruptRecordingError as its_error:
                found = True
                self.findings.add("chunk-unreadable", name, low, reason(its_error, handle.path), count=high - low)
        if not found:
            self.findings.add("chunk-unreadable", name, start, reason(error, handle.path))


class RowBlock:
    """Rows that follow each other. A column is read when it is first asked for, and kept as long as the block.

    Args:
        columns: Reads the columns.
        start: The first row.
        stop: The row behind the last one.
        before: The block before this one.
    """

    def __init__(self, columns: TargetColumns, start: int, stop: int, before: RowBlock | None) -> None:
        self._columns = columns
        self._kept: dict[str, np.ndarray | None] = {}
        self._before = {} if before is None else before.last_items()
        self.start = start
        self.stop = stop

    def __len__(self) -> int:
        return self.stop - self.start

    def items(self, name: str) -> np.ndarray | None:
        """The items of a column, ``(rows, *shape)``; None if they cannot be read."""
        if name not in self._kept:
            self._kept[name] = self._columns.read(name, self.start, self.stop)
        return self._kept[name]

    def check(self, name: str) -> None:
        """Make sure that the items of a column can be read, for a column whose values cannot be wrong."""
        if name not in self._kept:
            self._columns.check(name, self.start, self.stop)

    def shifted(self, name: str) -> np.ndarray | None:
        """For each row the item of the row before, zero for row 0; None if they cannot be read."""
        items = self.items(name)
        if items is None:
            return None
        before = self._before.get(name) if self.start else np.zeros_like(items[:1])
        return None if before is None else np.concatenate([before, items[:-1]])

    def last_items(self) -> dict[str, np.ndarray]:
        """The last item, ``(1, *shape)``, of every column that has been read."""
        return {name: items[-1:].copy() for name, items in self._kept.items() if items is not None}
