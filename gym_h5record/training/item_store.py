"""The items of datasets that samples are made of: read when they are needed, or decoded once and kept in memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gym_h5record.storage.column_reader import ColumnReader
from gym_h5record.training.filling import Filling
from gym_h5record.training.runs import Runs
from gym_h5record.training.small_items import SmallItems

__all__ = ["SHARE_OF_SPARE", "ItemStore", "Memory"]

SHARE_OF_SPARE = 16
"""Memory has room for a sixteenth more items than are asked for: the next samples may share fewer of theirs."""


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

    Attributes:
        small: The datasets that are kept in records; None if there are none.
    """

    small: SmallItems | None = None

    def __init__(self, storage: ColumnReader) -> None:
        self._storage = storage
        self._kept: dict[str, tuple[np.ndarray, Runs]] = {}
        self._fillings: dict[str, Filling] = {}

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
        like = self._storage.items(field, 0, 0)
        items = np.empty((len(runs), *like.shape[1:]), like.dtype)  # takes memory as it is filled
        self._kept[field] = (items, runs)
        self._fillings[field] = Filling(self._storage, field, runs, items)

    def keep_small(self, fields: Sequence[str], runs: Runs, *, at_once: bool) -> None:
        """Keep these rows of datasets with small items, in ``small``; ``find`` does not give them.

        Args:
            fields: The datasets.
            runs: The rows.
            at_once: Whether to decode all of them now, and not when they are first needed.
        """
        self.small = SmallItems(self._storage, fields, runs)
        if at_once:
            self.small.decode()

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
            positions = [runs.positions(each) for each in rows]
            for each in positions if field in self._fillings else ():
                self._fillings[field].need(each)
            return items, positions
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
