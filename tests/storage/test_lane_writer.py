"""One dataset of lanes being written: rows of any lanes come back, and a chunk that is done is left alone."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format.nodes import Field
from gym_h5record.storage.column_layout import Layout, create_column, packed_layout, recording_layout
from gym_h5record.storage.hdf5.chunks import WrittenChunks
from gym_h5record.storage.hdf5.codecs import make_codec
from gym_h5record.storage.lane_writer import LaneColumnWriter

NUMBER = Field("x", np.dtype(np.int64), num_lanes=3)
"""All lanes in a chunk, uncompressed."""
LARGE = Field("x", np.dtype(np.float64), (900,), num_lanes=3)
"""A lane in a chunk, sixteen rows, compressed."""
ENDS = Field("x", np.dtype(np.int64), is_ends=True, num_lanes=3)
SECOND, THIRD = 1 << 40, 2 << 40
"""The addresses of the first rows of lanes."""


@contextmanager
def opened(path: Path, field: Field, layout: Any = None) -> Iterator[LaneColumnWriter]:
    """A column in a file of its own, made if it is not there."""
    codec = make_codec("gzip")
    with h5py.File(path, "a", libver="v110") as file:
        if "x" not in file:
            create_column(file, field, recording_layout(field, codec) if layout is None else layout)
        yield LaneColumnWriter(file["x"], field, codec)


def write(writer: LaneColumnWriter, rows: dict[int, list[int]], shift: int = 0) -> np.ndarray:
    """Write rows of lanes; row r of lane n is ``100 * n + r + shift``. Returns the positions that were asked for."""
    lanes = np.array([lane for lane, its_rows in rows.items() for _ in its_rows], np.int64)
    numbers = np.array([row for its_rows in rows.values() for row in its_rows], np.int64)
    asked: list[int] = []

    def take(at: np.ndarray) -> np.ndarray:
        asked.extend(at.tolist())
        items = 100 * lanes[at] + numbers[at] + shift
        shape = (-1, *(1 for _ in writer.field.shape))
        return np.broadcast_to(items.reshape(shape), (len(at), *writer.field.shape)).astype(writer.field.dtype)

    writer.write(lanes, numbers, take)
    return np.array(sorted(asked))


def stored(path: Path) -> list[list[int]]:
    """The first number of every item, lane by lane."""
    with h5py.File(path) as file:
        items = file["x"][:]
        found: list[list[int]] = items.reshape(*items.shape[:2], int(np.prod(items.shape[2:])))[:, :, 0].T.tolist()
        return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.h5"


each_field = pytest.mark.parametrize("field", [NUMBER, LARGE], ids=["small", "large"])


@each_field
def test_rows_of_lanes_come_back_and_lanes_may_have_different_ones(field: Field, path: Path) -> None:
    with opened(path, field) as writer:
        write(writer, {0: [0, 1], 2: [0, 1, 2, 3]})
    assert stored(path) == [[0, 1, 0, 0], [0, 0, 0, 0], [200, 201, 202, 203]]


@each_field
def test_rows_are_written_again_where_they_change(field: Field, path: Path) -> None:
    with opened(path, field) as writer:
        write(writer, {0: [0, 1, 2], 1: [0, 1, 2]})
        write(writer, {1: [1, 2, 3]}, shift=50)
    assert stored(path)[:2] == [[0, 1, 2, 0], [100, 151, 152, 153]]


@each_field
def test_nothing_is_written_of_no_rows(field: Field, path: Path) -> None:
    with opened(path, field) as writer:
        write(writer, {})
    assert stored(path) == [[], [], []]


@each_field
@pytest.mark.parametrize("cut", [1, 15, 16, 17, 31, 39])
def test_a_writer_that_goes_on_in_the_middle_of_a_chunk_keeps_the_rows_before(
    field: Field, cut: int, path: Path
) -> None:
    with opened(path, field) as writer:
        write(writer, {0: list(range(cut)), 2: list(range(cut))})
    with opened(path, field) as writer:
        write(writer, {0: list(range(cut, 40)), 2: list(range(cut, 40))})
    assert stored(path) == [list(range(40)), [0] * 40, list(range(200, 240))]


@each_field
@pytest.mark.parametrize(("first", "second"), [(0, 40), (16, 32), (3, 19), (15, 17)])
def test_a_block_is_the_same_rows_of_all_lanes(field: Field, first: int, second: int, path: Path) -> None:
    rows = np.arange(first, second)
    items = np.stack([rows, 100 + rows, 200 + rows], 1).reshape(len(rows), 3, *(1 for _ in field.shape))
    with opened(path, field) as writer:
        write(writer, {lane: list(range(first)) for lane in range(3)})
        writer.write_block(first, np.broadcast_to(items, (len(rows), 3, *field.shape)).astype(field.dtype))
    assert stored(path) == [list(range(100 * lane, 100 * lane + second)) for lane in range(3)]


@each_field
def test_a_block_may_be_in_any_order_in_memory(field: Field, path: Path) -> None:
    # NumPy put "dones & ~padding" in the order of the padding once it had 256 KiB, and the file got it transposed.
    with opened(path, field) as writer:
        count = 3 * writer._rows
        numbers = 100 * np.arange(3) + np.arange(count)[:, None]
        shape = (count, 3, *(1 for _ in field.shape))
        block = np.broadcast_to(numbers.reshape(shape), (count, 3, *field.shape)).astype(field.dtype)
        writer.write_block(0, np.asfortranarray(block))
    assert stored(path) == numbers.T.tolist()


def test_a_block_whose_rows_fill_a_chunk_is_not_hidden_by_one_that_was_kept(path: Path) -> None:
    with opened(path, NUMBER) as writer:
        rows = int(writer._dataset.chunks[0])
        write(writer, {1: [0]}, shift=7)
        writer.write_block(0, np.ones((rows, 3), np.int64))
        write(writer, {2: [1]})
    assert [lane[:3] for lane in stored(path)] == [[1, 1, 1], [1, 1, 1], [1, 201, 1]]


# Chunks that are done ------------------------------------------------------------------------------


def test_a_full_chunk_with_rows_behind_it_is_not_written_again(path: Path) -> None:
    with opened(path, LARGE) as writer:
        assert write(writer, {0: list(range(20))}).tolist() == list(range(20))
        assert write(writer, {0: list(range(20))}).tolist() == [16, 17, 18, 19]
        assert write(writer, {0: list(range(16, 40)), 1: list(range(3))}).tolist() == list(range(27))


@pytest.mark.parametrize("is_block", [False, True])
def test_a_full_chunk_is_written_again_as_long_as_it_has_the_newest_row(
    is_block: bool,
    path: Path,
) -> None:
    """The step of that row is not known yet."""
    with opened(path, LARGE) as writer:
        if is_block:
            writer.write_block(0, np.full((16, 3, 900), 7.0))
        else:
            write(writer, {0: list(range(16))}, shift=50)
        write(writer, {0: list(range(17))})
    assert stored(path)[0] == list(range(17))


@pytest.mark.parametrize("is_block", [False, True])
def test_a_block_leaves_a_full_chunk_with_rows_behind_it_alone(
    is_block: bool,
    path: Path,
) -> None:
    with opened(path, LARGE) as writer:
        if is_block:
            writer.write_block(0, np.full((17, 3, 900), 7.0))
            assert write(writer, {0: list(range(17))}).tolist() == [16]
        else:
            write(writer, {lane: list(range(17)) for lane in range(3)})
            writer.write_block(0, np.full((17, 3, 900), 7.0))
    kept = [7] * 16 if is_block else list(range(16))
    assert stored(path)[0] == [*kept, 16 if is_block else 7]


def test_a_lane_that_is_forgotten_is_written_again_and_the_others_are_not(path: Path) -> None:
    with opened(path, LARGE) as writer:
        rows = {0: list(range(40)), 1: list(range(40))}
        write(writer, rows)
        writer.forget(0, 16)
        assert write(writer, rows, shift=50).tolist() == [*range(16, 40), *range(40 + 32, 40 + 40)]
    assert stored(path)[0] == [*range(16), *range(50 + 16, 50 + 40)]


def test_forgetting_a_row_in_a_chunk_forgets_the_chunk(path: Path) -> None:
    with opened(path, LARGE) as writer:
        write(writer, {0: list(range(40))})
        writer.forget(0, 31)
        assert write(writer, {0: list(range(40))}).tolist() == list(range(16, 40))
        writer.forget(0, 40)
        assert write(writer, {0: list(range(40))}).tolist() == list(range(32, 40))


def test_rows_are_held_until_they_fill_chunks_that_are_compressed(path: Path, tmp_path: Path) -> None:
    with opened(path, LARGE) as writer, opened(tmp_path / "other.h5", NUMBER) as small:
        assert (writer.held_rows, small.held_rows) == (16, 1)


# Reading while writing -----------------------------------------------------------------------------


def test_items_are_read_by_their_addresses_from_memory_and_from_the_file(path: Path) -> None:
    with opened(path, NUMBER) as writer:
        write(writer, {0: [0, 1], 1: [0, 1, 2], 2: list(range(1000))})
        assert writer.read(SECOND + 1, SECOND + 3).tolist() == [101, 102]
        assert writer.read(THIRD + 998, THIRD + 1000).tolist() == [1198, 1199]
        assert writer.read(SECOND, SECOND).tolist() == []
    with opened(path, NUMBER) as writer:
        assert writer.read(SECOND, SECOND + 3).tolist() == [100, 101, 102]


def test_ends_are_read_as_addresses_of_items(path: Path) -> None:
    with opened(path, ENDS) as writer:
        write(writer, {0: [0, 1], 2: [0, 1]})
        assert writer.read(0, 2).tolist() == [0, 1]
        assert writer.read(THIRD, THIRD + 2).tolist() == [THIRD + 200, THIRD + 201]


# Layouts -------------------------------------------------------------------------------------------


@each_field
def test_no_chunk_of_a_new_column_is_looked_for(field: Field, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # HDF5 goes through all chunks to find one: to close 3,000 steps of 8 lanes of RGB pictures took 58 s.
    monkeypatch.setattr(WrittenChunks, "is_indexed", None)
    with opened(path, field) as writer:
        for row in range(3 * writer._rows):
            write(writer, {0: [row], 2: [7 * row]})
        last = writer._rows * 3 - 1
    found = stored(path)
    assert found[0][: last + 1] == list(range(last + 1))
    assert [found[2][7 * row] for row in range(last + 1)] == [200 + 7 * row for row in range(last + 1)]


@pytest.mark.parametrize("count", [3, 40, 5000])
def test_a_compacted_column_is_appended_to_without_compression(count: int, path: Path) -> None:
    layout = packed_layout(NUMBER, count)
    with opened(path, NUMBER, layout) as writer:
        write(writer, {lane: list(range(count)) for lane in range(3)})
    with opened(path, NUMBER) as writer:
        write(writer, {1: [count, count + 1]})
        writer.write_block(count + 2, np.full((2, 3), 7))
    found = stored(path)
    assert found[0] == [*range(count), 0, 0, 7, 7]
    assert found[1] == [*range(100, 100 + count + 2), 7, 7]


@pytest.mark.parametrize(
    "options",
    [
        {"chunks": (7, 3)},
        {"chunks": (512, 1)},
        {"chunks": (170, 3), "compression": "lzf"},
        {"chunks": (1 << 20, 3), "compression": "gzip", "shuffle": True},
    ],
    ids=["rows", "lanes", "filter", "huge"],
)
def test_a_column_that_this_package_would_not_make_is_not_appended_to(options: dict[str, Any], path: Path) -> None:
    with h5py.File(path, "w", libver="v110") as file:
        file.create_dataset("x", (0, 3), np.int64, maxshape=(None, 3), **options)
        with pytest.raises(CorruptRecordingError, match=r"/x has chunks .*not appended to"):
            LaneColumnWriter(file["x"], NUMBER, make_codec("gzip"))


def test_a_column_of_fewer_lanes_is_not_appended_to(path: Path) -> None:
    with opened(path, NUMBER):
        pass
    with h5py.File(path, "r+") as file, pytest.raises(CorruptRecordingError, match=r"\(4,\)"):
        LaneColumnWriter(file["x"], Field("x", np.dtype(np.int64), num_lanes=4), make_codec("gzip"))


def test_a_damaged_chunk_is_not_appended_to(path: Path) -> None:
    with opened(path, LARGE) as writer:
        write(writer, {0: [0, 1]})
        writer._dataset.id.write_direct_chunk((0, 0, 0), b"no gzip at all")
    with opened(path, LARGE) as writer, pytest.raises(CorruptRecordingError, match="/x cannot be appended to"):
        write(writer, {0: [2]})


def test_a_compressed_chunk_of_just_the_size_of_its_items_is_written_anew_without_compression(path: Path) -> None:
    """HDF5 keeps the mask of a chunk whose size stays, and would decompress what never was compressed."""
    field = Field("x", np.dtype(np.uint8), (5,), num_lanes=2)
    items = np.array([[[0, 1, 20, 27, 16], [0, 1, 20, 27, 16]], [[0, 0, 0, 0, 0], [0, 0, 0, 0, 0]]], np.uint8)
    with opened(path, field, Layout(2, ((1, (1,)),), 2)) as writer:
        compressed = zlib.compress(items.tobytes(), 1).ljust(20, b"\0")
        assert len(compressed) == items.nbytes == 20
        writer._dataset.resize(1, 0)
        writer._dataset.id.write_direct_chunk((0, 0, 0), compressed, 0)
    with opened(path, field) as writer:
        writer.write(np.array([0, 1]), np.array([1, 1]), lambda at: np.full((len(at), 5), 7, np.uint8))
    with h5py.File(path) as file:
        assert file["x"][:].tolist() == [items[0].tolist(), [[7] * 5] * 2]
        assert file["x"].id.get_chunk_info(0).filter_mask == 0xFFFFFFFF


def test_a_new_chunk_of_a_compacted_column_is_read_right_after_it_was_written(path: Path) -> None:
    """HDF5 2.0 gives the mask 0 for such a chunk, as if it were compressed."""
    with opened(path, NUMBER, packed_layout(NUMBER, 3)) as writer:
        rows = int(writer._dataset.chunks[0])
        writer.write_block(0, np.full((2 * rows, 3), 7))
        assert writer.read(rows, 2 * rows).tolist() == [7] * rows
        write(writer, {1: [2 * rows - 1]})
    assert stored(path)[1][-2:] == [7, 100 + 2 * rows - 1]
