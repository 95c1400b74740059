"""How many bytes each column of a recording takes, in the file and in memory.

Nothing is decompressed. Only the datasets of a recording are measured, whatever else is in the file.
"""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import dataclass
from typing import BinaryIO

import h5py

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format import names as fmt
from gym_h5record.format.masks import mask_field, mask_names
from gym_h5record.format.schema import all_fields
from gym_h5record.format.schema_json import schema_from_json
from gym_h5record.storage.handle import Handle
from gym_h5record.storage.hdf5.chunk_index import stored_bytes
from gym_h5record.storage.hdf5.codecs import FILTERS
from gym_h5record.storage.hdf5.objects import filter_ids, has_link, hdf5_errors_as_corrupt, open_dataset
from gym_h5record.storage.paths import given_path

__all__ = ["ColumnUsage", "column_usage"]


@dataclass(frozen=True)
class ColumnUsage:
    """The size of one dataset.

    Attributes:
        name: Its path in the file, without the first slash.
        shape: Its shape; the first axis is that of the items.
        dtype: Name of its dtype in NumPy.
        chunk_rows: Rows in one chunk; all rows if it has no chunks.
        filter: Name of the filter that compresses it, None if none does.
        stored_bytes: Bytes of its chunks in the file, 0 if unknown.
        raw_bytes: Bytes of its items in memory.
        aliases: Other names of the same dataset; they take no bytes.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    chunk_rows: int
    filter: str | None
    stored_bytes: int
    raw_bytes: int
    aliases: tuple[str, ...] = ()

    @property
    def ratio(self) -> float:
        """How many times smaller it is in the file, NaN if nothing is stored."""
        return self.raw_bytes / self.stored_bytes if self.stored_bytes else float("nan")


def column_usage(path: str | os.PathLike[str]) -> list[ColumnUsage]:
    """The sizes of the columns of a recording, ordered by name.

    Raises:
        RecordingError: If it cannot be read, as for ``Recording``.
    """
    with closing(Handle(given_path(path))) as handle, handle.path.open("rb") as stream:
        schema = schema_from_json(str(handle.metadata().get("schema")))
        aliases = {fmt.OBSERVATIONS: (fmt.FRAMES,)} if schema.linked_frames else {}
        own = [name for name in (fmt.COMMIT, fmt.POSITIONS) if has_link(handle.file, name)]
        masks = [mask_field(name).name for name in _mask_names(handle)]
        names = sorted([*(each.name for each in all_fields(schema)), *own, *masks])
        with hdf5_errors_as_corrupt(f"{path} cannot be measured"):
            return [_measure(stream, open_dataset(handle.file, name), aliases.get(name, ())) for name in names]


def _mask_names(handle: Handle) -> list[str]:
    """The names of the masks; none if they cannot be read, as the other columns can."""
    try:
        return mask_names(handle.metadata())
    except CorruptRecordingError:
        return []


def _measure(stream: BinaryIO, dataset: h5py.Dataset, aliases: tuple[str, ...]) -> ColumnUsage:
    return ColumnUsage(
        name=dataset.name[1:],
        shape=dataset.shape,
        dtype=str(dataset.dtype),
        chunk_rows=dataset.chunks[0] if dataset.chunks else len(dataset),
        filter=next((FILTERS[number] for number in filter_ids(dataset.id) if number in FILTERS), None),
        stored_bytes=stored_bytes(stream.fileno(), dataset),
        raw_bytes=dataset.size * dataset.dtype.itemsize,
        aliases=aliases,
    )
