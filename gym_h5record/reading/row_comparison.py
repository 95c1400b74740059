"""Compares two runs of rows by their stored bytes, without decoding a value.

Rows of equal columns with equal bytes have equal values. The reverse does not
hold: a dict written in another order has other bytes. So False only means that
the values have to be compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gym_h5record.format import names as fmt
from gym_h5record.format import nodes
from gym_h5record.format.lanes import row_of
from gym_h5record.format.names import TypeCode
from gym_h5record.storage.column_reader import ColumnReader

__all__ = ["StoredRows", "stored_alike"]

_PIECE_BYTES = 4 << 20
_MAX_ENDS = 1 << 19

_Span = tuple[int, int]


@dataclass(frozen=True)
class StoredRows:
    """The stored bytes of some columns of a recording, from a row on.

    Attributes:
        storage: Reads the datasets.
        plan: How values are made of items. Only rows with equal plans are compared.
        nodes: The nodes with type codes.
        texts: Names of columns of texts beside the nodes.
        codes: The columns of ``/types`` of the nodes.
        start: First row, given by its address.
    """

    storage: ColumnReader
    plan: object
    nodes: tuple[nodes.Node, ...]
    texts: tuple[str, ...]
    codes: tuple[int, ...]
    start: int


def stored_alike(first: StoredRows, second: StoredRows, count: int) -> bool:
    """Whether ``count`` rows of both have the same plan and the same bytes.

    Returns:
        False also if there are more ragged items than are compared at once, or their ends are damaged.

    Raises:
        CorruptRecordingError: If the bytes cannot be read.
    """
    if first.plan != second.plan:
        return False
    pair = (first, second)
    codes = [each.storage.items(fmt.TYPES, each.start, each.start + count)[:, list(each.codes)] for each in pair]
    if not np.array_equal(codes[0], codes[1]):
        return False
    texts = first.texts + ((fmt.EXCEPTIONS,) if (codes[0] == TypeCode.EXCEPTION).any() else ())
    trees = (*first.nodes, *(nodes.Text(name) for name in texts))
    spans = [(each.start, each.start + count) for each in pair]
    stacks = [node for tree in first.nodes for node in tree.walk() if isinstance(node, nodes.Stack)]
    return _fields_alike([field for tree in trees for field in tree.fields()], pair, spans) and all(
        _earlier_frames_alike(node, pair, count) for node in stacks
    )


def _earlier_frames_alike(node: nodes.Stack, pair: tuple[StoredRows, StoredRows], count: int) -> bool:
    """Whether the frames that the first stacks have of the rows before them are the same."""
    num_rows = max(_num_rows_before(node, each) for each in pair) if count else 0
    spans = [(each.start - num_rows, each.start) for each in pair]
    are_there = all(num_rows <= row_of(each.start) for each in pair)
    return are_there and _fields_alike(list(node.fields()), pair, spans)


def _num_rows_before(node: nodes.Stack, rows: StoredRows) -> int:
    """How many rows before the first one its stack has frames of."""
    num_rows = min(node.shape[0] - 1, int(row_of(rows.start)))
    ends = _ends(rows.storage, node.earlier.ends, (rows.start - num_rows, rows.start + 1))
    restarts = np.flatnonzero(np.diff(ends))
    return num_rows - int(restarts[-1]) if len(restarts) else node.shape[0] - 1


def _fields_alike(fields: Sequence[nodes.Field], pair: tuple[StoredRows, StoredRows], rows: list[_Span]) -> bool:
    """Whether the items of these fields in these rows are the same; parents come before their children."""
    spans: dict[str | None, list[_Span]] = {None: rows}
    for field in fields:
        one, other = spans[field.parent]
        if one[1] - one[0] != other[1] - other[0]:
            return False
        if not field.is_ends:
            if not _items_alike(field, pair, (one, other)):
                return False
            continue
        if one[1] - one[0] > _MAX_ENDS:
            return False
        ends = [_ends(each.storage, field.name, span) for each, span in zip(pair, (one, other), strict=True)]
        if any((each[1:] < each[:-1]).any() for each in ends):
            return False  # damaged: decoding the values raises the error
        if not np.array_equal(*(each - each[0] for each in ends)):
            return False
        spans[field.name] = [(int(each[0]), int(each[-1])) for each in ends]
    return True


def _ends(storage: ColumnReader, name: str, span: _Span) -> np.ndarray:
    """Where the first list of a span begins, and where each of its lists ends."""
    start, stop = span
    if start:
        return storage.items(name, start - 1, stop)
    return np.concatenate([np.zeros(1, np.int64), storage.items(name, 0, stop)])


def _items_alike(field: nodes.Field, pair: tuple[StoredRows, StoredRows], spans: tuple[_Span, _Span]) -> bool:
    at, stop = spans[0]
    offset = spans[1][0] - at
    piece = max(_PIECE_BYTES // max(field.item_bytes, 1), 1)
    for start in range(at, stop, piece):
        end = min(start + piece, stop)
        one = pair[0].storage.items(field.name, start, end)
        other = pair[1].storage.items(field.name, start + offset, end + offset)
        if not np.array_equal(one.reshape(-1).view(np.uint8), other.reshape(-1).view(np.uint8)):
            return False
    return True
