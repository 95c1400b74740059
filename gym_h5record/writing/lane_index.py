"""Write the entries of ``/episodes`` of a vector recording, in the order in which the episodes ended.

Behind the committed entries stand those of the running episodes, one for each lane that has one, in the order of the
lanes. They keep how an episode began until it ends, and move back as others end.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format import names as fmt
from gym_h5record.format.claims import LaneCommit, check_span
from gym_h5record.format.lanes import address
from gym_h5record.format.names import NO_SEED, Origin, RowFlag
from gym_h5record.storage.recording_file import RecordingFile
from gym_h5record.values.exact import add_up
from gym_h5record.writing.lane_rows import LaneRows

__all__ = ["LaneIndexWriter", "RunOfLanes", "close_open_episodes", "next_starts"]

_JSON_ENDS = f"{fmt.EPISODE_JSON}/{fmt.ENDS}"
_JSON_VALUES = f"{fmt.EPISODE_JSON}/{fmt.VALUES}"
_NOTHING = b"{}"  # of a reset to keep
_FIRST = int(RowFlag.FIRST)  # to look up a member of an enumeration takes 0.05 us
_COLUMNS = {**fmt.EPISODE_COLUMNS, "envs": np.dtype(np.int64)}


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


class _Table:
    """Entries of ``/episodes``, column by column."""

    def __init__(self) -> None:
        self.columns: dict[str, list[Any]] = {name: [] for name in _COLUMNS}
        self.texts: list[bytes] = []

    def __len__(self) -> int:
        return len(self.texts)


class _Lanes:
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

    def copy(self) -> _Lanes:
        """Lanes that go on by themselves."""
        other = _Lanes(self.rows.copy(), self.totals[:0].sum(axis=0))
        other.starts, other.totals, other.ended_by = self.starts.copy(), self.totals.copy(), self.ended_by.copy()
        other.begins, other.texts = {name: each.copy() for name, each in self.begins.items()}, dict(self.texts)
        return other

    def drop(self, lane: int) -> None:
        """Go back to the first row of an episode, which is discarded."""
        self.rows[lane], self.totals[lane], self.ended_by[lane] = self.starts[lane], 0, False

    def advance(self, run: RunOfLanes, low: np.ndarray, high: np.ndarray, events: np.ndarray, ended: _Table) -> None:
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

    def running(self, table: _Table) -> int:
        """Add the entries of the running episodes to a table, by lane. ``close_open_episodes`` adds their rewards up.

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

    def _end(self, lane: int, row: int, table: _Table) -> None:
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


class LaneIndexWriter:
    """Writes the entries of ``/episodes`` of one vector recording.

    Between two runs it stands at a row of each lane, from which the next run begins. The episodes that end before these
    rows never change again.

    Args:
        file: The recording.
        committed: Its last commit.

    Attributes:
        num_running: How many lanes have a running episode, after the last run.
    """

    def __init__(self, file: RecordingFile, committed: LaneCommit) -> None:
        self._file = file
        self._number = 0  # of episodes that never change again
        self._lanes = _Lanes(np.array(committed.tail_rows, np.int64), np.zeros(file.schema.return_shape))
        self.num_running = 0
        if committed.rows:
            self._find_open(committed)

    @property
    def open_starts(self) -> np.ndarray:
        """For each lane, the first row of the episode that its row belongs to, ``(lanes,)`` int64."""
        return self._lanes.starts

    def drop_open(self, lane: int) -> None:
        """Go back to the first row of the episode of a lane."""
        self._lanes.drop(lane)

    def write(self, run: RunOfLanes, is_released: np.ndarray) -> int:
        """Write the entries of the episodes that end in a run of ticks, and of those still open after it.

        Args:
            run: The rows.
            is_released: Whether each row never changes again, ``(n,)`` bool.

        Returns:
            The number of episodes of the recording that have ended.
        """
        lanes, count = run.rows.lanes, len(self._lanes.rows)
        bounds = np.searchsorted(lanes, np.arange(count + 1))
        middle = bounds[:-1] + np.bincount(lanes[is_released], minlength=count)
        is_event = run.rows.is_last | ((run.rows.flags & _FIRST) != 0)
        settled, ended = _Table(), _Table()
        self._lanes.advance(run, bounds[:-1], middle, np.flatnonzero(is_event & is_released), settled)
        ahead = self._lanes.copy()
        ahead.advance(run, middle, bounds[1:], np.flatnonzero(is_event & ~is_released), ended)
        order = _by_tick(run.rows, settled, is_released) + [
            len(settled) + each for each in _by_tick(run.rows, ended, ~is_released)
        ]
        table = _joined(settled, ended, order)
        number = self._number + len(table)
        self.num_running = ahead.running(table)
        self._write(self._number, table)
        self._number += len(settled)
        return number

    def _write(self, first: int, table: _Table) -> None:
        for name, dtype in _COLUMNS.items():
            self._file.write(f"{fmt.EPISODES}/{name}", first, np.array(table.columns[name], dtype))
        start = int(self._file.read(_JSON_ENDS, first - 1, first)[0]) if first else 0
        ends = start + np.cumsum([len(text) for text in table.texts], dtype=np.int64)
        self._file.write(_JSON_ENDS, first, ends)
        self._file.write(_JSON_VALUES, start, np.frombuffer(b"".join(table.texts), np.uint8))

    # From the entries of the file -----------------------------------------------------------------

    def _find_open(self, committed: LaneCommit) -> None:
        """Find the episodes that the rows of the journal belong to."""
        file, count, lanes = self._file, committed.episodes, self._lanes
        envs, starts, lengths = _entries(file, count)
        _check_entries(envs, starts, lengths, committed)
        is_settled = starts + lengths < lanes.rows[envs]
        self._number = int(count if is_settled.all() else is_settled.argmin())
        np.maximum.at(lanes.starts, envs[: self._number], (starts + lengths + 1)[: self._number])
        open_numbers = _open_numbers(committed, next_starts(file))
        last = np.full(len(lanes.rows), -1, np.int64)
        last[envs[: self._number]] = np.arange(self._number)
        ids = file.read(f"{fmt.EPISODES}/ids", 0, count)
        for lane in range(len(lanes.rows)):
            if lanes.starts[lane] < lanes.rows[lane]:
                entry = np.flatnonzero((envs == lane) & (starts == lanes.starts[lane]))
                self._restore(lane, int(entry[0]) if len(entry) else open_numbers[lane])
            elif last[lane] >= 0:  # its next episode begins with a row of the journal
                lanes.begins["ids"][lane] = ids[last[lane]]

    def _restore(self, lane: int, entry: int) -> None:
        """Go on with an episode that the file has begun."""
        file, lanes = self._file, self._lanes
        for name, column in lanes.begins.items():
            column[lane] = file.read(f"{fmt.EPISODES}/{name}", entry, entry + 1)[0]
        start = int(file.read(_JSON_ENDS, entry - 1, entry)[0]) if entry else 0
        lanes.texts[lane] = file.read(_JSON_VALUES, start, int(file.read(_JSON_ENDS, entry, entry + 1)[0])).tobytes()
        first, row = int(lanes.starts[lane]), int(lanes.rows[lane])
        lanes.totals[lane] = add_up(np.zeros(file.schema.return_shape), _reward_terms(file, lane, first, row))
        at = address(lane, row - 1)
        lanes.ended_by[lane] = [file.read(name, at, at + 1)[0] for name in (fmt.TERMINATIONS, fmt.TRUNCATIONS)]


