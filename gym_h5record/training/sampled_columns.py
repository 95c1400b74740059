"""Which columns a batch has, and the check that every value of theirs can be in an array."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gym_h5record.errors import OptionError, UnsupportedSpaceError
from gym_h5record.format import names as fmt
from gym_h5record.format.nodes import Array, DictOf, Node, Scalar, Stack, TupleOf
from gym_h5record.format.schema import Schema

__all__ = [
    "EPISODES",
    "NEXT_OBSERVATIONS",
    "STEPS",
    "USUAL",
    "USUAL_OF_EPISODES",
    "Leaf",
    "SampledColumn",
    "choose_columns",
    "leaf_names",
    "leaves",
]

NEXT_OBSERVATIONS = "next_observations"
EPISODES = "episodes"
STEPS = "steps"

USUAL = (
    *(fmt.OBSERVATIONS, fmt.ACTIONS, fmt.REWARDS, NEXT_OBSERVATIONS),
    *(fmt.TERMINATIONS, fmt.TRUNCATIONS, fmt.DONES, EPISODES, STEPS),
)
"""The columns of a batch, unless the caller names others."""

USUAL_OF_EPISODES = tuple(name for name in USUAL if name not in (NEXT_OBSERVATIONS, STEPS))
"""Those of a batch of whole episodes, whose observations have the last one."""

Leaf = Array | Scalar | Stack
"""A node that becomes one array of a batch."""


@dataclass(frozen=True)
class SampledColumn:
    """A column of a batch that is read from the file.

    Attributes:
        name: Its name in the batch.
        tree: Its nodes.
        kind: The name of its window.
        of_rows: Whether an episode of T steps has T + 1 values, and not T.
        is_next: Whether its values are those that the steps led to.
    """

    name: str
    tree: Node
    kind: str
    of_rows: bool
    is_next: bool = False


def leaves(tree: Node) -> list[Leaf]:
    """The nodes of a tree that become arrays."""
    return [node for node in tree.walk() if isinstance(node, (Array, Scalar, Stack))]


def leaf_names(column: SampledColumn) -> list[str]:
    """The names that the leaves of a column have in a batch, such as ``"next_observations/arm"``, in their order."""
    return [_batch_name(leaf.name, column) for leaf in leaves(column.tree)]


def choose_columns(
    schema: Schema, names: Sequence[str] | None, usual: Sequence[str] = USUAL
) -> tuple[list[SampledColumn], frozenset[str]]:
    """The columns of a batch.

    Args:
        schema: The columns of the recording.
        names: What the caller names: columns, or leaves such as ``"observations/arm/pos"``; None for the usual ones.
        usual: The usual ones.

    Returns:
        The columns to read, and which of ``"episodes"`` and ``"steps"`` the batch has.

    Raises:
        OptionError: If there is no such column or leaf.
        UnsupportedSpaceError: If values of a column vary in size.
    """
    if isinstance(names, str):
        raise OptionError(f"columns: expected a list of names, got the text {names!r:.80}")
    if names is not None and not isinstance(names, Iterable):
        raise OptionError(f"columns: expected a list of names, got {names!r:.80}")
    known = _known(schema)
    wanted = list(usual if names is None else names)
    if not wanted:
        raise OptionError("columns: expected at least one name, got none")
    columns = []
    for column in known:
        tree = _pruned(column.tree, column, set(wanted))
        if tree is not None:
            columns.append(replace(column, tree=tree))
            _check_sizes(tree)
    found = {_batch_name(node.name, column) for column in known for node in column.tree.walk()} | {EPISODES, STEPS}
    for name in wanted:
        if name not in found:
            others = ", ".join(sorted(each for each in found if each != name))
            raise OptionError(f"columns: there is no {name!r:.80}. The columns and their leaves are {others:.1000}")
    return columns, frozenset(wanted) & {EPISODES, STEPS}


def _known(schema: Schema) -> list[SampledColumn]:
    """Every column that a batch may have."""
    frame = schema.observation if schema.linked_frames else schema.frame
    flags = (fmt.TERMINATIONS, fmt.TRUNCATIONS)
    columns = [
        SampledColumn(fmt.OBSERVATIONS, schema.observation, fmt.OBSERVATIONS, of_rows=True),
        SampledColumn(fmt.ACTIONS, schema.action, fmt.ACTIONS, of_rows=False),
        SampledColumn(fmt.REWARDS, schema.reward, fmt.REWARDS, of_rows=False),
        SampledColumn(NEXT_OBSERVATIONS, schema.observation, fmt.OBSERVATIONS, of_rows=True, is_next=True),
        *(SampledColumn(name, schema.node(name), name, of_rows=False) for name in flags),
        SampledColumn(fmt.DONES, Scalar(fmt.DONES, np.dtype(np.bool_)), fmt.DONES, of_rows=False),
    ]
    if frame is not None:
        columns.append(SampledColumn(fmt.FRAMES, frame, fmt.FRAMES, of_rows=True))
    for group, keys in ((fmt.INFOS, schema.infos), (fmt.EXTRAS, schema.extras)):
        for key in keys or ():
            columns.append(SampledColumn(key.node.name, key.node, group, of_rows=group == fmt.INFOS))  # noqa: PERF401
    return columns


def _batch_name(node_name: str, column: SampledColumn) -> str:
    """The name that the caller gives to a node of a column: ``next_observations/arm``, ``frames/front``."""
    root = column.tree.name
    return column.name + node_name[len(root) :] if node_name.startswith(root) else node_name


def _pruned(node: Node, column: SampledColumn, wanted: set[str]) -> Node | None:
    """The tree without what the caller does not want; None if nothing is left."""
    if _batch_name(node.name, column) in wanted:
        return node
    if isinstance(node, DictOf):
        pairs = [(key, _pruned(child, column, wanted)) for key, child in node.items]
        items = tuple((key, child) for key, child in pairs if child is not None)
        return replace(node, items=items) if items else None
    if isinstance(node, TupleOf):
        children = tuple(child for each in node.items if (child := _pruned(each, column, wanted)) is not None)
        return replace(node, items=children) if children else None
    return None


def _check_sizes(tree: Node) -> None:
    for node in tree.walk():
        if not isinstance(node, (Array, Scalar, Stack, DictOf, TupleOf)):
            raise UnsupportedSpaceError(
                f"/{node.name} cannot be sampled: its values are not arrays of one shape. "
                "Name the other columns, or their leaves, in columns=[...]"
            )
