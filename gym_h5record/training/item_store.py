"""The items of datasets that samples are made of: read when they are needed, or decoded once and kept in memory.

A batch of random rewards of a long recording is in as many chunks as it has samples. To decode them took two fifths of
the time of a batch of pictures. So small items are kept when their chunks are first decoded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gym_h5record.storage.column_reader import ColumnReader

__all__ = ["SHARE_OF_SPARE", "ItemStore", "Memory", "Runs", "runs_of"]

SHARE_OF_SPARE = 16
"""Memory has room for a sixteenth more items than are asked for: the next samples may share fewer of theirs."""


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


class _Filling:
    """Items that are decoded when they are first needed, and then kept: block by block.

    Args:
        storage: Reads items.
        field: The dataset.
        runs: The rows that may be needed.

    Attributes:
        runs: These rows.
    """

    def __init__(self, storage: ColumnReader, field: str, runs: Runs) -> None:
        self.runs = runs
        self._storage = storage
        self._field = field
        self._block_size = storage.chunk_rows(field)
        self._is_missing = np.ones(-(-len(runs) // self._block_size), np.bool_)
        self._has_missing = True
        first = storage.items(field, int(runs.starts[0]), int(runs.starts[0]))
        self._items = np.empty((len(runs), *first.shape[1:]), first.dtype)  # takes memory as it is filled

    def items(self, positions: Sequence[np.ndarray]) -> np.ndarray:
        """The items of all rows, of which those at these positions have been decoded."""
        for each in positions if self._has_missing else ():
            blocks = each // self._block_size
            for block in np.unique(blocks[self._is_missing[blocks]]).tolist():
                self._fill(block)
        return self._items

    def _fill(self, block: int) -> None:
        start = block * self._block_size
        at = start
        for low, high in self.runs.between(start, min(start + self._block_size, len(self.runs))):
            self._items[at : at + high - low] = self._storage.items(self._field, low, high)
            at += high - low
        self._is_missing[block] = False
        self._has_missing = bool(self._is_missing.any())


class Memory:
    """Memory for decoded items that is used again: to get new pages took a tenth of the time of a batch of pictures."""

    def __init__(self) -> None:
        self._arrays: dict[str, np.ndarray] = {}

    def array(self, field: str, count: int, like: np.ndarray) -> np.ndarray:
        """An array for ``count`` items of a dataset, of dtype and item shape as ``like``. Its last values are gone."""
        array = self._arrays.get(field)
        if array is None or len(array) < count:
            self._arrays.pop(field, None)  # before new memory is taken
            del array
            array = self._arrays[field] = np.empty((count + count // SHARE_OF_SPARE, *like.shape[1:]), like.dtype)
        return array[:count]


class ItemStore:
    """Gives the items of datasets, from the file or from memory.

    Args:
        storage: Reads items.
    """

    def __init__(self, storage: ColumnReader) -> None:
        self._storage = storage
        self._kept: dict[str, tuple[np.ndarray, Runs]] = {}
        self._filling: dict[str, _Filling] = {}

    def read_from(self, storage: ColumnReader) -> None:
        """Read items that are not kept from here, from now on."""
        self._storage = storage

    def keep(self, field: str, runs: Runs) -> None:
        """Decode these rows of a dataset, and keep them in memory."""
        bounds = zip(runs.starts.tolist(), runs.stops.tolist(), strict=True)
        items = self._storage.items(field, *next(bounds))
        if len(runs.starts) > 1:  # into one array: all runs and their concatenation would take twice the memory
            first, items = items, np.empty((len(runs), *items.shape[1:]), items.dtype)
            items[: len(first)] = first
            end = len(first)
            for start, stop in bounds:
                items[end : end + stop - start] = self._storage.items(field, start, stop)
                end += stop - start
        self._kept[field] = (items, runs)

    def keep_when_needed(self, field: str, runs: Runs) -> None:
        """From now on, keep these rows of a dataset when they are first needed."""
        self._filling[field] = _Filling(self._storage, field, runs)

    def find(
        self, field: str, rows: Sequence[np.ndarray], memory: Memory | None = None
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """Items of a dataset.

        Args:
            field: The dataset.
            rows: Arrays of rows, of any shapes. An item that is in several of them is decoded once.
            memory: Where decoded items go; None for new memory.

        Returns:
            An array of items, which must not be changed, and for each array of rows their positions in it. The next
            call with this ``memory`` and dataset may overwrite the items.
        """
        if field in self._kept:
            items, runs = self._kept[field]
            return items, [runs.positions(each) for each in rows]
        if field in self._filling:
            filling = self._filling[field]
            positions = [filling.runs.positions(each) for each in rows]
            return filling.items(positions), positions
        needed, inverse = np.unique(np.concatenate([each.reshape(-1) for each in rows]), return_inverse=True)
        bounds = np.cumsum([0, *(each.size for each in rows)]).tolist()
        positions = [
            inverse[low:high].reshape(each.shape) for each, low, high in zip(rows, bounds[:-1], bounds[1:], strict=True)
        ]
        if memory is None:
            return self._storage.take(field, needed), positions
        like = self._storage.items(field, 0, 0)
        return self._storage.take(field, needed, memory.array(field, len(needed), like)), positions

    def take(self, field: str, rows: np.ndarray) -> np.ndarray:
        """The items of these rows, in their order and shape."""
        items, (positions,) = self.find(field, [rows])
        found: np.ndarray = items[positions]
        return found
