"""The schema of a recording: which HDF5 datasets it has, and what they hold.

An observation is a tree of nodes (``gym_h5record.format.nodes``), and so is an
action. A schema has both trees, the frame, the info columns, and the datasets
that every recording has.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gym_h5record.format import names as fmt
from gym_h5record.format.nodes import Array, Field, Node, Scalar, Text

__all__ = ["InfoField", "Schema", "all_fields"]

_OUTCOME = (
    Scalar(fmt.REWARDS, np.dtype(np.float64)),
    Scalar(fmt.TERMINATIONS, np.dtype(np.bool_)),
    Scalar(fmt.TRUNCATIONS, np.dtype(np.bool_)),
)


@dataclass(frozen=True)
class InfoField:
    """An info key that has a column of its own."""

    key: str
    node: Array | Scalar


@dataclass(frozen=True)
class Schema:
    """All columns of a recording.

    Attributes:
        observation: The tree of an observation.
        action: The tree of an action.
        frame: The node of a rendered picture, None if pictures are not stored.
        infos: The info keys with columns of their own, None if infos are not recorded.
        linked_frames: Whether ``/frames`` is another name of ``/observations``.
    """

    observation: Node
    action: Node
    frame: Node | None
    infos: tuple[InfoField, ...] | None
    linked_frames: bool = False

    @cached_property
    def coded(self) -> tuple[Node, ...]:
        """The nodes that have a column of ``/types``, in its order."""
        frame = () if self.frame is None else (self.frame,)
        infos = (column.node for column in self.infos or ())
        return (*self.action.walk(), *_OUTCOME, *self.observation.walk(), *frame, *infos)

    @cached_property
    def code_index(self) -> dict[str, int]:
        """Column of ``/types`` by the name of the node."""
        return {node.name: index for index, node in enumerate(self.coded)}

    def node(self, name: str) -> Node:
        """The node of this name that has a column of ``/types``."""
        return self.coded[self.code_index[name]]

    @cached_property
    def num_step_codes(self) -> int:
        """How many columns of ``/types`` belong to the step taken from a row; they are the first ones."""
        return sum(1 for _ in self.action.walk()) + len(_OUTCOME)

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
        return tuple(field for node in (self.action, *_OUTCOME) for field in node.fields())

    @cached_property
    def row_fields(self) -> tuple[Field, ...]:
        """Fields of the observation, frame and info of a row."""
        frame = () if self.frame is None else (self.frame,)
        infos = () if self.infos is None else (*(column.node for column in self.infos), Text(fmt.INFOS_JSON))
        return tuple(field for node in (self.observation, *frame, *infos) for field in node.fields())

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        """All fields of values: those of steps, those of rows, and the exceptions."""
        return (*self.step_fields, *self.row_fields, *Text(fmt.EXCEPTIONS).fields())


def all_fields(schema: Schema) -> Iterator[Field]:
    """Every dataset of a recording except ``/commit`` and links: first of its schema, last of ``/episodes``."""
    yield from schema.fields
    yield Field(fmt.DONES, np.dtype(np.bool_))
    yield Field(fmt.TYPES, np.dtype(np.uint8), (len(schema.coded),))
    for name, dtype in fmt.EPISODE_COLUMNS.items():
        yield Field(f"{fmt.EPISODES}/{name}", dtype)
    yield from Text(fmt.EPISODE_JSON).fields()
