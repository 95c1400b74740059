"""Rules for whole columns: which type codes a node allows, which numbers a type has, which items a space contains."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium import Space, spaces

from gym_h5record.format import nodes
from gym_h5record.format.column_planning import contains
from gym_h5record.format.names import SCALAR_TYPES, TypeCode
from gym_h5record.values.custom_spaces import is_registered

__all__ = ["allowed_codes", "children_spaces", "every_element", "fits_type", "make_inside"]

# Type codes ------------------------------------------------------------------------------------------


def allowed_codes(node: nodes.Node) -> np.ndarray:
    """Which codes a value of a node may have, ``(256,)`` bool. ``ABSENT`` is not among them: it means no value."""
    allowed = np.zeros(256, np.bool_)
    allowed[TypeCode.EXCEPTION] = True
    if isinstance(node, (nodes.Array, nodes.Stack)):
        allowed[TypeCode.ARRAY] = True
    elif isinstance(node, nodes.Scalar):
        allowed[[*SCALAR_TYPES]] = True
    elif not isinstance(node, nodes.Opaque):
        allowed[TypeCode.VALUE] = True
    return allowed


def fits_type(items: np.ndarray, code: int) -> np.ndarray:
    """Which numbers of a column the Python or NumPy type of a code can represent exactly, ``(n,)`` bool."""
    with np.errstate(all="ignore"):
        if code == TypeCode.INT:
            whole: np.ndarray = np.isfinite(items) & (np.trunc(items) == items)
            return whole
        dtype = np.dtype(SCALAR_TYPES[code])
        if dtype == items.dtype:
            return np.ones(len(items), np.bool_)
        cast = items.astype(dtype)
        same: np.ndarray = (cast.astype(items.dtype) == items) & ((cast < 0) == (items < 0))
        same |= np.isnan(items) & np.isnan(cast)
        return same


# Spaces ----------------------------------------------------------------------------------------------

_Inside = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Takes items of a column and their type codes; tells which items are in the space, ``(n,)`` bool."""


def every_element(each: np.ndarray) -> np.ndarray:
    """For each item whether all of its elements are true, ``(n,)`` bool."""
    return np.asarray(each.all(axis=tuple(range(1, each.ndim))))


def children_spaces(node: nodes.Node, space: Space[Any] | None) -> tuple[Space[Any] | None, ...] | None:
    """The spaces of the children of a node, None if the node was not planned from this space."""
    if space is None or is_registered(space):  # a class derived from Dict has its own idea of what it contains
        return None
    if isinstance(node, nodes.DictOf) and isinstance(space, spaces.Dict):
        if {key for key, _ in node.items} == space.spaces.keys():
            return tuple(space.spaces[key] for key, _ in node.items)
    elif isinstance(node, nodes.TupleOf) and isinstance(space, spaces.Tuple) and len(node.items) == len(space.spaces):
        return tuple(space.spaces)
    return None


def make_inside(node: nodes.Array | nodes.Scalar | nodes.Stack, space: Space[Any]) -> _Inside | None:
    """Make a check of whole columns, None if values of this space can only be checked one by one."""
    if is_registered(space):
        return None
    if isinstance(node, nodes.Scalar):
        return _discrete(space) if isinstance(space, spaces.Discrete) else None
    if not isinstance(space, (spaces.Box, spaces.MultiDiscrete, spaces.MultiBinary)):
        return None
    if node.shape != space.shape:
        return _none
    if isinstance(space, spaces.Box):
        return _box(node.dtype, space)
    if isinstance(space, spaces.MultiBinary):
        return lambda items, codes: every_element((items == 0) | (items == 1))
    if not contains(space, space.start.astype(node.dtype)):
        return _none
    return _between(space.start, space.start + (space.nvec - 1))


def takes_all(node: nodes.Node, space: Space[Any] | None) -> bool:
    """Whether every array of a node is a value of its space, as every picture is."""
    if not isinstance(node, nodes.Array) or node.dtype.kind not in "iu":
        return False
    return space is None or make_inside(node, space) is _all


def _box(dtype: np.dtype, space: spaces.Box) -> _Inside:
    if not np.can_cast(dtype, space.dtype):
        return _none
    if dtype.kind in "biu":
        low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
        if np.all(space.low <= low) and np.all(space.high >= high):
            return _all
    return _between(space.low, space.high)


def _between(low: Any, high: Any) -> _Inside:
    return lambda items, codes: every_element(items >= low) & every_element(items <= high)


def _discrete(space: spaces.Discrete) -> _Inside:
    start, last = int(space.start), int(space.start) + int(space.n) - 1

    def inside(items: np.ndarray, codes: np.ndarray) -> np.ndarray:
        found: np.ndarray = (items >= start) & (items <= last)
        for code in np.unique(codes).tolist():  # a Discrete space refuses every float, for example
            value = items[codes == code]
            value = value[found[codes == code]][:1]
            if len(value) and not contains(space, SCALAR_TYPES[code](value[0])):
                found[codes == code] = False
        return found

    return inside


def _all(items: np.ndarray, codes: np.ndarray) -> np.ndarray:
    return np.ones(len(items), np.bool_)


def _none(items: np.ndarray, codes: np.ndarray) -> np.ndarray:
    return np.zeros(len(items), np.bool_)
