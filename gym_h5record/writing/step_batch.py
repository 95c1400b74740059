"""Many steps at once: whole arrays go into the ring, where every value fits its column.

``plan_batch`` says None where a value needs a row of its own: text, sequences, keys without a column, a value that
does not fit. The caller then writes row by row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gym_h5record.format import names as fmt
from gym_h5record.format import nodes
from gym_h5record.format import schema as sc
from gym_h5record.format.names import TypeCode
from gym_h5record.writing.encoders import exact_types
from gym_h5record.writing.journal import Journal
from gym_h5record.writing.journal_rows import CODES

__all__ = ["StepBatch", "Steps", "plan_batch"]


@dataclass(frozen=True)
class Steps:
    """T steps as arrays, trees of arrays or lists, each with T entries.

    Attributes:
        actions: The actions.
        rewards: The rewards.
        terminations: ``(T,)`` bool.
        truncations: ``(T,)`` bool.
        extras: What the agent added, by key.
        observations: The observations that the steps led to.
        infos: The infos that came with them, by key.
        frames: The pictures that came with them, None if there are none.
        times_ns: When they came, ``(T,)`` int64, in nanoseconds since the recording began.
    """

    actions: Any
    rewards: Any
    terminations: np.ndarray
    truncations: np.ndarray
    extras: Mapping[str, Any]
    observations: Any
    infos: Mapping[str, Any]
    frames: Any
    times_ns: np.ndarray


@dataclass(frozen=True)
class StepBatch:
    """Steps as items of ring columns.

    Attributes:
        num_steps: T.
        parts: For the step and for the row behind it: name of the column and ``(T, *shape)`` items.
        codes: For the step and for the row behind it: the type codes, in the order of ``/types``.
        is_ended: Whether the last step ends the episode.
    """

    num_steps: int
    parts: tuple[tuple[tuple[str, Any], ...], tuple[tuple[str, Any], ...]]
    codes: tuple[np.ndarray, np.ndarray]
    is_ended: bool

    def write(self, journal: Journal, position: int, at: int, count: int) -> None:
        """Write ``count`` steps from step ``at`` on; the first of them leads to the row at ``position``."""
        num_step_codes = len(self.codes[0])
        places = (slice(0, num_step_codes), slice(num_step_codes, None))
        for parts, codes, place, first in zip(self.parts, self.codes, places, (position - 1, position), strict=True):
            step = at
            for slots in journal.slots(first, first + count):
                stop = step + slots.stop - slots.start
                for name, items in parts:
                    journal.columns[name][slots] = items[step:stop]
                journal.columns[CODES][slots, place] = codes
                step = stop


class _NeedsRows(Exception):  # noqa: N818  # no error: the batch is written in another way
    """A value needs a row of its own."""


def plan_batch(schema: sc.Schema, steps: Steps) -> StepBatch | None:
    """Find the columns of steps; None if some of them have to be written row by row."""
    step, row = _Plan(schema), _Plan(schema)
    try:
        step.add(schema.action, steps.actions)
        step.add(schema.reward, steps.rewards)
        step.add(schema.node(fmt.TERMINATIONS), steps.terminations)
        step.add(schema.node(fmt.TRUNCATIONS), steps.truncations)
        step.add_keys(schema.extras or (), steps.extras)
        row.add(schema.observation, steps.observations)
        if schema.frame is not None:
            row.add(schema.frame, steps.frames)
        row.add_keys(schema.infos or (), {} if schema.infos is None else steps.infos)
    except _NeedsRows:
        return None
    if schema.times:
        row.parts.append((fmt.TIMES, steps.times_ns))
    count = schema.num_step_codes
    return StepBatch(
        num_steps=len(steps.terminations),
        parts=(tuple(step.parts), tuple(row.parts)),
        codes=(step.codes[:count], row.codes[count:]),
        is_ended=bool(steps.terminations[-1] or steps.truncations[-1]),
    )


class _Plan:
    """Gathers the columns and type codes of steps, or of the rows behind them."""

    def __init__(self, schema: sc.Schema) -> None:
        self._code_index = schema.code_index
        self.parts: list[tuple[str, Any]] = []
        self.codes = np.zeros(len(schema.coded), np.uint8)

    def add(self, node: nodes.Node, values: Any) -> None:
        """Add the values of a node."""
        if isinstance(node, nodes.Array):
            self._add_arrays(node, values)
        elif isinstance(node, nodes.Scalar):
            items, code = _numbers(node, values)
            self.parts.append((node.name, items))
            self.codes[self._code_index[node.name]] = code
        elif isinstance(node, (nodes.DictOf, nodes.TupleOf)):
            self.codes[self._code_index[node.name]] = TypeCode.VALUE
            for child, each in _children(node, values):
                self.add(child, each)
        else:
            raise _NeedsRows

    def add_keys(self, columns: Sequence[sc.KeyColumn], values: Mapping[str, Any]) -> None:
        """Add infos or extras. A column whose key is not among them is blank."""
        if values.keys() - {column.key for column in columns}:
            raise _NeedsRows
        for column in columns:
            if column.key in values:
                self.add(column.node, values[column.key])
            else:
                self.parts += [(field.name, _Zeros(field)) for field in column.node.fields()]

    def _add_arrays(self, node: nodes.Array, values: Any) -> None:
        if type(values) is not np.ndarray or values.dtype != node.dtype or values.shape[1:] != node.shape:
            raise _NeedsRows
        if not node.shape:  # an entry of a one-dimensional array is a number, not an array of rank 0
            raise _NeedsRows
        if 0 not in node.shape:
            self.parts.append((node.name, values))
        self.codes[self._code_index[node.name]] = TypeCode.ARRAY


class _Zeros:
    """As many zeros as are asked for."""

    def __init__(self, field: nodes.Field) -> None:
        self._zero = np.zeros((1, *field.shape), field.dtype)

    def __getitem__(self, rows: slice) -> np.ndarray:
        return self._zero  # NumPy repeats it


def _numbers(node: nodes.Scalar, values: Any) -> tuple[np.ndarray, int]:
    """The numbers of a column, and the type code that all of them have."""
    exact = exact_types(node.dtype)
    if type(values) is list and values:
        kind = type(values[0])
        if kind not in (bool, int, float) or kind not in exact or any(type(each) is not kind for each in values):
            raise _NeedsRows
        try:
            return np.array(values, node.dtype), exact[kind]
        except OverflowError as error:
            raise _NeedsRows from error
    if type(values) is not np.ndarray or values.ndim != 1 or values.dtype.type not in exact:
        raise _NeedsRows
    is_widened = values.dtype.kind == "f" and values.dtype != node.dtype
    if is_widened and np.isnan(values).any():  # conversion may change the bits of a NaN
        raise _NeedsRows
    return values, exact[values.dtype.type]


def _children(node: nodes.DictOf | nodes.TupleOf, values: Any) -> Iterator[tuple[nodes.Node, Any]]:
    if isinstance(node, nodes.DictOf):
        if type(values) is not dict or values.keys() != {key for key, _ in node.items}:
            raise _NeedsRows
        for key, child in node.items:
            yield child, values[key]
    else:
        if type(values) is not tuple or len(values) != len(node.items):
            raise _NeedsRows
        yield from zip(node.items, values, strict=True)
