"""Items of lanes by their addresses, against the dataset that h5py gives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from gymnasium import spaces

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format.nodes import Field
from gym_h5record.storage import lane_reader
from gym_h5record.storage.handle import Handle
from gym_h5record.storage.hdf5.objects import open_dataset
from gym_h5record.storage.lane_reader import LaneDatasetReader
from tests.writing import PAIR
from tests.writing.lane_pen import LanePen

pytestmark = pytest.mark.compacted

LARGE = spaces.Box(-1e9, 1e9, (900,), np.float64)
LANES, ROWS = 3, 50
SHORT = 20
"""The rows of the last lane."""


def at(lane: int, row: int) -> int:
    """The address of a row."""
    return (lane << 40) + row


@pytest.fixture(scope="module", params=["small", "large", "compacted"])
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording with lanes of 50, 50 and 20 rows, in each layout that the package makes."""
    path = tmp_path_factory.mktemp("lanes") / "run.h5"
    space = LARGE if request.param == "large" else PAIR
    with pytest.MonkeyPatch.context() as patch:
        if request.param != "compacted":
            patch.setattr("gym_h5record.writing.inline_worker.compact", lambda _: False)
        with LanePen(path, LANES, None, space) as pen:

            def batch(row: int) -> np.ndarray:
                return np.stack([np.full(space.shape, 100.0 * lane + row) for lane in range(LANES)])

            pen.begin(batch(0), infos={"word": ["a"] * LANES})
            for row in range(1, ROWS):
                words = [f"{lane}" * (row % 3) for lane in range(LANES)]
                mask = np.array([True, row % 2 == 0, False])
                ended = [2] if row == SHORT - 1 else []
                stepped = None if row < SHORT else [0, 1]
                pen.step(batch(row), infos={"word": words, "_word": mask}, ended=ended, stepped=stepped)
    return path


@pytest.fixture(scope="module")
def open_reader(path: Path) -> Callable[..., LaneDatasetReader]:
    handle = Handle(path)

    def make(name: str = "observations", **options: Any) -> LaneDatasetReader:
        dataset = open_dataset(handle.file, name)
        return LaneDatasetReader(dataset, handle, Field(name, dataset.dtype, dataset.shape[2:], **options))

    return make


@pytest.fixture(scope="module")
def expected(path: Path) -> np.ndarray:
    with h5py.File(path) as file:
        items = file["observations"][:]
    assert items[:, 1].reshape(ROWS, -1)[:, 0].tolist() == list(range(100, 150))
    return items  # type: ignore[no-any-return]


def test_ranges_of_items_are_those_of_their_lane(open_reader: Any, expected: np.ndarray) -> None:
    reader = open_reader()
    for lane in range(LANES):
        for start, stop in [
            (0, 0),
            (0, 1),
            (15, 17),
            (0, SHORT),
            *([(31, 33), (0, ROWS), (49, 50)] if lane < 2 else []),
        ]:
            assert np.array_equal(reader.items(at(lane, start), at(lane, stop)), expected[start:stop, lane])


def test_items_one_by_one_and_as_lists_may_be_of_any_lanes(open_reader: Any, expected: np.ndarray) -> None:
    reader, chance = open_reader(), np.random.default_rng(0)
    for _ in range(20):
        lanes = chance.integers(0, LANES, 30)
        rows = chance.integers(0, np.where(lanes < 2, ROWS, SHORT))
        assert np.array_equal(reader.take((lanes << 40) + rows), expected[rows, lanes])
        assert np.array_equal(reader.item(at(int(lanes[0]), int(rows[0]))), expected[rows[0], lanes[0]])


def test_no_item_is_read_of_an_empty_list(open_reader: Any, expected: np.ndarray) -> None:
    assert open_reader().take(np.empty(0, np.int64)).shape == (0, *expected.shape[2:])


def test_a_block_has_some_rows_of_some_lanes(open_reader: Any, expected: np.ndarray) -> None:
    reader = open_reader()
    for rows in ((0, 5), (14, 18), (0, SHORT)):
        for lane, count in ((0, 3), (1, 2), (2, 1), (1, 1)):
            found = reader.block(*rows, lane, count)
            assert np.array_equal(found, expected[slice(*rows), lane : lane + count])


