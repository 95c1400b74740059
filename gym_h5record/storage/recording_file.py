"""The HDF5 file for writing: ``create_file`` makes it without rows, ``RecordingFile`` writes rows and commits them.

``gym_h5record.writing.commit`` decides what to write and when to commit. The format is described in ``docs/format.md``.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from gym_h5record.errors import CorruptRecordingError, NotARecordingError
from gym_h5record.format import names as fmt
from gym_h5record.format.claims import check_commit, committed_items
from gym_h5record.format.nodes import Field
from gym_h5record.format.schema import Schema, all_fields
from gym_h5record.format.schema_json import schema_from_json, schema_to_json
from gym_h5record.storage.checksums import checksum_field
from gym_h5record.storage.column_writer import ColumnWriter, create_column
from gym_h5record.storage.format_checks import check_format, open_metadata
from gym_h5record.storage.hdf5.atomic import atomic_path
from gym_h5record.storage.hdf5.codecs import Codec, make_codec
from gym_h5record.storage.hdf5.crash_safe_file import CrashSafeFile
from gym_h5record.storage.hdf5.objects import has_group, open_dataset
from gym_h5record.storage.hdf5.superblock import read_superblock
from gym_h5record.storage.hdf5.thread_lock import open_through_python
from gym_h5record.storage.paths import redo_path
from gym_h5record.values.tagged_json import parse_json

__all__ = ["RecordingFile", "create_file"]

_LIBVER = ("v110", "v110")
"""Every HDF5 since 1.10 (2016) reads the file: with the second value, HDF5 refuses to write anything newer."""
_TAIL_BYTES = 8  # any number but 0: the file is longer than its superblock says until it is closed
_JOURNAL_ID, _STEPS, _EPISODES = "journal_id", "total_steps", "total_episodes"
_CHANGED_IN_PLACE = {_JOURNAL_ID: str, _STEPS: int, _EPISODES: int}
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
    image = io.BytesIO()  # HDF5 may crash after a failed write: only write_bytes meets a full disk
    # Without a strategy for free space, HDF5 never uses the space of an old block again: a reader of the live file may
    # still be reading that block.
    with open_through_python(image, "w", libver=_LIBVER, fs_strategy="none") as file:
        file.attrs["format"] = fmt.FORMAT
        file.attrs["format_version"] = np.int64(fmt.FORMAT_VERSION)
        file.attrs["fps"] = np.float64(fps)
        attributes = file.create_group(fmt.METADATA).attrs
        for name, text in metadata.items():
            attributes[name] = text
        attributes[_STEPS] = attributes[_EPISODES] = np.int64(0)
        attributes["schema"] = schema_to_json(schema)
        attributes["compression"] = json.dumps([codec.name, codec.opts])
        attributes[_JOURNAL_ID] = np.bytes_(journal_id)  # of fixed size: start changes it in place
        for field in all_fields(schema):
            create_column(file, field, codec)
            if checksum:
                create_column(file, checksum_field(field), codec)
        if schema.linked_frames:
            file[fmt.FRAMES] = file[fmt.OBSERVATIONS]
        # Chunked and unlimited as every dataset, although it never grows.
        file.create_dataset(fmt.COMMIT, data=np.zeros(2, np.int64), chunks=(2,), maxshape=(None,))
    with atomic_path(path) as partial:
        partial.write_bytes(image.getbuffer())


class RecordingFile:
    """A recording opened for writing.

    The caller holds the lock of the recording and has cleared its write flags.

    Args:
        path: The file.
        durable: Whether a commit survives a power cut, and not only the death of the process.

    Attributes:
        schema: The columns.
        rows: Committed rows.
        episodes: Committed episodes.
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
            return open_through_python(self._durable, "r+", libver=_LIBVER, rdcc_nbytes=256 << 10)
        except BaseException as error:
            self._durable.abandon()
            self._durable.finish()
            redo_path(self._path).unlink(missing_ok=True)  # abandon keeps the log; this one is empty
            if isinstance(error, OSError) and error.errno is None:
                raise NotARecordingError(f"{self._path} cannot be opened as an HDF5 file: {error}") from error
            raise

    def _load(self) -> None:
        check_format(self._file, self._path)
        self._metadata = open_metadata(self._file)
        self._attributes = self._file[fmt.METADATA].attrs
        for name, kind in _CHANGED_IN_PLACE.items():
            if not isinstance(self._metadata[name], kind):
                raise CorruptRecordingError(f"/{fmt.METADATA} has {self._metadata[name]!r:.80} as {name}")
        self.schema = schema_from_json(self._metadata["schema"])
        self.codec = make_codec(*parse_json(self._metadata["compression"]))
        self._commit = open_dataset(self._file, fmt.COMMIT)
        if self._commit.shape != (2,):
            raise CorruptRecordingError(f"/{fmt.COMMIT} has the shape {self._commit.shape}, not (2,)")
        self.rows, self.episodes = (int(count) for count in self._commit[:])
        check_commit(self.rows, self.episodes)
        has_checksums = has_group(self._file, fmt.CHECKSUMS)
        self._fields = {field.name: field for field in all_fields(self.schema)}
        self._columns: dict[str, ColumnWriter] = {}
        for name, field in self._fields.items():
            checksums = open_dataset(self._file, checksum_field(field).name) if has_checksums else None
            self._columns[name] = ColumnWriter(open_dataset(self._file, name), field, self.codec, checksums)
        self.held_rows = max(column.held_rows for column in self._columns.values())

    def check_complete(self) -> None:
        """Make sure that all committed rows and episodes are in the file; ragged items are not counted."""
        self._check_items(field for field in self._fields.values() if field.parent is None)

    def check_closed(self) -> None:
        """Make sure that all committed items are in the file, and that the identity of another journal has a place."""
        self._check_place(_JOURNAL_ID_BYTES)
        self._check_items(self._fields.values())

    def _check_items(self, fields: Iterable[Field]) -> None:
        size_bytes = self._path.stat().st_size
        end_at = functools.cache(self._end_at)  # several fields may have the same parent
        for field in fields:  # parents come before their children: the ends that are read have been checked
            count = committed_items(field, self._fields, self.rows, self.episodes, end_at)
            self._columns[field.name].chunks.check_stored(count, size_bytes)

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
        """Set the identity of the journal and sync. From now on nothing is created, only appended."""
        self._check_place(len(journal_id))
        self._attributes.modify(_JOURNAL_ID, np.bytes_(journal_id))
        self._metadata[_JOURNAL_ID] = journal_id
        self._file.flush()
        self._durable.sync()

    def write(self, name: str, start: int, items: np.ndarray) -> None:
        """Write items of a column, not visible to readers before ``commit``."""
        self._columns[name].write(start, items)

    def read(self, name: str, start: int, stop: int) -> np.ndarray:
        """Items of an uncompressed column."""
        return self._columns[name].read(start, stop)

    def commit(self, rows: int, episodes: int) -> None:
        """Make rows and episodes valid.

        Rows are flushed before the episode index, and the index before ``/commit``, so that a reader of the live file
        finds everything that ``/commit`` counts. A flush of the whole file has no such order.
        """
        for column in self._columns.values():  # in the order of all_fields: /episodes comes last
            column.flush()
        if (rows, episodes) != (self.rows, self.episodes):
            self._commit[:] = (rows, episodes)
            self._commit.flush()
            self.rows, self.episodes = rows, episodes
        self._file.flush()  # renews the end-of-file address in the superblock
        self._durable.sync()

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
