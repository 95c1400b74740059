"""How much room each column of a recording takes, in the file and in memory.

Looks at the file as HDF5 stores it and decodes nothing. Links that leave the
file, or go in circles, are not followed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import h5py

from gym_h5record import format as fmt
from gym_h5record.reader.handle import Handle

__all__ = ["ColumnStorage", "column_storage"]

_FILTERS = {
    1: "gzip",
    2: "shuffle",
    3: "fletcher32",
    4: "szip",
    5: "nbit",
    6: "scaleoffset",
    32000: "lzf",
    32004: "lz4",
    32015: "zstd",
}


@dataclass(frozen=True)
class ColumnStorage:
    """What one dataset takes.

    Attributes:
        name: Its path in the file, without the first slash.
        shape: Rows first.
        dtype: As NumPy writes it.
        chunk_rows: Rows in one chunk, None if it is stored in one piece.
        filter: Names of its filters joined by ``+``, None if it has none.
        stored_bytes: Bytes of its chunks in the file.
        raw_bytes: Bytes of its items in memory.
        aliases: Other names of the same dataset; they take no room.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    chunk_rows: int | None
    filter: str | None
    stored_bytes: int
    raw_bytes: int
    aliases: tuple[str, ...] = field(default=())

    @property
    def ratio(self) -> float:
        """How many times smaller it is in the file, NaN if nothing is stored."""
        return self.raw_bytes / self.stored_bytes if self.stored_bytes else float("nan")


def column_storage(path: str | os.PathLike[str]) -> list[ColumnStorage]:
    """What the columns of a recording take, by name.

    Args:
        path: The recording.

    Raises:
        RecordingError: If it cannot be read, as for ``Recording``.
    """
    with closing(Handle(Path(path).absolute())) as handle:
        datasets: dict[int, h5py.Dataset] = {}
        names: dict[int, list[str]] = {}
        for name, dataset in _datasets(handle.file):
            address = h5py.h5o.get_info(dataset.id).addr
            datasets.setdefault(address, dataset)
            names.setdefault(address, []).append(name)
        columns = [_measure(datasets[address], sorted(each, key=_precedence)) for address, each in names.items()]
    return sorted(columns, key=lambda column: column.name)


def _datasets(file: h5py.File) -> Iterator[tuple[str, h5py.Dataset]]:
    """Every dataset under every one of its names; every group under its first."""
    seen = {h5py.h5o.get_info(file.id).addr}
    groups: list[tuple[str, h5py.Group]] = [("", file)]
    while groups:
        prefix, group = groups.pop()
        for key in group:
            if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                continue
            member = group[key]
            if isinstance(member, h5py.Dataset):
                yield f"{prefix}{key}", member
            elif isinstance(member, h5py.Group) and (address := h5py.h5o.get_info(member.id).addr) not in seen:
                seen.add(address)
                groups.append((f"{prefix}{key}/", member))


def _precedence(name: str) -> tuple[bool, str]:
    """``/frames`` is another name of the observations, not the other way round."""
    return name == fmt.FRAMES, name


def _measure(dataset: h5py.Dataset, names: list[str]) -> ColumnStorage:
    create = dataset.id.get_create_plist()
    filters = [int(create.get_filter(index)[0]) for index in range(create.get_nfilters())]
    return ColumnStorage(
        name=names[0],
        shape=dataset.shape or (),
        dtype=str(dataset.dtype),
        chunk_rows=dataset.chunks[0] if dataset.chunks else None,
        filter="+".join(_FILTERS.get(each, f"filter {each}") for each in filters) or None,
        stored_bytes=dataset.id.get_storage_size(),
        raw_bytes=(dataset.size or 0) * dataset.dtype.itemsize,
        aliases=tuple(names[1:]),
    )
