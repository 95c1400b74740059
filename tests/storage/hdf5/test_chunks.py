"""Chunks: what is stored comes back as items, or not at all."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format.nodes import Field
from gym_h5record.storage.column_layout import create_column, recording_layout
from gym_h5record.storage.column_writer import ColumnWriter
from gym_h5record.storage.hdf5.chunks import WrittenChunks
from gym_h5record.storage.hdf5.codecs import make_codec
from gym_h5record.storage.hdf5.objects import open_dataset
from gym_h5record.storage.hdf5.shuffle import shuffle_and_compress

PICTURE = Field("x", np.dtype(np.uint8), (84, 84))
"""Sixteen in a chunk."""


def pictures(count: int = 40) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 3, (count, 84, 84), np.uint8)


def write(path: Path, compression: str | None = "gzip") -> Path:
    codec = make_codec(compression)
    with h5py.File(path, "w", libver="v110") as file:
        create_column(file, PICTURE, recording_layout(PICTURE, codec))
        ColumnWriter(file["x"], PICTURE, codec).write(0, pictures())
    return path


def store(path: Path, data: bytes, mask: int = 0) -> None:
    """Put something in the place of the second chunk."""
    with h5py.File(path, "r+") as file:
        file["x"].id.write_direct_chunk((16, 0, 0), data, mask)


@pytest.mark.parametrize(
    ("compression", "filter_id"), [("gzip", 1), ("zstd", 32015), ("lz4", 32004), ("lzf", 32000), ("szip", 4), (None, 0)]
)
def test_chunks_of_any_filter_come_back(compression: str | None, filter_id: int, tmp_path: Path) -> None:
    with h5py.File(write(tmp_path / "run.h5", compression)) as file:
        chunks = WrittenChunks(file["x"])
        assert chunks.filter_id == filter_id
        if filter_id:
            found = np.concatenate([chunks.read(first) for first in (0, 16, 32)])
            assert np.array_equal(found[:40], pictures())
            assert not found[40:].any()


def test_a_chunk_is_there_or_not(tmp_path: Path) -> None:
    with h5py.File(write(tmp_path / "run.h5"), "r+") as file:
        file["x"].resize(100, axis=0)
        chunks = WrittenChunks(file["x"])
        assert [chunks.is_indexed(first) for first in (0, 16, 32, 48, 96)] == [True, True, True, False, False]
        with pytest.raises((OSError, RuntimeError, ValueError)):
            chunks.read(48)


def test_a_chunk_that_its_filter_has_left_out_is_as_it_is(tmp_path: Path) -> None:
    store(write(tmp_path / "run.h5"), pictures(16)[::-1].tobytes(), mask=1)
    with h5py.File(tmp_path / "run.h5") as file:
        assert np.array_equal(WrittenChunks(file["x"]).read(16), pictures(16)[::-1])


@pytest.mark.parametrize("compression", ["gzip", "zstd", "lz4", "lzf", "szip"])
@pytest.mark.parametrize("mask", [0, 1])
@pytest.mark.parametrize("size", [1, 4, 84 * 84 * 16 - 1, 84 * 84 * 16 + 1, 84 * 84 * 40])
def test_a_chunk_of_another_size_is_refused(size: int, mask: int, compression: str, tmp_path: Path) -> None:
    store(write(tmp_path / "run.h5", compression), bytes(size), mask)
    with h5py.File(tmp_path / "run.h5") as file, pytest.raises((OSError, RuntimeError, ValueError)):
        WrittenChunks(file["x"]).read(16)


def test_items_belong_to_the_caller_that_has_read_them(tmp_path: Path) -> None:
    with h5py.File(write(tmp_path / "run.h5", None), "r") as file:
        chunks = WrittenChunks(file["x"])
        first = chunks.read(0)
        chunks.read(16)
        assert np.array_equal(first, pictures()[:16])


def test_threads_that_read_at_once_do_not_get_each_others_items(tmp_path: Path) -> None:
    wrong: list[int] = []
    with h5py.File(write(tmp_path / "run.h5", "lz4")) as file:
        chunks = WrittenChunks(file["x"])

        def read(first: int) -> None:
            expected = pictures()[first : first + 16]
            wrong.extend(first for _ in range(200) if not np.array_equal(chunks.read(first), expected))

        threads = [threading.Thread(target=read, args=[first]) for first in (0, 16)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    assert not wrong


def test_a_bomb_takes_no_more_memory_than_a_chunk(tmp_path: Path) -> None:
    store(write(tmp_path / "run.h5"), zlib.compress(bytes(1 << 20)))
    with h5py.File(tmp_path / "run.h5") as file, pytest.raises(ValueError, match="chunk"):
        WrittenChunks(file["x"]).read(16)


# Chunks that are about to be written again -----------------------------------------------------------


def test_a_damaged_chunk_cannot_be_appended_to(tmp_path: Path) -> None:
    store(write(tmp_path / "run.h5"), b"\x7f")
    with h5py.File(tmp_path / "run.h5") as file:
        chunks = WrittenChunks(file["x"])
        assert np.array_equal(chunks.read_to_append(0), pictures()[:16])
        with pytest.raises(CorruptRecordingError, match="/x cannot be appended to"):
            chunks.read_to_append(16)


@pytest.mark.parametrize(
    ("start", "stop", "is_checked"), [(0, 16, False), (16, 32, False), (17, 32, True), (3, 17, True), (33, 40, False)]
)
def test_only_a_chunk_of_which_a_part_is_overwritten_is_checked(
    start: int, stop: int, is_checked: bool, tmp_path: Path
) -> None:
    store(write(tmp_path / "run.h5", "lzf"), b"\x7f")
    with h5py.File(tmp_path / "run.h5") as file:
        chunks = WrittenChunks(file["x"])
        if is_checked:
            with pytest.raises(CorruptRecordingError, match="/x cannot be appended to"):
                chunks.check_overwritten(start, stop)
        else:
            chunks.check_overwritten(start, stop)


def test_a_chunk_is_checked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with h5py.File(write(tmp_path / "run.h5", "lzf")) as file:
        chunks, reads = WrittenChunks(file["x"]), []
        monkeypatch.setattr(chunks, "read", reads.append)
        for start, stop in ((20, 21), (21, 22), (22, 35), (30, 36), (3, 4), (100, 101)):
            chunks.check_overwritten(start, stop)
        assert reads == [16, 32, 0]


# Items that are stored -----------------------------------------------------------------------------

ROWS = 100


@pytest.fixture
def file(tmp_path: Path) -> Iterator[h5py.File]:
    with h5py.File(tmp_path / "run.h5", "w", libver=("v110", "v110")) as file:
        file.create_dataset("group/data", data=np.arange(ROWS), chunks=(10,), maxshape=(None,))
        yield file


def test_a_chunk_is_read_as_it_is_stored(file: h5py.File) -> None:
    chunks = WrittenChunks(open_dataset(file, "group/data"))
    assert chunks.read(30).tolist() == [*range(30, 40)]


# Filters that were left out of a chunk -----------------------------------------------------------


@pytest.mark.parametrize(
    ("mask", "change"),
    [
        (0b00, lambda items: shuffle_and_compress(items)),
        (0b01, lambda items: zlib.compress(items.tobytes())),
        (0b10, lambda items: items.view(np.uint8).reshape(-1, 8).T.tobytes()),
        (0b11, lambda items: items.tobytes()),
        (0xFFFFFFFF, lambda items: items.tobytes()),
    ],
    ids=["none", "shuffle", "gzip", "both", "all-there-could-be"],
)
def test_a_filter_that_was_left_out_of_a_chunk_is_not_undone(
    file: h5py.File, mask: int, change: Callable[[np.ndarray], bytes]
) -> None:
    items = np.arange(10) * 1000
    file.create_dataset("x", (10,), "i8", chunks=(10,), maxshape=(None,), compression=1, shuffle=True)
    file["x"].id.write_direct_chunk((0,), change(items), mask)
    assert np.array_equal(WrittenChunks(open_dataset(file, "x")).read(0), items)
    assert np.array_equal(file["x"][:], items)  # HDF5 agrees


@pytest.mark.parametrize("data", [b"no gzip", zlib.compress(bytes(79)), zlib.compress(bytes(81))])
def test_a_shuffled_chunk_of_another_size_is_damaged(file: h5py.File, data: bytes) -> None:
    file.create_dataset("x", (10,), "i8", chunks=(10,), maxshape=(None,), compression=1, shuffle=True)
    file["x"].id.write_direct_chunk((0,), data)
    with pytest.raises((CorruptRecordingError, OSError)):
        WrittenChunks(open_dataset(file, "x")).read(0)


def test_a_damaged_index_of_chunks_is_damage(tmp_path: Path) -> None:
    path = write(tmp_path / "run.h5")
    data = bytearray(path.read_bytes())
    data[data.index(b"EAHD") + 20] ^= 0xFF
    path.write_bytes(data)
    with h5py.File(path) as file, pytest.raises(CorruptRecordingError, match="/x cannot be appended to"):
        WrittenChunks(open_dataset(file, "x")).is_indexed(0)
