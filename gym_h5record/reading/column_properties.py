"""The columns of a run of rows: what the rows of a recording and an episode show alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from gym_h5record.cached import cached_property
from gym_h5record.format import names as fmt
from gym_h5record.format.nodes import Node
from gym_h5record.format.schema import Schema
from gym_h5record.reading.columns import Column
from gym_h5record.reading.decoder import Decoder
from gym_h5record.reading.keyed_rows import KeyedRows
from gym_h5record.reading.row_batches import read_only
from gym_h5record.storage.column_reader import ColumnReader

__all__ = ["COLUMNS", "RowColumns", "RowRun"]

COLUMNS = (
    *("observations", "frames", "infos", "times"),
    *("actions", "rewards", "terminations", "truncations", "dones", "extras"),
)
"""The properties of ``RowColumns``."""


@dataclass(frozen=True)
class RowRun:
    """Which rows the columns of a ``RowColumns`` have.

    Attributes:
        decoder: Reads values.
        storage: Reads items.
        start: First row.
        num_rows: Rows of the observations, frames and infos.
        num_steps: Rows of the actions, rewards and flags.
        has_padding: Whether the last rows of episodes are among ``num_steps``: no step was taken from them.
        is_open: Whether the step from the last row is not committed yet.
    """

    decoder: Decoder
    storage: ColumnReader
    start: int
    num_rows: int
    num_steps: int
    has_padding: bool
    is_open: bool = False

    @property
    def schema(self) -> Schema:
        """The columns of the recording."""
        return self.decoder.schema

    def of_rows(self, node: Node) -> Column:
        """A column with one value per row."""
        return Column(self.decoder, node, self.start, self.num_rows, has_padding=self.has_padding)

    def of_steps(self, node: Node) -> Column:
        """A column with one value per step."""
        return Column(
            self.decoder, node, self.start, self.num_steps, has_padding=self.has_padding, is_open=self.is_open
        )


class RowColumns(ABC):
    """The columns of a run of rows. A subclass says which rows; a column is made when it is first asked for."""

    @property
    @abstractmethod
    def _run(self) -> RowRun:
        """The rows."""

    @cached_property
    def observations(self) -> Column:
        """Observations: one per row, T + 1 in an episode of T steps."""
        return self._run.of_rows(self._run.schema.observation)

    @cached_property
    def frames(self) -> Column | None:
        """Frames, one per row: pictures, texts, or dicts of pictures by camera; None if the recording has none."""
        run = self._run
        node = run.schema.observation if run.schema.linked_frames else run.schema.frame
        return None if node is None else run.of_rows(node)

    @cached_property
    def infos(self) -> KeyedRows | None:
        """Infos, one per row; None if they were not recorded."""
        run = self._run
        return None if run.schema.infos is None else KeyedRows(run.decoder, fmt.INFOS, run.start, run.num_rows)

    @cached_property
    def times(self) -> np.ndarray | None:
        """When each row came, ``(rows,)`` float64, in seconds since the recording began; None without times."""
        run = self._run
        return read_only(run.decoder.times(run.start, run.start + run.num_rows)) if run.schema.times else None

    @cached_property
    def extras(self) -> KeyedRows | None:
        """What the agent added to the steps, in the rows of ``actions``; None in a file without ``/extras``."""
        run = self._run
        if run.schema.extras is None:
            return None
        return KeyedRows(run.decoder, fmt.EXTRAS, run.start, run.num_steps, is_open=run.is_open)

    @cached_property
    def actions(self) -> Column:
        """Actions: one per step in an episode, one per row in ``recording.rows``.

        No action follows the last observation of an episode: ``recording.rows`` has None there, and zero in slices.
        """
        return self._run.of_steps(self._run.schema.action)

    @cached_property
    def rewards(self) -> Column[Any, np.ndarray]:
        """Rewards of the steps, in the rows of ``actions``."""
        return self._run.of_steps(self._run.schema.node(fmt.REWARDS))

    @cached_property
    def terminations(self) -> Column[Any, np.ndarray]:
        """``terminated`` of the steps, in the rows of ``actions``."""
        return self._run.of_steps(self._run.schema.node(fmt.TERMINATIONS))

    @cached_property
    def truncations(self) -> Column[Any, np.ndarray]:
        """``truncated`` of the steps, in the rows of ``actions``."""
        return self._run.of_steps(self._run.schema.node(fmt.TRUNCATIONS))

    @cached_property
    def dones(self) -> np.ndarray:
        """Whether the step ended its episode, terminated or truncated, ``(steps,)`` bool; False in padding."""
        run = self._run
        dones = run.storage.items(fmt.DONES, run.start, run.start + run.num_steps)
        if run.is_open:
            dones[-1] = False
        return read_only(dones)
