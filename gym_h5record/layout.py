"""The HDF5 file for writing: the only module that creates or resizes HDF5 objects.

``create_file`` builds the complete empty file; ``RecordingFile`` puts rows into
it and commits them. What the rows mean, and when to commit, is the business of
``gym_h5record.writer.drain``; the text of the format is ``docs/format.md``.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from gym_h5record import format as fmt
from gym_h5record.atomic import atomic_path
from gym_h5record.codecs import SZIP, Codec, decode_chunk, make_codec
from gym_h5record.errors import CorruptRecordingError, FormatVersionError, NotARecordingError
from gym_h5record.schema import Field, Schema, Text
from gym_h5record.schema_json import schema_from_json, schema_to_json
from gym_h5record.superblock import read_superblock

__all__ = ["Column", "RecordingFile", "check_format", "chunk_rows", "create_file", "is_compressed"]

# Readable by every HDF5 since 1.10 (2016); a tuple makes anything newer an error.
_LIBVER = ("v110", "v110")
_COMPRESSED_FROM_BYTES = 256  # smaller items grow at every flush: uncompressed, rewritten in place
_COMPRESSED_RAGGED_FROM_BYTES = 4 << 10  # one item per chunk, so that no chunk is ever half full
_SMALL_CHUNK_BYTES = 4 << 10
_INDEX_CHUNK_BYTES = 1 << 10
_LARGE_CHUNK_BYTES = 113 << 10  # one RGB Atari frame, sixteen of 84x84
_TOTALS = ("total_steps", "total_episodes")
_JOURNAL_ID = "journal_id"


def create_file(
    path: Path,
    schema: Schema,
    codec: Codec,
    *,
    fps: float,
    metadata: Mapping[str, str],
    journal_id: str,
) -> None:
    """Create a recording with all its datasets and no rows.

    Args:
        path: Where; an existing file is replaced once the new one is complete.
        schema: The columns.
        codec: Compression of the large columns.
        fps: Frames per second to play it with, NaN if unknown.
        metadata: Text attributes of ``/metadata``.
        journal_id: Identity of the journal that will be drained into it.
    """
    with atomic_path(path) as partial, h5py.File(partial, "w", libver=_LIBVER) as file:
        file.attrs["format"] = fmt.FORMAT
        file.attrs["format_version"] = np.int64(fmt.FORMAT_VERSION)
        file.attrs["fps"] = np.float64(fps)
        attributes = file.create_group(fmt.METADATA).attrs
        for name, text in metadata.items():
            attributes[name] = text
        for name in _TOTALS:
            attributes[name] = np.int64(0)
        attributes["schema"] = schema_to_json(schema)
        attributes["compression"] = json.dumps([codec.name, codec.opts])
        attributes[_JOURNAL_ID] = np.bytes_(journal_id)  # fixed size: changed in place when resumed
        for field in schema.fields:
            _create_column(file, field, codec)
        for field in _fixed_fields(schema):
            _create_column(file, field, codec)
        if schema.linked_frames:
            file[fmt.FRAMES] = file[fmt.OBSERVATIONS]
        # Chunked and unlimited although it never grows: contiguous data is not safe under SWMR.
        file.create_dataset(fmt.COMMIT, data=np.zeros(2, np.int64), chunks=(2,), maxshape=(None,))


def check_format(file: h5py.File, path: Path) -> None:
    """Make sure that an HDF5 file is a recording of a version we know.

    Raises:
        NotARecordingError: If it is something else.
        FormatVersionError: If it is newer than this package.
    """
    try:
        found, version = file.attrs.get("format"), file.attrs.get("format_version")
    except (KeyError, OSError, RuntimeError) as error:
        raise NotARecordingError(f"{path} is a damaged HDF5 file: {error}") from error
    if found != fmt.FORMAT:
        raise NotARecordingError(
            f"{path} is an HDF5 file but not a recording: "
            f"expected the attribute format={fmt.FORMAT!r}, found {found!r}."
        )
    if not isinstance(version, np.integer) or version > fmt.FORMAT_VERSION:
        raise FormatVersionError(
            f"{path} has format_version {version!r}, this gym_h5record reads up to {fmt.FORMAT_VERSION}. "
            "Upgrade it: pip install --upgrade gym_h5record"
        )


def is_compressed(field: Field) -> bool:
    """Whether the chunks of a field are compressed."""
    smallest = _COMPRESSED_FROM_BYTES if field.parent is None else _COMPRESSED_RAGGED_FROM_BYTES
    return field.item_bytes >= smallest


def chunk_rows(field: Field) -> int:
    """Items in one chunk of a field: a power of two, so that chunks of all columns nest."""
    if not is_compressed(field):
        small_bytes = _INDEX_CHUNK_BYTES if field.name.startswith(f"{fmt.EPISODES}/") else _SMALL_CHUNK_BYTES
        return _power_of_two(small_bytes // field.item_bytes)
    return _power_of_two(_LARGE_CHUNK_BYTES // field.item_bytes) if field.parent is None else 1


def _power_of_two(number: int) -> int:
    """The largest power of two up to ``number``, at least 1."""
    return 1 << max(0, number.bit_length() - 1)


def _fixed_fields(schema: Schema) -> Iterable[Field]:
    """Columns that every recording has, beside those of its schema."""
    yield Field(fmt.DONES, np.dtype(np.bool_))
    yield Field(fmt.TYPES, np.dtype(np.uint8), (len(schema.coded),))
    for name, dtype in fmt.EPISODE_COLUMNS.items():
        yield Field(f"{fmt.EPISODES}/{name}", dtype)
    yield from Text(fmt.EPISODE_JSON).fields()


def _create_column(file: h5py.File, field: Field, codec: Codec) -> None:
    rows = chunk_rows(field)
    create = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    create.set_chunk((rows, *field.shape))
    create.set_fill_time(h5py.h5d.FILL_TIME_ALLOC)
    if is_compressed(field) and codec.filter_id == SZIP:
        create.set_szip(*codec.filter_values)  # adds what the filter has to know of the machine
    elif is_compressed(field) and codec.filter_id:
        # Optional: HDF5 itself need not have the filter, and LZF gives up on what it cannot make smaller.
        create.set_filter(codec.filter_id, h5py.h5z.FLAG_OPTIONAL, codec.filter_values)
    links = h5py.h5p.create(h5py.h5p.LINK_CREATE)
    links.set_create_intermediate_group(True)
    links.set_char_encoding(h5py.h5t.CSET_UTF8)
    space = h5py.h5s.create_simple((0, *field.shape), (h5py.h5s.UNLIMITED, *field.shape))
    kind = h5py.h5t.py_create(field.dtype, logical=True)
    h5py.h5d.create(file.id, field.name.encode(), kind, space, create, links)


class Column:
    """One dataset being written: rows in, whole compressed chunks out.

    Args:
        dataset: The HDF5 dataset.
        field: What it holds.
        codec: How its chunks are compressed.
    """

    def __init__(self, dataset: h5py.Dataset, field: Field, codec: Codec) -> None:
        self.field = field
        self._dataset = dataset
        self._codec = codec
        self._encode = codec.encode if is_compressed(field) else None
        self._rows = chunk_rows(field)
        self._extent = len(dataset)

    @property
    def held_rows(self) -> int:
        """Rows of a chunk that must be written together, 1 if any number will do.

        A compressed chunk is written anew as it fills. Until it is full, its
        rows must stay in the journal: a write cut short would damage them all.
        """
        return self._rows if is_compressed(self.field) else 1

    def write(self, start: int, items: np.ndarray) -> None:
        """Write ``items`` at row ``start``; rows may be written again."""
        stop = start + len(items)
        if stop == start:
            return
        if stop > self._extent:
            self._dataset.id.set_extent((stop, *self.field.shape))
            self._extent = stop
        if self._encode is None:
            self._dataset[start:stop] = items
            return
        before = start % self._rows
        if before:  # only after a resume: the chunk's first rows are in the file alone
            items = np.concatenate([self._read_chunk(start - before)[:before], items])
            start -= before
        for low in range(0, len(items), self._rows):
            self._write_chunk(start + low, items[low : low + self._rows])

    def read(self, start: int, stop: int) -> np.ndarray:
        """Rows ``start`` to ``stop`` of an uncompressed column."""
        rows: np.ndarray = self._dataset[start:stop]
        return rows

    def flush(self) -> None:
        """Hand everything written to the operating system."""
        self._dataset.flush()

    def _offset(self, first: int) -> tuple[int, ...]:
        return (first, *(0 for _ in self.field.shape))

    def _write_chunk(self, first: int, items: np.ndarray) -> None:
        if len(items) < self._rows:
            missing = np.zeros((self._rows - len(items), *self.field.shape), self.field.dtype)
            items = np.concatenate([items, missing])
        data = np.ascontiguousarray(items).data.cast("B")
        self._dataset.id.write_direct_chunk(self._offset(first), self._encode(data))  # type: ignore[misc]  # not None here

    def _read_chunk(self, first: int) -> np.ndarray:
        _, data = self._dataset.id.read_direct_chunk(self._offset(first))
        decoded = decode_chunk(self._codec.filter_id, data, self._rows * self.field.item_bytes)
        return np.frombuffer(decoded, self.field.dtype).reshape(self._rows, *self.field.shape)


class RecordingFile:
    """A recording opened for writing.

    The caller holds the lock of the recording and has cleared its write flags.

    Attributes:
        schema: The columns.
        rows: Committed rows.
        episodes: Committed episodes.
        held_rows: Rows that the journal keeps until they fill whole chunks.

    Raises:
        NotARecordingError: If the file is something else.
    """

    def __init__(self, path: Path) -> None:
        if read_superblock(path) is None:
            raise NotARecordingError(f"{path} is not an HDF5 file.")
        # The lock is ours already; HDF5's own would shut out resuming while a reader looks on.
        try:
            self._file = h5py.File(path, "r+", libver=_LIBVER, locking=False, rdcc_nbytes=256 << 10)
        except OSError as error:
            if error.errno is not None:
                raise
            raise NotARecordingError(f"{path} cannot be opened as an HDF5 file: {error}") from error
        try:
            check_format(self._file, path)
            self._attributes = self._file[fmt.METADATA].attrs
            self.schema = schema_from_json(self._attributes["schema"])
            self.codec = make_codec(*json.loads(self._attributes["compression"]))
            fields = (*self.schema.fields, *_fixed_fields(self.schema))
            self._columns = {field.name: Column(self._file[field.name], field, self.codec) for field in fields}
            self._commit = self._file[fmt.COMMIT]
            self.rows, self.episodes = (int(count) for count in self._commit[:])
            self.held_rows = max(column.held_rows for column in self._columns.values())
        except (KeyError, TypeError, json.JSONDecodeError) as error:
            self._file.close()
            raise CorruptRecordingError(f"{path} lacks a part of every recording, or it is damaged: {error}") from error
        except BaseException:
            self._file.close()
            raise

    @property
    def journal_id(self) -> str:
        """Identity of the journal that was last drained into the file."""
        return bytes(self._attributes[_JOURNAL_ID]).decode("ascii")

    def start(self, journal_id: str) -> None:
        """Let readers in: from here on nothing is created, only appended."""
        self._attributes.modify(_JOURNAL_ID, np.bytes_(journal_id))
        self._file.flush()
        self._file.swmr_mode = True

    def write(self, name: str, start: int, items: np.ndarray) -> None:
        """Write items of a column, not visible to readers before ``commit``."""
        self._columns[name].write(start, items)

    def read(self, name: str, start: int, stop: int) -> np.ndarray:
        """Items of an uncompressed column."""
        return self._columns[name].read(start, stop)

    def commit(self, rows: int, episodes: int) -> None:
        """Make rows and episodes valid.

        The order is what a crash cannot break: data before the episode index,
        the index before the commit. A plain flush of the file orders nothing.
        """
        for column in self._columns.values():  # schema columns come first, /episodes last
            column.flush()
        if (rows, episodes) != (self.rows, self.episodes):
            self._commit[:] = (rows, episodes)
            self._commit.flush()
            self.rows, self.episodes = rows, episodes
        self._file.flush()  # renews the end-of-file address in the superblock

    def metadata(self) -> dict[str, Any]:
        """The attributes of ``/metadata``."""
        return dict(self._attributes)

    def abandon(self) -> None:
        """Keep this process from ever touching the file again; the handle may then be closed or dropped.

        HDF5 writes what it still has in memory when a file is closed, and when
        the process ends. In a forked child that would be a stale superblock over
        the parent's; after a failed write it fails again, and may crash.
        """
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, self._file.id.get_vfd_handle())
        os.close(nowhere)

    def discard(self) -> None:
        """Close the file as it is on disk, after a write has failed."""
        self.abandon()
        # Whatever HDF5 has to say now, the error that matters has been raised already. It must
        # be closed all the same: opened again, HDF5 would hand out this handle to nowhere.
        with contextlib.suppress(OSError, RuntimeError):
            self._file.close()

    def close(self) -> None:
        """Write the totals and close the file."""
        try:
            # Every episode has one row more than it has steps.
            for name, total in zip(_TOTALS, (self.rows - self.episodes, self.episodes), strict=True):
                self._attributes.modify(name, np.int64(total))
        finally:
            self._file.close()
