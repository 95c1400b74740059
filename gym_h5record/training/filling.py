"""Items of one dataset that are decoded when they are first needed, and then kept in memory.

A batch of random rewards of a long recording is in as many chunks as it has samples. To decode them took two fifths of
the time of a batch of pictures. So small items are kept when their chunks are first decoded.
"""

from __future__ import annotations

import numpy as np

from gym_h5record.storage.column_reader import ColumnReader
from gym_h5record.training.runs import Runs

__all__ = ["Filling"]


class Filling:
    """Decodes items block by block, each when one of its items is first needed.

    Args:
        storage: Reads items.
        field: The dataset.
        runs: The rows that may be needed.
        items: Where they are kept, ``(len(runs), *shape)``.
    """

    def __init__(self, storage: ColumnReader, field: str, runs: Runs, items: np.ndarray) -> None:
        self._runs = runs
        self._items = items
        self._storage = storage
        self._field = field
        self._block_size = storage.chunk_rows(field)
        self._is_missing = np.ones(-(-len(runs) // self._block_size), np.bool_)
        self._has_missing = True

    def need(self, positions: np.ndarray) -> None:
        """Decode the items at these positions, unless they are there."""
        if self._has_missing:
            blocks = positions // self._block_size
            for block in np.unique(blocks[self._is_missing[blocks]]).tolist():
                self._fill(block)

    def decode(self) -> None:
        """Decode all items."""
        for block in np.flatnonzero(self._is_missing).tolist():
            self._fill(block)

    def _fill(self, block: int) -> None:
        start = block * self._block_size
        at = start
        for low, high in self._runs.between(start, min(start + self._block_size, len(self._runs))):
            self._items[at : at + high - low] = self._storage.items(self._field, low, high)
            at += high - low
        self._is_missing[block] = False
        self._has_missing = bool(self._is_missing.any())
