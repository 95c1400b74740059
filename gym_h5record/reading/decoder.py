"""Turns items of datasets back into the values that were recorded, types included."""

from __future__ import annotations

from functools import singledispatchmethod
from typing import Any

import numpy as np

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format import names as fmt
from gym_h5record.format import nodes, ragged
from gym_h5record.format import schema as sc
from gym_h5record.format.names import TypeCode
from gym_h5record.format.stacks import read_stacks
from gym_h5record.limits import MAX_ITEM_BYTES
from gym_h5record.reading.row_comparison import StoredRows
from gym_h5record.storage.column_reader import ColumnReader
from gym_h5record.values.tagged_json import loads

__all__ = ["Decoder"]

_JSON = {fmt.INFOS: fmt.INFOS_JSON, fmt.EXTRAS: fmt.EXTRAS_JSON}


class Decoder:
    """Builds the values of a recording from the items of its datasets."""

    def __init__(self, storage: ColumnReader, schema: sc.Schema) -> None:
        self._storage = storage
        self.schema = schema
        self._codes = schema.code_index

    def value(self, node: nodes.Node, row: int, *, is_needed: bool = False) -> Any:
        """The exact value of a node in a row. A row without one gives None, or an error if ``is_needed``."""
        code = self._storage.row(fmt.TYPES, row)[0, self._codes[node.name]]
        if code == TypeCode.ABSENT:
            if is_needed:
                raise CorruptRecordingError(f"/{node.name} row {row} has no value, within an episode")
            return None
        return self._decoded(node, row, int(code))

    def batch(self, node: nodes.Node, start: int, stop: int) -> Any:
        """The values of a node in rows ``start`` to ``stop``.

        Returns:
            An array for arrays and numbers, a dict or tuple of batches for dicts
            and tuples, a list for everything else and where one of the values is
            an exception that does not fit the column.
        """
        columns = [self._codes[each.name] for each in node.walk()]
        codes = self._storage.items(fmt.TYPES, start, stop)[:, columns]
        if (codes == TypeCode.EXCEPTION).any() or isinstance(node, (nodes.Ragged, nodes.Opaque)):
            return [self.value(node, row) for row in range(start, stop)]
        if isinstance(node, nodes.DictOf):
            return {key: self.batch(child, start, stop) for key, child in node.items}
        if isinstance(node, nodes.TupleOf):
            return tuple(self.batch(child, start, stop) for child in node.items)
        if isinstance(node, nodes.Stack):
            return self.stacks(node, start, stop)
        if isinstance(node, nodes.Array) and 0 in node.shape:
            return np.empty((stop - start, *node.shape), node.dtype)
        return self._storage.items(node.name, start, stop)

    def stacks(self, node: nodes.Stack, start: int, stop: int) -> np.ndarray:
        """The stacks of rows ``start`` to ``stop``, ``(rows, *shape)``. Those of exceptions have no meaning."""
        try:
            return read_stacks(node, self._storage, start, stop)
        except CorruptRecordingError:
            raise
        except ValueError as error:
            raise CorruptRecordingError(f"/{node.name} rows {start} to {stop} cannot be decoded: {error}") from error

    def times(self, start: int, stop: int) -> np.ndarray:
        """The times of rows ``start`` to ``stop``, ``(rows,)`` float64, in seconds."""
        return self._storage.items(fmt.TIMES, start, stop) / 1e9

    def codes(self, node: nodes.Node, start: int, stop: int) -> np.ndarray:
        """The type codes of a node in rows ``start`` to ``stop``, ``(rows,)`` uint8."""
        codes: np.ndarray = self._storage.items(fmt.TYPES, start, stop)[:, self._codes[node.name]]
        return codes

    def key_columns(self, group: str) -> tuple[sc.KeyColumn, ...]:
        """The keys of infos or extras that have columns of their own."""
        return (self.schema.infos if group == fmt.INFOS else self.schema.extras) or ()

    def keyed(self, group: str, row: int) -> Any:
        """The info or the extras of a row, as they were recorded. ``group`` is ``"infos"`` or ``"extras"``."""
        values: dict[str, Any] = {}
        codes = self._storage.row(fmt.TYPES, row)[0]
        for column in self.key_columns(group):
            code = codes[self._codes[column.node.name]]
            if code != TypeCode.ABSENT:
                values[column.key] = self._decoded(column.node, row, int(code))
        name = _JSON[group]
        text = self._text(name, row)
        if not text:
            return values
        try:
            rest = loads(text)
        except ValueError as error:
            raise CorruptRecordingError(f"/{name} row {row} is no tagged JSON: {error}") from error
        return {**values, **rest} if type(rest) is dict else rest

    def stored(self, node: nodes.Node, row: int) -> StoredRows:
        """The stored bytes of a node, from a row on."""
        codes = tuple(self._codes[each.name] for each in node.walk())
        return StoredRows(self._storage, node, (node,), (), codes, row)

    def stored_keyed(self, group: str, row: int) -> StoredRows:
        """The stored bytes of the infos or the extras, from a row on."""
        columns = self.key_columns(group)
        nodes = tuple(column.node for column in columns)
        codes = tuple(self._codes[node.name] for node in nodes)
        return StoredRows(self._storage, columns, nodes, (_JSON[group],), codes, row)

    def _decoded(self, node: nodes.Node, row: int, code: int) -> Any:
        try:
            return self._exception(node.name, row) if code == TypeCode.EXCEPTION else self._decode(node, row, code)
        except CorruptRecordingError:
            raise
        except (ValueError, LookupError, TypeError, ArithmeticError) as error:  # items contradict their codes
            raise CorruptRecordingError(f"/{node.name} row {row} cannot be decoded: {error!r:.200}") from error

    @singledispatchmethod
    def _decode(self, node: nodes.Node, row: int, code: int) -> Any:
        raise CorruptRecordingError(f"/{node.name} has no columns, but row {row} has type code {code}")

    @_decode.register
    def _(self, node: nodes.Array, row: int, code: int) -> Any:
        if 0 in node.shape:
            return np.empty(node.shape, node.dtype)
        return self._storage.row(node.name, row).reshape(node.shape).copy()

    @_decode.register
    def _(self, node: nodes.Scalar, row: int, code: int) -> Any:
        kind = fmt.SCALAR_TYPES.get(code)
        if kind is None:
            raise CorruptRecordingError(f"/{node.name} row {row} has type code {code}, which no number has")
        return kind(self._storage.row(node.name, row)[0])

    @_decode.register
    def _(self, node: nodes.DictOf, row: int, code: int) -> Any:
        return {key: self.value(child, row) for key, child in node.items}

    @_decode.register
    def _(self, node: nodes.TupleOf, row: int, code: int) -> Any:
        return tuple(self.value(child, row) for child in node.items)

    @_decode.register
    def _(self, node: nodes.Stack, row: int, code: int) -> Any:
        return read_stacks(node, self._storage, row, row + 1).reshape(node.shape)

    @_decode.register
    def _(self, node: nodes.Ragged, row: int, code: int) -> Any:
        return ragged.decode(node, self._storage, row)

    def _exception(self, name: str, row: int) -> Any:
        # The writer replaces the text of the newest row once its step is known: a live reader may see half of it.
        return self._storage.reading(fmt.EXCEPTIONS, lambda: self._read_exception(name, row))

    def _read_exception(self, name: str, row: int) -> Any:
        exceptions = loads(self._text(fmt.EXCEPTIONS, row) or b"{}")
        if type(exceptions) is not dict or name not in exceptions:
            raise CorruptRecordingError(f"/{name} row {row} is an exception, but /{fmt.EXCEPTIONS} does not have it")
        return exceptions[name]

    def _text(self, name: str, row: int) -> bytes:
        """The bytes of one row of a column of texts."""
        ends = f"{name}/{fmt.ENDS}"
        stop = int(self._storage.row(ends, row)[0])
        start = int(self._storage.row(ends, row - 1)[0]) if row else 0
        if stop - start > MAX_ITEM_BYTES:
            raise CorruptRecordingError(f"/{name} row {row} has a text of {stop - start} bytes")
        return self._storage.items(f"{name}/{fmt.VALUES}", start, stop).tobytes() if stop != start else b""
