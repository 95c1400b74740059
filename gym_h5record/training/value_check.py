"""Whether every value of some columns is in its dataset, so that a batch of any rows is an array."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from gym_h5record.errors import UnsupportedSpaceError
from gym_h5record.format import names as fmt
from gym_h5record.format.names import TypeCode
from gym_h5record.format.schema import Schema
from gym_h5record.training.runs import runs_of
from gym_h5record.training.sampled_columns import SampledColumn
from gym_h5record.training.step_source import StepSource

__all__ = ["check_values"]

_BLOCK_BYTES = 16 << 20


def check_values(source: StepSource, columns: Sequence[SampledColumn]) -> None:
    """Make sure that every value of these columns is in its dataset.

    The type codes of all rows are read, one byte for each node and row, in blocks of 16 MiB.

    Args:
        source: The episodes.
        columns: The columns.

    Raises:
        UnsupportedSpaceError: If a value does not fit its column, or a row has none. The error names the leaf.
    """
    of_rows = _codes_of(source.schema, [each for each in columns if each.of_rows])
    of_steps = _codes_of(source.schema, [each for each in columns if not each.of_rows])
    lasts = np.sort(source.starts + source.lengths)  # the rows from which no step was taken
    runs = runs_of(source.starts, source.lengths)
    block_rows = max(_BLOCK_BYTES // max(len(source.schema.coded), 1), 1)
    for first, stop in zip(runs.starts.tolist(), runs.stops.tolist(), strict=True):
        for start in range(first, stop, block_rows):
            codes = source.storage.items(fmt.TYPES, start, min(start + block_rows, stop))
            low, high = np.searchsorted(lasts, [start, start + len(codes)])
            is_last = np.zeros(len(codes), np.bool_)
            is_last[lasts[low:high] - start] = True
            _check(source.schema, codes, start, of_rows, None)
            _check(source.schema, codes, start, of_steps, is_last)


def _codes_of(schema: Schema, columns: Iterable[SampledColumn]) -> list[int]:
    """Which columns of ``/types`` have the codes of these columns. That of ``/dones`` is not among them."""
    names = {node.name for column in columns for node in column.tree.walk()}
    return sorted(index for name, index in schema.code_index.items() if name in names)


def _check(
    schema: Schema, codes: np.ndarray, start: int, checked: Sequence[int], is_left_out: np.ndarray | None
) -> None:
    for index in checked:
        wrong = codes[:, index] - np.uint8(1) >= TypeCode.EXCEPTION - 1  # 0 wraps to 255: no value, or an exception
        if is_left_out is not None:
            wrong &= ~is_left_out
        if wrong.any():
            row = int(wrong.argmax())
            what = (
                "has no value" if codes[row, index] == TypeCode.ABSENT else "has a value that does not fit its column"
            )
            raise UnsupportedSpaceError(
                f"/{schema.coded[index].name} cannot be sampled: row {start + row} {what}. "
                "Name the other columns, or their leaves, in columns=[...]"
            )
