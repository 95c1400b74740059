"""Plans the columns of a recording from the spaces and the first values.

Where a first value does not fit its space, its column follows the value:
environments declare float32 and give float64.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import singledispatch
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


@singledispatch
def plan_space(space: Space[Any], name: str, value: Any = MISSING) -> Node:
    """Plan the columns of values from ``space``.

    Args:
        space: The declared space.
        name: Path of the node inside the file.
        value: A value that the environment gave. Where its dtype, its shape or its
            type is not the declared one, the column follows the value.

    Raises:
        UnsupportedSpaceError: If the space, or one inside it, is a custom one.
    """
    raise UnsupportedSpaceError(f"cannot store values of the space {space!r} at /{name}")


@plan_space.register(spaces.Box)
@plan_space.register(spaces.MultiDiscrete)
@plan_space.register(spaces.MultiBinary)
def _(space: spaces.Box, name: str, value: Any = MISSING) -> Node:
    if value is MISSING:
        return _array(name, np.dtype(space.dtype), space.shape)
    return plan_value(name, value)


@plan_space.register
def _(space: spaces.Discrete, name: str, value: Any = MISSING) -> Node:
    if value is MISSING or isinstance(value, (int, np.integer)):
        return Scalar(name, np.dtype(space.dtype))
    return plan_value(name, value)


@plan_space.register
def _(space: spaces.Dict, name: str, value: Any = MISSING) -> Node:
    values: Mapping[Any, Any] = {}
    if type(value) is dict and value.keys() == space.spaces.keys():
        values = value
    elif isinstance(value, (np.ndarray, np.generic, int, float)):
        return plan_value(name, value)
    taken: set[str] = set()
    return DictOf(
        name,
        tuple(
            (key, plan_space(each, f"{name}/{link_name(key, taken)}", values.get(key, MISSING)))
            for key, each in space.spaces.items()
        ),
    )


@plan_space.register(spaces.Tuple)
def _(space: spaces.Tuple[Any], name: str, value: Any = MISSING) -> Node:
    values = (MISSING,) * len(space.spaces)
    if type(value) is tuple and len(value) == len(space.spaces):
        values = value
    elif isinstance(value, (np.ndarray, np.generic, int, float)):
        return plan_value(name, value)
    planned = (
        plan_space(each, f"{name}/{index}", item)
        for index, (each, item) in enumerate(zip(space.spaces, values, strict=True))
    )
    return TupleOf(name, tuple(planned))


@plan_space.register
def _(space: spaces.Text, name: str, value: Any = MISSING) -> Node:
    return Text(name)


@plan_space.register
def _(space: spaces.Sequence, name: str, value: Any = MISSING) -> Node:
    return Sequence(name, _list(name, space.feature_space), space)


@plan_space.register
def _(space: spaces.Graph, name: str, value: Any = MISSING) -> Node:
    edges = None if space.edge_space is None else _list(f"{name}/edges", space.edge_space)
    links = f"{name}/edge_links"
    pair = Array(f"{links}/{fmt.VALUES}", np.dtype(np.int32), (2,))
    return Graph(name, _list(f"{name}/nodes", space.node_space), edges, ListOf(links, pair), space)


@plan_space.register(spaces.OneOf)
def _(space: spaces.OneOf[Any], name: str, value: Any = MISSING) -> Node:
    return OneOf(name, tuple(_list(f"{name}/{index}", each) for index, each in enumerate(space.spaces)))


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
            if known is not None:
                node = _widen(known.node, node)
            if isinstance(node, Opaque):
                refused.add(key)
                columns.pop(key, None)
                continue
            name = known.node.name if known is not None else f"{fmt.INFOS}/{link_name(key, taken)}"
            columns[key] = InfoField(key, replace(node, name=name))
    return tuple(columns.values())


def _widen(first: Array | Scalar, second: Array | Scalar | Opaque) -> Array | Scalar | Opaque:
    if isinstance(first, Scalar) and isinstance(second, Scalar):
        dtype = np.promote_types(first.dtype, second.dtype)
        return Scalar("", dtype)
    if (
        isinstance(first, Array)
        and isinstance(second, Array)
        and (first.dtype, first.shape) == (second.dtype, second.shape)
    ):
        return second
    return Opaque("")


def plan_columns(
    first: tuple[Any, Any, Any],
    spaces: tuple[Space[Any], Space[Any]],
    frames: str,
    step: tuple[Any, Any] | None,
    *,
    infos: bool,
    warn: Callable[[str], None],
) -> Schema:
    """Plan the columns of a recording.

    Args:
        first: Observation, info and frame of the first row.
        spaces: The observation space and the action space.
        frames: Kind of the frame source: ``"render"``, ``"observation"`` or ``"none"``.
        step: Action of the first step and the info after it, None if no step was taken.
        infos: Whether infos are recorded.
        warn: Called with a message if the first observation or action is outside its space.

    Raises:
        UnsupportedSpaceError: If a space is a custom one, or an item of a column would be too large.
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
