"""Check the values of a block of rows: can they be decoded, are they finite, are they in their space and in order?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from gymnasium import Space

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format import names as fmt
from gym_h5record.format import nodes
from gym_h5record.format.column_planning import contains
from gym_h5record.format.names import TypeCode
from gym_h5record.maintenance.validation.problems import quote, reason
from gym_h5record.maintenance.validation.ragged_ends import RaggedChecks
from gym_h5record.maintenance.validation.row_blocks import RowBlock, TargetColumns
from gym_h5record.maintenance.validation.value_rules import (
    allowed_codes,
    children_spaces,
    every_element,
    fits_type,
    make_inside,
    takes_all,
)
from gym_h5record.reading.decoder import Decoder
from gym_h5record.values.custom_spaces import OpaqueSpace

__all__ = ["ValueChecks"]

_Fixed = nodes.Array | nodes.Scalar | nodes.Stack


@dataclass(frozen=True)
class _Part:
    """The values of one node in a block of rows.

    Attributes:
        codes: The type codes of all nodes, ``(rows, K)`` uint8.
        present: Which rows have a value, ``(rows,)`` bool.
        blank: Which rows must have none, ``(rows,)`` bool.
        begins: Which rows are the first of their episode, ``(rows,)`` bool.
        is_measured: Whether NaN and infinity are worth a warning.
    """

    rows: RowBlock
    codes: np.ndarray
    present: np.ndarray
    blank: np.ndarray
    begins: np.ndarray
    is_measured: bool = False

    def only(self, chosen: np.ndarray) -> _Part:
        """The same part with values in the chosen rows only."""
        return replace(self, present=self.present & chosen)


class ValueChecks:
    """Checks values, block by block, and adds what is wrong to the findings of ``columns``.

    Args:
        columns: Of the recording under validation.
        ragged: Checks values of varying size before they are decoded.
        spaces: The spaces that can be read, by column: ``observations``, ``actions``.
    """

    def __init__(self, columns: TargetColumns, ragged: RaggedChecks, spaces: Mapping[str, Space[Any]]) -> None:
        target = columns.target
        self._path = target.handle.path
        self._schema = target.schema
        self._decoder = Decoder(target.storage, target.schema)
        self._findings = columns.findings
        self._ragged = ragged
        self._spaces = spaces
        self._allowed = {node.name: allowed_codes(node) for node in target.schema.coded}
        for column in (*(target.schema.infos or ()), *(target.schema.extras or ())):  # a misfit is in their JSON
            self._allowed[column.node.name][TypeCode.EXCEPTION] = False
        self._begins_next = True  # whether the next row is the first of its episode

    def check(self, rows: RowBlock, padding: np.ndarray | None) -> None:
        """Check a block of rows. Call it with one block after the other.

        Args:
            rows: The rows.
            padding: Which are the last of their episode, ``(rows,)`` bool; None if the index does not tell.
        """
        schema = self._schema
        codes = rows.items(fmt.TYPES)
        if codes is None:  # values cannot be decoded; reading the columns finds their damaged chunks
            self._begins_next = padding is not None and bool(padding[-1])
            for field in schema.ring_fields:
                rows.check(field.name)
            return
        if padding is None:
            padding = codes[:, schema.code_index[fmt.REWARDS]] == TypeCode.ABSENT
        else:
            self._check_padding(rows, codes, padding)
        self._ragged.sizes(nodes.Text(fmt.EXCEPTIONS), rows.start, rows.stop)
        begins = np.concatenate([[self._begins_next], padding[:-1]])
        self._begins_next = bool(padding[-1])
        step = _Part(rows, codes, ~padding, padding, begins, is_measured=True)
        row = _Part(rows, codes, np.ones(len(rows), np.bool_), np.zeros(len(rows), np.bool_), begins)
        self._check(schema.action, step, self._spaces.get(fmt.ACTIONS))
        self._check(schema.node(fmt.REWARDS), step)
        for name in (fmt.TERMINATIONS, fmt.TRUNCATIONS):
            self._check(schema.node(name), replace(step, is_measured=False))
        self._check(schema.observation, replace(row, is_measured=True), self._spaces.get(fmt.OBSERVATIONS))
        if schema.frame is not None:
            self._check(schema.frame, row)
        if schema.infos is not None:
            self._check_keyed(fmt.INFOS, fmt.INFOS_JSON, row)
        if schema.extras is not None:
            self._check_keyed(fmt.EXTRAS, fmt.EXTRAS_JSON, step)
        if schema.times:
            self._check_times(rows)

    def _check_padding(self, rows: RowBlock, codes: np.ndarray, padding: np.ndarray) -> None:
        """Check that the last row of an episode, which has no step, has zeros and no type codes there."""
        has_codes = codes[:, : self._schema.num_step_codes].any(axis=1)
        detail = "the last row of its episode has type codes of a step"
        self._findings.add_where("padding", fmt.TYPES, padding & has_codes, rows.start, lambda at: detail)
        fixed = [field.name for field in self._schema.step_fields if field in self._schema.ring_fields]
        for name in (*fixed, fmt.DONES):
            items = rows.items(name)
            if items is not None:
                self._note_padding(name, padding & ~every_element(items == 0), rows)

    def _note_padding(self, name: str, wrong: np.ndarray, rows: RowBlock) -> None:
        detail = "the last row of its episode has no step, but this is not zero"
        self._findings.add_where("padding", name, wrong, rows.start, lambda at: detail)

    def _check_keyed(self, group: str, json_name: str, part: _Part) -> None:
        """Check infos or extras: they may hold any values, NaN included."""
        part = replace(part, is_measured=False)
        for column in self._decoder.key_columns(group):
            codes = part.codes[:, self._schema.code_index[column.node.name]]
            self._check(column.node, part.only(codes != TypeCode.ABSENT))
        sizes = self._ragged.sizes(nodes.Text(json_name), part.rows.start, part.rows.stop)
        if sizes is None:
            return
        self._note_padding(json_name, part.blank & (sizes != 0), part.rows)
        for at in np.flatnonzero(part.present & (sizes != 0)).tolist():
            row = part.rows.start + at
            try:
                values = self._decoder.keyed(group, row)
            except Exception as error:  # noqa: BLE001  # decoding damaged bytes can raise anything
                self._findings.add("undecodable", json_name, row, reason(error, self._path))
            else:
                if group == fmt.EXTRAS and type(values) is not dict:  # an info may be any value
                    self._findings.add("undecodable", json_name, row, f"{quote(values)} is not an object")

    def _check_times(self, rows: RowBlock) -> None:
        times, before = rows.items(fmt.TIMES), rows.shifted(fmt.TIMES)
        if times is not None and before is not None:
            self._findings.add_where(
                "time-order",
                fmt.TIMES,
                times < before,
                rows.start,
                lambda at: f"it is {times[at]} ns, less than the {before[at]} ns before it",
            )

    # One node ------------------------------------------------------------------------------------------

    def _check(self, node: nodes.Node, part: _Part, space: Space[Any] | None = None) -> None:
        space = None if isinstance(space, OpaqueSpace) else space  # it contains every value
        codes = part.codes[:, self._schema.code_index[node.name]]
        allowed = self._allowed[node.name][codes]
        wrong = part.only(~allowed)
        self._note("type-code", node, wrong, lambda at: f"a value of this column cannot have the type code {codes[at]}")
        is_exception = codes == TypeCode.EXCEPTION
        self._decode(node, part.only(allowed & is_exception), space)
        in_columns = part.only(allowed & ~is_exception)
        if isinstance(node, nodes.Ragged):
            self._check_ragged(node, in_columns, space)
        elif isinstance(node, nodes.Stack):
            self._check_stack(node, in_columns, codes, space)
        elif isinstance(node, (nodes.Array, nodes.Scalar)):
            self._check_column(node, in_columns, codes, space)
        else:
            self._check_children(node, in_columns, space)

    def _check_children(self, node: nodes.Node, part: _Part, space: Space[Any] | None) -> None:
        spaces = children_spaces(node, space)
        if space is not None and spaces is None:
            self._decode(node, part, space)
        children = node.children()
        for child, its_space in zip(children, spaces or [None] * len(children), strict=True):
            self._check(child, part, its_space)

    def _check_ragged(self, node: nodes.Ragged, part: _Part, space: Space[Any] | None) -> None:
        sizes = self._ragged.sizes(node, part.rows.start, part.rows.stop, part.present)
        if sizes is not None:
            self._note_padding(node.name, part.blank & (sizes != 0), part.rows)
            self._decode(node, part, space)

    def _check_stack(self, node: nodes.Stack, part: _Part, codes: np.ndarray, space: Space[Any] | None) -> None:
        rows = part.rows
        is_whole = self._ragged.check_stacks(node, rows.start, rows.stop, part.begins)
        if not is_whole or rows.items(node.newest.name) is None:
            return
        try:
            stacks = self._decoder.stacks(node, rows.start, rows.stop)
        except CorruptRecordingError:
            self._decode(node, part, space)  # finds out in which rows
        else:
            self._check_items(node, part, codes, stacks, space)

    def _check_column(
        self, node: nodes.Array | nodes.Scalar, part: _Part, codes: np.ndarray, space: Space[Any] | None
    ) -> None:
        if not any(node.fields()):
            return
        if takes_all(node, space) and not part.blank.any():
            part.rows.check(node.name)
            return
        items = part.rows.items(node.name)
        if items is None:
            return
        if isinstance(node, nodes.Scalar):
            part = part.only(self._check_types(node, part, codes, items))
        self._check_items(node, part, codes, items, space)

    def _check_items(
        self, node: _Fixed, part: _Part, codes: np.ndarray, items: np.ndarray, space: Space[Any] | None
    ) -> None:
        if part.is_measured and node.dtype.kind == "f":
            finite = every_element(np.isfinite(items))
            self._note("not-finite", node, part.only(~finite), lambda at: _first_not_finite(items[at]))
            part = part.only(finite)
        if space is not None:
            self._check_inside(node, part, codes, items, space)

    def _check_types(self, node: nodes.Scalar, part: _Part, codes: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Which rows have numbers that their types can represent, ``(rows,)`` bool."""
        fits = np.ones(len(items), np.bool_)
        for code in np.unique(codes[part.present]).tolist():
            chosen = part.present & (codes == code)
            fits[chosen] = fits_type(items[chosen], code)
        wrong = part.only(~fits)
        self._note("type-code", node, wrong, lambda at: f"the type of code {codes[at]} cannot represent {items[at]}")
        return fits

    def _check_inside(self, node: _Fixed, part: _Part, codes: np.ndarray, items: np.ndarray, space: Space[Any]) -> None:
        inside = make_inside(node, space)
        if inside is None:
            self._decode(node, part, space)
            return
        chosen = slice(None) if part.present.all() else part.present  # a slice makes a view, a mask copies
        outside = np.zeros(len(items), np.bool_)
        outside[chosen] = ~inside(items[chosen], codes[chosen])
        self._note("out-of-space", node, part.only(outside), lambda at: f"{quote(items[at])} is not in {quote(space)}")

    def _note(self, code: str, node: nodes.Node, wrong: _Part, detail: Callable[[int], str]) -> None:
        """Note a problem of all rows in which ``wrong`` has a value."""
        self._findings.add_where(code, node.name, wrong.present, wrong.rows.start, detail)

    def _decode(self, node: nodes.Node, part: _Part, space: Space[Any] | None) -> None:
        """Decode values one by one, and check whether each is finite and in its space."""
        for at in np.flatnonzero(part.present).tolist():
            row = part.rows.start + at
            try:
                value = self._decoder.value(node, row)
            except Exception as error:  # noqa: BLE001  # decoding damaged bytes can raise anything
                self._findings.add("undecodable", node.name, row, reason(error, self._path))
                continue
            if part.is_measured and not _is_finite(value):
                self._findings.add("not-finite", node.name, row, f"{quote(value)} holds NaN or infinity")
            elif space is not None and not contains(space, value):
                self._findings.add("out-of-space", node.name, row, f"{quote(value)} is not in {quote(space)}")


def _first_not_finite(item: np.ndarray) -> str:
    numbers = np.atleast_1d(item)
    return f"it holds {numbers[~np.isfinite(numbers)][0]}"


def _is_finite(value: Any) -> bool:
    """Whether a value holds neither NaN nor infinity."""
    if isinstance(value, dict):
        return all(map(_is_finite, value.values()))
    if isinstance(value, (list, tuple)):
        return all(map(_is_finite, value))
    if isinstance(value, (float, complex, np.ndarray, np.generic)):
        numbers = np.asarray(value)
        return numbers.dtype.kind not in "fc" or bool(np.isfinite(numbers).all())
    return True
