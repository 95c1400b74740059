"""A lane as if it were a recording of its own: rows by their number, and the entries of its episodes only."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format.schema import all_fields
from gym_h5record.format.schema_json import schema_from_json
from gym_h5record.storage.column_reader import ColumnReader
from gym_h5record.storage.handle import Handle
from gym_h5record.storage.lane_view import LaneView
from tests.writing.lane_pen import LanePen


def o(number: float) -> np.ndarray:
    return np.array([[number, 0], [100 + number, 0]], np.float64)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lane 0 has an episode of five steps, lane 1 episodes of one, two and no steps. Texts are of each row's number."""
    path = tmp_path_factory.mktemp("lanes") / "run.h5"
    with LanePen(path) as pen:
        pen.begin(o(0), seeds={0: 5, 1: 6}, snapshots={1: {"mine": b"x"}}, infos={"word": ["a", "bb"]})
        pen.step(o(1), ended=[1], infos={"word": ["", "c"]})
        pen.step(o(2), reset=[1])
        pen.step(o(3), infos={"word": ["d", "e"]})
        pen.step(o(4), ended=[1])
        pen.step(o(5), reset=[1])
    return path


@pytest.fixture(scope="module")
def views(path: Path) -> list[LaneView]:
    handle = Handle(path)
    whole = ColumnReader(handle)
    schema = schema_from_json(str(handle.metadata()["schema"]))
    whole.expect(all_fields(schema))
    lanes = whole.items("episodes/envs", 0, 4)
    assert lanes.tolist() == [1, 1, 0, 1]
    found = [LaneView(handle, whole, lane, 6, np.flatnonzero(lanes == lane)) for lane in (0, 1)]
    for view in found:
        view.expect(all_fields(schema))
    return found


def test_its_commit_is_that_of_a_single_recording(views: list[LaneView]) -> None:
    assert [view.items("commit", 0, 2).tolist() for view in views] == [[6, 1], [6, 3]]
    assert [view.item("commit", 1) for view in views] == [1, 3]
    assert views[1].take("commit", np.array([1, 0])).tolist() == [3, 6]
    assert [view.num_envs for view in views] == [None, None]


@pytest.mark.parametrize("lane", [0, 1])
def test_rows_are_read_by_their_numbers(lane: int, views: list[LaneView]) -> None:
    view, expected = views[lane], [[100.0 * lane + row, 0] for row in range(6)]
    assert view.items("observations", 1, 4).tolist() == expected[1:4]
    assert view.take("observations", np.array([5, 0])).tolist() == [expected[5], expected[0]]
    assert view.item("observations", 3).tolist() == expected[3]


@pytest.mark.parametrize("lane", [0, 1])
def test_ends_are_numbers_of_items_of_the_lane(lane: int, views: list[LaneView]) -> None:
    view = views[lane]
    sizes = [len(text) for text in (('{"word":"a"}', '{"word":""}'), ('{"word":"bb"}', '{"word":"c"}'))[lane]]
    ends = [sizes[0], sum(sizes), sum(sizes)]
    assert view.items("infos/json/ends", 0, 3).tolist() == ends
    assert view.take("infos/json/ends", np.array([1, 0])).tolist() == [ends[1], ends[0]]
    assert (view.item("infos/json/ends", 1), view.item("infos/json/ends", -1)) == (ends[1], 0)
    text = view.items("infos/json/values", 0, ends[0]).tobytes()
    assert text == (b'{"word":"a"}', b'{"word":"bb"}')[lane]


def test_entries_of_episodes_are_those_of_the_lane(views: list[LaneView]) -> None:
    assert views[0].items("episodes/lengths", 0, 1).tolist() == [5]
    assert views[1].items("episodes/lengths", 0, 3).tolist() == [1, 2, 0]
    assert views[1].items("episodes/starts", 1, 3).tolist() == [2, 5]
    assert views[1].take("episodes/lengths", np.array([2, 0])).tolist() == [0, 1]
    assert views[1].item("episodes/seeds", 0) == 6
    assert [view.length("episodes/starts") for view in views] == [1, 3]


def test_the_json_of_its_episodes_follows_without_gaps(views: list[LaneView]) -> None:
    assert views[0].items("episodes/json/ends", 0, 1).tolist() == [2]
    assert views[0].items("episodes/json/values", 0, 2).tobytes() == b"{}"
    ends = views[1].items("episodes/json/ends", 0, 3).tolist()
    assert ends[1:] == [ends[0] + 2, ends[0] + 4]
    assert views[1].length("episodes/json/values") == ends[2]
    text = views[1].items("episodes/json/values", 0, ends[2]).tobytes()
    assert text.startswith(b'{"snapshot":{"mine":')
    assert text.endswith(b"}{}{}")


def test_lengths_and_chunks_of_rows_are_those_of_the_dataset(views: list[LaneView]) -> None:
    assert views[1].length("observations") == 6
    assert views[1].chunk_rows("observations") >= 6
    views[1].check_stored("observations", 6)
    views[1].check_stored("episodes/starts", 6)  # they are checked with the whole recording


def test_rows_that_the_lane_has_not_are_corruption(views: list[LaneView]) -> None:
    with pytest.raises(CorruptRecordingError, match="items 5 to 7 of lane 1 are needed"):
        views[1].check("observations", 5, 7)


def test_errors_while_reading_name_the_file(views: list[LaneView], path: Path) -> None:
    def fail() -> None:
        raise CorruptRecordingError("of no use")

    with pytest.raises(CorruptRecordingError, match=str(path)):
        views[1].reading("observations", fail)
