"""The running episodes of lanes, taken from row to row: which of them end, and what their entries say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from gym_h5record.format import names as fmt
from gym_h5record.format.names import NO_SEED, Origin, RowFlag
from gym_h5record.values.exact import add_up
from gym_h5record.writing.lane_rows import LaneRows

__all__ = ["COLUMNS", "EpisodeTable", "LaneEpisodes", "RunOfLanes"]

_NOTHING = b"{}"  # of a reset to keep
_FIRST = int(RowFlag.FIRST)  # to look up a member of an enumeration takes 0.05 us
COLUMNS = {**fmt.EPISODE_COLUMNS, "envs": np.dtype(np.int64)}
"""The columns of ``/episodes`` of a vector recording, and their dtypes."""


class RunOfLanes(NamedTuple):
    """What the index needs to know of the rows of a run of ticks.

    Attributes:
        rows: The rows.
        terms: What the reward of each row adds to the total, ``(n, *shape)``.
        flags: Terminated and truncated of each row, ``(n, 2)`` bool.
        begins: How an episode began, as ``begin_json`` gives it, by the position of its first row.
    """

    rows: LaneRows
    terms: np.ndarray
    flags: np.ndarray
    begins: Mapping[int, Mapping[str, Any]]


class EpisodeTable:
    """Entries of ``/episodes``, column by column."""

    def __init__(self) -> None:
        self.columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
        self.texts: list[bytes] = []

    def __len__(self) -> int:
        return len(self.texts)


class LaneEpisodes:
    """The running episode of every lane, up to a row of each.

    Args:
        rows: The row behind it, which is the next one, ``(lanes,)`` int64.
        no_reward: The return of an episode without steps.

    Attributes:
        rows: As given.
        starts: Its first row, ``(lanes,)`` int64.
        begins: Its seed, id and origin by the name of their column, each ``(lanes,)``.
        texts: Its JSON by lane, where there is any.
        totals: What its rewards add up to, ``(lanes, *shape)``.
        ended_by: The flags of the step before the row, ``(lanes, 2)`` bool.
    """

    def __init__(self, rows: np.ndarray, no_reward: np.ndarray) -> None:
        count = len(rows)
        self.rows, self.starts = rows, np.zeros(count, np.int64)
        self.begins: dict[str, np.ndarray] = {
            "seeds": np.full(count, NO_SEED, np.int64),
            "ids": np.full(count, -1, np.int64),
            "origins": np.full(count, int(Origin.RESET), np.uint8),
        }
        self.texts: dict[int, bytes] = {}
        self.totals = np.zeros((count, *no_reward.shape))
        self.ended_by = np.zeros((count, 2), np.bool_)

    def copy(self) -> LaneEpisodes:
        """Lanes that go on by themselves."""
        other = LaneEpisodes(self.rows.copy(), self.totals[:0].sum(axis=0))
        other.starts, other.totals, other.ended_by = self.starts.copy(), self.totals.copy(), self.ended_by.copy()
        other.begins, other.texts = {name: each.copy() for name, each in self.begins.items()}, dict(self.texts)
        return other

    def drop(self, lane: int) -> None:
        """Go back to the first row of an episode, which is discarded."""
        self.rows[lane], self.totals[lane], self.ended_by[lane] = self.starts[lane], 0, False

    def advance(
        self, run: RunOfLanes, low: np.ndarray, high: np.ndarray, events: np.ndarray, ended: EpisodeTable
    ) -> None:
        """Go on by rows of a run.

        Args:
            run: The rows.
            low: The position of the first of these rows, of each lane, ``(lanes,)`` int64.
            high: The position behind the last of them.
            events: The positions of those that begin or end an episode.
            ended: Gets the entries of the episodes that end there, lane by lane.
        """
        rows, at = run.rows, low.copy()
        lanes, numbers, flags = rows.lanes[events].tolist(), rows.rows[events].tolist(), rows.flags[events].tolist()
        is_last = rows.is_last[events].tolist()
        for event, lane, row, flag, last in zip(events.tolist(), lanes, numbers, flags, is_last, strict=True):
            if flag & _FIRST:
                self._begin(lane, row, run.begins.get(event))
                at[lane] = event
            if last:
                if event > at[lane]:
                    self.totals[lane] = add_up(self.totals[lane], run.terms[at[lane] : event])
                if event > low[lane]:
                    self.ended_by[lane] = run.flags[event - 1]
                self._end(lane, row, ended)
                self.starts[lane], self.totals[lane], at[lane] = row + 1, 0, event + 1
        moved = high > low
        self._add_up(run.terms, at, high)
        self.ended_by[moved] = run.flags[high[moved] - 1]
        self.rows[moved] = rows.rows[high[moved] - 1] + 1

    def running(self, table: EpisodeTable) -> int:
        """Add the entries of the running episodes to a table, by lane.

        Returns:
            How many there are.
        """
        lanes = np.flatnonzero(self.rows > self.starts)
        lengths = self.rows[lanes] - 1 - self.starts[lanes]
        found = {"envs": lanes, "starts": self.starts[lanes], "lengths": lengths}
        found |= {name: each[lanes] for name, each in self.begins.items()}
        for name, column in table.columns.items():
            column += found[name].tolist() if name in found else [self.totals[:1].sum(axis=0) * 0] * len(lanes)
        table.texts += [self.texts.get(lane, _NOTHING) for lane in lanes.tolist()]
        return len(lanes)

    def _begin(self, lane: int, row: int, begin: Mapping[str, Any] | None) -> None:
        """Begin an episode. Without more to say, the vector environment itself has reset its environment."""
        self.starts[lane], self.totals[lane] = row, 0
        self.texts.pop(lane, None)
        begins = self.begins
        if begin is None:
            begins["ids"][lane] += 1
            begins["seeds"][lane], begins["origins"][lane] = NO_SEED, Origin.AUTORESET
            return
        for name, value in begin["columns"].items():
            begins[name][lane] = value
        if begin["json"]:
            self.texts[lane] = json.dumps(begin["json"], separators=(",", ":")).encode()

    def _end(self, lane: int, row: int, table: EpisodeTable) -> None:
        length = row - int(self.starts[lane])
        flags = self.ended_by[lane].tolist() if length else [False, False]
        entry = {"envs": lane, "starts": int(self.starts[lane]), "lengths": length, "returns": self.totals[lane].copy()}
        entry |= {"terminated": flags[0], "truncated": flags[1], "complete": any(flags)}
        entry |= {name: each[lane] for name, each in self.begins.items()}
        for name, value in entry.items():
            table.columns[name].append(value)
        table.texts.append(self.texts.get(lane, _NOTHING))

    def _add_up(self, terms: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
        """Add terms to the totals, one by one: of few lanes lane by lane, of many step by step."""
        most = int((high - low).max(initial=0))
        if most > len(low):
            for lane in np.flatnonzero(high > low).tolist():
                self.totals[lane] = add_up(self.totals[lane], terms[low[lane] : high[lane]])
            return
        with np.errstate(over="ignore", invalid="ignore"):  # the sum is then infinity or NaN
            for step in range(most):
                some = np.flatnonzero(low + step < high)
                self.totals[some] += terms[low[some] + step]
