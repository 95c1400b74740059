"""Turns items of datasets back into the values that were recorded, types included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

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
_ENDS = {name: f"{name}/{fmt.ENDS}" for name in (*_JSON.values(), fmt.EXCEPTIONS)}
_EXCEPTION = int(TypeCode.EXCEPTION)  # every value asks: the attribute takes 57 ns, this 10 ns
_FAR = np.iinfo(np.int64).max


class Decoder:
    """Builds the values of a recording from the items of its datasets."""

    def __init__(self, storage: ColumnReader, schema: sc.Schema) -> None:
        self._storage = storage
        self.schema = schema
        self._item = storage.item
        self._codes = schema.code_index
        self._keys = {
            group: [(column.key, column.node, self._codes[column.node.name]) for column in self.key_columns(group)]
            for group in _JSON
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        """A copy in another process: its reader of items has to be told again what each dataset holds."""
        self.__dict__.update(state)
        self._storage.expect(sc.all_fields(self.schema))

    def value(self, node: nodes.Node, row: int, *, is_needed: bool = False) -> Any:
        """The exact value of a node in a row. A row without one gives None, or an error if ``is_needed``."""
        code = self._item(fmt.TYPES, row)[self._codes[node.name]]
        if code:  # not ABSENT
            return self._decoded(node, row, int(code))
        if is_needed:
            raise CorruptRecordingError(f"/{node.name} row {row} has no value, within an episode")
        return None

    def take(self, node: nodes.Node, rows: np.ndarray) -> Any:
        """The values of a node in these rows, ``(n,)`` int64, in their order, as ``batch`` gives them."""
        columns = [self._codes[each.name] for each in node.walk()]
        codes = self._storage.take(fmt.TYPES, rows)[:, columns]
        if (codes == _EXCEPTION).any() or isinstance(node, (nodes.Ragged, nodes.Opaque)):
            return [self.value(node, row) for row in rows.tolist()]
        if isinstance(node, nodes.DictOf):
            return {key: self.take(child, rows) for key, child in node.items}
        if isinstance(node, nodes.TupleOf):
            return tuple(self.take(child, rows) for child in node.items)
        if isinstance(node, nodes.Stack):
            return self._take_stacks(node, rows)
        if isinstance(node, nodes.Array) and 0 in node.shape:
            return np.empty((len(rows), *node.shape), node.dtype)
        return self._storage.take(node.name, rows)

    def batch(self, node: nodes.Node, start: int, stop: int) -> Any:
        """The values of a node in rows ``start`` to ``stop``.

        Returns:
            An array for arrays and numbers, a dict or tuple of batches for dicts
            and tuples, a list for everything else and where one of the values is
            an exception that does not fit the column.
        """
        columns = [self._codes[each.name] for each in node.walk()]
        codes = self._storage.items(fmt.TYPES, start, stop)[:, columns]
        if (codes == _EXCEPTION).any() or isinstance(node, (nodes.Ragged, nodes.Opaque)):
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

    def _take_stacks(self, node: nodes.Stack, rows: np.ndarray) -> np.ndarray:
        """The stacks of these rows. Those of rows that are close to each other are read together."""
        stacks = np.empty((len(rows), *node.shape), node.dtype)
        if not len(rows):
            return stacks
        order = np.argsort(rows, kind="stable")
        ordered = rows[order]
        ends = np.flatnonzero(np.diff(ordered, append=_FAR) > node.shape[0]) + 1
        for begin, end in zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True):
            first, last = int(ordered[begin]), int(ordered[end - 1])
            stacks[order[begin:end]] = self.stacks(node, first, last + 1)[ordered[begin:end] - first]
        return stacks

    def times(self, start: int, stop: int) -> np.ndarray:
        """The times of rows ``start`` to ``stop``, ``(rows,)`` float64, in seconds."""
        return self._storage.items(fmt.TIMES, start, stop) / 1e9

    def codes(self, node: nodes.Node, start: int, stop: int) -> np.ndarray:
        """The type codes of a node in rows ``start`` to ``stop``, ``(rows,)`` uint8."""
        codes: np.ndarray = self._storage.items(fmt.TYPES, start, stop)[:, self._codes[node.name]]
        return codes

    def take_codes(self, node: nodes.Node, rows: np.ndarray) -> np.ndarray:
        """The type codes of a node in these rows, ``(n,)`` int64, in their order."""
        codes: np.ndarray = self._storage.take(fmt.TYPES, rows)[:, self._codes[node.name]]
        return codes

    def key_columns(self, group: str) -> tuple[sc.KeyColumn, ...]:
        """The keys of infos or extras that have columns of their own."""
        return (self.schema.infos if group == fmt.INFOS else self.schema.extras) or ()

    def keyed(self, group: str, row: int) -> Any:
        """The info or the extras of a row, as they were recorded. ``group`` is ``"infos"`` or ``"extras"``."""
        codes = self._item(fmt.TYPES, row)
        values: dict[str, Any] = {}
        for key, node, column in self._keys[group]:
            code = codes[column]
            if code:  # not ABSENT
                values[key] = self._decoded(node, row, int(code))
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
            if code == _EXCEPTION:
                return self._exception(node.name, row)
            decode: Callable[..., Any] = self._decoders.get(type(node), Decoder._ragged)
            return decode(self, node, row, code)
        except CorruptRecordingError:
            raise
        except (ValueError, LookupError, TypeError, ArithmeticError) as error:  # items contradict their codes
            raise CorruptRecordingError(f"/{node.name} row {row} cannot be decoded: {error!r:.200}") from error

    def _array(self, node: nodes.Array, row: int, code: int) -> Any:
        if 0 in node.shape:
            return np.empty(node.shape, node.dtype)
        return np.array(self._item(node.name, row), node.dtype).reshape(node.shape)

    def _scalar(self, node: nodes.Scalar, row: int, code: int) -> Any:
        kind = fmt.SCALAR_TYPES.get(code)
        if kind is None:
            raise CorruptRecordingError(f"/{node.name} row {row} has type code {code}, which no number has")
        return kind(self._item(node.name, row))

    def _dict(self, node: nodes.DictOf, row: int, code: int) -> Any:
        return {key: self.value(child, row) for key, child in node.items}

    def _tuple(self, node: nodes.TupleOf, row: int, code: int) -> Any:
        return tuple(self.value(child, row) for child in node.items)

    def _stack(self, node: nodes.Stack, row: int, code: int) -> Any:
        return read_stacks(node, self._storage, row, row + 1).reshape(node.shape)

    def _ragged(self, node: nodes.Node, row: int, code: int) -> Any:
        if not isinstance(node, nodes.Ragged):
            raise CorruptRecordingError(f"/{node.name} has no columns, but row {row} has type code {code}")
        return ragged.decode(node, self._storage, row)

    _decoders: ClassVar[dict[type, Callable[..., Any]]] = {
        nodes.Array: _array,
        nodes.Scalar: _scalar,
        nodes.DictOf: _dict,
        nodes.TupleOf: _tuple,
        nodes.Stack: _stack,
    }

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
        ends = _ENDS[name]
        stop = int(self._item(ends, row))
        start = int(self._item(ends, row - 1)) if row else 0
        if stop - start > MAX_ITEM_BYTES:
            raise CorruptRecordingError(f"/{name} row {row} has a text of {stop - start} bytes")
        return self._storage.items(f"{name}/{fmt.VALUES}", start, stop).tobytes() if stop != start else b""
