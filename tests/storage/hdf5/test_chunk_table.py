"""The places of chunks are those that HDF5 lists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.storage.hdf5.chunk_index import index_head
from gym_h5record.storage.hdf5.chunk_table import ChunkTable
from gym_h5record.storage.hdf5.guarded_file import GuardedFile

ITEM = np.arange(2, dtype=np.int16)


def make(path: Path, num_chunks: int, **options: Any) -> h5py.File:
    file = h5py.File(path, "w", libver=("v110", "v110"))
    dataset = file.create_dataset("x", (0, 2), np.int16, chunks=(1, 2), maxshape=(None, 2), **options)
    dataset.resize(num_chunks, axis=0)
    for number in range(num_chunks):
        dataset.id.write_direct_chunk((number, 0), ITEM.tobytes(), 1 if number % 7 == 3 and options else 0)
    file.flush()
    return file


def table(file: h5py.File) -> ChunkTable:
    guarded = GuardedFile(Path(file.filename))
    head = index_head(guarded.some_bytes_at, file["x"])
    assert head is not None
    return ChunkTable(file["x"], head, guarded, ITEM.nbytes)


@pytest.mark.parametrize("options", [{}, {"compression": "gzip"}], ids=["plain", "compressed"])
@pytest.mark.parametrize("num_chunks", [1, 4, 5, 20, 21, 300, 5000, 40_000])
def test_every_chunk_is_where_hdf5_says(num_chunks: int, options: dict[str, Any], tmp_path: Path) -> None:
    with make(tmp_path / "a.h5", num_chunks, **options) as file:
        listed: list[Any] = []
        file["x"].id.chunk_iter(listed.append)
        places = table(file)
        order = np.random.default_rng(0).permutation(num_chunks)
        found = {number: places.place(number) for number in order.tolist()}
    expected = {each.chunk_offset[0]: (each.byte_offset, each.size, each.filter_mask) for each in listed}
    assert {number: (place.offset, place.size, place.mask) for number, place in found.items()} == expected


def test_a_chunk_that_was_never_written_is_missing(tmp_path: Path) -> None:
    with make(tmp_path / "a.h5", 3) as file:
        file["x"].resize(200, axis=0)
        file["x"].id.write_direct_chunk((150, 0), ITEM.tobytes())
        file.flush()
        places = table(file)
        assert places.place(150).size == ITEM.nbytes
        with pytest.raises(CorruptRecordingError, match="lacks chunk 151"):
            places.place(151)
        with pytest.raises((RuntimeError, OSError)):  # HDF5 reads a chunk of the block first
            places.place(50)


@pytest.mark.parametrize("signature", [b"EAHD", b"EAIB", b"EADB", b"EASB"])
def test_a_damaged_block_of_the_index_is_noticed_by_its_checksum(signature: bytes, tmp_path: Path) -> None:
    make(tmp_path / "a.h5", 5000, compression="gzip").close()
    content = bytearray((tmp_path / "a.h5").read_bytes())
    at, count = content.find(signature), 0
    while at >= 0:  # in all blocks of this kind
        content[at + 30] ^= 0x10
        at, count = content.find(signature, at + 1), count + 1
    assert count
    (tmp_path / "a.h5").write_bytes(content)
    with h5py.File(tmp_path / "a.h5") as file, pytest.raises((RuntimeError, OSError)):
        places = table(file)
        for number in (0, 4, 100, 4000):
            places.place(number)
