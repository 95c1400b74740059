"""The hot path of lanes: which rows a tick appends, and that nothing of an unpublished tick is left."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.errors import RecordingClosedError, RecordingError, RecordingWarning
from gym_h5record.format.names import RowFlag
from gym_h5record.values.exact import identical
from gym_h5record.writing.journal_control import Control
from gym_h5record.writing.journal_rows import FLAGS
from gym_h5record.writing.lane_row_writer import LaneRowWriter
from tests.writing import PAIR, small_journal
from tests.writing.lane_pen import LanePen, lane_schema

FIRST, LAST, ABSENT = RowFlag.FIRST, RowFlag.LAST, RowFlag.ABSENT


def o(number: float, lanes: int = 2) -> np.ndarray:
    return np.full((lanes, 2), number, np.float64)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.h5"


@pytest.fixture
def pen(path: Path) -> Iterator[LanePen]:
    with LanePen(path) as pen:
        yield pen


def flags(pen: LanePen) -> list[list[int]]:
    """The flags of all ticks so far."""
    head = pen.session.journal.control[Control.HEAD]
    found: list[list[int]] = pen.session.journal.columns[FLAGS][:head].tolist()
    return found


def episodes(path: Path, lane: int) -> list[tuple[list[float], list[Any]]]:
    """The first numbers of the observations, and the actions, of each episode of a lane."""
    with h5r.Recording(path) as recording:
        return [([each[0] for each in found.observations], list(found.actions)) for found in recording.lane(lane)]


# Ticks ---------------------------------------------------------------------------------------------


def test_a_step_of_all_lanes_is_one_tick(pen: LanePen) -> None:
    pen.begin(o(0))
    pen.step(o(1), ended=[1])
    assert flags(pen) == [[FIRST, FIRST], [0, LAST]]


def test_a_reset_of_one_lane_is_a_tick_in_which_the_others_are_absent(pen: LanePen) -> None:
    pen.begin(o(0))
    pen.begin(o(1), [1])
    pen.step(o(2))
    assert flags(pen) == [[FIRST, FIRST], [ABSENT, FIRST], [0, 0]]


def test_actions_go_into_the_newest_row_of_each_lane_wherever_it_is(pen: LanePen, path: Path) -> None:
    pen.begin(o(0))
    pen.begin(o(1), [1])
    pen.step(o(2), actions=np.array([3, 2]), rewards=np.array([0.5, 0.25]))
    pen.step(o(3), actions=np.array([1, 0]))
    pen.close()
    assert episodes(path, 0) == [([0, 2, 3], [3, 1])]
    assert episodes(path, 1) == [([0], []), ([1, 2, 3], [2, 0])]
    with h5r.Recording(path) as recording:
        assert [list(recording.lane(lane)[-1].rewards) for lane in (0, 1)] == [[0.5, 1], [0.25, 1]]


def test_values_may_change_after_they_were_given(pen: LanePen, path: Path) -> None:
    observations, actions, rewards = o(0), np.array([3, 2]), np.array([0.5, 0.25])
    pen.begin(observations)
    observations += 1
    pen.step(observations, actions=actions, rewards=rewards)
    observations += 1
    actions += 1
    rewards += 1
    pen.close()
    assert episodes(path, 1) == [([0, 1], [2])]


def test_rows_of_a_tick_have_its_time(pen: LanePen, path: Path) -> None:
    pen.begin(o(0))
    pen.step(o(1))
    pen.close()
    with h5r.Recording(path) as recording:
        times = [recording.lane(lane)[0].times[:].tolist() for lane in (0, 1)]
    assert times[0] == times[1]
    assert 0 <= times[0][0] <= times[0][1]


def test_final_values_of_lanes_take_the_place_of_those_of_the_next_episode(path: Path) -> None:
    schema = lane_schema(2, PAIR, infos=[{"n": np.int64(0)}])
    with LanePen(path, 2, schema) as pen:
        pen.begin(o(0), infos={"n": np.array([1, 2])})
        pen.step(o(9), ended=[1], infos={"n": np.array([3, 4])}, finals={1: (np.array([5.0, 5.0]), {"n": 6, "w": "x"})})
        pen.begin(o(9), [1], infos={"n": np.array([3, 4])})
    assert episodes(path, 0) == [([0, 9], [0])]
    assert episodes(path, 1) == [([0, 5], [0]), ([9], [])]
    with h5r.Recording(path) as recording:
        assert identical(list(recording.lane(0)[0].infos), [{"n": np.int64(1)}, {"n": np.int64(3)}])
        assert identical(list(recording.lane(1)[0].infos), [{"n": np.int64(2)}, {"n": 6, "w": "x"}])
        assert identical(list(recording.lane(1)[1].infos), [{"n": np.int64(4)}])


def test_extras_belong_to_the_lanes_that_step(path: Path) -> None:
    schema = lane_schema(2, PAIR, extras=[{"value": np.float64(0)}])
    with LanePen(path, 2, schema) as pen:
        pen.begin(o(0))
        pen.step(o(1), ended=[1], extras={"value": np.array([0.5, 1.5]), "word": ["a", "b"]})
        pen.step(o(2), reset=[1], extras={"value": np.array([2.5, 3.5]), "word": ["c", "d"]})
        pen.step(o(3))
    with h5r.Recording(path) as recording:
        found = [[list(each.extras) for each in recording.lane(lane)] for lane in (0, 1)]
    assert identical(found[0], [[{"value": np.float64(0.5), "word": "a"}, {"value": np.float64(2.5), "word": "c"}, {}]])
    assert identical(found[1], [[{"value": np.float64(1.5), "word": "b"}], [{}]])


# Marks ---------------------------------------------------------------------------------------------


def test_a_mark_is_set_on_the_newest_row_of_its_lane_and_counted(pen: LanePen) -> None:
    pen.begin(o(0))
    pen.begin(o(1), [1])
    before = pen.session.journal.control[Control.EVENTS]
    pen.end(0)
    pen.discard(1)
    assert flags(pen) == [[FIRST | LAST, FIRST], [ABSENT, FIRST | LAST | RowFlag.DISCARDED]]
    assert pen.session.journal.control[Control.EVENTS] == before + 2


def test_a_lane_whose_episode_was_marked_takes_no_step(pen: LanePen, path: Path) -> None:
    pen.begin(o(0))
    pen.end(0)
    pen.step(o(1), stepped=[1], actions=np.array([3, 2]))
    pen.close()
    assert (episodes(path, 0), episodes(path, 1)) == ([([0], [])], [([0, 1], [2])])


# Errors --------------------------------------------------------------------------------------------


def interrupted(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


def test_a_step_that_raised_leaves_nothing_of_its_actions(pen: LanePen, path: Path) -> None:
    pen.begin(o(0))
    pen.step(o(1), actions=np.array([1, 1]))
    with pytest.warns(RecordingWarning, match="/actions: got 'left'"):
        pen.rows.put_actions(["left", 3], {"word": ["x", "y"]}, [0, 1])  # and the environments raise
    pen.step(o(2), actions=np.array([2, 3]))
    pen.close()
    assert identical(episodes(path, 0), [([np.float64(0), np.float64(1), np.float64(2)], [np.int64(1), np.int64(2)])])
    with h5r.Recording(path) as recording:
        assert list(recording.lane(1)[0].extras) == [{}, {}]


def test_a_tick_that_was_not_published_leaves_nothing(
    pen: LanePen, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pen.begin(o(0))
    with monkeypatch.context() as patch:
        patch.setattr(LaneRowWriter, "_publish", interrupted)
        with pytest.raises(KeyboardInterrupt):
            pen.step(o(1), infos={"word": ["lost", "lost"]})
        with pytest.raises(KeyboardInterrupt):
            pen.begin(o(2), [1], seeds={1: 5}, infos={"word": ["lost", "lost"]})
    assert flags(pen) == [[FIRST, FIRST]]
    pen.step(o(3), actions=np.array([1, 2]))
    pen.close()
    assert (episodes(path, 0), episodes(path, 1)) == ([([0, 3], [1])], [([0, 3], [2])])
    with h5r.Recording(path) as recording:
        assert list(recording.lane(1)[0].infos) == [{}, {}]


def test_lanes_that_missed_their_step_are_not_waited_for(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After an error nothing of a lane is recorded until its reset, and the others go on before that."""
    small_journal(monkeypatch, 16)
    with LanePen(path) as pen:
        pen.begin(o(0))
        pen.step(o(1))
        pen.begin(o(2), [0])
        for number in range(3, 60):
            pen.step(o(number), stepped=[0])
        pen.begin(o(60), [1])
        pen.step(o(61))
    assert [rows for rows, _ in episodes(path, 0)] == [[0, 1], [2, *range(3, 60), 61]]
    assert [rows for rows, _ in episodes(path, 1)] == [[0, 1], [60, 61]]


