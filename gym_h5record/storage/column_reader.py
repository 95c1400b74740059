"""Items of the datasets of a recording, by name: the one way from the file to an array (docs/decisions/0016)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import h5py
import numpy as np

from gym_h5record.errors import CorruptRecordingError, RecordingError
from gym_h5record.format import names as fmt
from gym_h5record.format.nodes import Field
from gym_h5record.storage.dataset_reader import DatasetReader
from gym_h5record.storage.format_checks import check_field
from gym_h5record.storage.handle import Handle
from gym_h5record.storage.hdf5.chunk_reader import StoredChunks
from gym_h5record.storage.hdf5.objects import READ_ERRORS, open_dataset
from gym_h5record.storage.lane_reader import LaneDatasetReader

__all__ = ["ColumnReader"]

T = TypeVar("T")

_PAUSES_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1)
"""Pauses between attempts to read a file that is being written: a block may be half written."""

_MAX_EFFORT_S = 0.1
"""Processor time for such attempts. HDF5 finds a half-written block out at once; only a damaged one takes it long."""


def _fixed_fields(num_envs: int | None) -> dict[str, Field]:
    """The datasets that do not depend on the schema, but for the number of lanes."""
    flags = (fmt.TERMINATIONS, fmt.TRUNCATIONS, fmt.DONES)
    fields = [
        Field(fmt.COMMIT, np.dtype(np.int64)),
        *(Field(name, np.dtype(np.bool_), num_lanes=num_envs) for name in flags),
        *(Field(f"{fmt.EPISODES}/{name}", dtype) for name, dtype in fmt.EPISODE_COLUMNS.items() if name != "returns"),
    ]
    fields += [] if num_envs is None else [Field(fmt.EPISODE_ENVS, np.dtype(np.int64))]
    return {field.name: field for field in fields}


class ColumnReader:
    """Reads items of any dataset of a recording. Those of a vector recording are counted by their addresses.

    Args:
        handle: The open file.
        stored: Keeps compressed chunks that are read; None to keep none.

    Attributes:
        num_envs: Lanes of a vector recording, None if it is none.
    """

    def __init__(self, handle: Handle, stored: StoredChunks | None = None) -> None:
        self._handle = handle
        self.num_envs = handle.num_envs
        self._stamp = handle.stamp
        self._datasets: dict[str, DatasetReader] = {}
        self._stored = stored
        self._fields: dict[str, Field] = _fixed_fields(handle.num_envs)

    @property
    def handle(self) -> Handle:
        """The open file."""
        return self._handle

    @property
    def may_move(self) -> bool:
        """Whether a writer may change the file meanwhile."""
        return self._handle.may_move

    def __reduce__(self) -> tuple[type[ColumnReader], tuple[Handle]]:
        return type(self), (self._handle,)

    def keeping_stored(self, most_bytes: int) -> ColumnReader:
        """A reader of the same file that keeps the compressed chunks it has read, as many as ``most_bytes`` hold."""
        reader = ColumnReader(self._handle, StoredChunks(most_bytes))
        reader.expect(self._fields.values())
        return reader

    def expect(self, fields: Iterable[Field]) -> None:
        """From now on, refuse a dataset that has another dtype or item shape than its field here."""
        self._fields = {**_fixed_fields(self.num_envs), **{field.name: field for field in fields}}
        self._datasets.clear()

    def adopt(self, datasets: Mapping[str, h5py.Dataset]) -> None:
        """Read from these datasets, which ``open_dataset`` has opened in this file; opening one takes 0.2 ms."""
        for name, dataset in datasets.items():
            if name in self._fields:
                check_field(dataset, self._fields[name])
            self._datasets[name] = self._reader(name, dataset)

    def length(self, field: str) -> int:
        """How many items a dataset has, committed or not."""
        return len(self.reading(field, lambda: self._dataset(field)))

    def chunk_rows(self, field: str) -> int:
        """How many items a chunk of a dataset has."""
        return self.reading(field, lambda: self._dataset(field).rows)

    def check_rows(self, count: int) -> None:
        """Make sure that the file can hold ``count`` rows: ``/dones``, which is never compressed, has a byte for each.

        Raises:
            CorruptRecordingError: If it is too small.
        """
        size_bytes = self._handle.size_bytes
        if count > size_bytes:
            raise CorruptRecordingError(
                f"{self._handle.path}: /{fmt.COMMIT} claims {count} rows, more than {size_bytes} bytes can hold"
            )

    def check_stored(self, field: str, count: int) -> None:
        """See ``ChunkReader.check_stored``."""
        self.reading(field, lambda: self._dataset(field).check_stored(count))

    def items(self, field: str, start: int, stop: int) -> np.ndarray:
        """Items ``start`` to ``stop`` of a dataset, as an array that the caller may change.

        Raises:
            CorruptRecordingError: If they are missing or damaged.
        """
        return self.reading(field, lambda: self._dataset(field).items(start, stop))

    def block(self, field: str, start: int, stop: int, lane: int, num_lanes: int) -> np.ndarray:
        """Rows of some lanes as they are stored, ``(rows, num_lanes, *shape)``. See ``LaneDatasetReader.block``.

        Raises:
            CorruptRecordingError: If they are missing or damaged.
        """

        def read() -> np.ndarray:
            dataset = self._dataset(field)
            if not isinstance(dataset, LaneDatasetReader):
                raise CorruptRecordingError(f"/{field} has no lanes")
            return dataset.block(start, stop, lane, num_lanes)

        return self.reading(field, read)

    def check(self, field: str, start: int, stop: int) -> None:
        """See ``DatasetReader.check``.

        Raises:
            CorruptRecordingError: If an item is missing or damaged.
        """
        self.reading(field, lambda: self._dataset(field).check(start, stop))

    def take(self, field: str, indices: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """The items of these rows, ``(n, *shape)``, in the order of ``indices``, ``(n,)`` int64.

        Args:
            field: The dataset.
            indices: The rows.
            out: Memory that they may be put into, of their dtype and shape; None for new memory.

        Raises:
            CorruptRecordingError: If one is missing or damaged.
        """
        return self.reading(field, lambda: self._dataset(field).take(indices, out))

    def item(self, field: str, row: int) -> Any:
        """One item, a number or a view of the chunk in memory: not to be changed or returned to users.

        Raises:
            CorruptRecordingError: If it is missing or damaged.
        """
        dataset = self._datasets.get(field) if self._stamp is self._handle.stamp else None
        if dataset is not None:  # what ``_dataset`` and ``reading`` do takes twice as long as the item
            try:
                return dataset.item(row)
            except READ_ERRORS:
                return self.reading(field, lambda: self._dataset(field).item(row))
        return self.reading(field, lambda: self._dataset(field).item(row))

    def reading(self, field: str, read: Callable[[], T]) -> T:
        """Call ``read``, which reads ``field``. If it fails and a writer may change the file, call it again.

        Raises:
            CorruptRecordingError: If it still fails.
        """
        if self._handle.may_move:
            begun_s = time.thread_time()
            for pause_s in _PAUSES_S:
                try:
                    return read()
                except READ_ERRORS:  # noqa: PERF203  # the writer may be about to complete the block
                    if time.thread_time() - begun_s > _MAX_EFFORT_S:
                        break
                    time.sleep(pause_s)
                    self._handle.renew()
        try:
            return read()
        except READ_ERRORS as error:
            raise self._corrupt(field, error) from error

    def _corrupt(self, field: str, error: Exception) -> Exception:
        if isinstance(error, RecordingError) and not isinstance(error, CorruptRecordingError):
            return error
        self._handle.check_open()  # the cause may be that another thread has closed it
        what = str(error) if isinstance(error, CorruptRecordingError) else f"/{field} cannot be read: {error}"
        path = f"{self._handle.path}: "
        return CorruptRecordingError(what if what.startswith(path) else path + what)

    def _dataset(self, field: str) -> DatasetReader:
        file = self._handle.file
        if self._stamp is not self._handle.stamp:
            self._datasets.clear()
            self._stamp = self._handle.stamp
            if self._stored is not None:
                self._stored.clear()
        dataset = self._datasets.get(field)
        if dataset is None:
            found = open_dataset(file, field)
            if field in self._fields:
                check_field(found, self._fields[field])
            dataset = self._datasets[field] = self._reader(field, found)
        return dataset

    def _reader(self, name: str, dataset: h5py.Dataset) -> DatasetReader:
        field = self._fields.get(name)
        if field is None or field.num_lanes is None:
            reader = DatasetReader(dataset, self._handle)
        else:
            reader = LaneDatasetReader(dataset, self._handle, field)
        if self._stored is not None:
            reader.keep_stored(self._stored)
        return reader
