"""Chunks as they are stored: those that HDF5 gives, read past it, or an error."""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import numpy as np
import pytest

from gym_h5record.storage.hdf5 import chunk_listing
from gym_h5record.storage.hdf5.chunk_listing import listed_chunks
from gym_h5record.storage.hdf5.filters import largest_chunk

CAN_LIST = pytest.mark.parametrize("can_list", [True, False], ids=["listed", "one by one"])


def make(path: Path, shape: tuple[int, ...], chunks: tuple[int, ...], stored: dict[tuple[int, ...], bytes]) -> Path:
    """A file with a dataset that has these chunks, the mask 1 for those whose bytes begin with ``m``."""
    with h5py.File(path, "w", libver=("v110", "v110")) as file:
        dataset = file.create_dataset("x", shape, "i8", chunks=chunks, maxshape=(None, *shape[1:]), compression=1)
        for at, data in stored.items():
            dataset.id.write_direct_chunk(at, data, int(data.startswith(b"m")))
    return path


def read(path: Path, count: int) -> list[tuple[tuple[int, ...], int, bytes]]:
    """The chunks of the first items."""
    with h5py.File(path) as file, path.open("rb") as stream:
        return [(at, mask, bytes(data)) for at, mask, data in listed_chunks(stream.fileno(), file["x"], count)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.h5"


@CAN_LIST
def test_chunks_are_given_with_their_masks_in_the_order_of_the_items(
    can_list: bool, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunk_listing, "_CAN_LIST", can_list)
    make(path, (30, 2), (10, 2), {(20, 0): b"the last", (10, 0): b"masked", (0, 0): b"one"})
    assert read(path, 11) == [((0, 0), 0, b"one"), ((10, 0), 1, b"masked")]
    assert len(read(path, 30)) == 3
    assert read(path, 0) == []


@CAN_LIST
def test_of_lanes_the_chunks_are_given_that_there_are(
    can_list: bool, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunk_listing, "_CAN_LIST", can_list)
    places = [(20, 1), (0, 2), (10, 0), (0, 0), (30, 1)]
    make(path, (40, 3), (10, 1), {place: f"m{place}".encode() for place in places})
    assert read(path, 25) == [(place, 1, f"m{place}".encode()) for place in sorted(places)[:-1]]


@CAN_LIST
def test_a_chunk_that_is_missing_is_an_error(can_list: bool, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunk_listing, "_CAN_LIST", can_list)
    make(path, (30,), (10,), {(0,): b"one", (20,): b"the last"})
    assert read(path, 10) == [((0,), 0, b"one")]
    with pytest.raises((OSError, RuntimeError)):
        read(path, 30)


@CAN_LIST
def test_a_chunk_that_is_too_large_is_an_error(can_list: bool, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunk_listing, "_CAN_LIST", can_list)
    most = largest_chunk(80_000)
    make(path, (20_000,), (10_000,), {(0,): bytes(most), (10_000,): bytes(most + 1)})
    assert [len(data) for _, _, data in read(path, 10_000)] == [most]
    with pytest.raises((OSError, ValueError)):
        read(path, 20_000)


def test_a_file_that_is_cut_short_is_an_error(path: Path) -> None:
    make(path, (10,), (10,), {(0,): b"one"})
    with h5py.File(path) as file, path.open("rb") as stream:
        os.truncate(path, file["x"].id.get_chunk_info(0).byte_offset + 1)
        with pytest.raises(OSError, match=r"/x: 3 bytes at \d+ are no chunk of the file"):
            list(listed_chunks(stream.fileno(), file["x"], 10))


def test_an_index_of_more_chunks_than_the_file_can_hold_is_not_walked_through(path: Path) -> None:
    make(path, (10,), (10,), {(0,): b"one"})
    rows = 10 << 30
    with h5py.File(path, "r+", libver=("v110", "v110")) as file:
        file["x"].resize(rows, axis=0)
        file["x"].id.write_direct_chunk((rows - 10,), b"far away")  # to list both, HDF5 looks at 2**30 entries
    assert read(path, 10) == [((0,), 0, b"one")]


def test_items_come_back_from_what_is_stored(path: Path) -> None:
    items = np.arange(60).reshape(30, 2)
    with h5py.File(path, "w", libver=("v110", "v110")) as file:
        file.create_dataset("x", data=items, chunks=(7, 2), maxshape=(None, 2), compression=1)
    with h5py.File(path.with_name("b.h5"), "w") as copy:
        dataset = copy.create_dataset("x", (30, 2), "i8", chunks=(7, 2), maxshape=(None, 2), compression=1)
        for at, mask, data in read(path, 30):
            dataset.id.write_direct_chunk(at, data, mask)
        assert np.array_equal(dataset[:], items)
