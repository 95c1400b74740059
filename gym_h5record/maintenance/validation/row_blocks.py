"""Columns of a recording in blocks of rows, each read once; what cannot be read is found."""

from __future__ import annotations

import numpy as np

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.maintenance.validation.problems import Findings, reason
from gym_h5record.maintenance.validation.target import Target
from gym_h5record.storage.hdf5.objects import open_dataset

__all__ = ["Columns", "Rows"]


class Columns:
    """Reads items of columns, whatever state they are in.

    Args:
        subject: The recording.
        broken: Columns that are not to be read: it is known what is wrong with them.
        findings: Told of chunks that cannot be read.
    """

    def __init__(self, subject: Target, broken: set[str], findings: Findings) -> None:
        self._subject = subject
        self._broken = broken
        self._findings = findings

    def read(self, name: str, start: int, stop: int, *, unit: str = "row") -> np.ndarray | None:
        """Items ``start`` to ``stop`` of a column, None if not all of them can be read."""
        if name in self._broken:
            return None
        try:
            return self._subject.storage.items(name, start, stop)
        except CorruptRecordingError as error:
            self._note_chunks(name, start, stop, unit, error)
            return None

    def length(self, name: str) -> int | None:
        """How many items a column has, None if it is broken."""
        return None if name in self._broken else self._subject.storage.length(name)

    def _note_chunks(self, name: str, start: int, stop: int, unit: str, error: CorruptRecordingError) -> None:
        """Find out which chunks they are that cannot be read."""
        handle = self._subject.handle
        size = open_dataset(handle.file, name).chunks[0]
        found = False
        for first in range(start // size * size, stop, size):
            low, high = max(first, start), min(first + size, stop)
            try:
                self._subject.storage.items(name, low, high)
            except CorruptRecordingError as its_error:
                found = True
                detail = reason(its_error, handle.path)
                self._findings.add("chunk-unreadable", name, low, detail, count=high - low, unit=unit)
        if not found:
            self._findings.add("chunk-unreadable", name, start, reason(error, handle.path), unit=unit)


class Rows:
    """A block of rows; its columns are read when they are asked for, and kept as long as it is.

    Args:
        columns: Reads them.
        start: First row.
        stop: Row behind the last.
        before: The block before it, None for the first.

    Attributes:
        start: First row.
        stop: Row behind the last.
    """

    def __init__(self, columns: Columns, start: int, stop: int, before: Rows | None) -> None:
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

    def shifted(self, name: str) -> np.ndarray | None:
        """For each row the item of the row before, zero for the first of all; None if they cannot be read."""
        items = self.items(name)
        before = self._before.get(name) if self.start else np.zeros_like(items[:1]) if items is not None else None
        return None if items is None or before is None else np.concatenate([before, items[:-1]])

    def last_items(self) -> dict[str, np.ndarray]:
        """The last item of every column that has been read, with the first axis kept."""
        return {name: items[-1:].copy() for name, items in self._kept.items() if items is not None}
