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
_SHORT_STEPS = 64
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
    """Entries of ``/episodes``, column by column.

    Attributes:
        columns: The columns by name, as parts that follow each other.
        texts: How each episode began, as JSON.
    """

    def __init__(self) -> None:
        self.columns: dict[str, list[np.ndarray]] = {name: [] for name in COLUMNS}
        self.texts: list[bytes] = []

    def __len__(self) -> int:
        return len(self.texts)

    def add(self, columns: Mapping[str, np.ndarray], texts: list[bytes]) -> None:
        """Add entries."""
        for name, dtype in COLUMNS.items():
            self.columns[name].append(np.asarray(columns[name], dtype))
        self.texts += texts

    def column(self, name: str) -> np.ndarray:
        """A column as one array."""
        parts = self.columns[name]
        return np.concatenate(parts) if parts else np.empty(0, COLUMNS[name])

    def ordered(self, order: np.ndarray) -> EpisodeTable:
        """The same entries in another order."""
        table = EpisodeTable()
        if len(self):
            texts = self.texts if len({*self.texts}) == 1 else [self.texts[each] for each in order.tolist()]
            table.add({name: self.column(name)[order] for name in COLUMNS}, texts)
        return table


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
        at = low.copy()
        if any(event in run.begins for event in events.tolist()):
            self._take_each(run, at, low, events, ended)
        elif len(events):
            self._take_all(run, at, low, events, ended)
        moved = high > low
        self._add_up(run.terms, at, high)
        self.ended_by[moved] = run.flags[high[moved] - 1]
        self.rows[moved] = run.rows.rows[high[moved] - 1] + 1

    def _take_each(
        self, run: RunOfLanes, at: np.ndarray, low: np.ndarray, events: np.ndarray, ended: EpisodeTable
    ) -> None:
        """Begin and end episodes one by one: some of them have begun with something to keep."""
        rows = run.rows
        lanes, numbers, flags = rows.lanes[events].tolist(), rows.rows[events].tolist(), rows.flags[events].tolist()
        is_last = rows.is_last[events].tolist()
        entries: list[dict[str, Any]] = []
        texts: list[bytes] = []
        for event, lane, row, flag, last in zip(events.tolist(), lanes, numbers, flags, is_last, strict=True):
            if flag & _FIRST:
                self._begin(lane, row, run.begins.get(event))
                at[lane] = event
            if last:
                if event > at[lane]:
                    self.totals[lane] = add_up(self.totals[lane], run.terms[at[lane] : event])
                if event > low[lane]:
                    self.ended_by[lane] = run.flags[event - 1]
                entries.append(self._entry(lane, row))
                texts.append(self.texts.get(lane, _NOTHING))
                self.starts[lane], self.totals[lane], at[lane] = row + 1, 0, event + 1
        if entries:
            ended.add({name: np.array([each[name] for each in entries]) for name in COLUMNS}, texts)

    def _take_all(
        self, run: RunOfLanes, at: np.ndarray, low: np.ndarray, events: np.ndarray, ended: EpisodeTable
    ) -> None:
        """Begin and end episodes together: those that begin, begin with nothing to keep."""
        rows = run.rows
        is_first, is_last = (rows.flags[events] & _FIRST) != 0, rows.is_last[events]
        firsts, lasts = events[is_first], events[is_last]
        ranks = np.arange(len(firsts)) - np.searchsorted(rows.lanes[firsts], rows.lanes[firsts])  # within each lane
        ids = self.begins["ids"][rows.lanes[firsts]] + 1 + ranks
        if len(lasts):
            self._end_all(run, low, firsts, lasts, ids, ended)
        newest = np.flatnonzero(np.diff(rows.lanes[firsts], append=-1))  # of each lane
        lanes = rows.lanes[firsts[newest]]
        self.begins["ids"][lanes] = ids[newest]
        self.begins["seeds"][lanes], self.begins["origins"][lanes] = NO_SEED, Origin.AUTORESET
        for lane in lanes.tolist() if self.texts else ():
            self.texts.pop(lane, None)
        for events_of, starts in ((firsts, rows.rows[firsts]), (lasts, rows.rows[lasts] + 1)):
            newest_of = np.flatnonzero(np.diff(rows.lanes[events_of], append=-1))
            lanes_of = rows.lanes[events_of[newest_of]]
            is_later = starts[newest_of] > self.starts[lanes_of]
            self.starts[lanes_of] = np.maximum(self.starts[lanes_of], starts[newest_of])
            self.totals[lanes_of[is_later]] = 0
            places = events_of[newest_of] + (events_of is lasts)
            at[lanes_of] = np.maximum(at[lanes_of], places)

    def _end_all(
        self,
        run: RunOfLanes,
        low: np.ndarray,
        firsts: np.ndarray,
        lasts: np.ndarray,
        ids: np.ndarray,
        ended: EpisodeTable,
    ) -> None:
        """Add the entries of the episodes whose last rows are at ``lasts``."""
        rows, lanes = run.rows, run.rows.lanes[lasts]
        own = np.searchsorted(firsts, lasts, "right") - 1  # the first row of the episode, if it is in the run
        begun = (own >= 0) & (rows.lanes[firsts[np.maximum(own, 0)]] == lanes) if len(firsts) else own > len(lasts)
        place = np.where(begun, firsts[np.maximum(own, 0)] if len(firsts) else 0, low[lanes])
        starts = np.where(begun, rows.rows[place], self.starts[lanes])
        totals = np.where(begun.reshape(-1, *(1,) * (self.totals.ndim - 1)), 0.0, self.totals[lanes])
        _add_segments(totals, run.terms, place, lasts)
        lengths = rows.rows[lasts] - starts
        before = np.where((lasts > low[lanes])[:, None], run.flags[np.maximum(lasts - 1, 0)], self.ended_by[lanes])
        flags = before & (lengths > 0)[:, None]
        columns = {"envs": lanes, "starts": starts, "lengths": lengths, "returns": totals}
        columns |= {"terminated": flags[:, 0], "truncated": flags[:, 1], "complete": flags.any(axis=1)}
        new = {"ids": ids[own] if len(ids) else own, "seeds": NO_SEED, "origins": Origin.AUTORESET}
        columns |= {name: np.where(begun, new[name], each[lanes]) for name, each in self.begins.items()}
        texts = [_NOTHING] * len(lasts)
        for number in np.flatnonzero(~begun).tolist() if self.texts else ():
            texts[number] = self.texts.get(int(lanes[number]), _NOTHING)
        ended.add(columns, texts)

    def running(self, table: EpisodeTable) -> int:
        """Add the entries of the running episodes to a table, by lane.

        Returns:
            How many there are.
        """
        lanes = np.flatnonzero(self.rows > self.starts)
        lengths = self.rows[lanes] - 1 - self.starts[lanes]
        found = {"envs": lanes, "starts": self.starts[lanes], "lengths": lengths}
        found |= {name: each[lanes] for name, each in self.begins.items()}
        found |= dict.fromkeys(("terminated", "truncated", "complete"), np.zeros(len(lanes), np.bool_))
        found["returns"] = np.zeros((len(lanes), *self.totals.shape[1:]))
        table.add(found, [self.texts.get(lane, _NOTHING) for lane in lanes.tolist()])
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

    def _entry(self, lane: int, row: int) -> dict[str, Any]:
        """The entry of the episode of a lane that ends with a row."""
        length = row - int(self.starts[lane])
        flags = self.ended_by[lane].tolist() if length else [False, False]
        entry = {"envs": lane, "starts": int(self.starts[lane]), "lengths": length, "returns": self.totals[lane].copy()}
        entry |= {"terminated": flags[0], "truncated": flags[1], "complete": any(flags)}
        return entry | {name: each[lane] for name, each in self.begins.items()}

    def _add_up(self, terms: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
        """Add terms to the totals, one by one: of few lanes lane by lane, of many step by step."""
        some = np.flatnonzero(high > low)
        totals = self.totals[some]
        _add_segments(totals, terms, low[some], high[some])
        self.totals[some] = totals


def _add_segments(totals: np.ndarray, terms: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
    """Add segments of terms to totals, one term after the other: ``np.add.reduceat`` rounds differently.

    Short segments are added step by step, all together; long ones one by one.
    """
    lengths = high - low
    is_long = lengths > max(_SHORT_STEPS, len(lengths))
    for number in np.flatnonzero(is_long).tolist():
        totals[number] = add_up(totals[number], terms[low[number] : high[number]])
    short = np.flatnonzero(~is_long)
    short = short[np.argsort(-lengths[short], kind="stable")]  # those that go on come first
    counts, low = -lengths[short], low[short]
    sums = totals[short]
    with np.errstate(over="ignore", invalid="ignore"):  # the sum is then infinity or NaN
        for step in range(int(-counts[0]) if len(counts) else 0):
            going = int(np.searchsorted(counts, -step))
            sums[:going] += terms[low[:going] + step]
    totals[short] = sums
