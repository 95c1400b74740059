"""How a value gets into its slot of the ring: one closure per node of the schema.

A put checks that the value is what the column holds, copies it, and notes its
type. Whatever does not fit exactly is not forced: it goes to ``odd``, and the
slot gets the nearest value it can hold. These closures run at every step, so
they bind everything they need and look nothing up.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, singledispatch
from typing import Any

import numpy as np

from gym_h5record.format import nodes, ragged
from gym_h5record.format import schema as sc
from gym_h5record.format.names import NUMPY_SCALARS, TypeCode, numpy_scalar_code
from gym_h5record.values.exact import base_value, foreign_array
from gym_h5record.writing.journal import Journal
from gym_h5record.writing.journal_header import CODES

__all__ = ["Odd", "Put", "Ring", "Segments", "make_infos_put", "make_put"]


Put = Callable[[int, Any], None]
"""Puts a value into a slot."""

Odd = Callable[[str, Any], int]
"""Takes the name of a node and a value that does not fit it, gives the type code to note."""

Segments = list[tuple[str, bytes]]
"""Pairs of a ragged field and the bytes of its items in this row."""


@dataclass(frozen=True)
class Ring:
    """What puts write to.

    Attributes:
        journal: The journal.
        schema: The columns.
        note_foreign: Told of values that are stored as one of another type: arrays of other libraries
            as NumPy's, values of derived classes as those of Python's own.
    """

    journal: Journal
    schema: sc.Schema
    note_foreign: Callable[[str, Any, Any], None]

    def plain(self, name: str, value: Any, *kinds: type) -> Any:
        """A value of a class derived from one of these as one of that class; anything else as it is."""
        base = base_value(value)
        if type(base) not in kinds:
            return value
        self.note_foreign(name, value, base)
        return base

    def code(self, node: nodes.Node) -> tuple[memoryview, int, int]:
        """The codes as flat bytes, codes per slot, and the code of this node."""
        codes = self.journal.columns[CODES]
        return codes.data.cast("B"), codes.shape[1], self.schema.code_index[node.name]


@singledispatch
def make_put(node: nodes.Node, ring: Ring, odd: Odd, segments: Segments) -> Put:
    """The put of a node.

    Args:
        node: The node.
        ring: Where its slots are.
        odd: Told of every value that does not fit.
        segments: Gets the items of ragged fields.
    """
    raise TypeError(f"no way to put {type(node).__name__}")


@make_put.register
def _(node: nodes.Array, ring: Ring, odd: Odd, segments: Segments) -> Put:
    rows = ring.journal.columns.get(node.name)  # None for arrays without elements
    codes, width, index = ring.code(node)
    name, dtype, shape = node.name, node.dtype, node.shape
    ndarray, code, note_foreign = np.ndarray, int(TypeCode.ARRAY), ring.note_foreign

    def put(slot: int, value: Any) -> None:
        if type(value) is ndarray and value.dtype == dtype and value.shape == shape:
            if rows is not None:
                rows[slot] = value
            codes[slot * width + index] = code
            return
        array = foreign_array(value)
        if array is not None and array.dtype == dtype and array.shape == shape:
            note_foreign(name, value, array)
            value, codes[slot * width + index] = array, code
        else:
            codes[slot * width + index] = odd(name, value)
        if rows is not None:
            rows[slot] = _nearest(value, dtype, shape)

    return put


@make_put.register
def _(node: nodes.Scalar, ring: Ring, odd: Odd, segments: Segments) -> Put:
    column = ring.journal.columns[node.name]
    # Twice as fast as an array, but narrow floats would pass through a double, which changes some NaNs.
    cells: Any = column if node.dtype in (np.float16, np.float32) else column.data
    codes, width, index = ring.code(node)
    exact = _exact_types(node.dtype)
    widened = {code for kind, code in exact.items() if np.dtype(kind).kind == "f" and np.dtype(kind) != node.dtype}
    name, dtype = node.name, node.dtype

    def put(slot: int, value: Any) -> None:
        try:
            code = exact[type(value)]
            if widened and code in widened and value != value:  # likewise
                raise ValueError
            cells[slot] = value
        except (KeyError, ValueError, TypeError, OverflowError):
            code = (
                _put_checked(column, dtype, slot, value)
                or _put_checked(column, dtype, slot, ring.plain(name, value, int, float))
                or odd(name, value)
            )
        codes[slot * width + index] = code

    return put


@make_put.register
def _(node: nodes.Opaque, ring: Ring, odd: Odd, segments: Segments) -> Put:
    codes, width, index = ring.code(node)

    def put(slot: int, value: Any) -> None:
        codes[slot * width + index] = odd(node.name, value)

    return put


@make_put.register
def _(node: nodes.DictOf, ring: Ring, odd: Odd, segments: Segments) -> Put:
    codes, width, index = ring.code(node)
    children = tuple((key, make_put(child, ring, odd, segments)) for key, child in node.items)
    blank = _make_blank(node, ring)
    keys = {key for key, _ in node.items}

    def put(slot: int, value: Any) -> None:
        if type(value) is not dict:
            value = ring.plain(node.name, value, dict)
        if type(value) is not dict or value.keys() != keys:
            blank(slot)
            codes[slot * width + index] = odd(node.name, value)
            return
        codes[slot * width + index] = TypeCode.VALUE
        for key, put_child in children:
            put_child(slot, value[key])

    return put


@make_put.register
def _(node: nodes.TupleOf, ring: Ring, odd: Odd, segments: Segments) -> Put:
    codes, width, index = ring.code(node)
    children = tuple(make_put(child, ring, odd, segments) for child in node.items)
    blank = _make_blank(node, ring)

    def put(slot: int, value: Any) -> None:
        if type(value) is not tuple:
            value = ring.plain(node.name, value, tuple)
        if type(value) is not tuple or len(value) != len(children):
            blank(slot)
            codes[slot * width + index] = odd(node.name, value)
            return
        codes[slot * width + index] = TypeCode.VALUE
        for put_child, each in zip(children, value, strict=True):
            put_child(slot, each)

    return put


@make_put.register(nodes.Ragged)
def _(node: nodes.Ragged, ring: Ring, odd: Odd, segments: Segments) -> Put:
    codes, width, index = ring.code(node)

    def put(slot: int, value: Any) -> None:
        items = ragged.encode(node, value)
        if items is None:
            codes[slot * width + index] = odd(node.name, value)
            return
        codes[slot * width + index] = TypeCode.VALUE
        for field, parts in items.items():
            if parts:
                segments.append((field, b"".join(part.tobytes() for part in parts)))

    return put


def make_infos_put(schema: sc.Schema, ring: Ring, put_rest: Callable[[Any], None]) -> Put:
    """The put of infos: known keys into their columns, ``put_rest`` for all others.

    Args:
        schema: Says which keys have columns.
        ring: Where their slots are.
        put_rest: Given a dict of what found no place, or an info that is no dict.
    """
    rest: dict[str, Any] = {}
    keys = {column.node.name: column.key for column in schema.infos or ()}

    def odd(name: str, value: Any) -> int:
        rest[keys[name]] = value
        return TypeCode.ABSENT

    puts = [
        (column.key, make_put(column.node, ring, odd, []), _make_blank(column.node, ring))
        for column in schema.infos or ()
    ]

    def put(slot: int, info: Any) -> None:
        if rest:  # of a row that raised
            rest.clear()
        if type(info) is not dict:
            for _, _, blank in puts:
                blank(slot)
            put_rest(info)
            return
        found = 0
        for key, put_value, blank in puts:
            if key in info:
                put_value(slot, info[key])
                found += 1
            else:
                blank(slot)
        if found < len(info):
            rest.update((key, value) for key, value in info.items() if key not in known)
        if rest:
            put_rest(rest)

    known = set(keys.values())
    return put


def _make_blank(node: nodes.Node, ring: Ring) -> Callable[[int], None]:
    """Clears the slots and codes of a node and all below it."""
    columns = [ring.journal.columns[field.name] for field in node.fields() if field.name in ring.journal.columns]
    places = [ring.code(each) for each in node.walk()]

    def blank(slot: int) -> None:
        for column in columns:
            column[slot] = 0
        for codes, width, index in places:
            codes[slot * width + index] = TypeCode.ABSENT

    return blank


@cache
def _exact_types(dtype: np.dtype) -> dict[type, int]:
    """Types whose every value a column of ``dtype`` holds exactly, or refuses with an exception."""
    types: dict[type, int] = {}
    for scalar in NUMPY_SCALARS:
        widens_integer = np.dtype(scalar).kind in "ui" and dtype.kind not in "ui"  # floats end being exact somewhere
        if np.can_cast(scalar, dtype, "safe") and not widens_integer:
            types[scalar] = TypeCode.NUMPY + NUMPY_SCALARS.index(scalar)
    if dtype.kind == "b":
        types[bool] = TypeCode.BOOL
    elif dtype.kind in "ui":
        types[int] = TypeCode.INT
        types[bool] = TypeCode.BOOL
    elif dtype == np.float64:
        types[float] = TypeCode.FLOAT
    return types


_PYTHON_CODES: dict[type, int] = {bool: TypeCode.BOOL, int: TypeCode.INT, float: TypeCode.FLOAT}


def _put_checked(column: np.ndarray, dtype: np.dtype, slot: int, value: Any) -> int | None:
    """Put a number whose type alone does not tell that it fits; None if it does not."""
    kind = type(value)
    column[slot] = _nearest_number(value, dtype)
    code = _PYTHON_CODES.get(kind) or numpy_scalar_code(kind)
    if code is None:
        return None
    # As Python numbers: NumPy's own comparison would first cast, and so miss what a cast has changed.
    stored, given = column[slot].item(), value.item() if isinstance(value, np.generic) else value
    same = stored == given and (given != 0 or math.copysign(1, stored) == math.copysign(1, given))
    return code if same else None


def _nearest_number(value: Any, dtype: np.dtype) -> Any:
    """For readers that do not know exceptions: the number as near as the column can hold it, or zero."""
    is_number = isinstance(value, (bool, int, float, np.bool_, np.integer, np.floating))
    if not is_number and not (isinstance(value, np.ndarray) and value.ndim == 0 and value.dtype.kind in "biuf"):
        return 0
    try:
        if dtype.kind == "f":
            with np.errstate(all="ignore"):
                return dtype.type(float(value))
        number = int(value)
    except (OverflowError, ValueError, TypeError):  # infinities and NaN have no integer, timedeltas no float
        return 0
    low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    return number if low <= number <= high else 0


def _nearest(value: Any, dtype: np.dtype, shape: tuple[int, ...]) -> Any:
    """For readers that do not know exceptions: the value as near as the column can, or zero."""
    if isinstance(value, np.ndarray) and value.shape == shape and value.dtype.kind in "biuf":
        with np.errstate(all="ignore"):
            return value.astype(dtype)
    return 0
