"""From spaces to columns: which HDF5 datasets hold a recording, and what is in them.

An observation or action is a tree of nodes (``gym_h5record.nodes``) that follows
its space; a schema is both, and what every recording has beside them.

A schema describes, it stores nothing. The first values an environment gives
may differ from its spaces; the plan then follows the values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, singledispatch
from typing import Any

import numpy as np
from gymnasium import Space, spaces

from gym_h5record import format as fmt
from gym_h5record.errors import UnsupportedSpaceError
from gym_h5record.format import link_name
from gym_h5record.nodes import (
    Array,
    DictOf,
    Field,
    Graph,
    ListOf,
    Node,
    OneOf,
    Opaque,
    Ragged,
    Scalar,
    Sequence,
    Text,
    TupleOf,
)
from gym_h5record.tree import foreign_array

__all__ = [
    "MISSING",
    "Array",
    "DictOf",
    "Field",
    "Graph",
    "InfoColumn",
    "ListOf",
    "Node",
    "OneOf",
    "Opaque",
    "Ragged",
    "Scalar",
    "Schema",
    "Sequence",
    "Text",
    "TupleOf",
    "plan_infos",
    "plan_space",
    "plan_value",
    "storable",
]


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


MISSING: Any = _Missing()
"""Stands for a value that has not been seen yet."""


@dataclass(frozen=True)
class InfoColumn:
    """An info key that has a column of its own."""

    key: str
    node: Array | Scalar


@dataclass(frozen=True)
class Schema:
    """All columns of a recording.

    Attributes:
        observation: Tree of one observation.
        action: Tree of one action.
        frame: The rendered picture, or None if none is stored.
        infos: The info keys with columns of their own, or None if infos are not recorded.
        linked_frames: Whether ``/frames`` is another name of ``/observations``.
    """

    observation: Node
    action: Node
    frame: Node | None
    infos: tuple[InfoColumn, ...] | None
    linked_frames: bool = False

    @cached_property
    def coded(self) -> tuple[Node, ...]:
        """The nodes that have a column of ``/types``, in its order."""
        step = (*self.action.walk(), *(Scalar(name, dtype) for name, dtype in _STEP_SCALARS))
        frame = () if self.frame is None else (self.frame,)
        infos = tuple(column.node for column in self.infos or ())
        return (*step, *self.observation.walk(), *frame, *infos)

    @cached_property
    def code_index(self) -> dict[str, int]:
        """Column of ``/types`` by the name of the node."""
        return {node.name: index for index, node in enumerate(self.coded)}

    @cached_property
    def num_step_codes(self) -> int:
        """How many columns of ``/types`` belong to the step taken from a row; they come first."""
        return sum(1 for _ in self.action.walk()) + len(_STEP_SCALARS)

    @cached_property
    def ring_fields(self) -> tuple[Field, ...]:
        """Fields with one item of fixed size per row."""
        return tuple(field for node in self.coded if isinstance(node, (Array, Scalar)) for field in node.fields())

    @cached_property
    def ragged_fields(self) -> tuple[Field, ...]:
        """Fields of values of varying size, parents before their children."""
        ring = {field.name for field in self.ring_fields}
        return tuple(field for field in (*self.step_fields, *self.row_fields) if field.name not in ring)

    @cached_property
    def step_fields(self) -> tuple[Field, ...]:
        """Fields of the step taken from a row: padding in the last row of an episode."""
        return (*self.action.fields(), *(Field(name, dtype) for name, dtype in _STEP_SCALARS))

    @cached_property
    def row_fields(self) -> tuple[Field, ...]:
        """Fields of the observation, frame and info of a row."""
        fields = [*self.observation.fields()]
        if self.frame is not None:
            fields += self.frame.fields()
        for column in self.infos or ():
            fields += column.node.fields()
        if self.infos is not None:
            fields += _bytes_column(fmt.INFOS_JSON)
        return tuple(fields)

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        """All fields that hold what the environment gave and took."""
        return (*self.step_fields, *self.row_fields, *_bytes_column(fmt.EXCEPTIONS))


_STEP_SCALARS = (
    (fmt.REWARDS, np.dtype(np.float64)),
    (fmt.TERMINATIONS, np.dtype(np.bool_)),
    (fmt.TRUNCATIONS, np.dtype(np.bool_)),
)

_STORABLE_KINDS = "biuf"
_MAX_ITEMSIZE_BYTES = 8  # long double has no portable HDF5 form


def _bytes_column(name: str) -> Iterator[Field]:
    return Text(name).fields()


# From a space, and the first value if there is one, to nodes ---------------------------------


@singledispatch
def plan_space(space: Space[Any], name: str, value: Any = MISSING) -> Node:
    """Plan the columns of values from ``space``.

    Args:
        space: The declared space.
        name: Path of the node inside the file.
        value: A value the environment gave; where its dtype or shape is not the
            declared one, the plan follows the value.

    Raises:
        UnsupportedSpaceError: If the space is a custom one.
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


def plan_value(name: str, value: Any) -> Array | Scalar | Opaque:
    """Plan a column from a value alone: an array, a number, or neither."""
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


def plan_infos(infos: list[dict[Any, Any]]) -> tuple[InfoColumn, ...]:
    """Plan columns for the numeric keys of the first infos of a recording.

    Numbers and numeric arrays get a column; where two infos disagree the wider
    type wins if it holds both exactly. All other keys are stored as JSON.
    """
    taken = {fmt.INFOS_JSON.rpartition("/")[2]}
    columns: dict[str, InfoColumn] = {}
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
            columns[key] = InfoColumn(key, replace(node, name=name))
    return tuple(columns.values())


def storable(dtype: np.dtype) -> bool:
    """Whether every HDF5 program can hold arrays of this dtype as they are."""
    return dtype.kind in _STORABLE_KINDS and dtype.itemsize <= _MAX_ITEMSIZE_BYTES


def _array(name: str, dtype: np.dtype, shape: tuple[int, ...]) -> Array | Opaque:
    return Array(name, dtype, tuple(shape)) if storable(dtype) else Opaque(name)


def _list(name: str, space: Space[Any]) -> ListOf:
    return ListOf(name, plan_space(space, f"{name}/{fmt.VALUES}"))


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
