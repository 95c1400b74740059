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
from gym_h5record.format.frame_planning import plan_frame
from gym_h5record.format.names import link_name
from gym_h5record.format.nodes import (
    Array,
    DictOf,
    Graph,
    Json,
    ListOf,
    Node,
    OneOf,
    Opaque,
    Scalar,
    Sequence,
    Text,
    TupleOf,
)
from gym_h5record.format.schema import NUMBER_REWARD, KeyColumn, Schema
from gym_h5record.format.stacks import plan_stacks
from gym_h5record.limits import MAX_ITEM_BYTES
from gym_h5record.values.custom_spaces import is_registered
from gym_h5record.values.exact import foreign_array, storable
from gym_h5record.values.space_json import opaque_form

__all__ = ["MISSING", "contains", "plan_columns", "plan_keys", "plan_space", "plan_value"]

# Limits of a tree that is planned from a value of a custom space; below and beyond them is JSON text.
_MAX_TREE_NODES = 64
_MAX_TREE_DEPTH = 8  # levels from the root
_MAX_KEY = 64  # characters


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


MISSING: Any = _Missing()
"""Stands for a value that is not known yet."""


def plan_space(space: Space[Any], name: str, value: Any = MISSING) -> Node:
    """Plan the columns of values from ``space``, at the path ``name`` of the file.

    ``value`` is one that the environment gave: where its dtype, its shape or its type
    is not the declared one, the column follows it. The columns of a custom space follow
    it altogether, and have JSON text where there is no value, as inside a ``Sequence``.
    """
    if is_registered(space):  # also if its class is derived from one of Gymnasium's
        return _plan_any(name, value)
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
        known: Any = opaque_form(space)  # values are batched alike when they are written and when they are read
        return Sequence(name, _list(name, known.feature_space), known)
    if isinstance(space, spaces.Graph):
        known = opaque_form(space)
        edges = None if known.edge_space is None else _list(f"{name}/edges", known.edge_space)
        pair = Array(f"{name}/edge_links/{fmt.VALUES}", np.dtype(np.int32), (2,))
        return Graph(name, _list(f"{name}/nodes", known.node_space), edges, ListOf(f"{name}/edge_links", pair), known)
    if isinstance(space, spaces.OneOf):
        return OneOf(name, tuple(_list(f"{name}/{index}", each) for index, each in enumerate(space.spaces)))
    return _plan_any(name, value)


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


def _plan_any(name: str, value: Any) -> Node:
    """Plan the columns of values of a custom space from one of them: a tree if it looks fixed, JSON text if not."""
    if type(value) is str:
        return Text(name)
    node: Node = plan_value(name, value)
    if _looks_fixed(name, value):
        if type(value) is tuple:
            node = TupleOf(name, tuple(_plan_any(f"{name}/{k}", each) for k, each in enumerate(value)))
        else:
            taken: set[str] = set()
            pairs = ((key, _plan_any(f"{name}/{link_name(key, taken)}", each)) for key, each in value.items())
            node = DictOf(name, tuple(pairs))
    return Json(name) if isinstance(node, Opaque) or sum(1 for _ in node.walk()) > _MAX_TREE_NODES else node


def _looks_fixed(name: str, value: Any) -> bool:
    """Whether a value is a tuple or a dict that may have the same keys in every row.

    A dict of dicts rather lists things by their names: the elements of a web page, the players of a game.
    """
    if name.count("/") >= _MAX_TREE_DEPTH or type(value) not in (dict, tuple) or len(value) > _MAX_TREE_NODES:
        return False
    parts = value.values() if type(value) is dict else value
    if type(value) is dict and not all(type(key) is str and len(key) <= _MAX_KEY for key in value):
        return False
    return any(type(each) is str or not isinstance(plan_value("", each), Opaque) for each in parts)


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


def plan_keys(group: str, dicts: list[dict[Any, Any]]) -> tuple[KeyColumn, ...]:
    """Plan columns for the numeric keys of the first infos, or of the first extras, of a recording.

    ``group`` is the HDF5 group of the columns. A key whose values are numbers, or arrays of numbers of one dtype and
    shape, gets a column. Numbers of several types get the type to which NumPy promotes them. All other keys are stored
    as JSON.
    """
    taken = {"json"}  # the name of the column for all other keys
    columns: dict[str, KeyColumn] = {}
    refused: set[str] = set()
    for each in dicts:
        for key, value in each.items():
            if type(key) is not str or key in refused:
                continue
            node = plan_value("", value)
            known = columns.get(key)
            node = node if known is None else _widen(known.node, node)
            if isinstance(node, Opaque):
                refused.add(key)
                columns.pop(key, None)
                continue
            name = f"{group}/{link_name(key, taken)}" if known is None else known.node.name
            columns[key] = KeyColumn(key, replace(node, name=name))
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
    step: tuple[Any, Any, Any, Any, Any] | None,
    *,
    infos: bool,
    times: bool,
    warn: Callable[[str], None],
) -> Schema:
    """Plan the columns of a recording. Too large an item raises ``UnsupportedSpaceError``.

    Args:
        first: Observation, info and frame of the first row.
        spaces: The observation space and the action space.
        frames: Kind of the frame source: ``"render"``, ``"cameras"``, ``"observation"`` or ``"none"``.
        step: Action and extras of the first step, the observation that it led to, its reward and the info after it;
            None if no step was taken.
        infos: Whether infos are recorded.
        times: Whether times are recorded.
        warn: Called with a message if the first observation or action is outside its space.
    """
    first_observation, first_info, first_frame = first
    no_step: tuple[Any, ...] = (MISSING, {}, MISSING, 0.0, None)
    action, extras, second_observation, reward, second_info = no_step if step is None else step

    def plan(what: str, space: Space[Any], name: str, value: Any) -> Node:
        if value is not MISSING and not contains(space, value):
            warn(f"the first {what} is not in the declared space {space}; it is recorded as it is.")
        return plan_space(space, name, value)

    observation = plan("observation", spaces[0], fmt.OBSERVATIONS, first_observation)
    linked_frames = frames == "observation" and isinstance(observation, Array) and any(observation.fields())
    schema = Schema(
        observation=observation if linked_frames else plan_stacks(observation, first_observation, second_observation),
        action=plan("action", spaces[1], fmt.ACTIONS, action),
        frame=plan_frame(frames, first_frame),
        infos=plan_keys(fmt.INFOS, [each for each in (first_info, second_info) if type(each) is dict])
        if infos
        else None,
        linked_frames=linked_frames,
        reward=_plan_reward(reward),
        extras=plan_keys(fmt.EXTRAS, [extras]),
        times=times,
    )
    for field in schema.fields:
        if field.item_bytes > MAX_ITEM_BYTES:
            raise UnsupportedSpaceError(
                f"/{field.name} would have items of {field.item_bytes} bytes; up to {MAX_ITEM_BYTES} can be recorded."
            )
    return schema


def _plan_reward(reward: Any) -> Array | Scalar:
    """An array of rewards, such as those of mo-gymnasium, has a column of its shape. Any other reward is a number."""
    node = plan_value(fmt.REWARDS, reward)
    return node if isinstance(node, Array) and node.shape and 0 not in node.shape else NUMBER_REWARD


def contains(space: Space[Any], value: Any) -> bool:
    """Whether a value is in its space; True if the space raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Gymnasium warns of a value that it has to cast
        try:
            return space.contains(value)
        except Exception:  # noqa: BLE001  # some spaces raise for their own samples
            return True
