"""Plans the columns of a recording from the spaces and the first values.

Where a first value does not fit its space, its column follows the value:
environments declare float32 and give float64.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from gymnasium import Space, spaces

from gym_h5record.errors import UnsupportedSpaceError
from gym_h5record.format import names as fmt
from gym_h5record.format.names import link_name
from gym_h5record.format.nodes import Array, DictOf, Graph, ListOf, Node, OneOf, Opaque, Scalar, Sequence, Text, TupleOf
from gym_h5record.format.schema import InfoField, Schema
from gym_h5record.limits import MAX_ITEM_BYTES
from gym_h5record.values.exact import foreign_array, storable

__all__ = ["MISSING", "contains", "plan_columns", "plan_infos", "plan_space", "plan_value"]


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


MISSING: Any = _Missing()
"""Stands for a value that is not known yet."""


def plan_space(space: Space[Any], name: str, value: Any = MISSING) -> Node:
    """Plan the columns of values from ``space``, at the path ``name`` of the file.

    ``value`` is one that the environment gave: where its dtype, its shape or its type
    is not the declared one, the column follows it. A custom space raises ``UnsupportedSpaceError``.
    """
    if isinstance(space, (spaces.Box, spaces.MultiDiscrete, spaces.MultiBinary)):
        return _array(name, np.dtype(space.dtype), space.shape) if value is MISSING else plan_value(name, value)
    if isinstance(space, spaces.Discrete):
        is_number = value is MISSING or isinstance(value, (int, np.integer))
        return Scalar(name, np.dtype(space.dtype)) if is_number else plan_value(name, value)
    if isinstance(space, (spaces.Dict, spaces.Tuple)):
        is_numeric = isinstance(value, (np.ndarray, np.generic, int, float))
        return plan_value(name, value) if is_numeric else _plan_parts(space, name, value)
    if isinstance(space, spaces.Text):
        return Text(name)
    if isinstance(space, spaces.Sequence):
        return Sequence(name, _list(name, space.feature_space), space)
    if isinstance(space, spaces.Graph):
        edges = None if space.edge_space is None else _list(f"{name}/edges", space.edge_space)
        pair = Array(f"{name}/edge_links/{fmt.VALUES}", np.dtype(np.int32), (2,))
        return Graph(name, _list(f"{name}/nodes", space.node_space), edges, ListOf(f"{name}/edge_links", pair), space)
    if isinstance(space, spaces.OneOf):
        return OneOf(name, tuple(_list(f"{name}/{index}", each) for index, each in enumerate(space.spaces)))
    raise UnsupportedSpaceError(f"cannot store values of the space {space!r} at /{name}")


def _plan_parts(space: spaces.Dict | spaces.Tuple[Any], name: str, value: Any) -> DictOf | TupleOf:
    if isinstance(space, spaces.Tuple):
        fits = type(value) is tuple and len(value) == len(space.spaces)
        pairs = zip(space.spaces, value if fits else [MISSING] * len(space.spaces), strict=True)
        return TupleOf(name, tuple(plan_space(each, f"{name}/{k}", item) for k, (each, item) in enumerate(pairs)))
    values = value if type(value) is dict and value.keys() == space.spaces.keys() else {}
    taken: set[str] = set()
    items = (
        (key, plan_space(each, f"{name}/{link_name(key, taken)}", values.get(key, MISSING)))
        for key, each in space.spaces.items()
    )
    return DictOf(name, tuple(items))


def _list(name: str, space: Space[Any]) -> ListOf:
    return ListOf(name, plan_space(space, f"{name}/{fmt.VALUES}"))


def plan_value(name: str, value: Any) -> Array | Scalar | Opaque:
    """Plan a column from a value alone: ``Opaque`` if it is neither a number nor an array of numbers."""
    array = foreign_array(value)
    value = value if array is None else array
    kind = type(value)
    if kind is np.ndarray and storable(value.dtype):
        return _array(name, value.dtype, value.shape)
    if kind is bool:
        return Scalar(name, np.dtype(np.bool_))
    if kind is int:
        return Scalar(name, np.dtype(np.int64))
    if kind is float:
        return Scalar(name, np.dtype(np.float64))
    if isinstance(value, np.generic) and fmt.numpy_scalar_code(kind) is not None:
        return Scalar(name, value.dtype)
    return Opaque(name)


def _array(name: str, dtype: np.dtype, shape: tuple[int, ...]) -> Array | Opaque:
    return Array(name, dtype, tuple(shape)) if storable(dtype) else Opaque(name)


def plan_infos(infos: list[dict[Any, Any]]) -> tuple[InfoField, ...]:
    """Plan columns for the numeric keys of the first infos of a recording.

    A key whose values are numbers, or arrays of numbers of one dtype and shape,
    gets a column. Numbers of several types get the type to which NumPy promotes
    them. All other keys are stored as JSON.
    """
    taken = {fmt.INFOS_JSON.rpartition("/")[2]}
    columns: dict[str, InfoField] = {}
    refused: set[str] = set()
    for info in infos:
        for key, value in info.items():
            if type(key) is not str or key in refused:
                continue
            node = plan_value("", value)
            known = columns.get(key)
            node = node if known is None else _widen(known.node, node)
            if isinstance(node, Opaque):
                refused.add(key)
                columns.pop(key, None)
                continue
            name = f"{fmt.INFOS}/{link_name(key, taken)}" if known is None else known.node.name
            columns[key] = InfoField(key, replace(node, name=name))
    return tuple(columns.values())


def _widen(first: Array | Scalar, second: Array | Scalar | Opaque) -> Array | Scalar | Opaque:
    """A node for the values of two nodes; the second one, and the result, have no name yet."""
    if isinstance(first, Scalar) and isinstance(second, Scalar):
        return Scalar("", np.promote_types(first.dtype, second.dtype))
    return second if replace(first, name="") == second else Opaque("")


def plan_columns(
    first: tuple[Any, Any, Any],
    spaces: tuple[Space[Any], Space[Any]],
    frames: str,
    step: tuple[Any, Any] | None,
    *,
    infos: bool,
    warn: Callable[[str], None],
) -> Schema:
    """Plan the columns of a recording. A custom space or too large an item raises ``UnsupportedSpaceError``.

    Args:
        first: Observation, info and frame of the first row.
        spaces: The observation space and the action space.
        frames: Kind of the frame source: ``"render"``, ``"observation"`` or ``"none"``.
        step: Action of the first step and the info after it, None if no step was taken.
        infos: Whether infos are recorded.
        warn: Called with a message if the first observation or action is outside its space.
    """
    first_observation, first_info, first_frame = first
    action, second_info = (MISSING, None) if step is None else step

    def plan(what: str, space: Space[Any], name: str, value: Any) -> Node:
        if value is not MISSING and not contains(space, value):
            warn(f"the first {what} is not in the declared space {space}; it is recorded as it is.")
        return plan_space(space, name, value)

    observation = plan("observation", spaces[0], fmt.OBSERVATIONS, first_observation)
    schema = Schema(
        observation=observation,
        action=plan("action", spaces[1], fmt.ACTIONS, action),
        frame=plan_value(fmt.FRAMES, first_frame) if frames == "render" else None,
        infos=plan_infos([each for each in (first_info, second_info) if type(each) is dict]) if infos else None,
        linked_frames=frames == "observation" and isinstance(observation, Array) and any(observation.fields()),
    )
    for field in schema.fields:
        if field.item_bytes > MAX_ITEM_BYTES:
            raise UnsupportedSpaceError(
                f"/{field.name} would have items of {field.item_bytes} bytes; up to {MAX_ITEM_BYTES} can be recorded."
            )
    return schema


def contains(space: Space[Any], value: Any) -> bool:
    """Whether a value is in its space; True if the space raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Gymnasium warns of a value that it has to cast
        try:
            return space.contains(value)
        except Exception:  # noqa: BLE001  # some spaces raise for their own samples
            return True
