"""Items of one dataset of a vector recording, by their addresses (``gym_h5record.format.lanes``)."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format.lanes import address, lane_begin, lane_of, row_of
from gym_h5record.format.nodes import Field
from gym_h5record.storage.dataset_reader import DatasetReader
from gym_h5record.storage.handle import Handle

__all__ = ["LaneDatasetReader"]

_KEPT_BYTES = 4 << 20
"""Chunks that are kept of one dataset: lanes are read in turn."""


class LaneDatasetReader(DatasetReader):
    """Reads items of one dataset that has a lane axis. A range of items is of one lane.

    Ends are given as addresses of items. The end before the first one of a lane, which readers of ragged items ask for
    by the address before that lane, is the address of the lane's first item.

    Args:
        dataset: From ``open_dataset``.
        handle: The open file.
        field: What it holds.
    """

    def __init__(self, dataset: h5py.Dataset, handle: Handle, field: Field) -> None:
        super().__init__(dataset, handle)
        self._num_lanes = int(dataset.shape[1])
        self._shape = dataset.shape[2:]
        self._groups = self._chunks.groups
        self._lanes = -(-self._num_lanes // self._groups) if dataset.chunks is None else int(dataset.chunks[1])
        self._is_ends = field.is_ends
        self._most_kept = max(_KEPT_BYTES // (self.rows * self._lanes * field.item_bytes), 1)

    def item(self, row: int) -> Any:
        """See ``DatasetReader``."""
        if self._is_ends:
            return self.items(row, row + 1)[0]
        lane, at = lane_of(row), row_of(row)
        chunk, place = divmod(at, self.rows)
        number, lane = chunk * self._groups + lane // self._lanes, lane % self._lanes
        try:
            return self._kept[number][place, lane]
        except (KeyError, IndexError):  # not kept, or not whole
            self._check(row, row + 1)
            return self._chunk(number, place + 1)[place, lane]

    def items(self, start: int, stop: int) -> np.ndarray:
        """See ``DatasetReader``."""
        if self._is_ends and start < stop and row_of(start + 1) == 0:
            return np.concatenate([np.array([start + 1], self._dtype), self.items(start + 1, stop)])
        self._check(start, stop)
        items = np.empty((stop - start, *self._shape), self._dtype)
        begin = lane_begin(start)
        group, lane = divmod(lane_of(begin), self._lanes)
        first_row, stop_row, rows = start - begin, stop - begin, self.rows
        for chunk in range(first_row // rows, -(-stop_row // rows)) if start < stop else ():
            first = chunk * rows
            low, high = max(first_row, first), min(stop_row, first + rows)
            found = self._chunk(chunk * self._groups + group, high - first)
            items[low - first_row : high - first_row] = found[low - first : high - first, lane]
        return items + begin if self._is_ends else items

    def check(self, start: int, stop: int) -> None:
        """See ``DatasetReader``."""
        self.items(start, stop)

    def take(self, indices: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """See ``DatasetReader``."""
        items = np.empty((len(indices), *self._shape), self._dtype) if out is None else out
        if not len(indices):
            return items
        before = row_of(indices + 1) == 0 if self._is_ends else np.zeros(len(indices), np.bool_)
        at = np.where(before, indices + 1, indices)
        lanes, rows = lane_of(at), row_of(at)
        if lanes.min() < 0 or lanes.max() >= self._num_lanes or rows.max() >= self._length:
            raise self._missing(int(at.min()), int(at.max()) + 1)
        chunks = rows // self.rows * self._groups + lanes // self._lanes
        order = np.argsort(chunks, kind="stable")
        begins = np.flatnonzero(np.diff(chunks[order], prepend=-1))
        for begin, end in zip(begins.tolist(), [*begins[1:].tolist(), len(order)], strict=True):
            places = order[begin:end]
            within = rows[places] % self.rows
            found = self._chunk(int(chunks[places[0]]), int(within.max()) + 1)
            items[places] = found[within, lanes[places] % self._lanes]
        if self._is_ends:
            items = np.where(before, at, items + address(lanes, 0))
        return items

    def block(self, start: int, stop: int, lane: int, num_lanes: int) -> np.ndarray:
        """Rows ``start`` to ``stop`` of some lanes as they are stored, ``(rows, num_lanes, *shape)``.

        Where a lane has fewer items than others, they are what the file has there.
        """
        lanes = range(lane, min(lane + num_lanes, self._num_lanes))
        block = np.zeros((stop - start, num_lanes, *self._shape), self._dtype)
        for chunk in range(start // self.rows, -(-stop // self.rows)):
            low, high = max(start, chunk * self.rows), min(stop, (chunk + 1) * self.rows)
            for group in range(lanes.start // self._lanes, -(-lanes.stop // self._lanes)):
                left, right = max(lanes.start, group * self._lanes), min(lanes.stop, (group + 1) * self._lanes)
                found = self._chunk(chunk * self._groups + group, high - chunk * self.rows)
                found = found[low - chunk * self.rows : high - chunk * self.rows]
                block[low - start : high - start, left - lane : right - lane] = found[
                    :, left - group * self._lanes : right - group * self._lanes
                ]
        return block

    def _check(self, start: int, stop: int) -> None:
        begin = lane_begin(start)
        is_there = 0 <= lane_of(start) < self._num_lanes or start == stop
        if start > stop or not is_there or stop - begin > self._length:
            raise self._missing(start, stop)

    def _missing(self, start: int, stop: int) -> CorruptRecordingError:
        return CorruptRecordingError(
            f"{self._name} has {self._length} items in each of {self._num_lanes} lanes, items {row_of(start)} to "
            f"{row_of(stop)} of lane {lane_of(start)} are needed"
        )
