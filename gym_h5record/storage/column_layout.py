"""How the items of a dataset are stored: the size of its chunks, and the filters in front of them.

Small items have two layouts. While a recording is made, their chunks are small and uncompressed: every flush rewrites
the last chunk, which is in place only if its size never changes. ``gym_h5record.storage.compaction`` gives a closed
file larger chunks, shuffled and compressed (docs/decisions/0012).
"""

from __future__ import annotations

from dataclasses import dataclass

import h5py

from gym_h5record.format import names as fmt
from gym_h5record.format.nodes import Field
from gym_h5record.storage.hdf5.codecs import GZIP, SHUFFLE, SZIP, Codec
from gym_h5record.storage.hdf5.objects import filter_ids

__all__ = ["Layout", "chunk_rows", "create_column", "is_compressed", "packed_layout", "recording_layout"]

_COMPRESSED_FROM_BYTES = 256
"""A chunk of smaller items is rewritten at every flush: uncompressed, this is in place; compressed, the file grows."""
_COMPRESSED_RAGGED_FROM_BYTES = 4 << 10
"""Compressed ragged items have a chunk each, so that no chunk is ever half full."""
_SMALL_CHUNK_BYTES = 4 << 10
_INDEX_CHUNK_BYTES = 1 << 10  # of a dataset of /episodes
_LEAST_LANE_ROWS, _LANE_CHUNK_BYTES = 8, 256 << 10  # of many lanes: a chunk has so many rows, if it is not larger
_LARGE_CHUNK_BYTES = 113 << 10  # one RGB Atari frame, sixteen of 84x84
_PACKED_CHUNK_BYTES = 32 << 10
"""CartPole: 16 KiB take 5 % more, 64 KiB save 2 %; a single row costs the decoding of a whole chunk."""
_GZIP_LEVEL = 1  # what the filter notes; readers do not need it


@dataclass(frozen=True)
class Layout:
    """How the items of a dataset are stored.

    Attributes:
        rows: Items in one chunk, of each lane in it.
        filters: Numbers and client data of the HDF5 filters, in the order in which they are applied.
        lanes: Lanes in one chunk, None for a field without lanes.
    """

    rows: int
    filters: tuple[tuple[int, tuple[int, ...]], ...] = ()
    lanes: int | None = None

    def matches(self, dataset: h5py.Dataset) -> bool:
        """Whether a dataset has these chunks and these filters."""
        if not dataset.chunks:  # other programs make datasets without chunks
            return False
        has_chunks = dataset.chunks[0] == self.rows and (self.lanes is None or dataset.chunks[1] == self.lanes)
        return bool(has_chunks) and filter_ids(dataset.id) == [number for number, _ in self.filters]


def is_compressed(field: Field) -> bool:
    """Whether the chunks of a field are compressed while it is recorded."""
    smallest = _COMPRESSED_FROM_BYTES if field.parent is None else _COMPRESSED_RAGGED_FROM_BYTES
    return field.item_bytes >= smallest


def chunk_rows(field: Field) -> int:
    """Items in one chunk while recording: a power of two, so that chunks of all columns nest (docs/decisions/0004)."""
    if not is_compressed(field):
        small_bytes = _INDEX_CHUNK_BYTES if field.axis == "episode" else _SMALL_CHUNK_BYTES
        row_bytes = field.item_bytes * (field.num_lanes or 1)
        is_checksum = field.name.startswith(f"{fmt.CHECKSUMS}/")  # it has one row for a chunk of another field
        has_least = field.num_lanes is not None and not is_checksum
        least = min(_LEAST_LANE_ROWS, _power_of_two(_LANE_CHUNK_BYTES // row_bytes)) if has_least else 1
        return max(_power_of_two(small_bytes // row_bytes), least)
    return _power_of_two(_LARGE_CHUNK_BYTES // field.item_bytes) if field.parent is None else 1


def _power_of_two(number: int) -> int:
    """The largest power of two up to ``number``, at least 1."""
    return 1 << max(0, number.bit_length() - 1)


def recording_layout(field: Field, codec: Codec) -> Layout:
    """The layout of a field while it is recorded."""
    has_filter = is_compressed(field) and codec.filter_id
    lanes = None if field.num_lanes is None else 1 if is_compressed(field) else field.num_lanes
    return Layout(chunk_rows(field), ((codec.filter_id, codec.filter_values),) if has_filter else (), lanes)


def packed_layout(field: Field, num_items: int = 1) -> Layout | None:
    """The layout of a field in a compacted file; None if it is that of the recording.

    ``/dones`` is never compressed: a byte for each row bounds how many rows a file of some size can claim.

    Args:
        field: The field.
        num_items: Items of a lane. So many fill a chunk, if they are few, and it has several lanes.
    """
    if is_compressed(field) or field.name == fmt.DONES:
        return None
    size = field.dtype.itemsize
    shuffle = ((SHUFFLE, (size,)),) if size > 1 else ()
    most, filters = _power_of_two(_PACKED_CHUNK_BYTES // field.item_bytes), (*shuffle, (GZIP, (_GZIP_LEVEL,)))
    if field.num_lanes is None:
        return Layout(most, filters)
    rows = min(most, 2 * _power_of_two(max(num_items - 1, 1)))
    return Layout(rows, filters, min(most // rows, field.num_lanes))


def create_column(file: h5py.File, field: Field, layout: Layout) -> h5py.Dataset:
    """Create the empty dataset of a field."""
    create = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    create.set_chunk((layout.rows, *(() if layout.lanes is None else (layout.lanes,)), *field.shape))
    create.set_fill_time(h5py.h5d.FILL_TIME_ALLOC)
    for number, values in layout.filters:
        if number == SZIP:
            create.set_szip(*values)  # adds values that depend on the machine
        else:
            # Optional: HDF5 itself may lack the filter, and LZF refuses data that it cannot make smaller.
            create.set_filter(number, h5py.h5z.FLAG_OPTIONAL, values)
    links = h5py.h5p.create(h5py.h5p.LINK_CREATE)
    links.set_create_intermediate_group(True)
    links.set_char_encoding(h5py.h5t.CSET_UTF8)
    space = h5py.h5s.create_simple((0, *field.row_shape), (h5py.h5s.UNLIMITED, *field.row_shape))
    kind = h5py.h5t.py_create(field.dtype, logical=True)
    return h5py.Dataset(h5py.h5d.create(file.id, field.name.encode(), kind, space, create, links))
