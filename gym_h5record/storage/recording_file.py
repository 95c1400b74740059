"""The HDF5 file for writing: ``create_file`` makes it without rows, ``RecordingFile`` writes rows and commits them.

``gym_h5record.writing.commit`` decides what to write and when to commit. The format is described in ``docs/format.md``.
"""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from gym_h5record.errors import CorruptRecordingError, NotARecordingError
from gym_h5record.format import names as fmt
from gym_h5record.format.claims import Commit, LaneCommit, empty_commit, most_items, read_commit
from gym_h5record.format.nodes import Field
from gym_h5record.format.schema import Schema, all_fields
from gym_h5record.format.schema_json import schema_from_json, schema_to_json
from gym_h5record.storage.checksums import checksum_field
from gym_h5record.storage.column_layout import recording_layout
from gym_h5record.storage.column_writer import ColumnWriter
from gym_h5record.storage.empty_recording import LIBVER, recording_image
from gym_h5record.storage.format_checks import check_format, open_metadata
from gym_h5record.storage.hdf5.atomic import atomic_path
from gym_h5record.storage.hdf5.chunk_reader import ChunkReader
from gym_h5record.storage.hdf5.codecs import Codec, make_codec
from gym_h5record.storage.hdf5.crash_safe_file import CrashSafeFile
from gym_h5record.storage.hdf5.guarded_file import GuardedFile
from gym_h5record.storage.hdf5.objects import filter_ids, has_group, has_link, open_dataset
from gym_h5record.storage.hdf5.superblock import read_superblock
from gym_h5record.storage.hdf5.thread_lock import open_through_python
from gym_h5record.storage.lane_writer import LaneColumnWriter, TakeItems
from gym_h5record.storage.mask_datasets import put_mask
from gym_h5record.storage.paths import redo_path
from gym_h5record.values.tagged_json import parse_json

__all__ = ["RecordingFile", "create_file"]

_TAIL_BYTES = 8  # any number but 0: the file is longer than its superblock says until it is closed
_JOURNAL_ID, _STEPS, _EPISODES = "journal_id", "total_steps", "total_episodes"
_DISCARDED = ("discarded_episodes", "discarded_steps")
_CHANGED_IN_PLACE = {_JOURNAL_ID: str, **dict.fromkeys((_STEPS, _EPISODES, *_DISCARDED), int)}
_JOURNAL_ID_BYTES = 36  # a UUID as text


def create_file(
    path: Path,
    schema: Schema,
    codec: Codec,
    *,
    fps: float,
    metadata: Mapping[str, str],
    journal_id: str,
    checksum: bool = False,
) -> None:
    """Create a recording with all its datasets and no rows. An existing file is replaced when the new one is complete.

    Args:
        path: The file.
        schema: The columns.
        codec: Compression of the large columns.
        fps: Frames per second of the recorded environment, NaN if unknown.
        metadata: Text attributes of ``/metadata``.
        journal_id: Identity of the journal that will be drained into it.
        checksum: Whether to keep checksums of the chunks.
    """
    attributes: dict[str, Any] = dict(metadata)
    attributes |= dict.fromkeys((_STEPS, _EPISODES, *_DISCARDED), np.int64(0))
    attributes["schema"] = schema_to_json(schema)
    attributes["compression"] = json.dumps([codec.name, codec.opts])
    attributes[_JOURNAL_ID] = np.bytes_(journal_id)  # of fixed size: start changes it in place
    root = {"format": fmt.FORMAT, "format_version": np.int64(fmt.FORMAT_VERSION), "fps": np.float64(fps)}
    if schema.num_envs is not None:
        root[fmt.NUM_ENVS] = np.int64(schema.num_envs)
    image = recording_image(
        schema,
        root=root,
        metadata=attributes,
        commit=empty_commit(schema.num_envs),
        layout=lambda field: recording_layout(field, codec),
        checksum=checksum,
    )
    with atomic_path(path) as partial:
        partial.write_bytes(image)


