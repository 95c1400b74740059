"""One dataset of a vector recording being written: items of any lanes and rows, as whole chunks.

Chunks of large items hold one lane each. Small items share chunks among lanes, so that 1,024 lanes are not 1,024
chunks of each column.
"""

from __future__ import annotations

from collections.abc import Callable

import h5py
import numpy as np

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format.lanes import lane_begin, lane_of, row_of
from gym_h5record.format.nodes import Field
from gym_h5record.limits import MAX_PACKED_CHUNK_BYTES
from gym_h5record.storage.column_layout import Layout, is_compressed, packed_layout, recording_layout
from gym_h5record.storage.format_checks import check_field
from gym_h5record.storage.hdf5.chunk_table import chunk_origin
from gym_h5record.storage.hdf5.chunks import StoredChunks
from gym_h5record.storage.hdf5.codecs import Codec
from gym_h5record.storage.hdf5.objects import filter_ids

__all__ = ["LaneColumnWriter", "TakeItems"]

TakeItems = Callable[[np.ndarray], np.ndarray]
"""Gives some of the items that are written, ``(k, *shape)``, by their positions, ``(k,)`` int64."""

_NO_FILTER = 0xFFFFFFFF
"""The mask of a chunk to which no filter of its dataset was applied."""
_MOST_KEPT = 4
"""Chunks of small items that are kept: the lanes of most recordings are at about the same row."""


