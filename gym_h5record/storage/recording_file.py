"""The HDF5 file for writing: the only module that creates or resizes HDF5 objects.

``create_file`` builds the complete empty file; ``RecordingFile`` puts rows into
it and commits them. What the rows mean, and when to commit, is the business of
``gym_h5record.writing.drain``; the text of the format is ``docs/format.md``.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from gym_h5record.errors import CorruptRecordingError, NotARecordingError
from gym_h5record.format import names as fmt
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


# Readable by every HDF5 since 1.10 (2016); a tuple makes anything newer an error.
_LIBVER = ("v110", "v110")
_TAIL_BYTES = 8  # any number would do
_TOTALS = ("total_steps", "total_episodes")
_JOURNAL_ID = "journal_id"
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
    """Create a recording with all its datasets and no rows.

    Args:
        path: Where; an existing file is replaced once the new one is complete.
        schema: The columns.
        codec: Compression of the large columns.
        fps: Frames per second to play it with, NaN if unknown.
        metadata: Text attributes of ``/metadata``.
        journal_id: Identity of the journal that will be drained into it.
        checksum: Whether to keep checksums of the chunks.
    """
    image = io.BytesIO()  # not on the disk, which may be full: HDF5 may crash when it is told
    # Space that is given up must not be used again under the eyes of whoever reads the live file: no strategy for it.
    with open_through_python(image, "w", libver=_LIBVER, fs_strategy="none") as file:
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
        for field in all_fields(schema):
            create_column(file, field, codec)
            if checksum:
                create_column(file, checksum_field(field), codec)
        if schema.linked_frames:
            file[fmt.FRAMES] = file[fmt.OBSERVATIONS]
        # Chunked and unlimited although it never grows, as every dataset is.
        file.create_dataset(fmt.COMMIT, data=np.zeros(2, np.int64), chunks=(2,), maxshape=(None,))
    with atomic_path(path) as partial:
        partial.write_bytes(image.getbuffer())


class RecordingFile:
    """A recording opened for writing.

    The caller holds the lock of the recording and has cleared its write flags.

    Args:
        path: The file.
        durable: Whether a commit is to survive a power cut, not only the death of a process.

    Attributes:
        schema: The columns.
        rows: Committed rows.
        episodes: Committed episodes.
        held_rows: Rows that the journal keeps until they fill whole chunks.

    Raises:
        NotARecordingError: If the file is something else.
    """

    def __init__(self, path: Path, *, durable: bool = False) -> None:
        self._path = path
        if read_superblock(path) is None:
            raise NotARecordingError(f"{path} is not an HDF5 file.")
        try:
            self._file = self._open(durable=durable)
        except OSError as error:
            if error.errno is not None:
                raise
            raise NotARecordingError(f"{path} cannot be opened as an HDF5 file: {error}") from error
        try:
            check_format(self._file, path)
            self._metadata = open_metadata(self._file)
            self._attributes = self._file[fmt.METADATA].attrs
            self.schema = schema_from_json(self._metadata["schema"])
            self.codec = make_codec(*parse_json(self._metadata["compression"]))
            self._commit = open_dataset(self._file, fmt.COMMIT)
            if self._commit.shape != (2,):
                raise CorruptRecordingError(f"/{fmt.COMMIT} has the shape {self._commit.shape}, not (2,)")
            self.rows, self.episodes = (int(count) for count in self._commit[:])
            if not 0 <= self.episodes <= self.rows:
                raise CorruptRecordingError(f"/{fmt.COMMIT} claims {self.rows} rows and {self.episodes} episodes")
            self._check_changeable()
            self._has_checksums = has_group(self._file, fmt.CHECKSUMS)
            self._columns = {field.name: self._open_column(field) for field in all_fields(self.schema)}
            self.held_rows = max(column.held_rows for column in self._columns.values())
        except NotARecordingError:
            self._close()
            raise
        except (KeyError, TypeError, ValueError) as error:
            self._close()
            raise CorruptRecordingError(f"{path} lacks a part of every recording, or it is damaged: {error}") from error
        except BaseException:
            self._close()
            raise

    def _open(self, *, durable: bool) -> h5py.File:
        self._durable = CrashSafeFile(self._path, survives_power_cut=durable, tail_bytes=_TAIL_BYTES)
        try:
            return open_through_python(self._durable, "r+", libver=_LIBVER, rdcc_nbytes=256 << 10)
        except BaseException:
            self._durable.abandon()
            self._durable.finish()
            redo_path(self._path).unlink(missing_ok=True)  # nothing is in it
            raise

    def _open_column(self, field: Field) -> ColumnWriter:
        checksums = open_dataset(self._file, checksum_field(field).name) if self._has_checksums else None
        return ColumnWriter(open_dataset(self._file, field.name), field, self.codec, checksums)

    def _check_changeable(self) -> None:
        """Make sure that the attributes that are changed in place are what they should be."""
        for name, kind in ((_JOURNAL_ID, str), *((total, int) for total in _TOTALS)):
            if not isinstance(self._metadata[name], kind):
                raise CorruptRecordingError(f"/{fmt.METADATA} has {self._metadata[name]!r:.80} as {name}")

    def check_complete(self) -> None:
        """Make sure that everything committed is there: before writing to a file that others may have damaged.

        Raises:
            CorruptRecordingError: If a column is shorter than ``/commit`` says.
        """
        size_bytes = self._path.stat().st_size
        for column in self._columns.values():
            if column.field.parent is None:
                column.check_stored(self._committed(column.field), size_bytes)

    def check_closed(self) -> None:
        """Make sure that a recording that has been closed can be gone on with.

        Raises:
            CorruptRecordingError: If something committed is not there, or there is no place for another journal's
                identity.
        """
        self.check_complete()
        self._check_place(_JOURNAL_ID_BYTES)
        size_bytes = self._path.stat().st_size
        counts: dict[str, int] = {}  # of items, by the field of ends; parents come before their children
        for column in self._columns.values():
            field = column.field
            count = self._committed(field) if field.parent is None else counts[field.parent]
            column.check_stored(count, size_bytes)
            if field.is_ends:
                counts[field.name] = int(column.read(count - 1, count)[0]) if count else 0
                if counts[field.name] < 0:
                    raise CorruptRecordingError(f"/{field.name} claims {counts[field.name]} items")

    def _committed(self, field: Field) -> int:
        return self.episodes if field.name.startswith(f"{fmt.EPISODES}/") else self.rows

    def _check_place(self, journal_id_bytes: int) -> None:
        place = self._attributes.get_id(_JOURNAL_ID).dtype
        if place.kind != "S" or place.itemsize < journal_id_bytes:
            raise CorruptRecordingError(f"{self._path} has no place for {_JOURNAL_ID} in /{fmt.METADATA}")

    @property
    def journal_id(self) -> str:
        """Identity of the journal that was last drained into the file."""
        return str(self._metadata[_JOURNAL_ID])

    def start(self, journal_id: str) -> None:
        """Let readers in: from here on nothing is created, only appended.

        Raises:
            CorruptRecordingError: If the file has no place for the identity.
        """
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
        self._durable.sync()

    def metadata(self) -> dict[str, Any]:
        """The attributes of ``/metadata``."""
        return dict(self._metadata)

    def discard(self) -> None:
        """Close the file as the last commit left it: after a write has failed, or in a forked child.

        HDF5 writes what it still has in memory when a file is closed, and when
        the process ends. In a forked child that would be a stale superblock over
        the parent's; after a failed write it fails again, and may crash.
        """
        self._durable.abandon()
        # Whatever HDF5 has to say now, the error that matters has been raised already. It must
        # be closed all the same: opened again, HDF5 would hand out this handle to nowhere.
        with contextlib.suppress(OSError, RuntimeError):
            self._close()

    def close(self) -> None:
        """Write the totals and close the file."""
        try:
            # Every episode has one row more than it has steps.
            for name, total in zip(_TOTALS, (self.rows - self.episodes, self.episodes), strict=True):
                self._attributes.modify(name, np.int64(total))
        finally:
            self._close()

    def _close(self) -> None:
        try:
            self._file.close()
        except BaseException:
            self._durable.abandon()  # what HDF5 could not complete is not to be taken for whole
            raise
        finally:
            self._durable.finish()
