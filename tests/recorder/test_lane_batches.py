"""Batches taken apart: every lane gets the entries of its environment, in whatever container they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from gym_h5record.errors import EpisodeDataError, OptionError, RecordingWarning
from gym_h5record.recorder.lane_batches import LaneBatches, checked_mask, seeds_of
from gym_h5record.values.exact import identical
from gym_h5record.writing.batch_rows import BatchRows

BOX = spaces.Box(-9, 9, (2,), np.float64)
TREE = spaces.Dict({"at": BOX, "words": spaces.Text(9)})
NUMBERS = np.array([[0, 0], [1, 1], [2, 2], [3, 3]], np.float64)


class Foreign:
    """An array of another library."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, at: int) -> Any:
        return float(self.array[at].max())


class Frames:
    """Stands for the pictures of the lanes."""

    captures = True

    def capture(self) -> list[str]:
        return ["picture"]


class NoFrames(Frames):
    captures = False


def batches(lanes: Any = (3, 0), observation: Any = BOX, frames: Any = NoFrames) -> LaneBatches:
    return LaneBatches(lanes, 4, (observation, spaces.Discrete(5)), frames())


ALL = (0, 1, 2, 3)


# Rows ----------------------------------------------------------------------------------------------


def test_where_all_environments_are_recorded_nothing_is_copied() -> None:
    infos = {"n": np.arange(4)}
    rows = batches(ALL).rows(NUMBERS, infos)
    assert rows.observations is NUMBERS
    assert rows.infos is infos
    assert rows.frames is None


def test_lanes_are_the_environments_in_the_order_in_which_they_were_named() -> None:
    rows = batches().rows(NUMBERS, {"n": np.arange(4), "_n": np.array([True, False, False, True])})
    assert rows.observations.tolist() == [[3, 3], [0, 0]]
    assert identical(rows.infos, {"n": np.array([3, 0]), "_n": np.array([True, True])})


def test_trees_and_texts_are_picked_part_by_part() -> None:
    rows = batches(observation=TREE).rows({"at": NUMBERS, "words": ("a", "b", "c", "d")}, {})
    assert identical(rows.observations, {"at": NUMBERS[[3, 0]], "words": ("d", "a")})


@pytest.mark.parametrize("kind", [Foreign, list, tuple], ids=lambda kind: kind.__name__)
def test_arrays_of_other_libraries_and_lists_are_picked_too(kind: Any) -> None:
    batch = kind(NUMBERS)
    rows = batches().rows(batch, {"n": batch, "more": {"n": batch}})
    for found in (rows.observations, rows.infos["n"], rows.infos["more"]["n"]):
        assert [np.max(each) for each in found] == [3, 0]


@pytest.mark.parametrize("value", [0.5, "four", None, np.arange(3), [1, 2], np.array(4)], ids=repr)
def test_infos_without_an_entry_for_each_environment_are_those_of_all_lanes(value: Any) -> None:
    assert value is batches().rows(NUMBERS, {"key": value}).infos["key"] or value == "four"