class LaneColumnWriter:
    """One dataset with a lane axis being written.

    Args:
        dataset: The dataset, from ``open_dataset``.
        field: What it holds.
        codec: How its chunks are compressed.

    Attributes:
        held_rows: As of ``ColumnWriter``.

    Raises:
        CorruptRecordingError: If this package would have made another dataset for the field.
    """

    def __init__(self, dataset: h5py.Dataset, field: Field, codec: Codec) -> None:
        check_field(dataset, field)
        _check_layout(dataset, field, codec)
        self.field = field
        self._dataset = dataset
        self._encode = codec.encode if is_compressed(field) else None
        self._rows, self._lanes = int(dataset.chunks[0]), int(dataset.chunks[1])
        self._groups = -(-int(dataset.shape[1]) // self._lanes)
        self._extent = len(dataset)
        self._stored = StoredChunks(dataset)
        self._kept: dict[int, np.ndarray] = {}
        # Of a compressed column: rows of each lane whose chunks never change again. The newest row may get its step.
        self._complete = np.zeros(int(dataset.shape[1]), np.int64)
        self.held_rows = self._rows if self._encode is not None else 1

    def write(self, lanes: np.ndarray, rows: np.ndarray, take: TakeItems) -> None:
        """Write items; rows may be written again.

        Args:
            lanes: The lane of each item, ``(n,)`` int64.
            rows: The row of each item in its lane, ``(n,)`` int64.
            take: Gives the items.
        """
        if not len(rows):
            return
        if rows.max() >= self._extent:
            self._extent = int(rows.max()) + 1
            self._dataset.id.set_extent((self._extent, *self.field.row_shape))
        numbers = rows // self._rows * self._groups + lanes // self._lanes
        order = np.argsort(numbers, kind="stable")
        begins = np.flatnonzero(np.diff(numbers[order], prepend=-1)).tolist()
        written = set(numbers[order[begins]].tolist())
        for begin, end in zip(begins, [*begins[1:], len(order)], strict=True):
            places = order[begin:end]
            number = int(numbers[places[0]])
            if self._encode is None:
                self._write_small(number, lanes[places], rows[places], take(places))
            else:
                lane, chunk = int(lanes[places[0]]), number // self._groups
                if (chunk + 1) * self._rows > self._complete[lane]:
                    self._write_compressed(lane, chunk, rows[places], take(places), self._encode)
                    self._complete[lane] = (chunk + (number + self._groups in written)) * self._rows

    def write_block(self, row: int, items: np.ndarray) -> None:
        """Write the same rows of all lanes, ``(rows, lanes, *shape)``, from a row on."""
        stop = row + len(items)
        if stop > self._extent:
            self._extent = stop
            self._dataset.id.set_extent((stop, *self.field.row_shape))
        for chunk in range(row // self._rows, -(-stop // self._rows)):
            first = chunk * self._rows
            low, high = max(row, first), min(stop, first + self._rows)
            for group in range(self._groups):
                part = items[low - row : high - row, group * self._lanes : (group + 1) * self._lanes]
                number = chunk * self._groups + group
                if self._encode is not None:
                    if first + self._rows > self._complete[group]:
                        self._write_compressed(group, chunk, np.arange(low, high), part[:, 0], self._encode)
                        self._complete[group] = (chunk + (stop > first + self._rows)) * self._rows
                elif part.shape == self._dataset.chunks:
                    self._kept.pop(number, None)
                    self._put(number, np.ascontiguousarray(part), _NO_FILTER)
                else:
                    kept = self._small_chunk(number)
                    kept[low - first : high - first, : part.shape[1]] = part
                    self._put(number, kept, _NO_FILTER)

    def read(self, start: int, stop: int) -> np.ndarray:
        """Items of one lane of a column of small items, by their addresses. Ends are given as addresses of items."""
        begin, items = lane_begin(start), np.empty((stop - start, *self.field.shape), self.field.dtype)
        group, lane = divmod(lane_of(start), self._lanes)
        for at in range(start, stop):
            chunk, place = divmod(row_of(at), self._rows)
            items[at - start] = self._small_chunk(chunk * self._groups + group)[place, lane]
        return items + begin if self.field.is_ends else items

    def flush(self) -> None:
        """Hand everything written to the operating system."""
        self._dataset.flush()

    def _write_small(self, number: int, lanes: np.ndarray, rows: np.ndarray, items: np.ndarray) -> None:
        chunk = self._small_chunk(number)
        chunk[rows % self._rows, lanes % self._lanes] = items
        self._put(number, chunk, _NO_FILTER)

    def _small_chunk(self, number: int) -> np.ndarray:
        """The items of a chunk, zeros where nothing was written."""
        chunk = self._kept.get(number)
        if chunk is None:
            if len(self._kept) >= _MOST_KEPT:
                del self._kept[next(iter(self._kept))]
            chunk = self._kept[number] = self._stored_chunk(number)
        return chunk

    def _write_compressed(
        self, lane: int, chunk_row: int, rows: np.ndarray, items: np.ndarray, encode: Callable[[memoryview], bytes]
    ) -> None:
        """Write items of one chunk, which is of one lane."""
        number = chunk_row * self._groups + lane
        within = rows % self._rows
        if within.min() == 0:
            chunk = np.zeros((self._rows, 1, *self.field.shape), self.field.dtype)
        else:  # after a resume: the first rows of the chunk are in the file, and not in the journal
            chunk = self._stored_chunk(number)
        chunk[within, 0] = items
        self._put(number, encode(chunk.data.cast("B")), 0)

    def forget(self, lane: int, row: int) -> None:
        """Rows of a lane from ``row`` on may be written anew: the episode that they belonged to was discarded."""
        self._complete[lane] = min(self._complete[lane], row // self._rows * self._rows)

    def _stored_chunk(self, number: int) -> np.ndarray:
        at = chunk_origin(number, self._groups, self._dataset.chunks)
        if at[0] < len(self._dataset) and self._stored.is_indexed(at):
            return self._stored.read_to_append(at).copy()
        return np.zeros(self._dataset.chunks, self.field.dtype)

    def _put(self, number: int, data: bytes | np.ndarray, mask: int) -> None:
        self._dataset.id.write_direct_chunk(chunk_origin(number, self._groups, self._dataset.chunks), data, mask)


def _check_layout(dataset: h5py.Dataset, field: Field, codec: Codec) -> None:
    """Make sure that a dataset is as this package makes it, for a new recording or by compaction."""
    packed = packed_layout(field)
    is_ours = recording_layout(field, codec).matches(dataset) or (packed is not None and _is_packed(dataset, packed))
    if not is_ours:
        raise CorruptRecordingError(
            f"/{field.name} has chunks {dataset.chunks} and filters {filter_ids(dataset.id)}, which this package does "
            "not make: the file can be read, but not appended to"
        )


def _is_packed(dataset: h5py.Dataset, packed: Layout) -> bool:
    """Whether a dataset is as compaction makes it. How many rows and lanes a chunk has depends on their number."""
    chunk_bytes = int(np.prod(dataset.chunks)) * dataset.dtype.itemsize if dataset.chunks else 0
    filters = [number for number, _ in packed.filters]
    return 0 < chunk_bytes <= MAX_PACKED_CHUNK_BYTES and filter_ids(dataset.id) == filters
