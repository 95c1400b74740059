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
from gym_h5record.storage.checksums import LaneChecksums
from gym_h5record.storage.column_layout import Layout, is_compressed, packed_layout, recording_layout
from gym_h5record.storage.format_checks import check_field
from gym_h5record.storage.hdf5.chunk_table import chunk_origin
from gym_h5record.storage.hdf5.chunks import WrittenChunks
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
        checksums: Writes the checksums of its blocks, which are a column with the same lanes; None to keep none.

    Attributes:
        held_rows: As of ``ColumnWriter``.

    Raises:
        CorruptRecordingError: If this package would have made another dataset for the field.
    """

    def __init__(
        self, dataset: h5py.Dataset, field: Field, codec: Codec, checksums: LaneColumnWriter | None = None
    ) -> None:
        check_field(dataset, field)
        _check_layout(dataset, field, codec)
        self.field = field
        self._dataset = dataset
        self._encode = codec.encode if is_compressed(field) else None
        self._chunk_shape = dataset.chunks  # h5py takes 2 us to tell it
        self._rows, self._lanes = int(self._chunk_shape[0]), int(self._chunk_shape[1])
        self._groups = -(-int(dataset.shape[1]) // self._lanes)
        self._extent = len(dataset)
        # HDF5 keeps the mask of a chunk that is written anew with the size that it had. Small chunks of a compacted
        # file, which are compressed, may have just the size that they have without compression.
        self._old_extent, self._renewed = self._extent if filter_ids(dataset.id) else 0, set[int]()
        self._stored = WrittenChunks(dataset)
        self._old_chunks = -(-self._extent // self._rows) * self._groups
        self._is_written = bytearray()  # for each chunk, whether it was written here
        self._kept: dict[int, np.ndarray] = {}
        self._checksums, self._found_checksums = checksums, LaneChecksums()
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
        self._write_checksums()

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
                        if high - low == self._rows:
                            self._write_whole(number, part[:, 0], self._encode)
                        else:
                            self._write_compressed(group, chunk, np.arange(low, high), part[:, 0], self._encode)
                        self._complete[group] = (chunk + (stop > first + self._rows)) * self._rows
                elif part.shape == self._chunk_shape:
                    # In C order: these very bytes become the chunk, and NumPy may give results in any order.
                    self._put(number, self._keep(number, np.array(part, order="C")), _NO_FILTER)
                    self._cover(number, part, high - first)
                else:
                    kept = self._small_chunk(number)
                    kept[low - first : high - first, : part.shape[1]] = part
                    self._put(number, kept, _NO_FILTER)
                    self._cover(number, kept[:, : part.shape[1]], high - first)
        self._write_checksums()

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
        if self._checksums is not None:
            self._checksums.flush()

    def _write_small(self, number: int, lanes: np.ndarray, rows: np.ndarray, items: np.ndarray) -> None:
        chunk = self._small_chunk(number)
        within, its_lanes = rows % self._rows, lanes % self._lanes
        chunk[within, its_lanes] = items
        self._put(number, chunk, _NO_FILTER)
        if self._checksums is not None:
            covered = np.zeros(self._lanes, np.int64)
            np.maximum.at(covered, its_lanes, within + 1)
            self._cover(number, chunk, covered)

    def _small_chunk(self, number: int) -> np.ndarray:
        """The items of a chunk, zeros where nothing was written."""
        chunk = self._kept.get(number)
        return self._keep(number, self._stored_chunk(number)) if chunk is None else chunk

    def _keep(self, number: int, chunk: np.ndarray) -> np.ndarray:
        """Keep a chunk. HDF5 gives a wrong mask for a new one that is read right after it was written."""
        self._kept.pop(number, None)
        if len(self._kept) >= _MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[number] = chunk
        return chunk

    def _write_compressed(
        self, lane: int, chunk_row: int, rows: np.ndarray, items: np.ndarray, encode: Callable[[memoryview], bytes]
    ) -> None:
        """Write items of one chunk, which is of one lane."""
        number, begin = chunk_row * self._groups + lane, chunk_row * self._rows
        if len(rows) == self._rows and rows[0] == begin and rows[-1] == begin + self._rows - 1:
            self._write_whole(number, items, encode)
            return
        # After a resume, the first rows of the chunk are in the file, and not in the journal.
        is_first = rows.min() == begin
        chunk = np.zeros(self._chunk_shape, self.field.dtype) if is_first else self._stored_chunk(number)
        chunk[rows - begin, 0] = items
        self._put(number, encode(chunk.data.cast("B")), 0)
        self._cover(number, chunk, int(rows.max()) + 1 - begin)

    def _write_whole(self, number: int, items: np.ndarray, encode: Callable[[memoryview], bytes]) -> None:
        """Write all items of a chunk of one lane, without a copy: it took 9 of the 65 us of an RGB frame."""
        chunk = np.ascontiguousarray(items, self.field.dtype)[:, None]
        self._put(number, encode(chunk.data.cast("B")), 0)
        self._cover(number, chunk, self._rows)

    def forget(self, lane: int, row: int) -> None:
        """Rows of a lane from ``row`` on may be written anew: the episode that they belonged to was discarded."""
        self._complete[lane] = min(self._complete[lane], row // self._rows * self._rows)

    def _stored_chunk(self, number: int) -> np.ndarray:
        at = chunk_origin(number, self._groups, self._chunk_shape)
        if self._has_written(number) or (number < self._old_chunks and self._stored.is_indexed(at)):
            return self._stored.read_to_append(at).copy()
        return np.zeros(self._chunk_shape, self.field.dtype)

    def _has_written(self, number: int) -> bool:
        return number < len(self._is_written) and bool(self._is_written[number])

    def _cover(self, number: int, items: np.ndarray, covered: int | np.ndarray) -> None:
        """Find the checksums of a chunk: of its first rows up to the last one that is written now."""
        if self._checksums is not None:
            block, group = divmod(number, self._groups)
            each_covered = np.broadcast_to(np.asarray(covered, np.int64), items.shape[1])
            self._found_checksums.add(block, group * self._lanes, each_covered, items)

    def _write_checksums(self) -> None:
        if self._checksums is not None:
            lanes, blocks, checksums = self._found_checksums.taken()
            self._checksums.write(lanes, blocks, lambda at: checksums[at])

    def _put(self, number: int, data: bytes | np.ndarray, mask: int) -> None:
        at, chunks = chunk_origin(number, self._groups, self._chunk_shape), self._dataset.id
        if mask and at[0] < self._old_extent and number not in self._renewed:
            self._renewed.add(number)
            size_bytes = data.nbytes if isinstance(data, np.ndarray) else len(data)
            if self._stored.is_indexed(at) and chunks.get_chunk_info_by_coord(at).size == size_bytes:
                chunks.write_direct_chunk(at, bytes(size_bytes + 1), mask)
        chunks.write_direct_chunk(at, data, mask)
        self._is_written.extend(bytes(max(number + 1 - len(self._is_written), 0)))
        self._is_written[number] = True


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
