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
from gym_h5record.storage.hdf5.objects import READ_ERRORS, open_dataset

__all__ = ["ColumnReader"]

T = TypeVar("T")

_PAUSES_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1)
"""Pauses between attempts to read a file that is being written: a block may be half written."""

_MAX_EFFORT_S = 0.1
"""Processor time for such attempts. HDF5 finds a half-written block out at once; only a damaged one takes it long."""

_FIXED = {
    field.name: field
    for field in (
        Field(fmt.COMMIT, np.dtype(np.int64)),
        *(Field(name, np.dtype(np.bool_)) for name in (fmt.TERMINATIONS, fmt.TRUNCATIONS, fmt.DONES)),
        *(Field(f"{fmt.EPISODES}/{name}", dtype) for name, dtype in fmt.EPISODE_COLUMNS.items() if name != "returns"),
    )
}
"""The datasets that do not depend on the schema."""


class ColumnReader:
    """Reads items of any dataset of a recording."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._stamp = handle.stamp
        self._datasets: dict[str, DatasetReader] = {}
        self._fields: dict[str, Field] = _FIXED

    @property
    def may_move(self) -> bool:
        """Whether a writer may change the file meanwhile."""
        return self._handle.may_move

    def __reduce__(self) -> tuple[type[ColumnReader], tuple[Handle]]:
        return type(self), (self._handle,)

    def expect(self, fields: Iterable[Field]) -> None:
        """From now on, refuse a dataset that has another dtype or item shape than its field here."""
        self._fields = {**_FIXED, **{field.name: field for field in fields}}
        self._datasets.clear()

    def adopt(self, datasets: Mapping[str, h5py.Dataset]) -> None:
        """Read from these datasets, which ``open_dataset`` has opened in this file; opening one takes 0.2 ms."""
        for name, dataset in datasets.items():
            if name in self._fields:
                check_field(dataset, self._fields[name])
            self._datasets[name] = DatasetReader(dataset, self._handle)

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

    def check(self, field: str, start: int, stop: int) -> None:
        """See ``DatasetReader.check``.

        Raises:
            CorruptRecordingError: If an item is missing or damaged.
        """
        self.reading(field, lambda: self._dataset(field).check(start, stop))

    def take(self, field: str, indices: np.ndarray) -> np.ndarray:
        """The items of these rows, ``(n, *shape)``, in the order of ``indices``, ``(n,)`` int64.

        Raises:
            CorruptRecordingError: If one is missing or damaged.
        """
        return self.reading(field, lambda: self._dataset(field).take(indices))

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
        return CorruptRecordingError(f"{self._handle.path}: {what}")

    def _dataset(self, field: str) -> DatasetReader:
        file = self._handle.file
        if self._stamp is not self._handle.stamp:
            self._datasets.clear()
            self._stamp = self._handle.stamp
        dataset = self._datasets.get(field)
        if dataset is None:
            found = open_dataset(file, field)
            if field in self._fields:
                check_field(found, self._fields[field])
            dataset = self._datasets[field] = DatasetReader(found, self._handle)
        return dataset
