"""Compaction: a closed recording is written anew, with its small items compressed and without lost space.

While a recording is made, small items are uncompressed, so that a flush rewrites them in place. They are compressed
here, once, by the process that has closed the file (docs/decisions/0012). The new file takes the place of the old one
when it is complete. So a kill at any instant leaves one or the other, and perhaps a partial file.
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable
from contextlib import closing
from functools import partial
from itertools import pairwise, product
from pathlib import Path

import h5py
import numpy as np

from gym_h5record.errors import RecordingError
from gym_h5record.format.nodes import Field
from gym_h5record.storage.checksums import BlockChecksums, checksum_field, lane_checksums
from gym_h5record.storage.closed_recording import ClosedRecording
from gym_h5record.storage.column_layout import is_compressed
from gym_h5record.storage.empty_recording import LIBVER, recording_image
from gym_h5record.storage.handle import Handle
from gym_h5record.storage.hdf5.atomic import atomic_path
from gym_h5record.storage.hdf5.chunk_listing import listed_chunks
from gym_h5record.storage.hdf5.new_file import NewFile
from gym_h5record.storage.hdf5.objects import READ_ERRORS
from gym_h5record.storage.hdf5.plain_chunks import open_plain_chunks
from gym_h5record.storage.hdf5.shuffle import shuffle_and_compress
from gym_h5record.storage.hdf5.thread_lock import open_through_python
from gym_h5record.storage.lock import check_only_name
from gym_h5record.storage.mask_datasets import create_mask

__all__ = ["compact", "keep_owner"]

_LEAST_SAVING = 1 / 16  # of the file
_FREE_COPY_BYTES = 256 << 20
_LEAST_SAVING_OF_COPY = 1 / 4
"""To copy chunks as they are saves nothing. If there are more bytes of them, a quarter as many have to be saved."""
_BAND_BYTES = 32 << 20
"""Items of lanes that are read together. With a chunk of the old file read for each of the new ones, ``close`` took
52 s after 20,000 steps of 256 CartPoles, and takes 3 s so."""
_BLOCK_ITEMS = 1 << 16
"""Numbers that are copied at once."""


class _NotWorthwhileError(Exception):
    """The new file would not be much smaller."""


def compact(path: Path) -> bool:
    """Write a closed recording anew, if that makes it much smaller. The caller holds its lock.

    It never fails: the recording is complete. If the disk is full, or the recording has something that this package
    does not make, it stays as it is.

    Returns:
        Whether there is a new file.
    """
    try:
        with closing(Handle(path)) as handle:
            check_only_name(handle.path)  # the other names would keep the old file
            old = ClosedRecording(handle)
            if old.codec.name is None and not old.commit.discarded_episodes:
                return False  # there is nothing to compress, and no space was lost
            _compact(old)
    except (_NotWorthwhileError, RecordingError, *READ_ERRORS):
        return False
    return True


def _compact(old: ClosedRecording) -> None:
    image = recording_image(
        old.schema,
        root=old.root,
        metadata={**old.metadata, "journal_id": np.bytes_(old.metadata["journal_id"])},
        commit=old.commit,
        layout=old.new_layout,
        description=lambda field: old.descriptions[field.name],
        checksum=old.has_checksums,
    )
    _check_worthwhile(old, len(image))
    with atomic_path(old.path) as new:
        new.write_bytes(image)
        with closing(NewFile(new)) as stream:
            with old.path.open("rb") as source, open_through_python(stream, "r+", libver=LIBVER) as file:
                filling = _Filling(old, source.fileno(), file, stream)
                _check_worthwhile(old, len(image) + filling.pack())
                filling.copy()
                for name, numbers in old.masks.items():
                    create_mask(file, name, numbers)
            stream.check()
        keep_owner(old.path, new)


def _check_worthwhile(old: ClosedRecording, new_bytes: int) -> None:
    """Make sure that a file of ``new_bytes``, and the chunks that are copied as they are, save enough."""
    least_bytes = old.size_bytes * _LEAST_SAVING
    if old.copied_bytes > _FREE_COPY_BYTES:
        least_bytes = max(least_bytes, old.copied_bytes * _LEAST_SAVING_OF_COPY)
    if old.size_bytes - old.copied_bytes - new_bytes < least_bytes:
        raise _NotWorthwhileError


def keep_owner(old: Path, new: Path) -> None:
    """Give the new file the owner, the permissions and the extended attributes of the old one."""
    status = old.stat()
    if (status.st_uid, status.st_gid) != (new.stat().st_uid, new.stat().st_gid):
        os.chown(new, status.st_uid, status.st_gid)
    shutil.copystat(old, new)


class _Filling:
    """Brings the rows of a recording into the new file.

    Args:
        old: The recording.
        descriptor: Its file.
        file: The new file, without rows.
        stream: What HDF5 writes the new file through.
    """

    def __init__(self, old: ClosedRecording, descriptor: int, file: h5py.File, stream: NewFile) -> None:
        self._old = old
        self._descriptor = descriptor
        self._file = file
        self._stream = stream

    def pack(self) -> int:
        """Compress the small items.

        Returns:
            The bytes of their chunks, and of the checksums of these.
        """
        return sum(self._pack(field, count) for field, count in self._old.packed.items())

    def _pack(self, field: Field, count: int) -> int:
        if field.num_lanes is not None:
            return self._pack_lanes(field, self._old.lane_counts[field])
        plain = open_plain_chunks(self._descriptor, self._old.datasets[field.name])
        read = partial(self._old.reader.items, field.name) if plain is None else plain.items
        dataset = self._grown(field.name, count)
        rows, packed_bytes = int(dataset.chunks[0]), 0
        checks = self._file[checksum_field(field).name] if self._old.has_checksums else None
        checksums = None if checks is None else BlockChecksums(checks, rows)
        for first in range(0, count, rows):
            items = read(first, min(first + rows, count))
            chunk = np.zeros((rows, *field.shape), field.dtype)
            chunk[: len(items)] = items
            data = shuffle_and_compress(chunk)
            dataset.id.write_direct_chunk((first, *(0 for _ in field.shape)), data)
            self._stream.check()
            packed_bytes += len(data)
            if checksums is not None:
                checksums.update(first, items, partial(self._old.reader.items, field.name))
        return packed_bytes + (0 if checks is None else int(checks.id.get_storage_size()))

    def _pack_lanes(self, field: Field, counts: np.ndarray) -> int:
        """``_pack`` a field with lanes, of which each has its own number of items, ``(lanes,)`` int64."""
        count, num_lanes = int(counts.max()), len(counts)
        dataset = self._grown(field.name, count)
        rows, lanes = dataset.chunks[:2]
        band_lanes = max(_BAND_BYTES // (rows * lanes * field.item_bytes), 1) * lanes
        packed_bytes = 0
        checksums = np.zeros((-(-count // rows), num_lanes, 2), np.uint32)
        for first, left in product(range(0, count, rows), range(0, num_lanes, band_lanes)):
            each_covered = np.clip(counts[left : left + band_lanes] - first, 0, rows)
            band = self._band(field, first, left, each_covered)
            for at in range(0, len(each_covered), lanes):
                covered = each_covered[at : at + lanes]
                part = band[: covered.max(), at : at + lanes]
                if not len(part):
                    continue
                chunk = np.zeros(dataset.chunks, field.dtype)
                chunk[: len(part), : len(covered)] = part
                data = shuffle_and_compress(chunk)
                dataset.id.write_direct_chunk((first, left + at, *(0 for _ in field.shape)), data)
                self._stream.check()
                packed_bytes += len(data)
                if self._old.has_checksums:
                    checksums[first // rows, left + at : left + at + lanes] = lane_checksums(part, covered)
        if not self._old.has_checksums:
            return packed_bytes
        checks = self._grown(checksum_field(field).name, len(checksums))
        checks[:] = checksums
        return packed_bytes + int(checks.id.get_storage_size())

    def _band(self, field: Field, first: int, left: int, covered: np.ndarray) -> np.ndarray:
        """Rows of some lanes, read together: chunks of the old file hold more lanes and fewer rows than the new ones.

        Args:
            field: The field.
            first: The first row.
            left: The first lane.
            covered: How many items of each of these lanes there are from this row on, ``(lanes,)`` int64.
        """
        band = np.zeros((int(covered.max()), len(covered), *field.shape), field.dtype)
        old_lanes = int(self._old.datasets[field.name].chunks[1])
        bounds = [0, *range(old_lanes - left % old_lanes, len(covered), old_lanes), len(covered)]
        for low, high in pairwise(bounds):
            count = int(covered[low:high].max())
            if count:  # else the old file may have no such chunk: its lanes have fewer items than others
                band[:count, low:high] = self._old.reader.block(
                    field.name, first, first + count, left + low, high - low
                )
        return band

    def copy(self) -> None:
        """Copy the other datasets: compressed chunks as they are."""
        for field, count in self._old.copied.items():
            if is_compressed(field):
                self._copy_chunks(field.name, count)
            elif field.num_lanes is None:
                self._copy_items(field.name, count, partial(self._old.reader.items, field.name))
            else:
                self._copy_items(field.name, count, self._all_lanes(field))
            if self._old.has_checksums and count:
                if field.num_lanes is None:
                    self._copy_checksums(field.name, checksum_field(field).name, count)
                else:
                    self._copy_lane_checksums(field, checksum_field(field), count)

    def _all_lanes(self, field: Field) -> Callable[[int, int], np.ndarray]:
        return partial(self._old.reader.block, field.name, lane=0, num_lanes=field.row_shape[0])

    def _copy_checksums(self, name: str, checks: str, count: int) -> None:
        rows = int(self._old.datasets[name].chunks[0])
        last = (count - 1) // rows * rows
        self._copy_items(checks, last // rows + 1, partial(self._old.reader.items, checks))
        # The one of the last chunk may cover rows of a discarded episode, which are left behind.
        read = partial(self._old.reader.items, name)
        BlockChecksums(self._file[checks], rows).update(last, read(last, count), read)

    def _copy_lane_checksums(self, field: Field, checks: Field, count: int) -> None:
        rows, read = int(self._old.datasets[field.name].chunks[0]), self._all_lanes(checks)
        block = (count - 1) // rows
        self._copy_items(checks.name, block + 1, read)
        (last,) = read(block, block + 1)
        for lane in np.flatnonzero(last[:, 0] > count - block * rows).tolist():  # see _copy_checksums
            items = self._old.reader.block(field.name, block * rows, count, lane, 1)
            last[lane] = lane_checksums(items, np.array([len(items)]))[0]
        self._file[checks.name][block] = last

    def _copy_chunks(self, name: str, count: int) -> None:
        new = self._grown(name, count).id
        for chunk in listed_chunks(self._descriptor, self._old.datasets[name], count):
            new.write_direct_chunk(chunk.at, chunk.data, chunk.mask)
            self._stream.check()

    def _copy_items(self, name: str, count: int, read: Callable[[int, int], np.ndarray]) -> None:
        dataset = self._grown(name, count)
        rows = int(dataset.chunks[0])
        size = max(_BLOCK_ITEMS // (rows * math.prod(dataset.shape[1:])), 1) * rows
        for first in range(0, count, size):
            stop = min(first + size, count)
            dataset[first:stop] = read(first, stop)
            self._stream.check()

    def _grown(self, name: str, count: int) -> h5py.Dataset:
        dataset = self._file[name]
        dataset.id.set_extent((count, *dataset.shape[1:]))
        return dataset