class RecordingFile:
    """A recording opened for writing.

    The caller holds the lock of the recording and has cleared its write flags.

    Args:
        path: The file.
        durable: Whether a commit survives a power cut, and not only the death of the process.

    Attributes:
        schema: The columns.
        committed: The last commit.
        held_rows: Rows that the journal keeps until they fill whole chunks.

    Raises:
        NotARecordingError: If the file is no recording.
        CorruptRecordingError: If it cannot be appended to.
    """

    def __init__(self, path: Path, *, durable: bool = False) -> None:
        self._path = path
        if read_superblock(path) is None:
            raise NotARecordingError(f"{path} is not an HDF5 file.")
        self._durable = CrashSafeFile(path, survives_power_cut=durable, tail_bytes=_TAIL_BYTES)
        self._file = self._open()
        try:
            self._load()
        except BaseException as error:
            self._close()
            if isinstance(error, NotARecordingError) or not isinstance(error, (KeyError, TypeError, ValueError)):
                raise
            raise CorruptRecordingError(f"{path} lacks a part of every recording, or is damaged: {error}") from error

    def _open(self) -> h5py.File:
        try:
            return open_through_python(self._durable, "r+", libver=LIBVER, rdcc_nbytes=256 << 10)
        except BaseException as error:
            self._durable.abandon()
            self._durable.finish()
            redo_path(self._path).unlink(missing_ok=True)  # abandon keeps the log; this one is empty
            if isinstance(error, OSError) and error.errno is None:
                raise NotARecordingError(f"{self._path} cannot be opened as an HDF5 file: {error}") from error
            raise

    def _load(self) -> None:
        num_envs = check_format(self._file, self._path)
        self._metadata = open_metadata(self._file)
        self._attributes = self._file[fmt.METADATA].attrs
        if not has_link(self._file, fmt.POSITIONS):
            raise CorruptRecordingError(
                f"{self._path} was made by an earlier version of this package. It can be read, but not appended to."
            )
        parts = empty_commit(num_envs).parts
        self._numbers = {name: open_dataset(self._file, name) for name in parts}
        for name, numbers in parts.items():
            if self._numbers[name].shape != (len(numbers),):
                raise CorruptRecordingError(f"/{name} has the shape {self._numbers[name].shape}, not ({len(numbers)},)")
            if filter_ids(self._numbers[name].id):  # a commit that is not in place could be half written
                raise CorruptRecordingError(
                    f"{self._path} was compressed anew by another program: it can be read, but not appended to."
                )
        self.committed = read_commit(lambda name, start, stop: self._numbers[name][start:stop], num_envs)
        for name, kind in _CHANGED_IN_PLACE.items():
            if not isinstance(self._metadata[name], kind):
                raise CorruptRecordingError(f"/{fmt.METADATA} has {self._metadata[name]!r:.80} as {name}")
        self.schema = schema_from_json(self._metadata["schema"])
        if self.schema.num_envs != num_envs:
            raise CorruptRecordingError(f"{self._path} has {fmt.NUM_ENVS}={num_envs}, its schema says otherwise")
        self.codec = make_codec(*parse_json(self._metadata["compression"]))
        has_checksums = has_group(self._file, fmt.CHECKSUMS)
        self._fields = {field.name: field for field in all_fields(self.schema)}
        self._columns: dict[str, ColumnWriter] = {}
        self._lane_columns: dict[str, LaneColumnWriter] = {}
        for name, field in self._fields.items():
            dataset, its_checksums = open_dataset(self._file, name), checksum_field(field)
            checksums = open_dataset(self._file, its_checksums.name) if has_checksums else None
            if field.num_lanes is None:
                self._columns[name] = ColumnWriter(dataset, field, self.codec, checksums)
                continue
            lane_checksums = None if checksums is None else LaneColumnWriter(checksums, its_checksums, self.codec)
            self._lane_columns[name] = LaneColumnWriter(dataset, field, self.codec, lane_checksums)
        self._all_columns = [self._lane_columns.get(name) or self._columns[name] for name in self._fields]
        self.held_rows = max(column.held_rows for column in self._all_columns)

    @property
    def rows(self) -> int:
        """Committed rows."""
        return self.committed.rows

    @property
    def episodes(self) -> int:
        """Committed episodes."""
        return self.committed.episodes

    def check_complete(self) -> None:
        """Make sure that all committed rows and episodes are in the file; ragged items are not counted."""
        self._check_items(field for field in self._fields.values() if field.parent is None)

    def check_closed(self) -> None:
        """Make sure that all committed items are in the file, and that the identity of another journal has a place."""
        self._check_place(_JOURNAL_ID_BYTES)
        self._check_items(self._fields.values())

    def _check_items(self, fields: Iterable[Field]) -> None:
        size_bytes = self._path.stat().st_size
        if self.rows > size_bytes:
            raise CorruptRecordingError(f"/{fmt.COMMIT} claims {self.rows} rows, more than {size_bytes} bytes can hold")
        end_at = functools.cache(self._end_at)  # several fields may have the same parent
        with GuardedFile(self._path) as file:
            for field in fields:  # parents come before their children: the ends that are read have been checked
                count = most_items(field, self._fields, self.committed, end_at)
                ChunkReader(open_dataset(self._file, field.name), file).check_stored(count, size_bytes)

    def _end_at(self, name: str, index: int) -> int:
        end = int(self.read(name, index, index + 1)[0])
        if end < 0:
            raise CorruptRecordingError(f"/{name} claims {end} items")
        return end

    def _check_place(self, journal_id_bytes: int) -> None:
        place = self._attributes.get_id(_JOURNAL_ID).dtype
        if place.kind != "S" or place.itemsize < journal_id_bytes:
            raise CorruptRecordingError(f"{self._path} has no place for {_JOURNAL_ID} in /{fmt.METADATA}")

    @property
    def journal_id(self) -> str:
        """Identity of the journal that was last drained into the file."""
        return str(self._metadata[_JOURNAL_ID])

    def start(self, journal_id: str) -> None:
        """Set the identity of the journal and sync. From now on nothing is created, only appended.

        Another journal than before begins with the position of the next row.
        """
        self._check_place(len(journal_id))
        if journal_id != self.journal_id:
            self._set_commit(self.committed.for_another_journal)
        self._attributes.modify(_JOURNAL_ID, np.bytes_(journal_id))
        self._metadata[_JOURNAL_ID] = journal_id
        self._file.flush()
        self._durable.sync()

    def write(self, name: str, start: int, items: np.ndarray) -> None:
        """Write items of a column without lanes, not visible to readers before ``commit``."""
        self._columns[name].write(start, items)

    def write_lanes(self, name: str, lanes: np.ndarray, rows: np.ndarray, take: TakeItems) -> None:
        """Write items of a column with lanes, not visible to readers before ``commit``. See ``LaneColumnWriter``."""
        self._lane_columns[name].write(lanes, rows, take)

    def write_block(self, name: str, row: int, items: np.ndarray) -> None:
        """Write the same rows of all lanes of a column, ``(rows, lanes, *shape)``. See ``write_lanes``."""
        self._lane_columns[name].write_block(row, items)

    def forget_rows(self, lane: int, row: int) -> None:
        """Rows of a lane from ``row`` on may be written anew: the episode that they belonged to was discarded."""
        for column in self._lane_columns.values():
            column.forget(lane, row)

    def read(self, name: str, start: int, stop: int) -> np.ndarray:
        """Items of a column of small items; those of a lane by their addresses."""
        return (self._lane_columns.get(name) or self._columns[name]).read(start, stop)

    def commit(self, commit: Commit | LaneCommit) -> None:
        """Make rows and episodes valid.

        Rows are flushed before the episode index, and the index before ``/commit``, so that a reader of the live file
        finds everything that ``/commit`` counts. A flush of the whole file has no such order.
        """
        for column in self._all_columns:  # in the order of all_fields: /episodes comes last
            column.flush()
        self._set_commit(commit)
        self._file.flush()  # renews the end-of-file address in the superblock
        self._durable.sync()

    def _set_commit(self, commit: Commit | LaneCommit) -> None:
        for name, numbers in commit.parts.items():
            if numbers != self.committed.parts[name]:
                self._numbers[name][:] = numbers
                self._numbers[name].flush()
        self.committed = commit

    def put_mask(self, name: str, numbers: np.ndarray) -> None:
        """See ``gym_h5record.storage.mask_datasets.put_mask``. ``close`` commits it."""
        put_mask(self._file, name, numbers)

    def metadata(self) -> dict[str, Any]:
        """The attributes of ``/metadata``."""
        return dict(self._metadata)

    def discard(self) -> None:
        """Close the file as the last commit left it: after a write has failed, or in a forked child.

        HDF5 writes what it still has in memory when a file is closed, and when the process ends. In a forked child it
        would write an old superblock over the parent's; after a failed write it would fail again, and may crash.
        """
        self._durable.abandon()
        # An error here is ignored: the one that led to discard has been raised. HDF5 must close the file all the same,
        # or it returns this abandoned handle when the path is opened again.
        with contextlib.suppress(OSError, RuntimeError):
            self._close()

    def close(self) -> None:
        """Write the totals and close the file."""
        try:
            self._attributes.modify(_STEPS, np.int64(self.rows - self.episodes))  # an episode has a row more than steps
            self._attributes.modify(_EPISODES, np.int64(self.episodes))
            for name in _DISCARDED:
                self._attributes.modify(name, np.int64(getattr(self.committed, name)))
        finally:
            self._close()

    def _close(self) -> None:
        try:
            self._file.close()
        except BaseException:
            self._durable.abandon()  # HDF5 could not complete the file: it must not look closed
            raise
        finally:
            self._durable.finish()
