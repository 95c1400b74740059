"""One lane of a vector recording, read as if it were a recording of a single environment."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import numpy as np

from gym_h5record.cached import cached_property
from gym_h5record.format import names as fmt
from gym_h5record.format.lanes import address
from gym_h5record.format.nodes import Field
from gym_h5record.storage.column_reader import ColumnReader
from gym_h5record.storage.handle import Handle

__all__ = ["LaneView"]

T = TypeVar("T")

_JSON_ENDS = f"{fmt.EPISODE_JSON}/{fmt.ENDS}"
_JSON_VALUES = f"{fmt.EPISODE_JSON}/{fmt.VALUES}"


class LaneView(ColumnReader):
    """Reads items of one lane by row numbers, and the entries of its episodes only.

    Args:
        handle: The open file.
        whole: Reads the whole recording, by addresses.
        lane: The lane.
        num_rows: Its committed rows.
        numbers: The numbers of its episodes in the recording, ``(n,)`` int64.
    """

    def __init__(self, handle: Handle, whole: ColumnReader, lane: int, num_rows: int, numbers: np.ndarray) -> None:
        super().__init__(handle)
        self.num_envs = None
        self._whole, self._lane, self._num_rows, self._numbers = whole, lane, num_rows, numbers

    def expect(self, fields: Iterable[Field]) -> None:
        """The whole recording knows its fields; here, only which of them are ends is noted."""
        self._fields = {field.name: field for field in fields}

    def length(self, field: str) -> int:
        """See ``ColumnReader``."""
        if field == _JSON_VALUES:
            return len(self._texts[1])
        if _is_of_episodes(field):
            return int(np.searchsorted(self._numbers, self._whole.length(field)))
        return self._whole.length(field)

    def chunk_rows(self, field: str) -> int:
        """See ``ColumnReader``."""
        return self._whole.chunk_rows(field)

    def check_stored(self, field: str, count: int) -> None:
        """See ``ColumnReader``."""
        if not _is_of_episodes(field):
            self._whole.check_stored(field, count)

    def items(self, field: str, start: int, stop: int) -> np.ndarray:
        """See ``ColumnReader``."""
        if field == fmt.COMMIT:
            return np.array([self._num_rows, len(self._numbers)], np.int64)[start:stop]
        if field in (_JSON_ENDS, _JSON_VALUES):
            found: np.ndarray = self._texts[field == _JSON_VALUES][start:stop]
            return found
        if _is_of_episodes(field):
            return self._whole.take(field, self._numbers[start:stop])
        items = self._whole.items(field, address(self._lane, start), address(self._lane, stop))
        return items - address(self._lane, 0) if self._is_ends(field) else items

    def take(self, field: str, indices: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """See ``ColumnReader``."""
        if _is_of_episodes(field) or field == fmt.COMMIT:
            return np.array([self.item(field, row) for row in indices.tolist()])
        items = self._whole.take(field, address(self._lane, indices), out)
        return items - address(self._lane, 0) if self._is_ends(field) else items

    def item(self, field: str, row: int) -> Any:
        """See ``ColumnReader``."""
        if _is_of_episodes(field) or field == fmt.COMMIT:
            return self.items(field, row, row + 1)[0]
        item = self._whole.item(field, address(self._lane, row))
        return item - address(self._lane, 0) if self._is_ends(field) else item

    def check(self, field: str, start: int, stop: int) -> None:
        """See ``ColumnReader``."""
        self.items(field, start, stop)

    def reading(self, field: str, read: Callable[[], T]) -> T:
        """See ``ColumnReader``."""
        return self._whole.reading(field, read)

    def _is_ends(self, field: str) -> bool:
        return field in self._fields and self._fields[field].is_ends

    @cached_property
    def _texts(self) -> tuple[np.ndarray, np.ndarray]:
        """The ends and the bytes of the JSON of the episodes of this lane."""
        ends = self._whole.take(_JSON_ENDS, self._numbers)
        befores = self._whole.take(_JSON_ENDS, np.maximum(self._numbers - 1, 0))
        befores[self._numbers == 0] = 0
        parts = [
            self._whole.items(_JSON_VALUES, start, stop)
            for start, stop in zip(befores.tolist(), ends.tolist(), strict=True)
        ]
        return np.cumsum(ends - befores), np.concatenate([np.empty(0, np.uint8), *parts])


def _is_of_episodes(field: str) -> bool:
    return field.startswith(f"{fmt.EPISODES}/")
