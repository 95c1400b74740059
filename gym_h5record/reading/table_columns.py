"""The columns of a table of steps: what of a recording has one number, or a few, for every step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gym_h5record.display import counted, printable, short_repr
from gym_h5record.format import names as fmt
from gym_h5record.format.lanes import row_of
from gym_h5record.format.names import TypeCode
from gym_h5record.notices import warn
from gym_h5record.reading.step_leaves import LeafSource, StepLeaf, StepLeaves

__all__ = ["StepTable", "TableColumn", "read_table"]

_GROUPS = (fmt.INFOS, fmt.EXTRAS)
_BLOCK_STEPS = 1 << 16
"""Steps that are read at a time. Of these, all type codes are in memory: one byte for each node and step."""
_MAX_KEYS_NAMED = 4


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


def read_table(source: LeafSource, max_elements: int) -> StepTable:
    """Read the columns of a table.

    Args:
        source: What to read.
        max_elements: Arrays with more elements are left out.

    Raises:
        CorruptRecordingError: If a part cannot be read, or a step has no value where it needs one.
    """
    return _TableReader(source, max_elements).read()


class _LeafColumn:
    """The column of a leaf, and what has been read of it."""

    def __init__(self, leaf: StepLeaf) -> None:
        self.leaf = leaf
        self.num_misfits = 0
        self.values = np.zeros((0, *leaf.shape), leaf.node.dtype.newbyteorder("="))
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
        return TableColumn(self.leaf.name, self.values, self._missing if self._missing.any() else None)


class _TableReader:
    """Reads one table, block by block."""

    def __init__(self, source: LeafSource, max_elements: int) -> None:
        self._decoder, self._storage, self._spans = source.decoder, source.storage, source.spans
        self._schema = source.decoder.schema
        self._num_steps = source.spans.num_steps
        self._leaves = StepLeaves(source, has_flags=True)
        self._left_out = dict(self._leaves.skipped)
        self._num_texts = dict.fromkeys(_GROUPS, 0)
        self._columns = []
        for leaf in self._leaves.leaves:
            if leaf.num_elements <= max_elements:
                self._columns.append(_LeafColumn(leaf))
            else:
                size = f"more than {counted(max_elements, 'element')}"
                self._left_out[leaf.name] = f"arrays {leaf.shape} of {leaf.node.dtype}: {size}"

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
        columns += [each.column for each in self._columns if not each.leaf.is_optional]
        columns.append(TableColumn(fmt.DONES, dones))
        columns += [] if times is None else [TableColumn(fmt.TIMES, times)]
        columns += [each.column for each in self._columns if each.leaf.is_optional]
        return StepTable(columns, self._left_out)

    def _make_room(self) -> None:
        """Take memory for all columns, after a check that the file can hold so many rows: a hostile one may not."""
        count = int(row_of(self._spans.rows(np.arange(self._num_steps))).max(initial=-1)) + 1
        for column in self._columns:
            self._leaves.check_stored(column.leaf, count)
        for column in self._columns:
            column.make_room(self._num_steps)

    def _read_leaves(self, start: int, rows: np.ndarray) -> None:
        """Read the rows of a block."""
        codes = self._leaves.codes(rows)
        for column in self._columns:
            known, num_misfits = self._leaves.known(column.leaf, rows, codes)
            column.num_misfits += num_misfits
            column.miss(start, ~known)
            if known.any():
                column.values[start : start + len(rows)][known] = self._leaves.values(column.leaf, rows[known])
        for group in _GROUPS:
            self._read_texts(group, codes, rows)

    def _read_texts(self, group: str, codes: np.ndarray, rows: np.ndarray) -> None:
        """Count the values that do not fit the column of their key: the file has them among those of the other keys."""
        has_text = self._leaves.has_text(group, rows)
        if has_text.any() and not self._num_texts[group]:
            self._left_out[group] = self._keys_without_column(group, int(rows[has_text.argmax()]))
        self._num_texts[group] += int(has_text.sum())
        columns = [each for each in self._columns if each.leaf.group == group]
        absent = codes[:, [self._schema.code_index[each.leaf.name] for each in columns]] == TypeCode.ABSENT
        for position in np.flatnonzero(has_text & absent.any(axis=1)).tolist():
            values = self._decoder.keyed(group, int(rows[position]))
            for column, is_absent in zip(columns, absent[position].tolist(), strict=True):
                column.num_misfits += is_absent and type(values) is dict and column.leaf.key in values

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
        misfits = [column for column in self._columns if column.num_misfits]
        for column in misfits:
            self._left_out[column.leaf.name] = f"{counted(column.num_misfits, 'value')} of another type or shape"
        if misfits:
            texts = ", ".join(f"{printable(column.leaf.name)} {column.num_misfits:,}" for column in misfits)
            warn(f"values of another type or shape than their column are missing in the table: {texts}")
