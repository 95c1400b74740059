"""One dataset of a recording: its creation, and the writing of rows as whole chunks.

``recording_file`` decides which datasets a recording has, and when written rows are valid.
"""

from __future__ import annotations

from collections.abc import Callable

import h5py
import numpy as np

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format.nodes import Field
from gym_h5record.storage.checksums import BlockChecksums
from gym_h5record.storage.format_checks import check_field
from gym_h5record.storage.hdf5.chunks import StoredChunks
from gym_h5record.storage.hdf5.codecs import SZIP, Codec
from gym_h5record.storage.hdf5.objects import filter_ids

__all__ = ["ColumnWriter", "chunk_rows", "create_column", "is_compressed"]

_COMPRESSED_FROM_BYTES = 256
"""A chunk of smaller items is rewritten at every flush: uncompressed, this is in place; compressed, the file grows."""
_COMPRESSED_RAGGED_FROM_BYTES = 4 << 10
"""Compressed ragged items have a chunk each, so that no chunk is ever half full."""
_SMALL_CHUNK_BYTES = 4 << 10
_INDEX_CHUNK_BYTES = 1 << 10  # of a dataset of /episodes
_LARGE_CHUNK_BYTES = 113 << 10  # one RGB Atari frame, sixteen of 84x84


def is_compressed(field: Field) -> bool:
    """Whether the chunks of a field are compressed."""
    smallest = _COMPRESSED_FROM_BYTES if field.parent is None else _COMPRESSED_RAGGED_FROM_BYTES
    return field.item_bytes >= smallest


def chunk_rows(field: Field) -> int:
    """Items in one chunk of a field: a power of two, so that chunks of all columns nest (docs/decisions/0004)."""
    if not is_compressed(field):
        small_bytes = _INDEX_CHUNK_BYTES if field.axis == "episode" else _SMALL_CHUNK_BYTES
        return _power_of_two(small_bytes // field.item_bytes)
    return _power_of_two(_LARGE_CHUNK_BYTES // field.item_bytes) if field.parent is None else 1


def _power_of_two(number: int) -> int:
    """The largest power of two up to ``number``, at least 1."""
    return 1 << max(0, number.bit_length() - 1)


def create_column(file: h5py.File, field: Field, codec: Codec) -> None:
    """Create the empty dataset of a field."""
    rows = chunk_rows(field)
    create = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    create.set_chunk((rows, *field.shape))
    create.set_fill_time(h5py.h5d.FILL_TIME_ALLOC)
    if is_compressed(field) and codec.filter_id == SZIP:
        create.set_szip(*codec.filter_values)  # adds values that depend on the machine
    elif is_compressed(field) and codec.filter_id:
        # Optional: HDF5 itself may lack the filter, and LZF refuses data that it cannot make smaller.
        create.set_filter(codec.filter_id, h5py.h5z.FLAG_OPTIONAL, codec.filter_values)
    links = h5py.h5p.create(h5py.h5p.LINK_CREATE)
    links.set_create_intermediate_group(True)
    links.set_char_encoding(h5py.h5t.CSET_UTF8)
    space = h5py.h5s.create_simple((0, *field.shape), (h5py.h5s.UNLIMITED, *field.shape))
    kind = h5py.h5t.py_create(field.dtype, logical=True)
    h5py.h5d.create(file.id, field.name.encode(), kind, space, create, links)


class ColumnWriter:
    """One dataset being written: rows in, whole compressed chunks out.

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
        CorruptRecordingError: If ``create_column`` would have made another dataset for the field.
    """

    def __init__(
        self, dataset: h5py.Dataset, field: Field, codec: Codec, checksums: h5py.Dataset | None = None
    ) -> None:
        _check_ours(dataset, field, codec)
        self.field = field
        self._dataset = dataset
        self._encode = codec.encode if is_compressed(field) else None
        self._rows = chunk_rows(field)
        self._extent = len(dataset)
        self._checksums = None if checksums is None else BlockChecksums(checksums, self._rows)
        self.chunks = StoredChunks(dataset)
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
        if self._encode is None:
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
        """Rows ``start`` to ``stop`` of an uncompressed column."""
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
        data = np.ascontiguousarray(items).data.cast("B")
        self._dataset.id.write_direct_chunk((first, *(0 for _ in self.field.shape)), encode(data))


def _check_ours(dataset: h5py.Dataset, field: Field, codec: Codec) -> None:
    check_field(dataset, field)
    filters = filter_ids(dataset.id)
    ours = [codec.filter_id] if is_compressed(field) and codec.filter_id else []
    if dataset.chunks[0] != chunk_rows(field) or filters != ours:
        raise CorruptRecordingError(
            f"/{field.name} has chunks of {dataset.chunks[0]} items and filters {filters}, this package makes "
            f"{chunk_rows(field)} and {ours}: the file can be read, but not appended to"
        )
