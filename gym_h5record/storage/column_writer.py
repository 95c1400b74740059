"""One dataset of a recording being written, as whole chunks.

``recording_file`` decides which datasets a recording has, and when written rows are valid. ``column_layout`` says how
they are stored.
"""

from __future__ import annotations

from collections.abc import Callable

import h5py
import numpy as np

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format.nodes import Field
from gym_h5record.storage.checksums import BlockChecksums
from gym_h5record.storage.column_layout import is_compressed, packed_layout, recording_layout
from gym_h5record.storage.format_checks import check_field
from gym_h5record.storage.hdf5.chunks import WrittenChunks
from gym_h5record.storage.hdf5.codecs import Codec
from gym_h5record.storage.hdf5.objects import filter_ids

__all__ = ["ColumnWriter"]

_NO_FILTER = 0xFFFFFFFF
"""The mask of a chunk to which no filter of its dataset was applied."""


class ColumnWriter:
    """One dataset being written.

    The chunks of a packed column, in a compacted file that is appended to, are written uncompressed and filled up with
    zeros. So each later write of them is in place. Compaction compresses them when the file is closed.

    Args:
        dataset: The dataset, from ``open_dataset``.
        field: What it holds.
        codec: How its chunks are compressed.
        checksums: The dataset for the checksums of its chunks, None to keep none.

    Attributes:
        chunks: Its chunks in the file.
        held_rows: Rows that the journal keeps until they fill a chunk: those of a chunk if it is compressed, else 1.
            A compressed chunk is written anew as it fills. A write that a crash cuts short damages all of its rows.

    Raises:
        CorruptRecordingError: If this package would have made another dataset for the field.
    """

    def __init__(
        self, dataset: h5py.Dataset, field: Field, codec: Codec, checksums: h5py.Dataset | None = None
    ) -> None:
        check_field(dataset, field)
        self.field = field
        self._is_packed = _is_packed(dataset, field, codec)
        self._dataset = dataset
        self._encode = codec.encode if is_compressed(field) else None
        self._rows = int(dataset.chunks[0])
        self._extent = len(dataset)
        self._checksums = None if checksums is None else BlockChecksums(checksums, self._rows)
        self._newest = -1, np.empty(0)  # of a packed column, the chunk used last: number of its first item, its items
        self.chunks = WrittenChunks(dataset)
        self.held_rows = self._rows if is_compressed(field) else 1

    def write(self, start: int, items: np.ndarray) -> None:
        """Write ``items`` at row ``start``; rows may be written again."""
        items = np.asarray(items, self.field.dtype)
        stop = start + len(items)
        if stop == start:
            return
        if stop > self._extent:
            self._dataset.id.set_extent((stop, *self.field.shape))
            self._extent = stop
        if self._is_packed:
            self._write_packed(start, items)
        elif self._encode is None:
            if self.chunks.filter_id:  # HDF5 compresses
                self.chunks.check_overwritten(start, stop)
            self._dataset[start:stop] = items
        else:
            before = start % self._rows
            if before:  # only after a resume: the first rows of the chunk are in the file, and not in the journal
                items = self._joined(self.chunks.read_to_append(start - before)[:before], items)
                start -= before
            for low in range(0, len(items), self._rows):
                self._write_chunk(start + low, items[low : low + self._rows], self._encode)
        if self._checksums is not None:
            self._checksums.update(start, items, self.read)

    def read(self, start: int, stop: int) -> np.ndarray:
        """Rows ``start`` to ``stop`` of a column of small items."""
        if self._is_packed:
            parts = (self._chunk(first)[max(start - first, 0) : stop - first] for first in self._firsts(start, stop))
            return self._joined(np.empty((0, *self.field.shape), self.field.dtype), *parts)
        rows: np.ndarray = self._dataset[start:stop]
        return rows

    def flush(self) -> None:
        """Hand everything written to the operating system."""
        self._dataset.flush()
        if self._checksums is not None:
            self._checksums.flush()

    def _joined(self, *parts: np.ndarray) -> np.ndarray:
        return np.concatenate(parts, dtype=self.field.dtype)  # without dtype, NumPy converts to native byte order

    def _write_chunk(self, first: int, items: np.ndarray, encode: Callable[[memoryview], bytes]) -> None:
        if len(items) < self._rows:
            items = self._joined(items, np.zeros((self._rows - len(items), *self.field.shape), self.field.dtype))
        self._dataset.id.write_direct_chunk(self._at(first), encode(np.ascontiguousarray(items).data.cast("B")))

    # The packed layout --------------------------------------------------------------------------------

    def _write_packed(self, start: int, items: np.ndarray) -> None:
        stop = start + len(items)
        for first in self._firsts(start, stop):
            chunk = self._chunk(first)
            low, high = max(start, first), min(stop, first + self._rows)
            chunk[low - first : high - first] = items[low - start : high - start]
            self._dataset.id.write_direct_chunk(self._at(first), chunk, _NO_FILTER)

    def _chunk(self, first: int) -> np.ndarray:
        """The items of a chunk, zeros where nothing was written."""
        known, chunk = self._newest
        if known != first:
            if self.chunks.is_indexed(first):
                chunk = self.chunks.read_to_append(first).copy()
            else:
                chunk = np.zeros((self._rows, *self.field.shape), self.field.dtype)
            self._newest = first, chunk
        return chunk

    def _firsts(self, start: int, stop: int) -> range:
        """The first items of the chunks of which items ``start`` to ``stop`` are a part."""
        return range(start // self._rows * self._rows, stop, self._rows) if start < stop else range(0)

    def _at(self, first: int) -> tuple[int, ...]:
        return (first, *(0 for _ in self.field.shape))


def _is_packed(dataset: h5py.Dataset, field: Field, codec: Codec) -> bool:
    """Whether a dataset is as compaction makes it, and not as it is made for a new recording."""
    ours, packed = recording_layout(field, codec), packed_layout(field)
    if ours.matches(dataset):
        return False
    if packed is not None and packed.matches(dataset):
        return True
    chunks = f"chunks of {dataset.chunks[0]} items" if dataset.chunks else "no chunks"
    raise CorruptRecordingError(
        f"/{field.name} has {chunks} and filters {filter_ids(dataset.id)}, this package makes chunks of "
        f"{ours.rows} and {[number for number, _ in ours.filters]}: the file can be read, but not appended to"
    )