def test_a_block_beyond_the_last_lane_has_zeros_there(open_reader: Any, expected: np.ndarray) -> None:
    found = open_reader().block(3, 5, 2, 2)
    assert np.array_equal(found[:, 0], expected[3:5, 2])
    assert not found[:, 1].any()


def test_what_was_read_may_be_changed(open_reader: Any, expected: np.ndarray) -> None:
    reader = open_reader()
    for found in (reader.items(at(1, 0), at(1, ROWS)), reader.take(np.array([3, 4])), reader.block(0, 5, 0, 3)):
        found[...] = 9
    assert np.array_equal(reader.items(at(1, 0), at(1, ROWS)), expected[:, 1])


def test_lanes_that_are_read_in_turn_are_decoded_once(
    open_reader: Any, expected: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, reads = open_reader(), []
    read = reader._chunks.read
    monkeypatch.setattr(reader._chunks, "read", lambda number: (reads.append(number), read(number))[1])
    for row in range(ROWS):
        for lane in (0, 1):
            assert np.array_equal(reader.item(at(lane, row)), expected[row, lane])
    assert len(reads) == len(set(reads))


def test_few_chunks_are_kept_of_large_items(open_reader: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane_reader, "_KEPT_BYTES", 1)
    reader = open_reader()
    for row in range(ROWS):
        reader.item(at(row % LANES, row if row % LANES < 2 else 0))
    assert len(reader._kept) == 1


# Ends ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ends(open_reader: Any) -> LaneDatasetReader:
    reader: LaneDatasetReader = open_reader("infos/json/ends", is_ends=True)
    return reader


@pytest.mark.parametrize("lane", range(LANES))
def test_ends_are_addresses_of_items_of_their_lane(lane: int, ends: LaneDatasetReader, path: Path) -> None:
    with h5py.File(path) as file:
        stored = file["infos/json/ends"][:SHORT, lane]
    assert stored[-1] > 0
    assert ends.items(at(lane, 0), at(lane, SHORT)).tolist() == [at(lane, end) for end in stored]
    assert ends.item(at(lane, 4)) == at(lane, stored[4])
    assert ends.take(np.array([at(lane, 4), at(lane, 0)])).tolist() == [at(lane, stored[4]), at(lane, stored[0])]


@pytest.mark.parametrize("lane", range(LANES))
def test_the_end_before_the_first_one_of_a_lane_is_where_its_items_begin(lane: int, ends: LaneDatasetReader) -> None:
    before = at(lane, 0) - 1
    assert ends.item(before) == at(lane, 0)
    assert ends.items(before, at(lane, 2)).tolist() == [at(lane, 0), *ends.items(at(lane, 0), at(lane, 2)).tolist()]
    assert ends.take(np.array([at(lane, 1), before])).tolist() == [ends.item(at(lane, 1)), at(lane, 0)]


# What is not there ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "stop"),
    [(at(0, 49), at(0, 51)), (at(3, 0), at(3, 1)), (-1, 1), (at(1, 5), at(1, 4)), (at(0, 0), at(1, 0))],
)
def test_ranges_that_are_not_in_a_lane_are_corruption(start: int, stop: int, open_reader: Any) -> None:
    with pytest.raises(
        CorruptRecordingError, match=r"/observations has 50 items in each of 3 lanes, items .* are needed"
    ):
        open_reader().items(start, stop)


@pytest.mark.parametrize("index", [at(0, 50), at(3, 0), -1, at(1, 50)])
def test_items_that_are_not_there_are_corruption(index: int, open_reader: Any) -> None:
    with pytest.raises(CorruptRecordingError, match="has 50 items in each of 3 lanes"):
        open_reader().take(np.array([0, index]))
    with pytest.raises(CorruptRecordingError, match="has 50 items in each of 3 lanes"):
        open_reader().item(index)


def test_the_message_names_the_rows_and_the_lane(open_reader: Any) -> None:
    with pytest.raises(CorruptRecordingError, match="items 49 to 51 of lane 1 are needed"):
        open_reader().check(at(1, 49), at(1, 51))
