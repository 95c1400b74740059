"""Whether values are in their space: whole columns at once where the space allows it.

What Gymnasium says of single values is the law; a column is compared with the
bounds of its space only where that comes to the same.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium import Space, spaces

from gym_h5record import schema as sc
from gym_h5record.format import NUMPY_SCALARS, TypeCode

__all__ = ["Inside", "children_spaces", "contains", "every_element", "make_inside"]

Inside = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From items of a column and their type codes to which of them are in the space, ``(n,)`` bool."""

_TYPES: dict[int, Callable[[Any], Any]] = {
    TypeCode.INT: int,
    TypeCode.FLOAT: float,
    TypeCode.BOOL: bool,
    **{TypeCode.NUMPY + k: scalar for k, scalar in enumerate(NUMPY_SCALARS)},
}


def every_element(each: np.ndarray) -> np.ndarray:
    """For each item whether all of its elements are true, ``(n,)`` bool."""
    return np.asarray(each.all(axis=tuple(range(1, each.ndim))))


def contains(space: Space[Any], value: Any) -> bool:
    """Whether a value is in its space, as far as the space can tell."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Gymnasium's own remarks
        try:
            return space.contains(value)
        except Exception:  # noqa: BLE001  # some fail on their own samples
            return True


def children_spaces(node: sc.Node, space: Space[Any] | None) -> tuple[Space[Any] | None, ...] | None:
    """The spaces of the children of a node, None if the space is not that of the node."""
    if isinstance(node, sc.DictOf) and isinstance(space, spaces.Dict):
        if {key for key, _ in node.items} == space.spaces.keys():
            return tuple(space.spaces[key] for key, _ in node.items)
    elif isinstance(node, sc.TupleOf) and isinstance(space, spaces.Tuple) and len(node.items) == len(space.spaces):
        return tuple(space.spaces)
    return None


def make_inside(node: sc.Node, space: Space[Any]) -> Inside | None:
    """How to tell of a whole column what is in its space, None if only single values tell."""
    if isinstance(node, sc.Array):
        if isinstance(space, spaces.Box):
            return _box(node, space)
        if isinstance(space, spaces.MultiDiscrete):
            return _multi_discrete(node, space)
        if isinstance(space, spaces.MultiBinary):
            return _multi_binary(node, space)
    if isinstance(node, sc.Scalar) and isinstance(space, spaces.Discrete):
        return _discrete(space)
    return None


def _box(node: sc.Array, space: spaces.Box) -> Inside:
    if node.shape != space.shape or not np.can_cast(node.dtype, space.dtype):
        return _none
    if node.dtype.kind in "biu" and _is_everything(node.dtype, space):
        return _all
    return lambda items, codes: every_element(items >= space.low) & every_element(items <= space.high)


def _is_everything(dtype: np.dtype, space: spaces.Box) -> bool:
    low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    return bool(np.all(space.low <= low) and np.all(space.high >= high))


def _multi_discrete(node: sc.Array, space: spaces.MultiDiscrete) -> Inside:
    if node.shape != space.shape or not contains(space, space.start.astype(node.dtype)):
        return _none
    last = space.start + (space.nvec - 1)
    return lambda items, codes: every_element(items >= space.start) & every_element(items <= last)


def _multi_binary(node: sc.Array, space: spaces.MultiBinary) -> Inside:
    if node.shape != space.shape:
        return _none
    return lambda items, codes: every_element((items == 0) | (items == 1))


def _discrete(space: spaces.Discrete) -> Inside:
    start, last = int(space.start), int(space.start) + int(space.n) - 1

    def inside(items: np.ndarray, codes: np.ndarray) -> np.ndarray:
        found: np.ndarray = (items >= start) & (items <= last)
        for code in np.unique(codes).tolist():  # some types are never in the space
            value = items[codes == code]
            value = value[found[codes == code]][:1]
            if len(value) and not contains(space, _TYPES[code](value[0])):
                found[codes == code] = False
        return found

    return inside


def _all(items: np.ndarray, codes: np.ndarray) -> np.ndarray:
    return np.ones(len(items), np.bool_)


def _none(items: np.ndarray, codes: np.ndarray) -> np.ndarray:
    return np.zeros(len(items), np.bool_)
