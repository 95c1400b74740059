"""Columns with one value per step of some episodes: the rows behind them need not follow each other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format.nodes import Node
from gym_h5record.format.schema import KeyColumn
from gym_h5record.reading.columns import Column
from gym_h5record.reading.decoder import Decoder
from gym_h5record.reading.keyed_rows import KeyedRows, KeyValues
from gym_h5record.reading.read_ahead import exact_values
from gym_h5record.reading.row_comparison import StoredRows
from gym_h5record.reading.rows import Batch, Rows, Value
from gym_h5record.reading.step_spans import StepSpans

__all__ = ["StepColumn", "StepDicts", "StepValues"]


class _OfSteps(Rows[Value, Batch]):
    """Rows that are numbered by steps. What they hold is read from ``_source``, which has all rows of the recording."""

    _source: Rows[Any, Any]
    _spans: StepSpans
    _offset: int

    def _one(self, row: int) -> Any:
        return self._source[self._spans.row(row) + self._offset]

    def _many(self, start: int, stop: int) -> Any:
        return self._some(np.arange(start, stop))

    def _some(self, rows: np.ndarray) -> Any:
        return self._source[self._spans.rows(rows) + self._offset]

    def _stored(self, position: int) -> StoredRows | None:
        return None


class _ColumnOfSteps(_OfSteps[Value, Batch], Column[Value, Batch]):
    """A column that is numbered by steps."""

    def _ahead(self, start: int, stop: int) -> Iterator[Any]:
        rows = self._spans.rows(np.arange(start, stop)) + self._offset
        try:
            return exact_values(self._decoder, self._node, rows)
        except CorruptRecordingError:  # the steps before the damaged one can still be read
            return map(self._one, range(start, stop))


class StepColumn(_ColumnOfSteps[Value, Batch]):
    """Observations, frames, actions, rewards or flags of steps: a ``Column`` that has no padding.

    Args:
        decoder: Reads values.
        node: Which values.
        num_rows: Rows of the recording.
        spans: The episodes.
        offset: 1 for the row behind that of each step, which is the row that the step led to.
    """

    def __init__(self, decoder: Decoder, node: Node, num_rows: int, spans: StepSpans, offset: int = 0) -> None:
        super().__init__(decoder, node, 0, spans.num_steps, has_padding=False)
        self._source = Column(decoder, node, 0, num_rows, has_padding=False)
        self._spans = spans
        self._offset = offset

    def __repr__(self) -> str:
        return super().__repr__().replace("<Column", "<StepColumn", 1)


class StepDicts(_OfSteps[dict[str, Any], list[dict[str, Any]]], KeyedRows):
    """Infos or extras of steps: ``infos[i]`` is a dict, ``infos[a:b]`` a list of dicts, ``infos["lives"]`` one key.

    Args:
        decoder: Reads values.
        group: ``"infos"`` or ``"extras"``.
        num_rows: Rows of the recording.
        spans: The episodes.
    """

    _source: KeyedRows

    def __init__(self, decoder: Decoder, group: str, num_rows: int, spans: StepSpans) -> None:
        super().__init__(decoder, group, 0, spans.num_steps)
        self._source = KeyedRows(decoder, group, 0, num_rows)
        self._spans = spans
        self._offset = 0

    def __repr__(self) -> str:
        return f"<{self.group.capitalize()} of {len(self)} steps>"

    def _key(self, key: str) -> StepValues:
        column = self._column_of(key)
        source = KeyValues(self._source, self._decoder, key, 0, column)
        return StepValues(self, source, self._decoder, key, column, self._spans)


class StepValues(_ColumnOfSteps[Any, Any], KeyValues):
    """The values of one key of the infos or extras of steps; None in a step without the key.

    Args:
        dicts: The infos or extras of the steps.
        source: The values of the key in all rows of the recording.
        decoder: Reads values.
        key: The key.
        column: The column of the key, None if it has none of its own.
        spans: The episodes.
    """

    def __init__(
        self,
        dicts: StepDicts,
        source: KeyValues,
        decoder: Decoder,
        key: str,
        column: KeyColumn | None,
        spans: StepSpans,
    ) -> None:
        KeyValues.__init__(self, dicts, decoder, key, 0, column)
        self._source = source
        self._spans = spans
        self._offset = 0

    def __repr__(self) -> str:
        return super().__repr__().replace("rows>", "steps>")
