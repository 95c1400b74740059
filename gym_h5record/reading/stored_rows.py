"""Whether two runs of rows are stored alike, told without decoding a value.

Rows of the same columns that hold the same bytes have the same values. The
reverse does not hold: a dict written in another order is stored differently.
"No" therefore only means that the values have to be compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gym_h5record.format import names as fmt
from gym_h5record.format import nodes
from gym_h5record.format.names import TypeCode
from gym_h5record.storage.column_reader import ColumnReader

__all__ = ["StoredRows", "stored_alike"]


_PIECE_BYTES = 4 << 20
_MAX_ENDS = 1 << 19

_Span = tuple[int, int]


@dataclass(frozen=True)
class StoredRows:
    """Where some columns of a recording are stored, from a row on.

    Attributes:
        storage: Reads them.
        plan: What makes values of items; that of both must be equal.
        nodes: The nodes with type codes.
        texts: Names of ragged columns of bytes beside them.
        codes: The columns of ``/types``.
        start: First row.
    """

    storage: ColumnReader
    plan: object
    nodes: tuple[nodes.Node, ...]
    texts: tuple[str, ...]
    codes: tuple[int, ...]
    start: int


def stored_alike(first: StoredRows, second: StoredRows, count: int) -> bool:
    """Whether ``count`` rows of both are stored alike; False if that cannot be told.

    Raises:
        CorruptRecordingError: If what is stored cannot be read.
    """
    if first.plan != second.plan:
        return False
    pair = (first, second)
    codes = [each.storage.items(fmt.TYPES, each.start, each.start + count)[:, list(each.codes)] for each in pair]
    if not np.array_equal(codes[0], codes[1]):
        return False
    texts = first.texts + ((fmt.EXCEPTIONS,) if (codes[0] == TypeCode.EXCEPTION).any() else ())
    trees = (*first.nodes, *(nodes.Text(name) for name in texts))
    return _fields_alike([field for tree in trees for field in tree.fields()], pair, count)


def _fields_alike(fields: Sequence[nodes.Field], pair: tuple[StoredRows, StoredRows], count: int) -> bool:
    """Whether the items of these fields are the same; parents stand before their children."""
    spans: dict[str | None, list[_Span]] = {None: [(each.start, each.start + count) for each in pair]}
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
            return False  # damaged: whoever decodes it says so
        if not np.array_equal(*(each - each[0] for each in ends)):
            return False
        spans[field.name] = [(int(each[0]), int(each[-1])) for each in ends]
    return True


def _ends(storage: ColumnReader, name: str, span: _Span) -> np.ndarray:
    """Where the items of the lists of a span end, and before that where those of the first one begin."""
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
