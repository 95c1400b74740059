"""Chunks without a filter, read past HDF5: the items are those that HDF5 reads, or an error."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from gym_h5record.storage.hdf5 import chunk_listing
from gym_h5record.storage.hdf5.plain_chunks import PlainChunks, open_plain_chunks

ROWS = 8  # of a chunk


def make(path: Path, items: np.ndarray, piece: int = 5, **options: Any) -> Path:
    """A file in which two datasets have grown in turn, so that their chunks do not all lie side by side."""
    with h5py.File(path, "w", libver=("v110", "v110")) as file:
        shape = items.shape[1:]
        names = ("group/x", "y")
        for name in names:
            file.create_dataset(
                name, (0, *shape), items.dtype, maxshape=(None, *shape), chunks=(ROWS, *shape), **options
            )
        for start in range(0, len(items), piece):
            stop = min(start + piece, len(items))
            for name in names:
                file[name].resize(stop, axis=0)
                file[name][start:stop] = items[start:stop]
    return path


@contextmanager
def opened(path: Path) -> Iterator[PlainChunks | None]:
    with h5py.File(path) as file, path.open("rb") as stream:
        yield open_plain_chunks(stream.fileno(), file["group/x"])


ITEMS = {
    "numbers": np.arange(100.0),
    "big-endian": np.arange(100, dtype=">i4"),
    "nan": np.full(100, np.nan, np.float16),
    "booleans": np.arange(100) % 3 == 0,
    "vectors": np.arange(600, dtype=np.uint8).reshape(100, 2, 3),
}


@pytest.mark.parametrize("items", ITEMS.values(), ids=ITEMS.keys())
@pytest.mark.parametrize("piece", [5, 40, 100])
def test_any_items_are_those_of_hdf5(piece: int, items: np.ndarray, tmp_path: Path) -> None:
    with opened(make(tmp_path / "a.h5", items, piece)) as plain:
        assert plain is not None
        for start, stop in ((0, 100), (0, 8), (8, 16), (3, 5), (7, 9), (15, 81), (99, 100), (96, 100), (0, 0)):
            found = plain.items(start, stop)
            assert (found.dtype, found.shape) == (items.dtype, items[start:stop].shape)
            assert found.tobytes() == items[start:stop].tobytes()
            found[:] = 0  # the caller's own


def test_chunks_that_lie_side_by_side_are_read_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = []

    def preadv(descriptor: int, buffers: list[memoryview], offset: int) -> int:
        reads.append(len(buffers[0]))
        return read(descriptor, buffers, offset)

    read = os.preadv
    with opened(make(tmp_path / "a.h5", np.arange(200), piece=100)) as plain:
        assert plain is not None
        monkeypatch.setattr(os, "preadv", preadv)
        plain.items(0, 200)
    assert sum(reads) == 1600
    assert len(reads) < 6  # of 25 chunks


@pytest.mark.parametrize("options", [{"compression": "gzip"}, {"shuffle": True}, {"fletcher32": True}], ids=str)
def test_chunks_with_a_filter_are_left_to_hdf5(options: Any, tmp_path: Path) -> None:
    with opened(make(tmp_path / "a.h5", np.arange(100), **options)) as plain:
        assert plain is None


def test_a_dataset_without_a_chunk_is_left_to_hdf5(tmp_path: Path) -> None:
    with opened(make(tmp_path / "a.h5", np.arange(0))) as plain:
        assert plain is None


def test_an_index_of_more_chunks_than_the_file_can_hold_is_not_walked_through(tmp_path: Path) -> None:
    with h5py.File(make(tmp_path / "a.h5", np.arange(8)), "r+", libver=("v110", "v110")) as file:
        file["group/x"].resize(1 << 30, axis=0)
        file["group/x"][-1] = 1
    with opened(tmp_path / "a.h5") as plain:
        assert plain is None


def test_a_chunk_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with h5py.File(make(tmp_path / "a.h5", np.arange(100.0)), "r+", libver=("v110", "v110")) as file:
        file["group/x"].resize(120, axis=0)
        file["group/x"][112:] = 1
    with opened(tmp_path / "a.h5") as plain:
        assert plain is not None
        assert plain.items(112, 120).tolist() == [1] * 8
        for start, stop in ((0, 120), (104, 105), (120, 121)):
            with pytest.raises(OSError, match="are not in the file"):
                plain.items(start, stop)


def test_a_file_that_is_cut_short_is_an_error(tmp_path: Path) -> None:
    path = make(tmp_path / "a.h5", np.arange(100.0), piece=100)
    with opened(path) as plain:
        assert plain is not None
        os.truncate(path, plain._addresses[-1] + 10)
        with pytest.raises(OSError, match="are not in the file"):
            plain.items(0, 100)


def test_booleans_that_are_neither_are_an_error(tmp_path: Path) -> None:
    path = make(tmp_path / "a.h5", np.zeros(100, np.bool_))
    with h5py.File(path, "r+") as file:
        data = file["group/x"].id
        data.write(h5py.h5s.ALL, h5py.h5s.ALL, np.full(100, 2, np.uint8), data.get_type())
    with opened(path) as plain:
        assert plain is not None
        with pytest.raises(OSError, match="neither true nor false"):
            plain.items(0, 100)


def test_an_hdf5_that_cannot_list_its_chunks_reads_them_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunk_listing, "_CAN_LIST", False)
    with opened(make(tmp_path / "a.h5", np.arange(100))) as plain:
        assert plain is None
