"""One dataset: how its chunks are made, and that rows come back however they were cut."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pytest

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format.nodes import Field
from gym_h5record.storage.checksums import BlockChecksums, block_checksum, checksum_field
from gym_h5record.storage.column_layout import chunk_rows, create_column, is_compressed, packed_layout, recording_layout
from gym_h5record.storage.column_writer import ColumnWriter
from gym_h5record.storage.hdf5.codecs import decode_chunk, make_codec
from gym_h5record.storage.hdf5.shuffle import shuffle_and_compress
from tests.storage.hdf5.test_block_checks import reseal

PICTURE = Field("x", np.dtype(np.uint8), (84, 84))
NUMBER = Field("x", np.dtype(np.float64))
"""Compressed, sixteen in a chunk; not compressed, 512 in a chunk."""

FILTERS = {"gzip": 1, "zstd": 32015, "lz4": 32004, "lzf": 32000, "szip": 4, None: 0}

each_codec = pytest.mark.parametrize("compression", FILTERS, ids=str)
"""Parametrises ``compression``."""


@pytest.fixture(autouse=True)
def only_what_hdf5_can(request: pytest.FixtureRequest) -> None:
    if "compression" in request.fixturenames and request.getfixturevalue("compression") == "szip":
        information = h5py.h5z.get_filter_info(h5py.h5z.FILTER_SZIP)
        if not information & h5py.h5z.FILTER_CONFIG_ENCODE_ENABLED:
            pytest.skip("this HDF5 cannot write szip")


@contextmanager
def opened(
    path: Path, field: Field = PICTURE, compression: str | None = "gzip", *, checksum: bool = False
) -> Iterator[ColumnWriter]:
    """A column in a file of its own, made if it is not there."""
    codec = make_codec(compression)
    with h5py.File(path, "a", libver="v110") as file:
        if field.name not in file:
            create_column(file, field, recording_layout(field, codec))
            if checksum:
                create_column(file, checksum_field(field), recording_layout(checksum_field(field), codec))
        checksums = file[checksum_field(field).name] if checksum else None
        yield ColumnWriter(file[field.name], field, codec, checksums)


def pictures(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 4, (count, 84, 84), np.uint8)


def stored(path: Path, compression: str | None = "gzip", field: Field = PICTURE) -> np.ndarray:
    """All rows, decoded by ourselves, and what is behind them in the last chunk."""
    with h5py.File(path) as file:
        dataset, chunks = file[field.name], []
        for first in range(0, len(dataset), dataset.chunks[0]):
            mask, data = dataset.id.read_direct_chunk((first, *(0 for _ in field.shape)))
            decoded = decode_chunk(0 if mask else FILTERS[compression], data, dataset.chunks[0] * field.item_bytes)
            chunks.append(np.frombuffer(decoded, field.dtype).reshape(-1, *field.shape))
    return np.concatenate(chunks)


def check_stored(path: Path, compression: str | None, items: np.ndarray, field: Field = PICTURE) -> None:
    """Fail unless these are the rows of a column."""
    if compression != "szip" and is_compressed(field):
        assert np.array_equal(stored(path, compression, field)[: len(items)], items)
    if compression not in ("zstd", "lz4"):  # which HDF5 may not have
        with h5py.File(path) as file:
            assert np.array_equal(file[field.name][:], items)


# Chunks ------------------------------------------------------------------------------------------


def test_rows_have_to_be_written_together_where_a_chunk_is_written_anew(tmp_path: Path) -> None:
    with opened(tmp_path / "large.h5") as column:
        assert column.held_rows == 16
    with opened(tmp_path / "small.h5", NUMBER) as column:
        assert column.held_rows == 1


@pytest.mark.parametrize(
    "shape", [pytest.param((16, 84, 84), id="other-chunks"), pytest.param((8, 84, 84), id="another-filter")]
)
def test_a_dataset_made_by_another_package_is_refused(shape: tuple[int, ...], tmp_path: Path) -> None:
    with h5py.File(tmp_path / "run.h5", "w") as file:
        compression = "gzip" if shape[0] == 8 else "lzf"
        file.create_dataset("x", (0, 84, 84), "u1", chunks=shape, maxshape=(None, 84, 84), compression=compression)
        with pytest.raises(CorruptRecordingError, match="can be read, but not appended to"):
            ColumnWriter(file["x"], PICTURE, make_codec("gzip"))


# Writing -----------------------------------------------------------------------------------------


@each_codec
@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([50], id="at-once"),
        pytest.param([1] * 50, id="one-by-one"),
        pytest.param([16, 16, 16, 2], id="whole-chunks"),
        pytest.param([7, 20, 1, 22], id="pieces"),
    ],
)
def test_rows_come_back_however_they_were_cut(pieces: list[int], compression: str | None, tmp_path: Path) -> None:
    items, at = pictures(50), 0
    with opened(tmp_path / "run.h5", compression=compression) as column:
        for count in pieces:
            column.write(at, items[at : at + count])
            at += count
            column.flush()
    check_stored(tmp_path / "run.h5", compression, items)


@pytest.mark.parametrize("start", [0, 15, 16, 17, 31, 40])
def test_rows_may_be_written_again(start: int, tmp_path: Path) -> None:
    first, second = pictures(48, seed=1), pictures(48, seed=2)
    with opened(tmp_path / "run.h5") as column:
        column.write(0, first)
        column.write(start, second[start:])
    assert np.array_equal(stored(tmp_path / "run.h5"), np.concatenate([first[:start], second[start:]]))


@pytest.mark.parametrize("compression", ["gzip", "zstd", "lz4"])
@pytest.mark.parametrize("rows", [1, 15, 16, 17, 40])
def test_resuming_in_the_middle_of_a_chunk_keeps_the_rows_before(rows: int, compression: str, tmp_path: Path) -> None:
    items = pictures(60)
    for start, stop in ((0, rows), (rows, rows + 1), (rows + 1, rows + 9), (rows + 9, 60)):
        with opened(tmp_path / "run.h5", compression=compression) as column:  # anew each time: nothing is remembered
            column.write(start, items[start:stop])
    assert np.array_equal(stored(tmp_path / "run.h5", compression)[:60], items)


def test_a_chunk_that_is_not_full_is_padded_with_zeros(tmp_path: Path) -> None:
    with opened(tmp_path / "run.h5") as column:
        column.write(0, pictures(3) + 1)
    assert not stored(tmp_path / "run.h5")[3:].any()


def test_writing_nothing_does_nothing(tmp_path: Path) -> None:
    with opened(tmp_path / "run.h5", checksum=True) as column:
        column.write(0, pictures(0))
        column.write(5, pictures(0))
    with h5py.File(tmp_path / "run.h5") as file:
        assert len(file["x"]) == len(file["checksums/x"]) == 0


def test_small_columns_are_read_back_while_writing(tmp_path: Path) -> None:
    with opened(tmp_path / "run.h5", NUMBER) as column:
        column.write(0, np.arange(5.0))
        assert column.read(1, 3).tolist() == [1, 2]
        assert column.read(5, 5).tolist() == []


@pytest.mark.parametrize("dtype", [">f4", "<f2", "?", ">i8"])
@pytest.mark.parametrize("shape", [(), (300,)], ids=["small", "large"])
def test_items_of_any_type_come_back(shape: tuple[int, ...], dtype: str, tmp_path: Path) -> None:
    field = Field("x", np.dtype(dtype), shape)
    items = np.random.default_rng(0).integers(0, 2, (600, *shape)).astype(dtype)
    with opened(tmp_path / "run.h5", field, checksum=True) as column:
        column.write(0, items)
    with h5py.File(tmp_path / "run.h5") as file:
        assert file["x"].dtype == np.dtype(dtype)
        assert np.array_equal(file["x"][:], items)


# Going on with what another writer has stored ------------------------------------------------------


@pytest.mark.parametrize("compression", ["gzip", "zstd", "lz4", "lzf", "szip"])
@pytest.mark.parametrize("mask", [0, 1], ids=["filtered", "not-filtered"])
def test_a_damaged_chunk_is_not_gone_on_with(mask: int, compression: str, tmp_path: Path) -> None:
    """HDF5 would read behind it, or make room for whatever size it announces."""
    with opened(tmp_path / "run.h5", compression=compression) as column:
        column.write(0, pictures(20))
    with h5py.File(tmp_path / "run.h5", "r+") as file:
        file["x"].id.write_direct_chunk((16, 0, 0), b"\x7f", mask)
    with (
        opened(tmp_path / "run.h5", compression=compression) as column,
        pytest.raises(CorruptRecordingError, match="/x cannot be appended to"),
    ):
        column.write(20, pictures(5))


@pytest.mark.parametrize("compression", ["gzip", "lzf", "szip"])
def test_a_damaged_chunk_that_is_written_whole_is_mended(compression: str, tmp_path: Path) -> None:
    with opened(tmp_path / "run.h5", compression=compression) as column:
        column.write(0, pictures(20))
    with h5py.File(tmp_path / "run.h5", "r+") as file:
        file["x"].id.write_direct_chunk((16, 0, 0), b"\x7f")
    with opened(tmp_path / "run.h5", compression=compression) as column:
        column.write(16, pictures(32)[16:])
    check_stored(tmp_path / "run.h5", compression, pictures(32))


@pytest.mark.parametrize("compression", ["lzf", "szip"])
def test_a_damaged_chunk_behind_the_last_row_is_not_gone_on_with(compression: str, tmp_path: Path) -> None:
    """Only a stranger leaves one there: HDF5 removes them when a dataset shrinks."""
    with opened(tmp_path / "run.h5", compression=compression) as column:
        column.write(0, pictures(20))
    with h5py.File(tmp_path / "run.h5", "r+") as file:
        file["x"].id.write_direct_chunk((16, 0, 0), b"\x7f")
    data = bytearray((tmp_path / "run.h5").read_bytes())
    shape = struct.pack("<QQQ", 20, 84, 84)
    assert data.count(shape) == 1
    data[data.index(shape)] = 16
    (tmp_path / "run.h5").write_bytes(reseal(data))
    with (
        opened(tmp_path / "run.h5", compression=compression) as column,
        pytest.raises(CorruptRecordingError, match="/x cannot be appended to"),
    ):
        column.write(16, pictures(5))


def test_a_chunk_that_is_not_there_yet_may_be_begun(tmp_path: Path) -> None:
    with opened(tmp_path / "run.h5", compression="lzf"), h5py.File(tmp_path / "run.h5", "a") as file:
        file["x"].resize(20, axis=0)
    with opened(tmp_path / "run.h5", compression="lzf") as column:
        column.write(3, pictures(1))
    with h5py.File(tmp_path / "run.h5") as file:
        assert np.array_equal(file["x"][3], pictures(1)[0])


# Checksums ---------------------------------------------------------------------------------------


@each_codec
@pytest.mark.parametrize("field", [PICTURE, NUMBER], ids=["large", "small"])
def test_checksums_are_those_of_all_rows_however_they_were_written(
    field: Field, compression: str | None, tmp_path: Path
) -> None:
    chance = np.random.default_rng(0)
    size, rows = chunk_rows(field), 0
    items = np.zeros((5 * size, *field.shape), field.dtype)
    for _ in range(4):  # opened anew each time
        with opened(tmp_path / "run.h5", field, compression, checksum=True) as column:
            for _ in range(6):
                start = int(chance.integers(max(0, rows - size), rows + 1))  # some are written again
                count = int(chance.integers(rows - start + 1, max(2, size // 4) + rows - start + 1))
                items[start : start + count] = chance.integers(0, 4, (count, *field.shape))
                column.write(start, items[start : start + count])
                rows = start + count
    with h5py.File(tmp_path / "run.h5") as file:
        assert rows > size
        expected = [block_checksum(items[low : min(low + size, rows)]) for low in range(0, rows, size)]
        assert file["checksums/x"][:].tolist() == [[*each] for each in expected]
    check_stored(tmp_path / "run.h5", compression, items[:rows], field)


# The packed layout -------------------------------------------------------------------------------

PACKED_ROWS = 4096  # of NUMBER in a chunk


def numbers(count: int) -> np.ndarray:
    return np.arange(count) * 0.5


@contextmanager
def packed(path: Path, count: int = 0, *, checksum: bool = False) -> Iterator[ColumnWriter]:
    """A column as compaction makes it, with its first ``count`` numbers."""
    with h5py.File(path, "a", libver="v110") as file:
        if NUMBER.name not in file:
            layout = packed_layout(NUMBER)
            assert layout is not None
            dataset = create_column(file, NUMBER, layout)
            dataset.id.set_extent((count,))
            for first in range(0, count, PACKED_ROWS):
                chunk = np.zeros(PACKED_ROWS)
                chunk[: count - first] = numbers(count)[first : first + PACKED_ROWS]
                dataset.id.write_direct_chunk((first,), shuffle_and_compress(chunk))
            if checksum:
                field = checksum_field(NUMBER)
                checks = create_column(file, field, recording_layout(field, make_codec("gzip")))
                for first in range(0, count, PACKED_ROWS):
                    BlockChecksums(checks, PACKED_ROWS).update(first, numbers(count)[first : first + PACKED_ROWS], None)
        checks = file[checksum_field(NUMBER).name] if checksum else None
        yield ColumnWriter(file[NUMBER.name], NUMBER, make_codec("gzip"), checks)


@pytest.mark.parametrize("pieces", [[9000], [1, 5000, 1, 3998], [4096, 4904], [100] * 90], ids=str)
@pytest.mark.parametrize("before", [0, 1, 4096, 5000])
def test_a_compacted_column_is_appended_to_in_pieces_of_any_size(
    before: int, pieces: list[int], tmp_path: Path
) -> None:
    items, at = numbers(before + sum(pieces)), before
    with packed(tmp_path / "run.h5", before) as column:
        for count in pieces:
            column.write(at, items[at : at + count])
            at += count
            column.flush()
            assert np.array_equal(column.read(max(at - 7, 0), at), items[max(at - 7, 0) : at])
        assert np.array_equal(column.read(0, at), items)
        assert len(column.read(3, 3)) == 0
    with h5py.File(tmp_path / "run.h5") as file:
        assert np.array_equal(file[NUMBER.name][:], items)


def test_rows_of_a_compacted_column_may_be_written_again(tmp_path: Path) -> None:
    with packed(tmp_path / "run.h5", 5000) as column:
        column.write(5000, np.full(50, -1.0))
        column.write(4000, np.full(5000, -2.0))
        column.write(4090, np.full(10, -3.0))
    with h5py.File(tmp_path / "run.h5") as file:
        found = file[NUMBER.name][:]
    expected = np.concatenate([numbers(4000), np.full(90, -2.0), np.full(10, -3.0), np.full(4900, -2.0)])
    assert np.array_equal(found, expected)


def test_a_chunk_of_a_compacted_column_is_rewritten_in_place(tmp_path: Path) -> None:
    with packed(tmp_path / "run.h5", 10) as column:
        column.write(10, numbers(1))
        places = set()
        for row in range(11, 200):
            column.write(row, numbers(1))
            found = column._dataset.id.get_chunk_info_by_coord((0,))
            places.add((found.byte_offset, found.size, found.filter_mask))
    assert len(places) == 1
    assert next(iter(places))[1] == PACKED_ROWS * 8


def test_a_compacted_column_is_not_held_back(tmp_path: Path) -> None:
    with packed(tmp_path / "run.h5", 10) as column:
        assert column.held_rows == 1


def test_checksums_of_a_compacted_column_go_on(tmp_path: Path) -> None:
    with packed(tmp_path / "run.h5", 5000, checksum=True) as column:
        column.write(5000, numbers(1))
        column.write(5001, numbers(5000))
    with h5py.File(tmp_path / "run.h5") as file:
        items = file[NUMBER.name][:]
        blocks = [block_checksum(items[first : first + PACKED_ROWS]) for first in range(0, 10001, PACKED_ROWS)]
        assert [tuple(each) for each in file[checksum_field(NUMBER).name][:].tolist()] == blocks


def test_a_damaged_chunk_of_a_compacted_column_is_not_appended_to(tmp_path: Path) -> None:
    with packed(tmp_path / "run.h5", 10) as column:
        column._dataset.id.write_direct_chunk((0,), b"no gzip")
    with packed(tmp_path / "run.h5") as column, pytest.raises(CorruptRecordingError, match="cannot be appended to"):
        column.write(10, numbers(1))