@pytest.mark.parametrize("way", ["step", "reset"])
def test_a_lane_that_waits_while_others_are_reset_without_end_is_an_error_that_says_what_helps(
    way: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_journal(monkeypatch, 16)
    with LanePen(path) as pen:
        pen.begin(o(0))
        for number in range(1, 14):
            pen.begin(o(number), [0])
        for _ in range(2):
            with pytest.raises(RecordingError, match="lane 1 waits for a step since 14 resets of other lanes: step it"):
                pen.begin(o(99), [0])
        if way == "step":
            pen.step(o(20))
        else:
            pen.begin(o(20), [1])
        for number in range(21, 60):
            pen.step(o(number))
    assert [rows for rows, _ in episodes(path, 0)][-1] == [13, *range(20 if way == "step" else 21, 60)]
    assert [rows for rows, _ in episodes(path, 1)] == (
        [[0, *range(20, 60)]] if way == "step" else [[0], [*range(20, 60)]]
    )


def test_after_release_every_method_says_that_the_recording_is_closed(pen: LanePen) -> None:
    pen.begin(o(0))
    pen.close()
    pen.rows.release()
    for call in (lambda: pen.step(o(1)), lambda: pen.begin(o(1)), lambda: pen.end(0)):
        with pytest.raises(RecordingClosedError, match="has been closed"):
            call()


# Larger values, larger journals ----------------------------------------------------------------------


def test_a_journal_that_is_too_small_for_a_text_is_replaced_in_the_middle_of_a_tick(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_journal(monkeypatch, 8, max_bytes=1 << 16)
    with LanePen(path) as pen:
        pen.begin(o(0))
        before = pen.session.journal
        pen.step(o(1), actions=np.array([1, 2]), infos={"text": ["x" * 20_000, "short"]})
        assert pen.session.journal is not before
        pen.end(0)
        pen.step(o(2), actions=np.array([3, 3]), stepped=[1])
    assert (episodes(path, 0), episodes(path, 1)) == ([([0, 1], [1])], [([0, 1, 2], [2, 3])])
    with h5r.Recording(path) as recording:
        assert recording.lane(0)[0].infos[1] == {"text": "x" * 20_000}
        assert list(recording.lane(1)[0].infos) == [{}, {"text": "short"}, {}]


def test_values_that_do_not_fit_are_exact_in_their_lane_only(pen: LanePen, path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordingWarning)
        pen.begin([np.array([1.0, 2.0]), "no pair"])
        pen.step([None, np.array([3.0, 4.0])], actions=["up", np.int64(3)], rewards=["much", 0.5])
        pen.step(o(5), actions=np.array([1, 2]))
    pen.close()
    with h5r.Recording(path) as recording:
        first, second = recording.lane(0)[0], recording.lane(1)[0]
        assert identical(list(first.observations), [np.array([1.0, 2.0]), None, np.array([5.0, 5.0])])
        assert identical(list(second.observations), ["no pair", np.array([3.0, 4.0]), np.array([5.0, 5.0])])
        assert identical(list(first.actions), ["up", np.int64(1)])
        assert identical(list(second.actions), [np.int64(3), np.int64(2)])
        assert identical(list(first.rewards), ["much", np.float64(1)])
        assert identical(list(second.rewards), [0.5, np.float64(1)])


def test_pictures_are_those_of_their_lanes(path: Path) -> None:
    def pictures(number: int) -> list[np.ndarray]:
        return [np.full((4, 6, 3), 10 * lane + number, np.uint8) for lane in (0, 1)]

    schema = lane_schema(2, PAIR, frame=pictures(0)[0])
    with LanePen(path, 2, schema) as pen:
        pen.begin(o(0), frames=pictures(0))
        pen.step(o(1), frames=np.stack(pictures(1)))
    with h5r.Recording(path) as recording:
        assert recording.lane(0)[0].frames[:][:, 0, 0, 0].tolist() == [0, 1]
        assert recording.lane(1)[0].frames[:][:, 0, 0, 0].tolist() == [10, 11]


def test_a_single_lane_is_recorded_too(path: Path) -> None:
    with LanePen(path, 1, None, PAIR, spaces.Text(9)) as pen:
        pen.begin(o(0, 1))
        pen.step(o(1, 1), actions=("go",), ended=[0])
        pen.step(o(2, 1), actions=("no step",), reset=[0])
    assert episodes(path, 0) == [([0, 1], ["go"]), ([2], [])]
