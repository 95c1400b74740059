"""The columns of a table of steps: what of a recording has one number, or a few, for every step."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import TypeAlias

import numpy as np

from gym_h5record.display import counted, printable, short_repr
from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format import names as fmt
from gym_h5record.format import nodes
from gym_h5record.format.names import TypeCode
from gym_h5record.notices import warn
from gym_h5record.reading.decoder import Decoder
from gym_h5record.reading.step_spans import StepSpans
from gym_h5record.storage.column_reader import ColumnReader

__all__ = ["StepTable", "TableColumn", "TableSource", "read_table"]

_JSON_ENDS = {fmt.INFOS: f"{fmt.INFOS_JSON}/{fmt.ENDS}", fmt.EXTRAS: f"{fmt.EXTRAS_JSON}/{fmt.ENDS}"}
_BLOCK_STEPS = 1 << 16
"""Steps that are read at a time. Of these, all type codes are in memory: one byte for each node and step."""
_MAX_KEYS_NAMED = 4

_Numbers: TypeAlias = "nodes.Array | nodes.Scalar | nodes.Stack"
"""The nodes that may become a column."""


@dataclass(frozen=True)
class TableColumn:
    """One column of a table.

    Attributes:
        name: Its name: ``"observations/arm/pos"``.
        values: ``(steps, *shape)``. Those of missing values are zero.
        missing: Which steps have no value, ``(steps,)`` bool; None if all have one.
    """

    name: str
    values: np.ndarray
    missing: np.ndarray | None = None


@dataclass(frozen=True)
class StepTable:
    """The columns of a table, in their order, and why others are not among them.

    Attributes:
        columns: The columns.
        left_out: The names of what is not in the columns, or not all of it, each with the reason.
    """

    columns: list[TableColumn]
    left_out: dict[str, str]


@dataclass(frozen=True)
class TableSource:
    """What a table is read from.

    Attributes:
        decoder: Reads values.
        storage: Reads items.
        spans: The episodes whose steps are the rows of the table.
    """

    decoder: Decoder
    storage: ColumnReader
    spans: StepSpans


def read_table(source: TableSource, max_elements: int) -> StepTable:
    """Read the columns of a table.

    Args:
        source: What to read.
        max_elements: Arrays with more elements are left out.

    Raises:
        CorruptRecordingError: If a part cannot be read, or a step has no value where it needs one.
    """
    return _TableReader(source, max_elements).read()


class _Leaf:
    """A node with a column of its own in the table, and what has been read of it.

    Args:
        node: The node.
        ancestors: The nodes above it.
        key: Its key in infos or extras; None if it belongs to an observation, an action, a reward or a flag.
    """

    def __init__(self, node: _Numbers, ancestors: tuple[nodes.Node, ...], key: str | None) -> None:
        self.node = node
        self.lineage = (*ancestors, node)
        self.key = key
        self.num_misfits = 0
        self.values = np.zeros((0, *_shape(node)), node.dtype.newbyteorder("="))
        self._missing = np.zeros(0, np.bool_)

    def make_room(self, num_steps: int) -> None:
        """Take memory for the values of all steps."""
        self.values = np.zeros((num_steps, *self.values.shape[1:]), self.values.dtype)
        self._missing = np.zeros(num_steps, np.bool_)

    def miss(self, start: int, missing: np.ndarray) -> None:
        """Note which steps from ``start`` on have no value."""
        self._missing[start : start + len(missing)] = missing

    @property
    def column(self) -> TableColumn:
        """The column, once all steps have been read."""
        return TableColumn(self.node.name, self.values, self._missing if self._missing.any() else None)


class _TableReader:
    """Reads one table, block by block."""

    def __init__(self, source: TableSource, max_elements: int) -> None:
        self._decoder, self._storage, self._spans = source.decoder, source.storage, source.spans
        self._schema = source.decoder.schema
        self._num_steps = source.spans.num_steps
        self._max_elements = max_elements
        self._left_out: dict[str, str] = {}
        self._num_texts = dict.fromkeys(_JSON_ENDS, 0)
        schema = self._schema
        flags = (schema.node(fmt.TERMINATIONS), schema.node(fmt.TRUNCATIONS))
        roots = (schema.observation, schema.action, schema.reward, *flags)
        self._main = [leaf for root in roots for leaf in self._leaves(root)]
        self._keyed = {group: self._key_leaves(group) for group in _JSON_ENDS}
        self._all = [*self._main, *chain.from_iterable(self._keyed.values())]

    def read(self) -> StepTable:
        """All columns."""
        if self._schema.frame is not None or self._schema.linked_frames:
            self._left_out[fmt.FRAMES] = "frames are no numbers of a table"
        self._make_room()
        dones = np.zeros(self._num_steps, np.bool_)
        times = np.zeros(self._num_steps, np.float64) if self._schema.times else None
        episodes, steps = np.zeros(self._num_steps, np.int64), np.zeros(self._num_steps, np.int64)
        for start in range(0, self._num_steps, _BLOCK_STEPS):
            numbers = np.arange(start, min(start + _BLOCK_STEPS, self._num_steps))
            block, rows = slice(start, start + len(numbers)), self._spans.rows(numbers)
            episodes[block], steps[block] = self._spans.episodes(numbers), self._spans.steps_in_episode(numbers)
            dones[block] = self._storage.take(fmt.DONES, rows)
            if times is not None:
                times[block] = self._storage.take(fmt.TIMES, rows) / 1e9
            self._read_leaves(start, rows)
        self._note_misfits()
        columns = [TableColumn("episode", episodes), TableColumn("step", steps)]
        columns += [leaf.column for leaf in self._main]
        columns.append(TableColumn(fmt.DONES, dones))
        columns += [] if times is None else [TableColumn(fmt.TIMES, times)]
        columns += [leaf.column for leaf in chain.from_iterable(self._keyed.values())]
        return StepTable(columns, self._left_out)

    def _leaves(self, root: nodes.Node, key: str | None = None) -> Iterator[_Leaf]:
        """The nodes of a tree that become columns; of the others, why they do not is noted."""
        waiting: list[tuple[nodes.Node, tuple[nodes.Node, ...]]] = [(root, ())]
        while waiting:
            node, ancestors = waiting.pop()
            if isinstance(node, (nodes.DictOf, nodes.TupleOf)):
                waiting += [(child, (*ancestors, node)) for child in reversed(node.children())]
            elif not isinstance(node, (nodes.Array, nodes.Scalar, nodes.Stack)):
                self._left_out[node.name] = "values that vary in size, or have no column"
            elif not 0 < math.prod(_shape(node)) <= self._max_elements:
                size = (
                    f"more than {counted(self._max_elements, 'element')}" if math.prod(_shape(node)) else "no element"
                )
                self._left_out[node.name] = f"arrays {_shape(node)} of {node.dtype}: {size}"
            else:
                yield _Leaf(node, ancestors, key)

    def _key_leaves(self, group: str) -> list[_Leaf]:
        return [leaf for column in self._decoder.key_columns(group) for leaf in self._leaves(column.node, column.key)]

    def _make_room(self) -> None:
        """Take memory for all columns, after a check that the file can hold so many rows: a hostile one may not."""
        count = int(self._spans.rows(np.arange(self._num_steps)).max(initial=-1)) + 1
        for leaf in self._all:
            node = leaf.node
            self._storage.check_stored(node.newest.name if isinstance(node, nodes.Stack) else node.name, count)
        for leaf in self._all:
            leaf.make_room(self._num_steps)

    def _read_leaves(self, start: int, rows: np.ndarray) -> None:
        """Read the rows of a block."""
        codes, columns = self._storage.take(fmt.TYPES, rows), self._schema.code_index
        for leaf in self._all:
            absent = codes[:, columns[leaf.node.name]] == TypeCode.ABSENT
            misfit = (codes[:, [columns[each.name] for each in leaf.lineage]] == TypeCode.EXCEPTION).any(axis=1)
            if leaf.key is None and (absent & ~misfit).any():
                row = int(rows[(absent & ~misfit).argmax()])
                raise CorruptRecordingError(f"/{leaf.node.name} row {row} has no value, within an episode")
            leaf.num_misfits += int(misfit.sum())
            known = ~(absent | misfit)
            leaf.miss(start, ~known)
            if known.any():
                leaf.values[start : start + len(rows)][known] = self._items(leaf.node, rows[known])
        for group in _JSON_ENDS:
            self._read_texts(group, codes, rows)

    def _items(self, node: nodes.Node, rows: np.ndarray) -> np.ndarray:
        taken: np.ndarray = (
            self._decoder.take(node, rows) if isinstance(node, nodes.Stack) else self._storage.take(node.name, rows)
        )
        return taken

    def _read_texts(self, group: str, codes: np.ndarray, rows: np.ndarray) -> None:
        """Count the values that do not fit the column of their key: the file has them among those of the other keys."""
        if (self._schema.infos if group == fmt.INFOS else self._schema.extras) is None:
            return
        ends = _JSON_ENDS[group]
        before = np.zeros(len(rows), np.int64)
        before[rows > 0] = self._storage.take(ends, rows[rows > 0] - 1)
        has_text = self._storage.take(ends, rows) != before
        if has_text.any() and not self._num_texts[group]:
            self._left_out[group] = self._keys_without_column(group, int(rows[has_text.argmax()]))
        self._num_texts[group] += int(has_text.sum())
        leaves = self._keyed[group]
        absent = codes[:, [self._schema.code_index[leaf.node.name] for leaf in leaves]] == TypeCode.ABSENT
        for position in np.flatnonzero(has_text & absent.any(axis=1)).tolist():
            values = self._decoder.keyed(group, int(rows[position]))
            for leaf, is_absent in zip(leaves, absent[position].tolist(), strict=True):
                leaf.num_misfits += is_absent and type(values) is dict and leaf.key in values

    def _keys_without_column(self, group: str, row: int) -> str:
        """Which keys of a row have no column."""
        values, known = self._decoder.keyed(group, row), {each.key for each in self._decoder.key_columns(group)}
        keys = [key for key in values if key not in known] if type(values) is dict else []
        shown = ", ".join(short_repr(key) for key in keys[:_MAX_KEYS_NAMED])
        return f"values without a column{f', such as {shown}' if shown else ''}"

    def _note_misfits(self) -> None:
        """Say how many steps have a value that the table has not."""
        for group, count in self._num_texts.items():
            if count:
                self._left_out[group] += f", in {counted(count, 'step')}"
        misfits = [leaf for leaf in self._all if leaf.num_misfits]
        for leaf in misfits:
            self._left_out[leaf.node.name] = f"{counted(leaf.num_misfits, 'value')} of another type or shape"
        if misfits:
            texts = ", ".join(f"{printable(leaf.node.name)} {leaf.num_misfits:,}" for leaf in misfits)
            warn(f"values of another type or shape than their column are missing in the table: {texts}")


def _shape(node: _Numbers) -> tuple[int, ...]:
    return () if isinstance(node, nodes.Scalar) else node.shape
