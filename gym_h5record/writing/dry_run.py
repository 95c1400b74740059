"""Drain a journal without writing, to see whether recovery would succeed.

A left journal may be damaged, and recovery writes while it reads. So the same ``Drain`` first runs over the same rows
with ``_Stage`` in the place of the file.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format.claims import Commit, LaneCommit, empty_commit
from gym_h5record.format.ragged import ItemReader
from gym_h5record.format.schema import Schema, all_fields
from gym_h5record.format.schema_json import schema_from_json
from gym_h5record.storage.hdf5.codecs import make_codec
from gym_h5record.storage.lane_writer import TakeItems
from gym_h5record.writing.drains import make_drain
from gym_h5record.writing.journal import Journal
from gym_h5record.writing.left_journal import damage_as_corrupt

__all__ = ["rehearse"]


def rehearse(
    journal: Journal,
    schema: Schema | None = None,
    file: ItemReader | None = None,
    committed: Commit | LaneCommit | None = None,
) -> tuple[Commit | LaneCommit, int]:
    """Check that the rows of a journal can be drained. Neither the journal nor the recording is changed.

    Args:
        journal: Laid out, and checked by ``check_positions``. Do not use this object afterwards.
        schema: The columns of the recording that the journal continues, None for a new recording.
        file: Reads that recording.
        committed: Its last commit; ``for_another_journal`` if this journal has not been drained into it yet.

    Returns:
        What the last commit would be, and how many episodes would then be running.

    Raises:
        CorruptRecordingError: If draining the rows would fail.
    """
    with damage_as_corrupt(f"the journal {journal.path} cannot be drained"):
        if schema is None:
            schema = schema_from_json(journal.header["schema"])
            make_codec(*journal.header["codec"])
        journal.control = memoryview(bytearray(journal.control)).cast("Q")  # a copy: Drain moves TAIL
        first_row = journal.header["first_row"]
        new = empty_commit(schema.num_envs)._replace(head=first_row, tail=first_row)
        stage: Any = _Stage(file, schema, new if committed is None else committed)
        drain = make_drain(journal, stage)
        drain.run(is_last=True)
        return stage.committed, drain.num_running


class _Stage:
    """Takes the place of ``RecordingFile``: reads committed items, checks written ones and drops them."""

    held_rows = 1

    def __init__(self, file: ItemReader | None, schema: Schema, committed: Commit | LaneCommit) -> None:
        self._file = file
        self._fields = {field.name: field for field in all_fields(schema)}
        self.schema = schema
        self.committed = committed

    @property
    def episodes(self) -> int:
        """Committed episodes."""
        return self.committed.episodes

    @property
    def rows(self) -> int:
        """Committed rows."""
        return self.committed.rows

    def read(self, name: str, start: int, stop: int) -> np.ndarray:
        """Committed items."""
        if start == stop:
            field = self._fields[name]
            return np.empty((0, *field.shape), field.dtype)
        if self._file is None:
            raise CorruptRecordingError(f"/{name} has no items {start} to {stop} yet")
        return self._file.items(name, start, stop)

    def write(self, name: str, start: int, items: np.ndarray) -> None:
        """Check that the items fit their dataset."""
        field = self._fields[name]
        if not len(items):  # such as the returns of no episode, whose shape nothing says
            return
        if start < 0 or items.dtype != field.dtype or items.shape[1:] != field.shape:
            raise CorruptRecordingError(
                f"the journal has items of {items.dtype}{items.shape[1:]} for /{name}, "
                f"which holds {field.dtype}{field.shape}"
            )

    def write_lanes(self, name: str, lanes: np.ndarray, rows: np.ndarray, take: TakeItems) -> None:
        """Check that the items fit their dataset."""
        if len(rows):
            self.write(name, int(rows.min()), take(np.arange(len(rows))))

    def write_block(self, name: str, row: int, items: np.ndarray) -> None:
        """Check that the items fit their dataset."""
        self.write(name, row, items[:, 0])

    def forget_rows(self, lane: int, row: int) -> None:
        """There is nothing to forget."""

    def commit(self, commit: Commit | LaneCommit) -> None:
        """Only keep the numbers: there is no file."""
        self.committed = commit
