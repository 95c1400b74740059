"""Which rows of the ticks of a journal belong in the file, lane by lane.

A vector journal counts ticks. In each of them any lane may have a row: all of them after a step, those that are reset
after a reset. Discarded episodes leave gaps, as in ``kept_rows``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gym_h5record.cached import cached_property
from gym_h5record.format.names import RowFlag
from gym_h5record.writing.kept_rows import find_kept_rows

__all__ = ["LaneRows", "find_lane_rows"]


@dataclass(frozen=True)
class LaneRows:
    """The rows of a run of ticks, without those of discarded episodes, ordered by lane and then by tick.

    Attributes:
        start: The first tick of the run.
        num_ticks: Ticks in the run.
        first_rows: The row of each lane that the run begins with, ``(lanes,)`` int64. Where the episode that began
            before the run is discarded, its first row.
        drops_open: For each lane, whether that is so, ``(lanes,)`` bool.
        lanes: The lane of each row, ``(n,)`` int64.
        ticks: The tick of each row, counted from the start of the run, ``(n,)`` int64.
        rows: The number of each row in its lane, ``(n,)`` int64.
        flags: The ``RowFlag`` of each row, ``(n,)`` uint8.
        is_newest: Whether it is the newest row of its lane, ``(n,)`` bool.
        next_ticks: The tick of the next row of its lane, be it left out or not, ``(n,)`` int64; ``num_ticks`` if there
            is none yet.
        discarded: The discarded episodes: the tick behind each, and its lane.
        discarded_rows: How many rows of discarded episodes each tick has, ``(ticks,)`` int64.
        dropped_rows: Rows before the run that are of discarded episodes.
        is_block: Whether every lane has a row in every tick, and all lanes the same rows.
    """

    start: int
    num_ticks: int
    first_rows: np.ndarray
    drops_open: np.ndarray
    lanes: np.ndarray
    ticks: np.ndarray
    rows: np.ndarray
    flags: np.ndarray
    is_newest: np.ndarray
    next_ticks: np.ndarray
    discarded: tuple[tuple[int, int], ...]
    discarded_rows: np.ndarray
    dropped_rows: int
    is_block: bool

    def by_tick(self, values: np.ndarray) -> np.ndarray:
        """Values of the rows of a block, ``(n, *shape)``, as ``(ticks, lanes, *shape)``."""
        return np.swapaxes(values.reshape(len(self.first_rows), self.num_ticks, *values.shape[1:]), 0, 1)

    @property
    def next_rows(self) -> np.ndarray:
        """The row behind the newest one of each lane, ``(lanes,)`` int64."""
        next_rows: np.ndarray = self.first_rows + np.bincount(self.lanes, minlength=len(self.first_rows))
        return next_rows

    @cached_property
    def is_last(self) -> np.ndarray:
        """Whether each row is the last of its episode, judged by the rows of the run, ``(n,)`` bool."""
        last: np.ndarray = (self.flags & RowFlag.LAST) != 0
        last[:-1] |= ((self.flags[1:] & RowFlag.FIRST) != 0) & ~self.is_newest[:-1]
        return last

    def places(self) -> np.ndarray:
        """The position of the row of each tick and lane among these, -1 for none, ``(ticks, lanes)`` int64."""
        places = np.full((self.num_ticks, len(self.first_rows)), -1, np.int64)
        places[self.ticks, self.lanes] = np.arange(len(self.ticks))
        return places

    def discarded_before(self, tick: int) -> tuple[int, int]:
        """How many discarded episodes end before a tick of the journal, and how many steps are gone with them.

        The next run may begin in the middle of a discarded episode. So the steps of one are counted where they are
        left out, and not where it ends; an episode has a row more than steps.
        """
        episodes = sum(stop <= tick for stop, _ in self.discarded)
        return episodes, self.dropped_rows + int(self.discarded_rows[: tick - self.start].sum()) - episodes


def find_lane_rows(flags: np.ndarray, start: int, rows: np.ndarray, open_starts: np.ndarray) -> LaneRows:
    """Find the rows of a run of ticks.

    Args:
        flags: The flags of each tick and lane, ``(ticks, lanes)`` uint8.
        start: The first tick.
        rows: The row of each lane that the run begins with, ``(lanes,)`` int64.
        open_starts: First row of the episode that this row belongs to, ``(lanes,)`` int64.
    """
    flags = flags.copy()
    is_there = (flags & RowFlag.ABSENT) == 0
    is_kept = is_there.copy()
    first_rows, drops_open = rows.copy(), np.zeros(len(rows), np.bool_)
    discarded: list[tuple[int, int]] = []
    for lane in np.flatnonzero(((flags & RowFlag.DISCARDED) != 0).any(axis=0)).tolist():
        ticks = np.flatnonzero(is_kept[:, lane])
        is_first = (flags[ticks, lane] & RowFlag.FIRST) != 0
        flags[ticks[:-1][is_first[1:]], lane] |= np.uint8(RowFlag.LAST)  # the first row behind it may be left out
        found = find_kept_rows(flags[ticks, lane], 0, int(rows[lane]), int(open_starts[lane]))
        drops_open[lane], first_rows[lane] = found.drops_open, found.first_row
        is_kept[:, lane] = False
        for low, high in found.runs:
            is_kept[ticks[low:high], lane] = True
        discarded += [(start + int(ticks[stop - 1]) + 1, lane) for stop, _ in found.discarded]
    lanes, ticks = np.nonzero(is_kept.T)
    counts = is_kept.sum(axis=0)
    begins = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)[:-1]])
    is_newest = np.zeros(len(lanes), np.bool_)
    is_newest[(begins + counts - 1)[counts > 0]] = True
    return LaneRows(
        start=start,
        num_ticks=len(flags),
        first_rows=first_rows,
        drops_open=drops_open,
        lanes=lanes,
        ticks=ticks,
        rows=first_rows[lanes] + np.arange(len(lanes)) - begins[lanes],
        flags=flags[ticks, lanes],
        is_newest=is_newest,
        next_ticks=_next_ticks(is_there)[is_kept.T[is_there.T]],
        discarded=tuple(sorted(discarded)),
        discarded_rows=(is_there & ~is_kept).sum(axis=1),
        dropped_rows=int((rows - first_rows).sum()),
        is_block=bool(is_kept.all()) and bool((first_rows == first_rows[0]).all()),
    )


def _next_ticks(is_there: np.ndarray) -> np.ndarray:
    """For every row, by lane and then by tick, the tick of the next row of its lane; behind the last one, their number.

    Args:
        is_there: Whether a tick has a row of a lane, ``(ticks, lanes)`` bool.
    """
    lanes, ticks = np.nonzero(is_there.T)
    following = np.append(ticks[1:], len(is_there))
    following[np.flatnonzero(np.diff(lanes))] = len(is_there)
    return following
