"""The recording under validation: what it claims to hold, and which rows must be readable."""

from __future__ import annotations

from dataclasses import dataclass

from gym_h5record.cached import cached_property
from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format import names as fmt
from gym_h5record.format.claims import committed_items
from gym_h5record.format.nodes import Field
from gym_h5record.format.schema import Schema, all_fields
from gym_h5record.storage.column_layout import chunk_rows, is_compressed
from gym_h5record.storage.column_reader import ColumnReader
from gym_h5record.storage.handle import Handle
from gym_h5record.storage.paths import has_journal
from gym_h5record.storage.state import State

__all__ = ["Target"]


@dataclass(frozen=True)
class Target:
    """An open recording whose schema and ``/commit`` can be read.

    Attributes:
        storage: Reads the columns, and refuses those that differ from the schema.
        num_rows: Committed rows.
        num_episodes: Committed episodes.
    """

    handle: Handle
    storage: ColumnReader
    schema: Schema
    num_rows: int
    num_episodes: int

    @cached_property
    def fields(self) -> dict[str, Field]:
        """All fields of the schema by name."""
        return {field.name: field for field in all_fields(self.schema)}

    def committed(self, field: Field, num_rows: int) -> int:
        """How many items of a field belong to the first rows, or to all committed episodes."""
        return committed_items(field, self.fields, num_rows, self.num_episodes, self._item)

    @property
    def is_settled(self) -> bool:
        """Whether the file was closed. If not, its writer may have died in the middle of a write."""
        return self.handle.state in (State.CLOSED, State.CUT_SHORT)

    @cached_property
    def is_open(self) -> bool:
        """Whether there are rows behind the last episode; True if the index cannot be read."""
        if not self.num_episodes:
            return self.num_rows > 0
        last = self.num_episodes - 1
        try:
            start, length = (self._item(f"{fmt.EPISODES}/{name}", last) for name in ("starts", "lengths"))
        except CorruptRecordingError:
            return True
        return start + length + 1 < self.num_rows

    @property
    def totals(self) -> tuple[int, int]:
        """Steps and episodes by ``/commit``."""
        return self.num_rows - self.num_episodes - self.is_open, self.num_episodes

    @cached_property
    def whole_rows(self) -> int:
        """How many rows, from the first one on, are complete in the file.

        If the writer died, the step of the last row may be missing or half written. So may be compressed chunks that
        were not full yet, as long as the journal still has their rows.
        """
        whole = self.num_rows - self.is_open
        if self.is_settled or not has_journal(self.handle.path):
            return whole
        chunk = max([chunk_rows(field) for field in self.schema.ring_fields if is_compressed(field)], default=1)
        return whole // chunk * chunk

    @property
    def sound_rows(self) -> int:
        """How many rows, from the first one on, must be readable: all of them if the file was closed."""
        return self.num_rows if self.is_settled else self.whole_rows

    def _item(self, name: str, at: int) -> int:
        return int(self.storage.item(name, at))
