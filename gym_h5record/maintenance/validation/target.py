"""The recording that is being validated: what it claims to have, and how much of that is settled."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format import names as fmt
from gym_h5record.format.schema import Schema
from gym_h5record.storage.column_reader import ColumnReader
from gym_h5record.storage.column_writer import chunk_rows, is_compressed
from gym_h5record.storage.handle import Handle
from gym_h5record.storage.paths import has_journal
from gym_h5record.storage.state import State

__all__ = ["Target"]


@dataclass(frozen=True)
class Target:
    """An open recording whose schema and ``/commit`` can be read.

    Attributes:
        handle: The open file.
        storage: Reads its columns, and expects what the schema says.
        schema: Its columns.
        num_rows: Rows that are committed.
        num_episodes: Episodes that are committed.
    """

    handle: Handle
    storage: ColumnReader
    schema: Schema
    num_rows: int
    num_episodes: int

    @property
    def is_settled(self) -> bool:
        """Whether nobody had begun to write more when the file was left."""
        return self.handle.state in (State.CLOSED, State.CUT_SHORT)

    @cached_property
    def is_open(self) -> bool:
        """Whether there are rows behind the last episode, or the index does not tell."""
        if not self.num_episodes:
            return self.num_rows > 0
        last = self.num_episodes - 1
        try:
            start, length = (
                int(self.storage.items(f"{fmt.EPISODES}/{name}", last, last + 1)[0]) for name in ("starts", "lengths")
            )
        except CorruptRecordingError:
            return True
        return start + length + 1 < self.num_rows

    @cached_property
    def whole_rows(self) -> int:
        """Rows before this one are in the file with everything that belongs to them.

        The step of the last row may be missing, or half there if its writer died;
        so may be the compressed chunks that were not full yet, as long as the
        journal has their rows.
        """
        whole = self.num_rows - self.is_open
        if self.is_settled or not has_journal(self.handle.path):
            return whole
        held = max([chunk_rows(field) for field in self.schema.ring_fields if is_compressed(field)], default=1)
        return whole // held * held

    @property
    def sound_rows(self) -> int:
        """Rows before this one have to be readable: all of them if the file was closed."""
        return self.num_rows if self.is_settled else self.whole_rows
