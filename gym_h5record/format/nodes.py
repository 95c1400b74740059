"""The nodes of the tree of a value, and the datasets that hold them.

Each node knows its fields, one HDF5 dataset each. A value of fixed size has a
field with one item per row. A value of varying size (text, sequence, graph,
choice) has fields of items and a field of ``ends``: ``ends[row]`` is the number
of items in all rows up to and including that one. ``gym_h5record.format.column_planning``
makes the nodes of a space.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gym_h5record.format import names as fmt

if TYPE_CHECKING:  # Gymnasium takes 0.09 s to import; the writer process needs the fields only
    from gymnasium import spaces

__all__ = [
    "Array",
    "DictOf",
    "Field",
    "Graph",
    "Json",
    "ListOf",
    "Node",
    "OneOf",
    "Opaque",
    "Ragged",
    "Scalar",
    "Sequence",
    "Stack",
    "Text",
    "TupleOf",
]


@dataclass(frozen=True)
class Field:
    """One HDF5 dataset: items of one dtype and shape along the first axis.

    Attributes:
        name: Path inside the file.
        dtype: Type of the elements.
        shape: Shape of one item.
        parent: The field of ends that says which items belong to which row;
            None if every row has one item.
        is_ends: Whether the items are ends.
        num_lanes: The length of the lane axis behind the first axis; None in a recording of a single environment, and
            for a field of ``/episodes``.
    """

    name: str
    dtype: np.dtype
    shape: tuple[int, ...] = ()
    parent: str | None = None
    is_ends: bool = False
    num_lanes: int | None = None

    @property
    def item_bytes(self) -> int:
        """Bytes of one item, of one lane."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def row_shape(self) -> tuple[int, ...]:
        """The shape of the dataset behind its first axis: that of an item, behind the lanes if there are any."""
        return self.shape if self.num_lanes is None else (self.num_lanes, *self.shape)

    @property
    def axis(self) -> Literal["row", "episode", "item"]:
        """What has one item of this field: a row or an episode; ``"item"`` for a field of ragged items."""
        if self.parent is not None:
            return "item"
        return "episode" if self.name.startswith(f"{fmt.EPISODES}/") else "row"


class Node:
    """A node of the tree of a value; ``name`` is its path inside the file."""

    name: str

    def children(self) -> tuple[Node, ...]:
        """The nodes directly below this one that have type codes of their own."""
        return ()

    def fields(self, parent: str | None = None) -> Iterator[Field]:
        """The fields of this node and of all nodes below it."""
        for child in self.children():
            yield from child.fields(parent)

    def walk(self) -> Iterator[Node]:
        """This node and all nodes below it that have type codes, parents first."""
        yield self
        for child in self.children():
            yield from child.walk()


@dataclass(frozen=True)
class Array(Node):
    """An array of one dtype and shape; one without elements has no dataset."""

    name: str
    dtype: np.dtype
    shape: tuple[int, ...]

    def fields(self, parent: str | None = None) -> Iterator[Field]:
        if 0 not in self.shape:
            yield Field(self.name, self.dtype, self.shape, parent)


@dataclass(frozen=True)
class Scalar(Node):
    """One number; the Python or NumPy type may change from row to row."""

    name: str
    dtype: np.dtype

    def fields(self, parent: str | None = None) -> Iterator[Field]:
        yield Field(self.name, self.dtype, (), parent)


@dataclass(frozen=True)
class Opaque(Node):
    """A value without columns: it is recorded as an exception in every row."""

    name: str


@dataclass(frozen=True)
class DictOf(Node):
    """A dict with fixed keys, in the order of the space."""

    name: str
    items: tuple[tuple[Any, Node], ...]

    def children(self) -> tuple[Node, ...]:
        return tuple(node for _, node in self.items)


@dataclass(frozen=True)
class TupleOf(Node):
    """A tuple of fixed length."""

    name: str
    items: tuple[Node, ...]

    def children(self) -> tuple[Node, ...]:
        return self.items


class Ragged(Node):
    """A value whose size varies; encoded and decoded by ``gym_h5record.format.ragged``."""


@dataclass(frozen=True)
class ListOf(Ragged):
    """Any number of items, the building block of the other ragged nodes."""

    name: str
    item: Node

    @property
    def ends(self) -> str:
        """Name of the field of ends."""
        return f"{self.name}/{fmt.ENDS}"

    def fields(self, parent: str | None = None) -> Iterator[Field]:
        yield Field(self.ends, np.dtype(np.int64), (), parent, is_ends=True)
        yield from self.item.fields(self.ends)


@dataclass(frozen=True)
class _Characters(Ragged):
    name: str

    @property
    def characters(self) -> ListOf:
        """The list of bytes."""
        return ListOf(self.name, Scalar(f"{self.name}/{fmt.VALUES}", np.dtype(np.uint8)))

    def fields(self, parent: str | None = None) -> Iterator[Field]:
        yield from self.characters.fields(parent)


@dataclass(frozen=True)
class Text(_Characters):
    """A string, as UTF-8 bytes that may hold lone surrogates."""


@dataclass(frozen=True)
class Json(_Characters):
    """Any value, as tagged JSON text; for values of spaces that are not known."""


@dataclass(frozen=True)
class Stack(Node):
    """An array of frames, ``(frames, *frame)``, that slides: see ``gym_h5record.format.stacks``."""

    name: str
    dtype: np.dtype
    shape: tuple[int, ...]

    @property
    def value_bytes(self) -> int:
        """Bytes of one stack."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def newest(self) -> Field:
        """The field of the newest frame, one per row."""
        return Field(f"{self.name}/newest", self.dtype, self.shape[1:])

    @property
    def earlier(self) -> ListOf:
        """The list of the earlier frames, empty where the stack slides on from the row before."""
        return ListOf(f"{self.name}/earlier", Array(f"{self.name}/earlier/{fmt.VALUES}", self.dtype, self.shape[1:]))

    def fields(self, parent: str | None = None) -> Iterator[Field]:
        yield self.newest
        yield from self.earlier.fields(parent)


@dataclass(frozen=True)
class Sequence(Ragged):
    """A tuple of any length, or, if ``space.stack``, its items as one batch."""

    name: str
    items: ListOf
    space: spaces.Sequence

    def fields(self, parent: str | None = None) -> Iterator[Field]:
        yield from self.items.fields(parent)


@dataclass(frozen=True)
class Graph(Ragged):
    """A graph: nodes, and edges and links that may be None."""

    name: str
    nodes: ListOf
    edges: ListOf | None
    links: ListOf
    space: spaces.Graph

    @property
    def parts(self) -> Scalar:
        """Which parts are not None: 1 edges, 2 edge links, 3 both."""
        return Scalar(f"{self.name}/parts", np.dtype(np.uint8))

    def fields(self, parent: str | None = None) -> Iterator[Field]:
        yield from self.parts.fields(parent)
        for part in (self.nodes, self.edges, self.links):
            if part is not None:
                yield from part.fields(parent)


@dataclass(frozen=True)
class OneOf(Ragged):
    """A pair: the number of a branch, and a value of that branch."""

    name: str
    branches: tuple[ListOf, ...]

    @property
    def index(self) -> Scalar:
        """The number of the branch."""
        return Scalar(f"{self.name}/index", np.dtype(np.int64))

    def fields(self, parent: str | None = None) -> Iterator[Field]:
        yield from self.index.fields(parent)
        for branch in self.branches:
            yield from branch.fields(parent)
