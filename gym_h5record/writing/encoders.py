"""Encoders copy values into the slots of the ring: one closure per node of the schema.

An encoder checks that its column holds the value exactly, copies it, and notes its type. A value that does not fit
goes to ``on_misfit``, and the slot gets the nearest value that the column can hold. Encoders run at every step, so
everything they need is bound when they are made.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache, singledispatch
from typing import Any

import numpy as np

from gym_h5record.format import names as fmt
from gym_h5record.format import nodes, ragged
from gym_h5record.format import schema as sc
from gym_h5record.format.names import NUMPY_SCALARS, TypeCode, numpy_scalar_code
from gym_h5record.values.exact import foreign_array
from gym_h5record.writing.ring import Ring

__all__ = ["Encoder", "OnMisfit", "Segments", "exact_types", "make_dict_encoder", "make_encoder"]

Encoder = Callable[[int, Any], None]
"""Copies a value into a slot."""

OnMisfit = Callable[[str, Any], int]
"""Called with the name of a node and a value that does not fit it; returns the type code to note."""

Segments = list[tuple[str, bytes]]
"""Pairs of a ragged field and the bytes of its items in this row."""


@singledispatch
def make_encoder(node: nodes.Node, ring: Ring, on_misfit: OnMisfit, segments: Segments) -> Encoder:
    """Make the encoder of a node.

    Args:
        node: The node.
        ring: Where its slots are.
        on_misfit: Called with every value that does not fit.
        segments: The encoder appends the items of ragged fields here.
    """
    raise TypeError(f"no encoder for {type(node).__name__}")


@make_encoder.register
def _(node: nodes.Array, ring: Ring, on_misfit: OnMisfit, segments: Segments) -> Encoder:
    rows = ring.column(node.name)
    codes = ring.codes(node)
    name, dtype, shape = node.name, node.dtype, node.shape
    ndarray, code, note_foreign = np.ndarray, int(TypeCode.ARRAY), ring.note_foreign
    misfit = _misfit_number(node)

    def encode(slot: int, value: Any) -> None:
        if type(value) is ndarray and value.dtype == dtype and value.shape == shape:
            if rows is not None:
                rows[slot] = value
            codes[slot] = code
            return
        array = foreign_array(value)
        if array is not None and array.dtype == dtype and array.shape == shape:
            note_foreign(name, value, array)
            value, codes[slot] = array, code
        else:
            codes[slot] = on_misfit(name, value)
        if rows is not None:
            rows[slot] = _nearest(value, dtype, shape, misfit)

    return encode


@make_encoder.register
def _(node: nodes.Scalar, ring: Ring, on_misfit: OnMisfit, segments: Segments) -> Encoder:
    column: Any = ring.column(node.name)
    exact = exact_types(node.dtype)
    usual, cells, codes, usual_code = _usual_number(node, ring)
    widened = {code for kind, code in exact.items() if np.dtype(kind).kind == "f" and np.dtype(kind) != node.dtype}
    name, dtype, misfit = node.name, node.dtype, _misfit_number(node)

    def encode(slot: int, value: Any) -> None:
        try:
            if type(value) is usual:  # saves 0.015 us of 0.08
                cells[slot] = value
                codes[slot] = usual_code
                return
            code = exact[type(value)]
            if code in widened and value != value:  # conversion may change the bits of a NaN
                raise ValueError
            cells[slot] = value
        except (KeyError, ValueError, TypeError, OverflowError):
            code = (
                _write_checked(column, dtype, slot, value, misfit)
                or _write_checked(column, dtype, slot, ring.plain(name, value, int, float), misfit)
                or on_misfit(name, value)
            )
        codes[slot] = code

    return encode


@make_encoder.register
def _(node: nodes.Opaque, ring: Ring, on_misfit: OnMisfit, segments: Segments) -> Encoder:
    codes = ring.codes(node)

    def encode(slot: int, value: Any) -> None:
        codes[slot] = on_misfit(node.name, value)

    return encode


@make_encoder.register
def _(node: nodes.DictOf, ring: Ring, on_misfit: OnMisfit, segments: Segments) -> Encoder:
    codes = ring.codes(node)
    children = tuple((key, make_encoder(child, ring, on_misfit, segments)) for key, child in node.items)
    blank = _make_blank(node, ring)
    keys = {key for key, _ in node.items}

    def encode(slot: int, value: Any) -> None:
        if type(value) is not dict:
            value = ring.plain(node.name, value, dict)
        if type(value) is not dict or value.keys() != keys:
            blank(slot)
            codes[slot] = on_misfit(node.name, value)
            return
        codes[slot] = TypeCode.VALUE
        for key, encode_child in children:
            encode_child(slot, value[key])

    return encode


@make_encoder.register
def _(node: nodes.TupleOf, ring: Ring, on_misfit: OnMisfit, segments: Segments) -> Encoder:
    codes = ring.codes(node)
    children = tuple(make_encoder(child, ring, on_misfit, segments) for child in node.items)
    blank = _make_blank(node, ring)

    def encode(slot: int, value: Any) -> None:
        if type(value) is not tuple:
            value = ring.plain(node.name, value, tuple)
        if type(value) is not tuple or len(value) != len(children):
            blank(slot)
            codes[slot] = on_misfit(node.name, value)
            return
        codes[slot] = TypeCode.VALUE
        for encode_child, each in zip(children, value, strict=True):
            encode_child(slot, each)

    return encode


@make_encoder.register(nodes.Ragged)
def _(node: nodes.Ragged, ring: Ring, on_misfit: OnMisfit, segments: Segments) -> Encoder:
    codes = ring.codes(node)

    def encode(slot: int, value: Any) -> None:
        items = ragged.encode(node, value)
        if items is None and isinstance(node, nodes.Json):
            items = ragged.encode_nearest(node, value, lambda part: ring.note_inexact(node.name, part))
        if items is None:
            codes[slot] = on_misfit(node.name, value)
            return
        codes[slot] = TypeCode.VALUE
        for name, parts in items.items():
            if parts:
                segments.append((name, b"".join(part.tobytes() for part in parts)))

    return encode


def make_dict_encoder(columns: Sequence[sc.KeyColumn], ring: Ring, encode_rest: Callable[[Any], None]) -> Encoder:
    """Make the encoder of infos or extras: known keys go into their columns, the others to ``encode_rest``.

    Args:
        columns: The keys that have columns.
        ring: Where their slots are.
        encode_rest: Called with a dict of the other keys and the values that do not fit, or with a value that is no
            dict.
    """
    rest: dict[str, Any] = {}
    keys = {column.node.name: column.key for column in columns}

    def on_misfit(name: str, value: Any) -> int:
        rest[keys[name]] = value
        return TypeCode.ABSENT

    encoders = [
        (
            column.key,
            *_usual_number(column.node, ring),
            make_encoder(column.node, ring, on_misfit, []),
            _make_blank(column.node, ring),
        )
        for column in columns
    ]

    def encode(slot: int, values: Any) -> None:
        if rest:  # left by a row that raised
            rest.clear()
        if type(values) is not dict:
            for *_, blank in encoders:
                blank(slot)
            encode_rest(values)
            return
        found = num_columns
        for key, usual, cells, codes, usual_code, encode_value, blank in encoders:
            try:
                value = values[key]
                if type(value) is usual:  # what ``encode_value`` does with it, without the call: saves 0.03 us of 0.1
                    cells[slot] = value
                    codes[slot] = usual_code
                    continue
            except KeyError:  # costs nothing until a key is missing; to ask for the key first costs 0.03 us
                blank(slot)
                found -= 1
                continue
            except (ValueError, OverflowError):  # too large for the column
                encode_value(slot, value)
                continue
            encode_value(slot, value)
        if found < len(values):
            rest.update((key, value) for key, value in values.items() if key not in known)
        if rest:
            encode_rest(rest)

    known, num_columns = set(keys.values()), len(encoders)
    return encode


def _usual_number(node: nodes.Node, ring: Ring) -> tuple[type | None, Any, Any, int]:
    """The Python type that the numbers of a node usually have, their cells, their codes, and the code of the type."""
    if not isinstance(node, nodes.Scalar):
        return None, None, None, 0
    column: Any = ring.column(node.name)
    # A memoryview takes a number in half the time of an array. But it converts narrow floats by way of a double,
    # which changes the bits of some NaNs.
    cells: Any = column if node.dtype in (np.float16, np.float32) else column.data
    exact = exact_types(node.dtype)
    usual = next((kind for kind in _PYTHON_CODES if kind in exact and np.dtype(kind).kind == node.dtype.kind), None)
    return usual, cells, ring.codes(node), 0 if usual is None else _PYTHON_CODES[usual]


def _make_blank(node: nodes.Node, ring: Ring) -> Callable[[int], None]:
    """Make the function that clears the slots and codes of a node and of all nodes below it."""
    columns = [column for column in (ring.column(field.name) for field in node.fields()) if column is not None]
    codes_of_all = [ring.codes(each) for each in node.walk()]
    stacks = [ring.stacks[each.name] for each in node.walk() if each.name in ring.stacks]

    def blank(slot: int) -> None:
        for column in columns:
            column[slot] = 0
        for stack in stacks:
            stack.skip()
        for codes in codes_of_all:
            codes[slot] = TypeCode.ABSENT

    return blank


@cache
def exact_types(dtype: np.dtype) -> dict[type, int]:
    """Types whose every value a column of ``dtype`` holds exactly, or refuses with an exception."""
    types: dict[type, int] = {}
    for scalar in NUMPY_SCALARS:
        widens_integer = np.dtype(scalar).kind in "ui" and dtype.kind not in "ui"  # a float holds small integers only
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


def _misfit_number(node: nodes.Array | nodes.Scalar) -> float:
    """What a column holds in the place of a value that is no number: NaN for rewards, so that no total ignores it."""
    return math.nan if node.name == fmt.REWARDS and node.dtype.kind == "f" else 0


def _write_checked(column: np.ndarray, dtype: np.dtype, slot: int, value: Any, misfit: float) -> int | None:
    """Write a number whose type alone does not say that it fits. Returns its type code, None if it does not fit."""
    kind = type(value)
    column[slot] = _nearest_number(value, dtype, misfit)
    code = _PYTHON_CODES.get(kind) or numpy_scalar_code(kind)
    if code is None:
        return None
    # Compare Python numbers: NumPy casts before it compares, and would not see what the first cast has changed.
    stored, given = column[slot].item(), value.item() if isinstance(value, np.generic) else value
    same = stored == given and (given != 0 or math.copysign(1, stored) == math.copysign(1, given))
    return code if same else None


def _nearest_number(value: Any, dtype: np.dtype, misfit: float) -> Any:
    """The nearest number that the column can hold, or ``misfit``, for readers that do not know exceptions."""
    is_number = isinstance(value, (bool, int, float, np.bool_, np.integer, np.floating))
    if not is_number and not (isinstance(value, np.ndarray) and value.ndim == 0 and value.dtype.kind in "biuf"):
        return misfit
    try:
        if dtype.kind == "f":
            with np.errstate(all="ignore"):
                return dtype.type(float(value))
        number = int(value)
    except (OverflowError, ValueError, TypeError):  # infinities and NaN have no integer, timedeltas no float
        return misfit
    low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    return number if low <= number <= high else misfit


def _nearest(value: Any, dtype: np.dtype, shape: tuple[int, ...], misfit: float) -> Any:
    """The nearest value that the column can hold, or ``misfit``, for readers that do not know exceptions."""
    if isinstance(value, np.ndarray) and value.shape == shape and value.dtype.kind in "biuf":
        with np.errstate(all="ignore"):
            return value.astype(dtype)
    return misfit
