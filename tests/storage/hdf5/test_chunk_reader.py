"""Chunks are read past HDF5 as HDF5 reads them, and what the file only claims is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from gym_h5record.errors import CorruptRecordingError, RecordingClosedError
from gym_h5record.storage.hdf5.chunk_reader import ChunkReader
from gym_h5record.storage.hdf5.guarded_file import GuardedFile
from gym_h5record.storage.hdf5.objects import open_dataset

ROWS = 100


@pytest.fixture
def file(tmp_path: Path) -> Iterator[h5py.File]:
    with h5py.File(tmp_path / "run.h5", "w", libver=("v110", "v110")) as file:
        file.create_dataset("group/data", data=np.arange(ROWS), chunks=(10,), maxshape=(None,))
        yield file


def reader(file: h5py.File, name: str = "group/data") -> ChunkReader:
    """Reads a dataset of a file that HDF5 has open."""
    file.flush()
    return ChunkReader(open_dataset(file, name), GuardedFile(Path(file.filename), is_closed=True))


def test_more_items_than_there_are_cannot_be_needed(file: h5py.File) -> None:
    chunks = reader(file)
    chunks.check_stored(ROWS, 10_000)
    with pytest.raises(CorruptRecordingError, match="101 are needed"):
        chunks.check_stored(ROWS + 1, 10_000)


def test_items_that_are_only_claimed_are_not_there(file: h5py.File) -> None:
    file["group/data"].resize(1 << 40, axis=0)
    chunks = reader(file)
    with pytest.raises(CorruptRecordingError, match="cannot be in a file"):
        chunks.check_stored(1 << 40, 10_000)
    with pytest.raises(CorruptRecordingError, match="not in the file"):
        chunks.check_stored(1 << 40, 1 << 50)
    assert chunks.stored_items(10_000) == ROWS


def test_items_that_a_file_cut_short_still_has_are_read(file: h5py.File) -> None:
    chunks = reader(file)
    assert chunks._table is not None
    place = chunks._table.place(9)
    with Path(file.filename).open("r+b") as stream:
        stream.truncate(place.offset + 3 * 8 + 5)
    assert chunks.read(9).tolist() == [90, 91, 92]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"chunks": (7,)},
        {"chunks": (7,), "maxshape": (None,)},
        {"chunks": (7,), "compression": "gzip"},
        {"chunks": (7,), "compression": "gzip", "shuffle": True, "fletcher32": True},
        {"chunks": (7,), "compression": "lzf", "maxshape": (None,)},
        {"chunks": (100,), "maxshape": (None,), "shuffle": True},
        {"chunks": (7,), "fletcher32": True},
    ],
    ids=lambda options: "-".join(options) + str(options.get("compression", "")) or "contiguous",
)
@pytest.mark.parametrize("libver", ["earliest", "v110", "latest"])
def test_every_layout_and_index_of_chunks_is_read(libver: str, options: dict[str, Any], tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w", libver=libver) as file:
        file.create_dataset("x", data=np.arange(ROWS), **options)
        chunks = reader(file, "x")
        found = np.concatenate([chunks.read(number) for number in range(-(-ROWS // chunks.rows))])
    assert np.array_equal(found, np.arange(ROWS))


def test_a_compact_dataset_is_read(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        create = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        create.set_layout(h5py.h5d.COMPACT)
        space = h5py.h5s.create_simple((5,))
        dataset = h5py.Dataset(h5py.h5d.create(file.id, b"x", h5py.h5t.NATIVE_INT64, space, create))
        dataset[:] = np.arange(5)
        assert reader(file, "x").read(0).tolist() == [0, 1, 2, 3, 4]


def test_a_dataset_without_any_items_in_the_file_is_corrupt(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", (5,), np.int64)
        with pytest.raises(CorruptRecordingError, match="no items"):
            reader(file, "x").read(0)


def test_a_wrong_fletcher_checksum_is_noticed(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        dataset = file.create_dataset("x", data=np.arange(ROWS), chunks=(10,), fletcher32=True)
        mask, data = dataset.id.read_direct_chunk((20,))
        dataset.id.write_direct_chunk((20,), bytes([data[0] ^ 4]) + data[1:], mask)
        chunks = reader(file, "x")
        assert chunks.read(1).tolist() == [*range(10, 20)]
        with pytest.raises(CorruptRecordingError, match="Fletcher-32"):
            chunks.read(2)


@pytest.mark.parametrize("number", [-1, 10, 1 << 40])
def test_a_chunk_behind_the_last_one_is_corruption(number: int, file: h5py.File) -> None:
    with pytest.raises(CorruptRecordingError, match="no chunk"):
        reader(file).read(number)


def test_a_chunk_that_was_never_written_is_missing(file: h5py.File) -> None:
    file["group/data"].resize(ROWS + 30, axis=0)
    with pytest.raises((CorruptRecordingError, OSError, RuntimeError)):
        reader(file).read(11)


def test_nothing_is_read_from_a_closed_file(file: h5py.File) -> None:
    chunks = reader(file)
    chunks.read(0)
    chunks._file.close()
    with pytest.raises(RecordingClosedError):
        chunks.read(0)
