"""Infos and extras of a run of rows: one dict per row, and the values of one key as a column."""

from __future__ import annotations

from typing import Any, overload

import numpy as np

from gym_h5record.format.names import TypeCode
from gym_h5record.format.schema import KeyColumn
from gym_h5record.reading.columns import Rows
from gym_h5record.reading.decoder import Decoder
from gym_h5record.reading.row_comparison import StoredRows

__all__ = ["KeyValues", "KeyedRows"]


class KeyedRows(Rows):
    """Infos or extras: ``infos[i]`` is a dict, ``infos[a:b]`` a list of dicts, ``infos["lives"]`` one key of all rows.

    Args:
        decoder: Reads values.
        group: ``"infos"`` or ``"extras"``.
        start: First row.
        length: How many rows.
        is_open: Whether the last row counts as empty, whatever the file says: the step from it is not committed yet.
    """

    def __init__(self, decoder: Decoder, group: str, start: int, length: int, *, is_open: bool = False) -> None:
        super().__init__(start, length)
        self._decoder = decoder
        self.group = group
        self.is_open = is_open

    @overload
    def __getitem__(self, index: int | str) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> Any: ...
    def __getitem__(self, index: int | slice | str) -> Any:
        """The dict of one row, a list of dicts, or the values of a key.

        Raises:
            KeyError: If no row has the key.
        """
        return self._key(index) if isinstance(index, str) else super().__getitem__(index)

    def __repr__(self) -> str:
        return f"<{self.group.capitalize()} of {len(self)} rows>"

    def _key(self, key: str) -> KeyValues:
        columns = self._decoder.key_columns(self.group)
        column = next((each for each in columns if each.key == key), None)
        if column is None and not any(type(each) is dict and key in each for each in self):
            with_columns = ", ".join(repr(each.key) for each in columns) or "none"
            raise KeyError(f"no row has {key!r} in its {self.group}; keys with columns of their own: {with_columns}")
        return KeyValues(self, self._decoder, key, self._start, column)

    def _one(self, row: int) -> Any:
        is_unknown = self.is_open and row == self._start + len(self) - 1
        return {} if is_unknown else self._decoder.keyed(self.group, row)

    def _many(self, start: int, stop: int) -> list[Any]:
        return [self._one(row) for row in range(start, stop)]

    def _stored(self, position: int) -> StoredRows | None:
        return self._decoder.stored_keyed(self.group, self._start + position) if not self.is_open else None


class KeyValues(Rows):
    """The values of one key of infos or extras: ``values[i]`` is exact, None in a row without the key.

    ``values[a:b]`` is an array if the key has a column of its own and every row has the key, else a list.
    """

    def __init__(self, rows: KeyedRows, decoder: Decoder, key: str, start: int, column: KeyColumn | None) -> None:
        super().__init__(start, len(rows))
        self._rows = rows
        self._decoder = decoder
        self._key = key
        self._column = column

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:  # noqa: FBT001  # NumPy's protocol
        """The values of all rows as one array."""
        return np.asarray(self[:], dtype)

    def __repr__(self) -> str:
        return f"<{self._key!r} of {self._rows.group}, {len(self)} rows>"

    def _one(self, row: int) -> Any:
        values = self._rows[row - self._start]
        return values.get(self._key) if type(values) is dict else None

    def _many(self, start: int, stop: int) -> Any:
        has_open_row = self._rows.is_open and stop == self._start + len(self)
        if self._column is not None and not has_open_row:
            codes = self._decoder.codes(self._column.node, start, stop)
            if not ((codes == TypeCode.ABSENT) | (codes == TypeCode.EXCEPTION)).any():
                return self._decoder.batch(self._column.node, start, stop)
        return [self._one(row) for row in range(start, stop)]

    def _stored(self, position: int) -> StoredRows | None:
        return None
