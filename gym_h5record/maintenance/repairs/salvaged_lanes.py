"""Writes the salvaged episodes of one lane of a vector recording: in each tick, one lane has a row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gym_h5record.format.names import RowFlag
from gym_h5record.maintenance.repairs.damaged_recording import ReadableRow
from gym_h5record.maintenance.repairs.salvaged_episodes import Sink
from gym_h5record.writing.batch_rows import BatchRows
from gym_h5record.writing.lane_row_writer import LaneRowWriter

__all__ = ["LaneSink"]


class LaneSink(Sink):
    """Writes the episodes of one lane.

    Args:
        writer: Gives the writer of all lanes, and makes the new recording when it is first called.
        clock_ns: Gives the time of a row on the clock of the new recording, None if it is unknown.
        lane: The lane.
        num_lanes: How many lanes there are.
    """

    def __init__(
        self,
        writer: Callable[[], LaneRowWriter],
        clock_ns: Callable[[ReadableRow], int | None],
        lane: int,
        num_lanes: int,
    ) -> None:
        self._writer, self._clock_ns = writer, clock_ns
        self._lane, self._num_lanes = lane, num_lanes

    def begin(self, row: ReadableRow, begin: dict[str, Any]) -> None:
        """See ``Sink``."""
        self._put((None, None, None), row, RowFlag.FIRST, [], {self._lane: begin})

    def step(self, before: ReadableRow, row: ReadableRow) -> None:
        """See ``Sink``."""
        lanes = [self._lane]
        self._writer().put_actions(_OneLane(before.action), self._batches(before.extras), lanes)
        _, terminated, truncated = before.outcome
        self._put(before.outcome, row, RowFlag.LAST if terminated or truncated else RowFlag(0), lanes, {})

    def end(self) -> None:
        """See ``Sink``."""
        self._writer().mark([self._lane], RowFlag.LAST)

    def _put(
        self,
        outcome: tuple[Any, ...],
        row: ReadableRow,
        flag: RowFlag,
        stepped: list[int],
        begins: dict[int, dict[str, Any]],
    ) -> None:
        """Write a tick in which this lane has a row, and no other lane."""
        writer = self._writer()  # first: with it the new recording begins, and its clock
        flags = np.full(self._num_lanes, RowFlag.ABSENT, np.uint8)
        flags[self._lane] = flag
        reward, terminated, truncated = map(_OneLane, outcome)
        writer.put_step(
            *(reward, terminated, truncated),
            BatchRows(None, None, _OneLane(row.frame)),
            flags,
            stepped,
            present=[self._lane],
            finals={self._lane: (row.observation, row.info)},  # written by itself: no batch has it
            begins=begins,
            time_ns=self._clock_ns(row),
        )

    def _batches(self, extras: Any) -> Any:
        """Extras as a vector environment's agent gives them, with entries of other lanes that do not count."""
        if type(extras) is not dict:
            return _OneLane(extras)
        mask = np.zeros(self._num_lanes, np.bool_)
        mask[self._lane] = True
        batches: dict[Any, Any] = {}
        for key, value in extras.items():
            batches[key] = self._batch(value)
            if type(key) is str:
                batches.setdefault(f"_{key}", mask)
        return batches

    def _batch(self, value: Any) -> Any:
        batch: Any
        if type(value) is np.ndarray and value.ndim and value.dtype.kind in "biuf":
            batch = np.zeros((self._num_lanes, *value.shape), value.dtype)
        elif isinstance(value, (np.number, np.bool_)):
            batch = np.zeros(self._num_lanes, value.dtype)
        else:
            batch = [None] * self._num_lanes
        batch[self._lane] = value
        return batch


class _OneLane:
    """Stands for a batch of which only one entry is asked for, and gives that value, as it is."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __getitem__(self, lane: int) -> Any:
        return self._value