@pytest.mark.parametrize("lanes", [ALL, (3, 0)])
@pytest.mark.parametrize(
    "batch", [NUMBERS[:3], NUMBERS[0:0], list(NUMBERS[:3]), None, 5], ids=["3", "0", "list", "none", "5"]
)
def test_observations_of_fewer_environments_are_refused(batch: Any, lanes: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        batches(lanes).rows(batch, {})


def test_a_part_of_a_tree_that_is_missing_or_short_is_refused() -> None:
    with pytest.raises(LookupError):
        batches(observation=TREE).rows({"at": NUMBERS}, {})
    with pytest.raises(ValueError, match="3 values of 4 environments"):
        batches(observation=TREE).rows({"at": NUMBERS, "words": ("a", "b", "c")}, {})


def test_pictures_are_captured_with_the_rows() -> None:
    assert batches(frames=Frames).rows(NUMBERS, {}).frames == ["picture"]


# Steps ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [np.array, list, tuple], ids=["array", "list", "tuple"])
def test_outcomes_are_those_of_the_lanes(kind: Any) -> None:
    flags = [False, True, False, True], [True, True, False, False]
    (rewards, terminations, truncations), ended = batches().outcome(kind([1.0, 2, 3, 4]), *map(kind, flags))
    assert (list(rewards), list(terminations), list(truncations)) == ([4, 1], [True, False], [False, True])
    assert ended.tolist() == [True, True]


@pytest.mark.parametrize("short", range(3), ids=["rewards", "terminations", "truncations"])
def test_an_outcome_of_fewer_environments_is_refused(short: int) -> None:
    parts: list[Any] = [np.zeros(4), np.zeros(4, np.bool_), np.zeros(4, np.bool_)]
    parts[short] = parts[short][:3]
    for lanes in (ALL, (3, 0)):
        with pytest.raises(ValueError, match=r"an outcome of|could not be broadcast"):
            batches(lanes).outcome(*parts)


def test_actions_are_those_of_the_lanes() -> None:
    taken, problem = batches().actions(np.array([5, 6, 7, 8]))
    assert (taken.tolist(), problem) == ([8, 5], None)
    problem = "step() got an array of int64 (3,), expected an action for each of 4 environments."
    assert batches().actions(np.array([5, 6, 7])) == (None, problem)
    actions = np.arange(4)
    assert batches(ALL).actions(actions)[0] is actions


def test_extras_are_copies_arrays_of_numbers_and_lists_of_anything_else() -> None:
    values = np.array([0.5, 1.5, 2.5, 3.5])
    kept = batches().extras(
        {"value": values, "list": [1, 2, 3, 4], "words": ("a", "b", "c", "d"), "mixed": [1, "b", 3, None]}
    )
    values += 1
    assert identical(kept["value"], np.array([3.5, 0.5]))
    assert identical(kept["list"], np.array([4, 1]))
    assert (kept["words"], kept["mixed"]) == (["d", "a"], [None, 1])


@pytest.mark.parametrize("values", [np.zeros(3), [1, 2, 3, 4, 5], 0.5, None, "abc"], ids=repr)
def test_extras_of_fewer_or_more_environments_are_refused(values: Any) -> None:
    with pytest.raises(EpisodeDataError, match="value: expected an array with an entry for each of 4 environments"):
        batches().extras({"value": values})


# Which lanes ---------------------------------------------------------------------------------------


def test_environments_are_named_by_their_own_numbers() -> None:
    assert [*batches().chosen([0, 3])] == [1, 0]
    assert [*batches().chosen(None)] == [0, 1]
    assert [batches().env(lane) for lane in (0, 1)] == [3, 0]


def test_an_environment_that_is_not_recorded_is_refused() -> None:
    with pytest.raises(OptionError, match=r"lanes: expected some of \[3, 0\], got \[1\]"):
        batches().chosen([1])


def test_a_reset_is_of_the_lanes_of_its_mask() -> None:
    assert batches().reset_lanes(None) == [0, 1]
    assert batches().reset_lanes(np.array([True, True, False, False])) == [1]
    assert batches().reset_lanes(np.array([False, True, True, False])) == []


# SAME_STEP mode --------------------------------------------------------------------------------------


@pytest.fixture
def finals() -> Any:
    """Takes a step apart whose environments 1 and 2 were reset."""

    def take(infos: dict[str, Any], frames: Any = None, observation: Any = BOX) -> Any:
        return batches(ALL, observation).finals(BatchRows(NUMBERS, infos, frames), [1, 2])

    return take


def objects(*values: Any) -> np.ndarray:
    found = np.full(len(values), None, object)
    for place, value in enumerate(values):
        found[place] = value
    return found


def test_the_final_observation_is_that_of_gymnasium_or_of_a_batch(finals: Any) -> None:
    last = np.array([7.0, 7.0])
    for final in (objects(None, last, last + 1, None), np.stack([last - 1, last, last + 1, last])):
        for name in ("final_obs", "final_observation"):
            _, _, found = finals({name: final})
            assert identical(found, {1: (last, {}), 2: (last + 1, {})})


def test_the_final_info_is_that_of_its_lane(finals: Any) -> None:
    mask = np.array([False, True, False, False])
    infos = {"final_info": {"n": np.arange(4), "_n": mask}, "_final_info": mask, "final_obs": NUMBERS, "k": NUMBERS}
    before, after, found = finals(infos)
    assert [identical(found[lane][1], info) for lane, info in ((1, {"n": np.int64(1)}), (2, {}))] == [True, True]
    assert before.infos.keys() == after.infos.keys() == {"k"}


def test_a_final_observation_that_is_missing_is_none_and_the_user_hears_of_it(finals: Any) -> None:
    with pytest.warns(RecordingWarning, match="no final observation"):
        _, _, found = finals({})
    assert found == {1: (None, {}), 2: (None, {})}


def test_the_row_of_a_final_observation_has_no_picture(finals: Any) -> None:
    with pytest.warns(RecordingWarning, match="frames of final observations are None"):
        before, after, _ = finals({"final_obs": NUMBERS}, frames=["a", "b", "c", "d"])
    assert before.frames == ["a", None, None, "d"]
    assert after.frames == ["a", "b", "c", "d"]


# Masks and seeds -----------------------------------------------------------------------------------


def test_the_mask_of_a_reset_is_a_copy() -> None:
    mask = np.array([True, False])
    found = checked_mask({"reset_mask": mask}, 2)
    assert found is not None
    assert found is not mask
    assert found.tolist() == [True, False]


@pytest.mark.parametrize("options", [None, {}, {"level": 3}, "text"], ids=repr)
def test_a_reset_without_a_mask_has_none(options: Any) -> None:
    assert checked_mask(options, 2) is None


@pytest.mark.parametrize("mask", [[True, False], np.ones(2), np.ones(3, np.bool_), None, np.True_], ids=repr)
def test_a_mask_that_is_not_boolean_for_each_environment_is_refused(mask: Any) -> None:
    with pytest.raises(OptionError, match=r"reset_mask: expected a boolean array \(2,\)"):
        checked_mask({"reset_mask": mask}, 2)


@pytest.mark.parametrize(
    ("seed", "expected"),
    [
        (None, [None, None, None]),
        (5, [5, 6, 7]),
        (np.int64(5), [5, 6, 7]),
        ([5, None, 7], [5, None, 7]),
        ([5, 6], [None, None, None]),
    ],
    ids=repr,
)
def test_seeds_count_up_from_a_single_one_as_in_gymnasium(seed: Any, expected: list[Any]) -> None:
    assert seeds_of(seed, 3) == expected
