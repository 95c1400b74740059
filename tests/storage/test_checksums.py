"""Checksums of blocks: what they are of, and that they keep up with items written in any order."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from gym_h5record.format.nodes import Field
from gym_h5record.storage.checksums import (
    BlockChecksums,
    LaneChecksums,
    block_checksum,
    checksum_field,
    lane_checksums,
)

SIZE = 8
"""Items in a block."""


class Written:
    """Items that are written, and the checksums kept of them."""

    def __init__(self, file: h5py.File) -> None:
        self.items = np.zeros(0, np.int64)
        self.dataset = file.create_dataset("checksums/x", (0, 2), "u4", chunks=(4, 2), maxshape=(None, 2))
        self.checksums = BlockChecksums(self.dataset, SIZE)
        self.reads: list[tuple[int, int]] = []

    def write(self, start: int, items: list[int]) -> None:
        """What a column does."""
        stop = start + len(items)
        self.items = np.concatenate([self.items[:start], items, self.items[stop:]]).astype(np.int64)
        self.checksums.update(start, self.items[start:stop], self.read)

    def read(self, start: int, stop: int) -> np.ndarray:
        self.reads.append((start, stop))
        return self.items[start:stop]

    def check(self) -> None:
        """Fail unless each block has the checksum of all of its items."""
        blocks = [self.items[low : low + SIZE] for low in range(0, len(self.items), SIZE)]
        assert self.dataset[:].tolist() == [[len(block), zlib.crc32(block.tobytes())] for block in blocks]


@pytest.fixture
def written(tmp_path: Path) -> Iterator[Written]:
    with h5py.File(tmp_path / "run.h5", "w") as file:
        yield Written(file)


def test_the_checksums_of_a_field_are_pairs_beside_it() -> None:
    field = checksum_field(Field("infos/x", np.dtype(np.float32), (3,)))
    assert (field.name, field.dtype, field.shape) == ("checksums/infos/x", np.dtype(np.uint32), (2,))
    assert field.num_lanes is None
    assert checksum_field(Field("x", np.dtype(np.int64), num_lanes=5)).row_shape == (5, 2)


@pytest.mark.parametrize("dtype", ["u1", "?", "<f2", ">f4", "<i8"])
@pytest.mark.parametrize("shape", [(), (3, 2)], ids=str)
def test_a_checksum_is_that_of_zlib_of_the_bytes_of_the_items(shape: tuple[int, ...], dtype: str) -> None:
    items = np.arange(5 * int(np.prod(shape))).reshape(5, *shape).astype(dtype)
    assert block_checksum(items) == (5, zlib.crc32(items.tobytes()))
    assert block_checksum(items[::-1]) == (5, zlib.crc32(items[::-1].tobytes()))


def test_a_block_of_nothing_has_the_checksum_of_nothing() -> None:
    assert block_checksum(np.zeros((0, 3))) == (0, zlib.crc32(b""))


@pytest.mark.parametrize("count", [1, 7, 8, 9, 16, 30])
def test_items_are_covered_however_many_are_written_at_once(count: int, written: Written) -> None:
    for start in range(0, 60, count):
        written.write(start, [*range(start, start + count)])
        written.check()
    assert written.reads == []  # everything needed was at hand


def test_a_block_that_another_writer_began_is_read_once(written: Written) -> None:
    written.write(0, [*range(11)])
    written.checksums = BlockChecksums(written.dataset, SIZE)  # opened again
    written.write(11, [1])
    written.write(12, [2, 3])
    written.check()
    assert written.reads == [(8, 11)]


def test_items_that_are_written_again_are_covered_as_they_are_now(written: Written) -> None:
    written.write(0, [*range(20)])
    written.write(18, [-1, -2])
    written.write(3, [-3] * 17)
    written.write(17, [-4, -5, -6, -7])
    written.check()


def test_items_that_are_written_again_in_an_earlier_block_are_covered(written: Written) -> None:
    written.write(0, [*range(20)])
    written.write(6, [-1] * 15)
    assert written.reads == [(0, 6)]
    written.check()


def test_items_written_in_any_order_are_covered(written: Written) -> None:
    chance = np.random.default_rng(0)
    for _ in range(200):
        end = len(written.items)
        start = int(chance.integers(max(0, end - 2 * SIZE), end + 1))
        count = int(chance.integers(max(1, end - start), end - start + SIZE))  # to the end at least, as a drain does
        written.write(start, chance.integers(0, 9, count).tolist())
        written.check()


def test_they_are_flushed_with_their_column(written: Written, tmp_path: Path) -> None:
    written.write(0, [1, 2, 3])
    written.checksums.flush()
    written.check()


# Lanes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["u1", "?", "<f2", ">f4", "<i8"])
@pytest.mark.parametrize("shape", [(), (3, 2)], ids=str)
def test_each_lane_has_the_checksum_of_its_own_items(shape: tuple[int, ...], dtype: str) -> None:
    items = np.random.default_rng(0).integers(0, 2, (6, 4, *shape)).astype(dtype)
    covered = [6, 0, 1, 4]
    expected = [[count, zlib.crc32(items[:count, lane].tobytes())] for lane, count in enumerate(covered)]
    found = lane_checksums(items, np.array(covered))
    assert found.dtype == np.uint32
    assert found.tolist() == expected
    assert lane_checksums(items[:, ::-1], np.array(covered[::-1])).tolist() == expected[::-1]


def test_lanes_of_nothing_have_the_checksum_of_nothing() -> None:
    assert lane_checksums(np.zeros((3, 2)), np.zeros(2, np.int64)).tolist() == [[0, zlib.crc32(b"")]] * 2
    assert lane_checksums(np.zeros((3, 0)), np.zeros(0, np.int64)).shape == (0, 2)


def test_checksums_of_several_blocks_are_collected_for_the_lanes_that_changed() -> None:
    items, checksums = np.arange(24).reshape(6, 4), LaneChecksums()
    checksums.add(2, 4, np.array([0, 6, 0, 5]), items)
    checksums.add(3, 0, np.array([1, 1, 1, 1]), items)
    lanes, blocks, found = checksums.taken()
    assert lanes.tolist() == [5, 7, 0, 1, 2, 3]
    assert blocks.tolist() == [2, 2, 3, 3, 3, 3]
    assert found[:2].tolist() == [[6, zlib.crc32(items[:, 1].tobytes())], [5, zlib.crc32(items[:5, 3].tobytes())]]
    assert found[2:, 0].tolist() == [1] * 4
    assert [len(each) for each in checksums.taken()] == [0, 0, 0]
