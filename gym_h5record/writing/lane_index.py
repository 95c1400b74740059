"""Write the entries of ``/episodes`` of a vector recording, in the order in which the episodes ended.

Behind the committed entries stand those of the running episodes, one for each lane that has one, in the order of the
lanes. They keep how an episode began until it ends, and move back as others end.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format import names as fmt
from gym_h5record.format.claims import LaneCommit, check_span
from gym_h5record.format.lanes import address
from gym_h5record.format.names import RowFlag
from gym_h5record.storage.recording_file import RecordingFile
from gym_h5record.values.exact import add_up
from gym_h5record.writing.lane_episodes import COLUMNS, EpisodeTable, LaneEpisodes, RunOfLanes
from gym_h5record.writing.lane_rows import LaneRows

__all__ = ["LaneIndexWriter", "close_open_episodes", "next_starts"]

_JSON_ENDS = f"{fmt.EPISODE_JSON}/{fmt.ENDS}"
_JSON_VALUES = f"{fmt.EPISODE_JSON}/{fmt.VALUES}"
_FIRST = int(RowFlag.FIRST)  # to look up a member of an enumeration takes 0.05 us


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
        self._lanes = LaneEpisodes(np.array(committed.tail_rows, np.int64), np.zeros(file.schema.return_shape))
        self.num_running = 0
        if committed.rows:
            self._find_open(committed)

    @property
    def open_starts(self) -> np.ndarray:
        """For each lane, the first row of the episode that its row belongs to, ``(lanes,)`` int64."""
        return self._lanes.starts

    @property
    def has_ended(self) -> np.ndarray:
        """For each lane, whether the step to its row ended an episode, ``(lanes,)`` bool."""
        terminated, truncated = self._lanes.ended_by.T
        return terminated | truncated

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
        settled, ended = EpisodeTable(), EpisodeTable()
        self._lanes.advance(run, bounds[:-1], middle, np.flatnonzero(is_event & is_released), settled)
        ahead = self._lanes.copy()
        ahead.advance(run, middle, bounds[1:], np.flatnonzero(is_event & ~is_released), ended)
        table = settled.ordered(_by_end(run.rows, settled, is_released))
        rest = ended.ordered(_by_end(run.rows, ended, ~is_released))
        for name in COLUMNS:
            table.columns[name] += rest.columns[name]
        table.texts += rest.texts
        number = self._number + len(table)
        self.num_running = ahead.running(table)
        self._write(self._number, table)
        self._number += len(settled)
        return number

    def _write(self, first: int, table: EpisodeTable) -> None:
        for name in COLUMNS:
            self._file.write(f"{fmt.EPISODES}/{name}", first, table.column(name))
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
        self.num_running = len(open_numbers)  # if no tick follows, this stays
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


def _by_end(rows: LaneRows, table: EpisodeTable, is_chosen: np.ndarray) -> np.ndarray:
    """The order in which the episodes of a table ended: by tick, then by lane. They are given lane by lane.

    An episode that a reset cut short ended with the reset, not with its last row: others may have ended in between.
    """
    at = rows.is_last & is_chosen
    ends = np.where(table.column("complete"), rows.ticks[at], rows.next_ticks[at])
    return np.lexsort((table.column("envs"), ends))


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
