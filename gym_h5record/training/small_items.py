"""Small items of several datasets, kept in memory as one record for each row.

A transition has six small values of one row. In an array for each dataset they are in six places of the memory, of
which none is in the processor's cache if the recording is long. In a record they are in one place.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gym_h5record.storage.column_reader import ColumnReader
from gym_h5record.training.filling import Filling
from gym_h5record.training.runs import Runs

__all__ = ["FieldValues", "Records", "SmallItems"]


class SmallItems:
    """The records of some rows. Items are decoded when they are first needed, and then kept.

    Args:
        storage: Reads items.
        fields: The datasets.
        runs: The rows that may be needed.
    """

    def __init__(self, storage: ColumnReader, fields: Sequence[str], runs: Runs) -> None:
        likes = {field: storage.items(field, 0, 0) for field in fields}
        dtype = np.dtype([(field, like.dtype, like.shape[1:]) for field, like in likes.items()])
        self._runs = runs
        self._records = np.empty(len(runs), dtype)  # takes memory as it is filled
        self._fillings = {field: Filling(storage, field, runs, self._records[field]) for field in fields}

    def __contains__(self, field: str) -> bool:
        return field in self._fillings

    def decode(self) -> None:
        """Decode all items now."""
        for filling in self._fillings.values():
            filling.decode()

    def at(self, rows: np.ndarray) -> Records:
        """The records of these rows, of any shape, for ``values``."""
        return Records(self._records, self._runs.positions(rows))

    def values(self, field: str, records: Records) -> FieldValues:
        """The items of a dataset in some records.

        Raises:
            CorruptRecordingError: If one cannot be read.
        """
        self._fillings[field].need(records.positions)
        return FieldValues(records, field)


class Records:
    """Records for many samples.

    Args:
        records: All records.
        positions: Where those of each sample are among them, ``(samples, ...)`` int64.
    """

    def __init__(self, records: np.ndarray, positions: np.ndarray) -> None:
        self.positions = positions
        self._records = records
        self._bounds = (0, 0)
        self._newest = records[:0]

    def batch(self, start: int, stop: int) -> np.ndarray:
        """The records of samples ``start`` to ``stop``. They are kept for the next field of the same batch."""
        if self._bounds != (start, stop):
            self._newest = np.take(self._records, self.positions[start:stop], axis=0)
            self._bounds = (start, stop)
        return self._newest


class FieldValues:
    """The values of one dataset in records.

    Args:
        records: The records.
        field: The dataset.
    """

    def __init__(self, records: Records, field: str) -> None:
        self._records = records
        self._field = field

    def batch(self, start: int, stop: int) -> np.ndarray:
        """The values of samples ``start`` to ``stop``, as a new array."""
        values: np.ndarray = self._records.batch(start, stop)[self._field].copy()
        return values
