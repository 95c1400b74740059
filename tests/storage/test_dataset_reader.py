"""Ranges and lists of items of one dataset, against NumPy on the whole array."""

from __future__ import annotations

import os
import threading
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from gym_h5record.errors import CorruptRecordingError, RecordingClosedError
from gym_h5record.storage import dataset_reader as module
from gym_h5record.storage.column_reader import ColumnReader
from gym_h5record.storage.dataset_reader import DatasetReader
from gym_h5record.storage.handle import Handle
from gym_h5record.storage.hdf5.objects import open_dataset
from tests.reading import damage_chunk
from tests.storage.test_column_reader import ROWS, pictures, write


def reader(path: Path) -> DatasetReader:
    handle = Handle(path)
    return DatasetReader(open_dataset(handle.file, "observations"), handle)


@pytest.mark.parametrize("compression", ["gzip", "zstd", None], ids=str)
def test_ranges_and_lists_of_items_are_those_of_the_array(compression: str | None, tmp_path: Path) -> None:
    dataset, expected = reader(write(tmp_path / "run.h5", compression)), pictures()
    chance = np.random.default_rng(0)
    for _ in range(30):
        start, stop = sorted(chance.integers(0, ROWS + 1, 2).tolist())
        assert np.array_equal(dataset.items(start, stop), expected[start:stop])
        indices = chance.integers(0, ROWS, int(chance.integers(0, 40)))  # in any order, some of them twice
        assert np.array_equal(dataset.take(indices), expected[indices])
        row = int(chance.integers(0, ROWS))
        assert np.array_equal(dataset.item(row), expected[row])


def test_what_was_read_may_be_changed(tmp_path: Path) -> None:
    dataset, expected = reader(write(tmp_path / "run.h5")), pictures()
    for found in (dataset.items(0, ROWS), dataset.items(3, 5), dataset.take(np.array([3, 4, 20]))):
        found[...] = 9
    assert np.array_equal(dataset.items(0, ROWS), expected)


@pytest.mark.parametrize("indices", [[-1], [ROWS], [0, 1 << 40]], ids=str)
def test_items_that_are_not_there_are_corruption(indices: list[int], tmp_path: Path) -> None:
    dataset = reader(write(tmp_path / "run.h5"))
    with pytest.raises(CorruptRecordingError, match="has 70 items"):
        dataset.take(np.array(indices))
    with pytest.raises(CorruptRecordingError, match="has 70 items"):
        dataset.item(indices[-1])


def test_a_damaged_chunk_is_an_error_and_the_others_are_read(tmp_path: Path) -> None:
    path = write(tmp_path / "run.h5")
    damage_chunk(path, "observations", lambda data: bytes(len(data)), chunk=3)
    dataset = reader(path)
    for _ in range(3):
        with pytest.raises(CorruptRecordingError, match="decompressed"):
            dataset.items(0, ROWS)
        with pytest.raises(CorruptRecordingError, match="decompressed"):
            dataset.take(np.array([69, 50, 1]))
    assert np.array_equal(dataset.items(0, 48), pictures()[:48])


def test_items_are_checked_without_being_given(tmp_path: Path) -> None:
    path = write(tmp_path / "run.h5")
    damage_chunk(path, "observations", lambda data: bytes(len(data)), chunk=3)
    dataset = reader(path)
    dataset.check(0, 48)
    dataset.check(ROWS, ROWS)
    for start, stop in ((0, 49), (50, 51), (0, ROWS)):
        with pytest.raises(CorruptRecordingError, match="decompressed"):
            dataset.check(start, stop)
    with pytest.raises(CorruptRecordingError, match="has 70 items"):
        dataset.check(0, ROWS + 1)


def test_chunks_in_memory_do_not_grow_with_what_is_read(tmp_path: Path) -> None:
    dataset = reader(write(tmp_path / "run.h5"))
    for row in range(ROWS):
        dataset.item(row)
    dataset.items(0, ROWS)
    assert sum(items.nbytes for items in dataset._kept.values()) <= module._KEPT_BYTES


def read(columns: ColumnReader, found: list[bool]) -> None:
    try:
        for start in range(ROWS):
            found.append(np.array_equal(columns.items("observations", start, ROWS), pictures()[start:]))  # noqa: PERF401  # as it is read
    except RecordingClosedError:
        found.append(True)


def test_threads_read_while_another_one_closes_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "run.h5")
    found: list[bool] = []
    for _ in range(5):
        handle = Handle(path)

        threads = [threading.Thread(target=read, args=(ColumnReader(handle), found)) for _ in range(3)]
        for thread in threads:
            thread.start()
        handle.close()
        for thread in threads:
            thread.join()
    assert len(found) >= 15
    assert all(found)


def test_a_forked_child_reads_what_its_parent_does(tmp_path: Path) -> None:
    path = write(tmp_path / "run.h5")
    with closing(Handle(path)) as handle:
        dataset = DatasetReader(open_dataset(handle.file, "observations"), handle)
        assert np.array_equal(dataset.items(0, ROWS), pictures())
        child = os.fork()
        if child == 0:
            try:
                is_same = np.array_equal(reader(path).items(0, ROWS), pictures())
                os._exit(0 if is_same else 1)
            finally:
                os._exit(2)
        assert os.waitpid(child, 0)[1] == 0