def _by_tick(rows: LaneRows, table: _Table, is_chosen: np.ndarray) -> list[int]:
    """The order in which the episodes of a table ended: by tick, then by lane. They are given lane by lane."""
    ticks = rows.ticks[rows.is_last & is_chosen]
    return np.lexsort((np.array(table.columns["envs"], np.int64), ticks)).tolist() if len(table) else []


def _joined(first: _Table, second: _Table, order: list[int]) -> _Table:
    joined = _Table()
    for name in joined.columns:
        both = first.columns[name] + second.columns[name]
        joined.columns[name] = [both[each] for each in order]
    texts = first.texts + second.texts
    joined.texts = [texts[each] for each in order]
    return joined


def close_open_episodes(file: RecordingFile) -> None:
    """Turn the committed rows behind the last episode of each lane into an incomplete episode.

    Their entries stand behind the committed ones.
    """
    committed, starts = file.committed, next_starts(file)
    if not isinstance(committed, LaneCommit):
        raise TypeError("a recording of a single environment has no lanes")
    entries = _open_numbers(committed, starts)
    shape = file.schema.return_shape
    for lane, number in entries.items():
        start, end = int(starts[lane]), committed.lane_rows[lane] - 1
        at = address(lane, end - 1)
        total = add_up(np.zeros(shape) if shape else 0.0, _reward_terms(file, lane, start, end))
        is_done = end > start and bool(file.read(fmt.DONES, at, at + 1)[0])
        values = {"envs": lane, "starts": start, "lengths": end - start, "returns": total, "complete": is_done}
        for name, value in values.items():
            dtype = fmt.EPISODE_COLUMNS.get(name, np.dtype(np.int64))
            file.write(f"{fmt.EPISODES}/{name}", number, np.array([value], dtype))
    if entries:
        file.commit(committed._replace(episodes=committed.episodes + len(entries)))


def next_starts(file: RecordingFile) -> np.ndarray:
    """First row behind the committed episodes of each lane, ``(lanes,)`` int64.

    Raises:
        CorruptRecordingError: If an episode ends outside the recording.
    """
    committed = file.committed
    envs, starts, lengths = _entries(file, committed.episodes)
    _check_entries(envs, starts, lengths, committed)
    nexts = np.zeros(len(committed.lane_rows), np.int64)
    np.maximum.at(nexts, envs, starts + lengths + 1)
    return nexts


def _open_numbers(committed: Any, starts: np.ndarray) -> dict[int, int]:
    """The numbers of the entries of running episodes, by lane."""
    lanes = [lane for lane, rows in enumerate(committed.lane_rows) if rows > starts[lane]]
    return {lane: committed.episodes + place for place, lane in enumerate(lanes)}


def _entries(file: RecordingFile, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    envs, starts, lengths = (file.read(f"{fmt.EPISODES}/{name}", 0, count) for name in ("envs", "starts", "lengths"))
    return envs, starts, lengths


def _check_entries(envs: np.ndarray, starts: np.ndarray, lengths: np.ndarray, committed: Any) -> None:
    rows = np.array(committed.lane_rows, np.int64)
    wrong_lane = (envs < 0) | (envs >= len(rows))
    if wrong_lane.any():
        number = int(wrong_lane.argmax())
        raise CorruptRecordingError(f"episode {number} is of lane {envs[number]}, there are {len(rows)}")
    wrong = (starts < 0) | (lengths < 0) | (starts + lengths >= rows[envs])
    if wrong.any():
        number = int(wrong.argmax())
        check_span(number, int(starts[number]), int(lengths[number]), int(rows[envs[number]]))


def _reward_terms(file: RecordingFile, lane: int, start: int, stop: int) -> np.ndarray:
    low, high = address(lane, start), address(lane, stop)
    return file.schema.reward_terms(file.read(fmt.REWARDS, low, high), lambda: file.read(fmt.TYPES, low, high))
