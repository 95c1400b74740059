"""Stacks of lanes: a lane stores its newest frame, and earlier ones only where its own stack does not slide."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.errors import RecordingWarning
from gym_h5record.format.nodes import DictOf, Scalar, Stack
from gym_h5record.format.schema import Schema
from gym_h5record.values.exact import identical
from gym_h5record.writing.lane_row_writer import LaneRowWriter
from tests.writing import small_journal
from tests.writing.lane_pen import LanePen, lane_schema
from tests.zoo import NAN_WITH_PAYLOAD

STACK = spaces.Box(-1e9, 1e9, (3, 2), np.float64)
NODE = Stack("observations", np.dtype(np.float64), (3, 2))
TREE = spaces.Dict({"n": spaces.Discrete(9), "s": STACK})


def stack_schema(num_lanes: int = 2) -> Schema:
    return replace(lane_schema(num_lanes), observation=NODE)


def tree_schema() -> Schema:
    parts = (("n", Scalar("observations/n", np.dtype(np.int64))), ("s", replace(NODE, name="observations/s")))
    return replace(lane_schema(2), observation=DictOf("observations", parts))


def stack(*numbers: float) -> np.ndarray:
    return np.array([(number, number) for number in numbers], np.float64)


def stacks(*lanes: tuple[float, float, float]) -> np.ndarray:
    """The batch of these stacks."""
    return np.stack([stack(*each) for each in lanes])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.h5"


@pytest.fixture
def pen(path: Path) -> Iterator[LanePen]:
    with LanePen(path, 2, stack_schema(), STACK) as pen:
        yield pen


def stored(path: Path, lane: int, name: str = "observations") -> tuple[list[float], list[int]]:
    """The newest frame of each row of a lane, and how many earlier frames it has."""
    with h5py.File(path) as file:
        rows = int(file["commit"][lane])
        ends = file[f"{name}/earlier/ends"][:rows, lane]
        return file[f"{name}/newest"][:rows, lane, 0].tolist(), np.diff(ends, prepend=0).tolist()


def observations(path: Path, lane: int) -> list[Any]:
    with h5r.Recording(path) as recording:
        return [each for episode in recording.lane(lane) for each in episode.observations]


def test_each_lane_slides_by_itself(pen: LanePen, path: Path) -> None:
    pen.begin(stacks((1, 1, 1), (5, 5, 5)))
    pen.step(stacks((1, 1, 2), (6, 7, 8)))
    pen.step(stacks((9, 9, 9), (7, 8, 9)))
    pen.close()
    assert stored(path, 0) == ([1, 2, 9], [2, 0, 2])
    assert stored(path, 1) == ([5, 8, 9], [2, 2, 0])
    assert identical(observations(path, 0), [stack(1, 1, 1), stack(1, 1, 2), stack(9, 9, 9)])
    assert identical(observations(path, 1), [stack(5, 5, 5), stack(6, 7, 8), stack(7, 8, 9)])


def test_the_first_row_of_an_episode_stores_its_earlier_frames_in_its_lane_only(pen: LanePen, path: Path) -> None:
    pen.begin(stacks((1, 1, 1), (5, 5, 5)))
    pen.step(stacks((1, 1, 1), (5, 5, 6)), ended=[0])
    pen.step(stacks((1, 1, 1), (5, 6, 7)), reset=[0])
    pen.step(stacks((1, 1, 2), (6, 7, 8)))
    pen.close()
    assert stored(path, 0) == ([1, 1, 1, 2], [2, 0, 2, 0])
    assert stored(path, 1) == ([5, 6, 7, 8], [2, 0, 0, 0])


def test_lanes_that_end_at_different_steps_come_back(pen: LanePen, path: Path) -> None:
    pen.begin(stacks((0, 0, 0), (9, 9, 9)))
    expected: list[list[Any]] = [[stack(0, 0, 0)], [stack(9, 9, 9)]]
    for step in range(1, 30):
        values = [
            stack(*(max(step - age, 0) for age in (2, 1, 0))),
            stack(*(9 + max(step - age, 0) for age in (2, 1, 0))),
        ]
        ended = [lane for lane in (0, 1) if step % (4 + lane) == 0]
        reset = [lane for lane in (0, 1) if step > 1 and (step - 1) % (4 + lane) == 0]
        ended = [lane for lane in ended if lane not in reset]
        pen.step(np.stack(values), ended=ended, reset=reset)
        for lane in (0, 1):
            expected[lane].append(values[lane])
    pen.close()
    assert identical([observations(path, lane) for lane in (0, 1)], expected)


def test_a_lane_that_was_reset_alone_leaves_the_stacks_of_others_as_they_were(pen: LanePen, path: Path) -> None:
    pen.begin(stacks((1, 2, 3), (5, 6, 7)))
    pen.begin(stacks((1, 1, 1), (0, 0, 0)), [0])
    pen.step(stacks((1, 1, 2), (6, 7, 8)))
    pen.close()
    assert stored(path, 0) == ([3, 1, 2], [2, 2, 0])
    assert stored(path, 1) == ([7, 8], [2, 0])


def test_frames_slide_by_their_bits(pen: LanePen, path: Path) -> None:
    nan = NAN_WITH_PAYLOAD
    pen.begin(stacks((nan, 0.0, 1), (nan, 0.0, 1)))
    pen.step(stacks((0.0, 1, nan), (-0.0, 1, nan)))
    pen.close()
    assert (stored(path, 0)[1], stored(path, 1)[1]) == ([2, 0], [2, 2])
    assert identical(observations(path, 1)[1], stack(-0.0, 1, nan))


def test_a_batch_that_is_a_list_of_stacks_is_stored_alike(pen: LanePen, path: Path) -> None:
    pen.begin([stack(1, 1, 1), stack(5, 5, 5)])
    pen.step([stack(1, 1, 2), stack(6, 7, 8)])
    pen.step(stacks((1, 2, 3), (7, 8, 9)))
    pen.close()
    assert stored(path, 0) == ([1, 2, 3], [2, 0, 0])
    assert stored(path, 1) == ([5, 8, 9], [2, 2, 0])


def test_final_stacks_of_lanes_that_were_reset_since_are_not_those_of_the_batch(pen: LanePen, path: Path) -> None:
    pen.begin(stacks((1, 1, 1), (5, 5, 5)))
    after = stacks((0, 0, 0), (5, 5, 6))
    pen.step(after, ended=[0], finals={0: (stack(1, 1, 2), {})})
    pen.begin(after, [0])
    pen.step(stacks((0, 0, 1), (5, 6, 7)))
    pen.close()
    assert identical(observations(path, 0), [stack(1, 1, 1), stack(1, 1, 2), stack(0, 0, 0), stack(0, 0, 1)])
    assert stored(path, 0)[1] == [2, 0, 2, 0]
    assert stored(path, 1) == ([5, 6, 7], [2, 0, 0])


@pytest.mark.filterwarnings("ignore::gym_h5record.errors.RecordingWarning")
@pytest.mark.parametrize(
    "misfit", [stack(1, 2), None, "no stack", np.float32(1)], ids=["short", "none", "text", "number"]
)
def test_a_value_that_does_not_fit_is_continued_by_nothing_in_its_lane(misfit: Any, pen: LanePen, path: Path) -> None:
    pen.begin(stacks((1, 2, 3), (5, 6, 7)))
    pen.step([misfit, stack(6, 7, 8)])
    pen.step(stacks((2, 3, 4), (7, 8, 9)))
    pen.step(stacks((3, 4, 5), (8, 9, 9)))
    pen.close()
    assert identical(observations(path, 0), [stack(1, 2, 3), misfit, stack(2, 3, 4), stack(3, 4, 5)])
    assert stored(path, 0)[1] == [2, 2, 2, 0]
    assert stored(path, 1)[1] == [2, 0, 0, 0]


def test_a_tree_that_does_not_fit_is_continued_by_nothing(path: Path) -> None:
    fits = {"n": np.array([1, 2]), "s": stacks((1, 2, 3), (5, 6, 7))}
    with LanePen(path, 2, tree_schema(), TREE) as pen, pytest.warns(RecordingWarning, match="/observations: got"):
        pen.begin(fits)
        pen.step({"s": stacks((2, 3, 4), (6, 7, 8))})
        pen.step({"n": np.array([3, 4]), "s": stacks((3, 4, 5), (7, 8, 9))})
    assert observations(path, 1)[1].keys() == {"s"}
    assert identical(observations(path, 1)[2], {"n": np.int64(4), "s": stack(7, 8, 9)})
    assert stored(path, 1, "observations/s")[1] == [2, 2, 2]


def test_a_tick_that_was_not_published_is_not_continued(
    pen: LanePen, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    pen.begin(stacks((1, 1, 1), (5, 5, 5)))
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(LaneRowWriter, "_publish", interrupted)
        pen.step(stacks((1, 1, 2), (5, 5, 6)))
    pen.step(stacks((1, 2, 3), (5, 6, 7)))  # would slide on from the tick that was rolled back
    pen.close()
    assert stored(path, 0) == ([1, 3], [2, 2])
    assert identical(observations(path, 1), [stack(5, 5, 5), stack(5, 6, 7)])


def test_a_larger_journal_knows_the_stacks_before(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_journal(monkeypatch, 8, max_bytes=1 << 16)
    with LanePen(path, 2, stack_schema(), STACK) as pen:
        pen.begin(stacks((1, 1, 1), (5, 5, 5)))
        before = pen.session.journal
        text = np.array(["x" * 20_000, None], object)  # has no room in the journal
        pen.step(stacks((1, 1, 2), (5, 5, 6)), infos={"text": text, "_text": np.array([True, False])})
        assert pen.session.journal is not before
        pen.step(stacks((1, 2, 3), (5, 6, 7)))
    assert (stored(path, 0), stored(path, 1)) == (([1, 2, 3], [2, 0, 0]), ([5, 6, 7], [2, 0, 0]))
