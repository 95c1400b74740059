"""The numeric leaves of the values of a step, and their values in some rows: each has one column of numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format import names as fmt
from gym_h5record.format import nodes
from gym_h5record.format.names import TypeCode
from gym_h5record.reading.decoder import Decoder
from gym_h5record.reading.step_spans import StepSpans
from gym_h5record.storage.column_reader import ColumnReader

__all__ = ["LeafSource", "StepLeaf", "StepLeaves"]

NumericNode: TypeAlias = "nodes.Array | nodes.Scalar | nodes.Stack"


@dataclass(frozen=True)
class LeafSource:
    """What the leaves of steps are read from.

    Attributes:
        decoder: Reads values.
        storage: Reads items.
        spans: The episodes whose steps they are.
    """

    decoder: Decoder
    storage: ColumnReader
    spans: StepSpans


@dataclass(frozen=True)
class StepLeaf:
    """A leaf with a column of numbers.

    Attributes:
        node: Its node.
        ancestors: The nodes above it.
        group: ``"infos"`` or ``"extras"`` for a leaf of one of their keys, else None.
        key: This key.
    """

    node: NumericNode
    ancestors: tuple[nodes.Node, ...] = ()
    group: str | None = None
    key: Any = None

    @property
    def is_optional(self) -> bool:
        """Whether a step may have no value of it, as of a key of infos or extras."""
        return self.group is not None

    @property
    def name(self) -> str:
        """Its path in the file: ``"observations/arm/pos"``."""
        return self.node.name

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the value of one step."""
        return () if isinstance(self.node, nodes.Scalar) else self.node.shape

    @property
    def num_elements(self) -> int:
        """Elements of the value of one step."""
        return math.prod(self.shape)


class StepLeaves:
    """The numeric leaves of observations, actions, rewards, and of the keys of infos and extras that have columns.

    Args:
        source: What they are read from.
        has_flags: Whether ``terminations`` and ``truncations`` are among them, behind the rewards.

    Attributes:
        leaves: The leaves, in the order of the schema.
        skipped: The names of the leaves that are not numeric, each with the reason.
    """

    def __init__(self, source: LeafSource, *, has_flags: bool = False) -> None:
        self._decoder, self._storage = source.decoder, source.storage
        self._schema = source.decoder.schema
        self.skipped: dict[str, str] = {}
        schema = self._schema
        flags = (schema.node(fmt.TERMINATIONS), schema.node(fmt.TRUNCATIONS)) if has_flags else ()
        self.leaves = [
            leaf for root in (schema.observation, schema.action, schema.reward, *flags) for leaf in self._below(root)
        ]
        for group in (fmt.INFOS, fmt.EXTRAS):
            for column in self._decoder.key_columns(group):
                self.leaves += self._below(column.node, group, column.key)

    def codes(self, rows: np.ndarray) -> np.ndarray:
        """The type codes of all nodes in these rows, ``(n, nodes)`` uint8."""
        return self._storage.take(fmt.TYPES, rows)

    def known(self, leaf: StepLeaf, rows: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, int]:
        """Which of these rows have a number in the column of a leaf.

        Args:
            leaf: The leaf.
            rows: The rows, ``(n,)`` int64. A step was taken from each.
            codes: Their type codes, from ``codes``.

        Returns:
            A mask ``(n,)``, and how many rows have a value of another type or shape.

        Raises:
            CorruptRecordingError: If a row has no value, and the leaf is not optional.
        """
        columns = self._schema.code_index
        absent = codes[:, columns[leaf.name]] == TypeCode.ABSENT
        lineage = [columns[each.name] for each in (*leaf.ancestors, leaf.node)]
        misfit = (codes[:, lineage] == TypeCode.EXCEPTION).any(axis=1)
        lacking = absent & ~misfit
        if not leaf.is_optional and lacking.any():
            raise CorruptRecordingError(
                f"/{leaf.name} row {int(rows[lacking.argmax()])} has no value, within an episode"
            )
        return ~(absent | misfit), int(misfit.sum())

    def check_stored(self, leaf: StepLeaf, num_rows: int) -> None:
        """Make sure that the file has the first ``num_rows`` of a leaf, and does not only claim them.

        Raises:
            CorruptRecordingError: If it has fewer.
        """
        node = leaf.node
        self._storage.check_stored(node.newest.name if isinstance(node, nodes.Stack) else node.name, num_rows)

    def values(self, leaf: StepLeaf, rows: np.ndarray) -> np.ndarray:
        """The numbers of a leaf in rows that ``known`` says to have one, ``(n, *shape)``."""
        if isinstance(leaf.node, nodes.Stack):
            stacks: np.ndarray = self._decoder.take(leaf.node, rows)
            return stacks
        return self._storage.take(leaf.name, rows)

    def has_text(self, group: str, rows: np.ndarray) -> np.ndarray:
        """Which of these rows have infos or extras without columns, ``(n,)`` bool: the file has them as text.

        Args:
            group: ``"infos"`` or ``"extras"``.
            rows: The rows, ``(n,)`` int64.
        """
        schema = self._schema
        if (schema.infos if group == fmt.INFOS else schema.extras) is None:
            return np.zeros(len(rows), np.bool_)
        ends = f"{fmt.INFOS_JSON if group == fmt.INFOS else fmt.EXTRAS_JSON}/{fmt.ENDS}"
        before = np.zeros(len(rows), np.int64)
        before[rows > 0] = self._storage.take(ends, rows[rows > 0] - 1)
        has_text: np.ndarray = self._storage.take(ends, rows) != before
        return has_text

    def _below(self, root: nodes.Node, group: str | None = None, key: Any = None) -> Iterator[StepLeaf]:
        waiting: list[tuple[nodes.Node, tuple[nodes.Node, ...]]] = [(root, ())]
        while waiting:
            node, ancestors = waiting.pop()
            if isinstance(node, (nodes.DictOf, nodes.TupleOf)):
                waiting += [(child, (*ancestors, node)) for child in reversed(node.children())]
            elif not isinstance(node, (nodes.Array, nodes.Scalar, nodes.Stack)):
                self.skipped[node.name] = "values that vary in size, or have no column"
            elif isinstance(node, nodes.Scalar) or 0 not in node.shape:
                yield StepLeaf(node, ancestors, group, key)
            else:
                self.skipped[node.name] = f"arrays {node.shape} of {node.dtype}: no element"
