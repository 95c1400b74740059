"""Which rows of a journal belong in the file, where discarded episodes leave gaps.

A journal counts positions, which only grow. A discarded episode has positions but no rows: the next episode takes the
rows that it had.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gym_h5record.format.names import RowFlag

__all__ = ["KeptRows", "find_kept_rows"]


@dataclass(frozen=True)
class KeptRows:
    """The rows of a run of positions, without those of discarded episodes. They follow each other in the file.

    Attributes:
        runs: Positions of the rows, as pairs of start and stop.
        first_row: The first row.
        drops_open: Whether the episode that began before the run is discarded: its rows before the run go too.
        discarded: The discarded episodes: the position behind each, and its number of steps.
        stop: The position behind the run.
    """

    runs: tuple[tuple[int, int], ...]
    first_row: int
    drops_open: bool
    discarded: tuple[tuple[int, int], ...]
    stop: int

    @property
    def num_rows(self) -> int:
        """How many rows there are."""
        return sum(stop - start for start, stop in self.runs)

    @property
    def next_row(self) -> int:
        """The row behind the last one."""
        return self.first_row + self.num_rows

    @property
    def ends_discarded(self) -> bool:
        """Whether the newest position belongs to a discarded episode."""
        return bool(self.discarded) and self.discarded[-1][0] == self.stop

    def position(self, row: int) -> tuple[int, int]:
        """The position of a row, and the row itself; the first or the next row if it is not among these."""
        at = self.first_row
        for start, stop in self.runs:
            if row < at + stop - start:
                return start + max(row - at, 0), max(row, at)
            at += stop - start
        return self.stop, at

    def discarded_before(self, position: int) -> tuple[int, int]:
        """How many of the discarded episodes end before a position, and their steps."""
        steps = [steps for stop, steps in self.discarded if stop <= position]
        return len(steps), sum(steps)


def find_kept_rows(flags: np.ndarray, start: int, row: int, open_start: int) -> KeptRows:
    """Leave the discarded episodes out of a run of positions.

    Args:
        flags: The flags of the positions, ``(positions,)`` uint8.
        start: The first position.
        row: The row of the first position.
        open_start: First row of the episode that this row belongs to.
    """
    stop = start + len(flags)
    ends = np.flatnonzero((flags & RowFlag.DISCARDED) != 0)
    if not len(ends):
        return KeptRows(((start, stop),) if len(flags) else (), row, drops_open=False, discarded=(), stop=stop)
    firsts = np.flatnonzero((flags & RowFlag.FIRST) != 0)
    runs, discarded, at, drops_open = [], [], 0, False
    for end in ends.tolist():
        before = firsts[firsts <= end]
        if len(before):
            first, steps = int(before[-1]), end - int(before[-1])
        else:  # it began before the run
            first, steps, drops_open, row = 0, row - open_start + end, True, open_start
        runs.append((start + at, start + first))
        discarded.append((start + end + 1, steps))
        at = end + 1
    runs.append((start + at, stop))
    kept = tuple((low, high) for low, high in runs if low < high)
    return KeptRows(kept, row, drops_open, tuple(discarded), stop)
