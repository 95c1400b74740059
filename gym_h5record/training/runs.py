"""The rows of the sampled episodes, as runs of rows that follow each other in the file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

__all__ = ["Runs", "runs_of"]


@dataclass(frozen=True)
class Runs:
    """Rows that are kept: some runs of rows, one behind the other.

    Attributes:
        starts: First row of each run, in order, ``(n,)`` int64.
        stops: Row behind the last one of each, ``(n,)`` int64.
    """

    starts: np.ndarray
    stops: np.ndarray

    def __len__(self) -> int:
        return int((self.stops - self.starts).sum())

    def positions(self, rows: np.ndarray) -> np.ndarray:
        """Where these rows stand among those that are kept."""
        lengths = self.stops - self.starts
        shifts = self.starts - (np.cumsum(lengths) - lengths)
        run = 0 if len(shifts) == 1 else np.searchsorted(self.starts, rows, "right") - 1
        positions: np.ndarray = rows - shifts[run]
        return positions

    def between(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """The parts of the runs with the rows that stand at positions ``start`` to ``stop``: first row, and the end."""
        ends = np.cumsum(self.stops - self.starts)
        first, last = np.searchsorted(ends, [start, stop - 1], "right").tolist()
        for run in range(first, last + 1):
            shift = int(self.stops[run] - ends[run])
            yield max(int(self.starts[run]), start + shift), min(int(self.stops[run]), stop + shift)


def runs_of(starts: np.ndarray, lengths: np.ndarray, before: int = 0) -> Runs:
    """The rows of some episodes, and ``before`` rows in front of each. Runs that touch become one."""
    order = np.argsort(starts, kind="stable")
    begins = np.maximum(starts[order] - before, 0)
    ends = np.maximum.accumulate(starts[order] + lengths[order] + 1)
    is_first = np.ones(len(begins), np.bool_)
    is_first[1:] = begins[1:] > ends[:-1]
    at = np.flatnonzero(is_first)
    return Runs(begins[at], ends[np.append(at[1:], len(ends)) - 1])
