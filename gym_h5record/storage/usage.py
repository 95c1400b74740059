"""How many bytes each column of a recording takes, in the file and in memory.

Nothing is decompressed. Only the datasets of a recording are measured, whatever else is in the file.
"""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import h5py

from gym_h5record.errors import CorruptRecordingError, RecordingError
from gym_h5record.format import names as fmt
from gym_h5record.format.schema import Schema, all_fields
from gym_h5record.format.schema_json import schema_from_json
from gym_h5record.storage.handle import Handle
from gym_h5record.storage.hdf5.chunk_index import indexed_chunks
from gym_h5record.storage.hdf5.codecs import FILTERS
from gym_h5record.storage.hdf5.objects import READ_ERRORS, open_dataset

__all__ = ["ColumnStorage", "column_storage"]


@dataclass(frozen=True)
class ColumnStorage:
    """The size of one dataset.

    Attributes:
        name: Its path in the file, without the first slash.
        shape: Its shape; the first axis is that of the items.
        dtype: Name of its dtype in NumPy.
        chunk_rows: Rows in one chunk.
        filter: Name of its filter, None if it has none.
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
    aliases: tuple[str, ...] = field(default=())

    @property
    def ratio(self) -> float:
        """How many times smaller it is in the file, NaN if nothing is stored."""
        return self.raw_bytes / self.stored_bytes if self.stored_bytes else float("nan")


def column_storage(path: str | os.PathLike[str]) -> list[ColumnStorage]:
    """The sizes of the columns of a recording, ordered by name.

    Args:
        path: The recording.

    Raises:
        RecordingError: If it cannot be read, as for ``Recording``.
    """
    with closing(Handle(Path(path))) as handle, handle.path.open("rb") as stream:
        schema = schema_from_json(str(handle.metadata().get("schema")))
        names = sorted([*(each.name for each in all_fields(schema)), fmt.COMMIT])
        try:
            return [_measure(stream, open_dataset(handle.file, name), _aliases(name, schema)) for name in names]
        except READ_ERRORS as error:
            if isinstance(error, RecordingError):
                raise
            raise CorruptRecordingError(f"{path} cannot be measured: {error}") from error


def _aliases(name: str, schema: Schema) -> tuple[str, ...]:
    return (fmt.FRAMES,) if name == fmt.OBSERVATIONS and schema.linked_frames else ()


def _measure(stream: BinaryIO, dataset: h5py.Dataset, aliases: tuple[str, ...]) -> ColumnStorage:
    create = dataset.id.get_create_plist()
    return ColumnStorage(
        name=dataset.name[1:],
        shape=dataset.shape,
        dtype=str(dataset.dtype),
        chunk_rows=dataset.chunks[0],
        filter=FILTERS[int(create.get_filter(0)[0])] if create.get_nfilters() else None,
        stored_bytes=_stored_bytes(stream, dataset),
        raw_bytes=dataset.size * dataset.dtype.itemsize,
        aliases=aliases,
    )


def _stored_bytes(stream: BinaryIO, dataset: h5py.Dataset) -> int:
    """The bytes of the chunks of a dataset, 0 if the index claims more chunks than the file has bytes.

    HDF5 walks through the whole index to add them up, see ``chunk_index``.
    """
    chunks = indexed_chunks(stream.fileno(), dataset)
    if chunks is None or chunks > os.fstat(stream.fileno()).st_size:
        return 0
    return int(dataset.id.get_storage_size())
