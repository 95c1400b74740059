"""Infos and extras of a run of rows: one dict per row, and the values of one key as a column."""

from __future__ import annotations

from typing import Any, overload

import numpy as np

from gym_h5record.display import short_repr
from gym_h5record.format import nodes
from gym_h5record.format.names import TypeCode
from gym_h5record.format.schema import KeyColumn
from gym_h5record.reading.columns import Column
from gym_h5record.reading.decoder import Decoder
from gym_h5record.reading.indexing import RowsIndex
from gym_h5record.reading.row_comparison import StoredRows
from gym_h5record.reading.rows import Rows

__all__ = ["KeyValues", "KeyedRows"]


class KeyedRows(Rows[dict[str, Any], list[dict[str, Any]]]):
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

    @overload  # type: ignore[override]  # as in Rows
    def __getitem__(self, index: str) -> KeyValues: ...
    @overload
    def __getitem__(self, index: RowsIndex) -> list[dict[str, Any]]: ...
    @overload
    def __getitem__(self, index: int | np.integer) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: tuple[Any, ...]) -> Any: ...
    def __getitem__(self, index: Any) -> Any:
        """The dict of one row, a list of dicts, or the values of a key.

        Raises:
            KeyError: If no row has the key.
            IndexError: If a row is out of range, or a mask has not one boolean per row.
            TypeError: If it is no index of rows.
        """
        return self._key(index) if isinstance(index, str) else super().__getitem__(index)

    def __repr__(self) -> str:
        return f"<{self.group.capitalize()} of {len(self)} rows>"

    def _key(self, key: str) -> KeyValues:
        return KeyValues(self, self._decoder, key, self._start, self._column_of(key))

    def _column_of(self, key: str) -> KeyColumn | None:
        """The column of a key, None if it has none of its own. A key that no row has is an error."""
        columns = self._decoder.key_columns(self.group)
        column = next((each for each in columns if each.key == key), None)
        if column is None and not any(type(each) is dict and key in each for each in self):
            with_columns = ", ".join(repr(each.key) for each in columns) or "none"
            raise KeyError(f"no row has {key!r} in its {self.group}; keys with columns of their own: {with_columns}")
        return column

    def _one(self, row: int) -> Any:
        is_unknown = self.is_open and row == self._start + len(self) - 1
        return {} if is_unknown else self._decoder.keyed(self.group, row)

    def _many(self, start: int, stop: int) -> list[Any]:
        return [self._one(row) for row in range(start, stop)]

    def _some(self, rows: np.ndarray) -> list[Any]:
        return [self._one(row) for row in rows.tolist()]

    def _cropped(self, rows: int | range | np.ndarray, further: tuple[Any, ...]) -> Any:
        key = short_repr(further[0]) if isinstance(further[0], str) else '"key"'
        raise TypeError(f"{self} has no further axes: it has dicts; take a key first, as in {self.group}[{key}][:]")

    def _stored(self, position: int) -> StoredRows | None:
        return self._decoder.stored_keyed(self.group, self._start + position) if not self.is_open else None


class KeyValues(Column[Any, Any]):
    """The values of one key of infos or extras: ``values[i]`` is exact, None in a row without the key.

    ``values[a:b]`` is an array if the key has a column of its own and every row has a value that fits it, else a list.
    """

    def __init__(self, rows: KeyedRows, decoder: Decoder, key: str, start: int, column: KeyColumn | None) -> None:
        node = nodes.Opaque(rows.group) if column is None else column.node
        super().__init__(decoder, node, start, len(rows), is_open=rows.is_open)
        self._rows = rows
        self._key = key
        self._column = column

    def __repr__(self) -> str:
        return f"<{self._key!r} of {self._rows.group}, {len(self)} rows>"

    @property
    def _instead(self) -> str:
        if self._column is None:
            return "its key has no column, so that values may be anything; values[:] is a list of them"
        return super()._instead

    def _one(self, row: int) -> Any:
        value = None if self._column is None else super()._one(row)
        if value is not None or row == self._open_row:
            return value
        values = self._rows[row - self._start]  # a value that does not fit its column is beside it
        return values.get(self._key) if type(values) is dict else None

    def _many(self, start: int, stop: int) -> Any:
        return self._some(np.arange(start, stop))

    def _some(self, rows: np.ndarray) -> Any:
        if self._column is not None and (rows != self._open_row).all():
            codes = self._decoder.take_codes(self._column.node, rows)
            if not ((codes == TypeCode.ABSENT) | (codes == TypeCode.EXCEPTION)).any():
                return super()._some(rows)
        return [self._one(row) for row in rows.tolist()]

    def _stored(self, position: int) -> StoredRows | None:
        return None
