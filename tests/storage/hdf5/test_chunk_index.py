"""How many entries the index of chunks has, as HDF5 would find out by walking through it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from gym_h5record.storage.hdf5.chunk_index import indexed_chunks, stored_bytes

GROWING = {"shape": (0,), "chunks": (10,), "maxshape": (None,), "dtype": "i8"}


def indexed(path: Path) -> int | None:
    """What is said of the dataset of a file."""
    with h5py.File(path) as file, path.open("rb") as stream:
        return indexed_chunks(stream.fileno(), file["group/x"])


def make(path: Path, libver: str = "v110", items: int = 0, **options: object) -> Path:
    with h5py.File(path, "w", libver=libver) as file:
        dataset = file.create_dataset("group/x", **{**GROWING, **options})
        if items:
            dataset.resize(items, axis=0)
            dataset[:] = 1
    return path


@pytest.mark.parametrize("items", [1, 10, 11, 40, 45, 1000, 100_000])
def test_there_is_an_entry_for_each_chunk(items: int, tmp_path: Path) -> None:
    assert indexed(make(tmp_path / "a.h5", items=items)) == -(-items // 10)


def test_entries_without_a_chunk_count(tmp_path: Path) -> None:
    with h5py.File(make(tmp_path / "a.h5"), "r+", libver="v110") as file:
        file["group/x"].resize(1 << 20, axis=0)
        file["group/x"][5000] = 1
    assert indexed(tmp_path / "a.h5") == 501


@pytest.mark.parametrize(
    "options", [{"shape": (100, 300), "chunks": (10, 300), "maxshape": (None, 300)}, {"fillvalue": 7}]
)
def test_what_else_the_header_has_does_not_matter(options: dict[str, object], tmp_path: Path) -> None:
    path = make(tmp_path / "a.h5", **options)
    with h5py.File(path, "r+", libver="v110") as file:
        file["group/x"].resize(100, axis=0)
        file["group/x"][:] = np.ones(file["group/x"].shape)
    assert indexed(path) == 10


def test_without_a_chunk_there_is_no_index(tmp_path: Path) -> None:
    assert indexed(make(tmp_path / "a.h5")) is None


@pytest.mark.parametrize(
    "options",
    [{"libver": "earliest"}, {"maxshape": (5000,)}, {"chunks": None, "maxshape": None, "shape": (9,)}],
    ids=["version-1", "of-fixed-size", "contiguous"],
)
def test_an_index_of_another_kind_is_not_told(options: dict[str, object], tmp_path: Path) -> None:
    assert indexed(make(tmp_path / "a.h5", items=0 if "shape" in options else 100, **options)) is None


CHANGES: dict[str, Callable[[bytes], bytes]] = {
    "without-an-index": lambda data: data.replace(b"EAHD", b"XXXX"),
    "cut-short": lambda data: data[: data.index(b"EAHD") + 20],
    "elsewhere": lambda data: data.replace(data.index(b"EAHD").to_bytes(8, "little"), b"\xff" * 7 + b"\x7f"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
def test_an_index_that_is_damaged_is_not_told(change: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = make(tmp_path / "a.h5", items=100)
    with h5py.File(path) as file:
        (tmp_path / "damaged").write_bytes(change(path.read_bytes()))
        with (tmp_path / "damaged").open("rb") as stream:
            assert indexed_chunks(stream.fileno(), file["group/x"]) is None


# The bytes of all chunks ---------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"compression": 1}, {"compression": 1, "shuffle": True}])
def test_the_bytes_of_the_chunks_are_added_up(options: dict[str, object], tmp_path: Path) -> None:
    path = make(tmp_path / "a.h5", items=1000, **options)
    with h5py.File(path) as file, path.open("rb") as stream:
        assert 0 < stored_bytes(stream.fileno(), file["group/x"]) == file["group/x"].id.get_storage_size()


def test_an_index_that_claims_more_entries_than_the_file_has_bytes_is_not_walked_through(tmp_path: Path) -> None:
    path = make(tmp_path / "a.h5", items=10)
    with h5py.File(path, "r+", libver="v110") as file:
        file["group/x"].resize(1 << 40, axis=0)
        file["group/x"][(1 << 25) * 10] = 1
    with h5py.File(path) as file, path.open("rb") as stream:
        assert indexed_chunks(stream.fileno(), file["group/x"]) > path.stat().st_size
        assert stored_bytes(stream.fileno(), file["group/x"]) == 0
