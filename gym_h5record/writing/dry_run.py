"""Draining a journal without writing anything: would it go well?

What a dead recorder left may be damaged. Recovery writes as it reads, so it is
rehearsed before the file is touched: the same ``Drain`` over the same rows,
into nowhere.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gym_h5record.errors import CorruptRecordingError, RecordingError
from gym_h5record.format.ragged import ItemReader
from gym_h5record.format.schema import Schema, all_fields
from gym_h5record.format.schema_json import schema_from_json
from gym_h5record.storage.hdf5.codecs import make_codec
from gym_h5record.writing.drain import Drain
from gym_h5record.writing.journal import Journal
from gym_h5record.writing.left_journal import DRAIN_ERRORS

__all__ = ["rehearse"]


def rehearse(
    journal: Journal, schema: Schema | None = None, file: ItemReader | None = None, rows: int = 0, episodes: int = 0
) -> None:
    """Make sure that the rows in a journal can be drained; neither it nor the file is changed.

    Args:
        journal: Laid out, with sound positions; this object must not be drained afterwards.
        schema: The columns of the recording that it continues, None for a new one.
        file: Reads that recording.
        rows: Its committed rows.
        episodes: Its committed episodes.

    Raises:
        CorruptRecordingError: If draining them would fail.
    """
    try:
        if schema is None:
            schema = schema_from_json(journal.header["schema"])
            make_codec(*journal.header["codec"])
        journal.control = memoryview(bytearray(journal.control)).cast("Q")  # what is released is not to be seen
        stage: Any = _Stage(file, schema, rows, episodes)
        Drain(journal, stage).run()
    except DRAIN_ERRORS as error:
        if isinstance(error, RecordingError):
            raise
        raise CorruptRecordingError(f"the journal {journal.path} cannot be drained: {error!r:.200}") from error


class _Stage:
    """Stands for the ``RecordingFile``: what has been committed is read, what is written vanishes."""

    held_rows = 1

    def __init__(self, file: ItemReader | None, schema: Schema, rows: int, episodes: int) -> None:
        self._file = file
        self._fields = {field.name: field for field in all_fields(schema)}
        self.schema = schema
        self.rows = rows
        self.episodes = episodes

    def read(self, name: str, start: int, stop: int) -> np.ndarray:
        """Items that are in the file."""
        if self._file is None:
            raise CorruptRecordingError(f"/{name} has no items {start} to {stop} yet")
        return self._file.items(name, start, stop)

    def write(self, name: str, start: int, items: np.ndarray) -> None:
        """Look at the items only."""
        field = self._fields[name]
        if start < 0 or items.dtype != field.dtype or items.shape[1:] != field.shape:
            raise CorruptRecordingError(
                f"the journal has items of {items.dtype}{items.shape[1:]} for /{name}, "
                f"which holds {field.dtype}{field.shape}"
            )

    def commit(self, rows: int, episodes: int) -> None:
        """Nothing."""
