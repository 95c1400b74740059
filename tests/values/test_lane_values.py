"""Gymnasium's batches and infos, taken apart: the value of a lane is the one that its environment gave."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from gym_h5record.values.exact import identical
from gym_h5record.values.lane_values import (
    final_info,
    final_observation,
    has_entries,
    in_batch,
    info_in_batch,
    info_mask,
    lane_info,
    lane_value,
    map_batch,
    without_finals,
)
from tests.custom_spaces import Anything

BOX = spaces.Box(-9, 9, (2,), np.float32)
YES_NO = np.array([True, False])


# Values -------------------------------------------------------------------------------------------


def test_a_lane_of_a_batch_of_arrays_is_an_array() -> None:
    batch = np.array([[1, 2], [3, 4]], np.float32)
    assert identical(lane_value(BOX, batch, 1), np.array([3, 4], np.float32))


@pytest.mark.parametrize("space", [spaces.Box(0, 9, (), np.float32), spaces.Box(0, 9, (), np.int8)], ids=str)
def test_a_lane_of_a_box_without_axes_is_an_array_and_no_number(space: spaces.Box) -> None:
    value = lane_value(space, np.array([1, 2], space.dtype), 1)
    assert identical(value, np.array(2, space.dtype))


def test_a_lane_of_a_discrete_space_and_of_rewards_is_a_number_of_numpy() -> None:
    assert identical(lane_value(spaces.Discrete(5), np.array([3, 4]), 1), np.int64(4))
    assert identical(lane_value(None, np.array([0.5, 1.5]), 0), np.float64(0.5))


def test_a_lane_of_nested_dicts_and_tuples_has_their_shape() -> None:
    space = spaces.Dict({"at": BOX, "more": spaces.Tuple((spaces.Discrete(5), spaces.Text(9)))})
    batch = {"at": np.arange(4, dtype=np.float32).reshape(2, 2), "more": (np.array([3, 4]), ("a", "b"))}
    assert identical(lane_value(space, batch, 1), {"at": np.array([2, 3], np.float32), "more": (np.int64(4), "b")})


def test_a_lane_of_an_ordered_batch_is_a_plain_dict() -> None:
    value = lane_value(spaces.Dict({"at": BOX}), OrderedDict(at=np.zeros((2, 2), np.float32)), 0)
    assert type(value) is dict


def test_a_custom_space_has_one_value_per_environment_whatever_it_is() -> None:
    assert lane_value(Anything(), ({"a": 1}, "two"), 0) == {"a": 1}
    assert lane_value(Anything(), ({"a": 1}, "two"), 1) == "two"


def test_a_function_is_applied_to_every_part_of_a_batch() -> None:
    space = spaces.Dict({"at": BOX, "more": spaces.Tuple((spaces.Discrete(5), spaces.Text(9)))})
    batch = {"at": np.zeros((2, 2)), "more": (np.zeros(3), ("a", "b", "c", "d"))}
    assert map_batch(space, batch, len) == {"at": 2, "more": (3, 4)}
    assert map_batch(spaces.Text(9), ("a", "b"), len) == 2


# Infos --------------------------------------------------------------------------------------------


def test_a_key_with_a_mask_belongs_to_the_environments_of_the_mask() -> None:
    infos = {"lives": np.array([3, 0]), "_lives": YES_NO}
    assert identical([lane_info(infos, lane, 2) for lane in (0, 1)], [{"lives": np.int64(3)}, {}])


def test_a_key_without_a_mask_belongs_to_all_environments() -> None:
    infos = {"lives": np.array([3, 4]), "names": ["a", "b"], "pair": ("x", "y")}
    assert identical(lane_info(infos, 1, 2), {"lives": np.int64(4), "names": "b", "pair": "y"})


@pytest.mark.parametrize(
    "value",
    [0.5, "ab", b"ab", None, np.float64(2), np.array(3), np.arange(3), [1, 2, 3], ("x",), object],
    ids=lambda value: f"{type(value).__name__} {value}",
)
def test_a_value_without_an_entry_for_each_environment_is_that_of_all(value: Any) -> None:
    assert not has_entries(value, 2)
    for lane in (0, 1):
        assert lane_info({"key": value}, lane, 2)["key"] is value


def test_infos_in_infos_have_masks_of_their_own() -> None:
    infos = {"episode": {"r": np.array([1.5, 0.0]), "_r": YES_NO}, "_episode": np.array([True, True])}
    assert identical(lane_info(infos, 0, 2), {"episode": {"r": np.float64(1.5)}})
    assert identical(lane_info(infos, 1, 2), {"episode": {}})


def test_booleans_of_a_key_with_an_underscore_are_a_mask_only_beside_the_key() -> None:
    assert identical(lane_info({"_done": YES_NO}, 0, 2), {"_done": np.True_})
    assert identical(lane_info({"_done": YES_NO, "done": YES_NO}, 1, 2), {})


@pytest.mark.parametrize("mask", [[True, False], np.ones(2), np.ones(3, np.bool_), None], ids=repr)
def test_what_is_no_mask_is_a_key_of_its_own(mask: Any) -> None:
    infos = {"lives": np.array([3, 4]), "_lives": mask}
    assert lane_info(infos, 1, 2).keys() == {"lives", "_lives"}


def test_keys_that_are_no_text_have_no_masks() -> None:
    assert identical(lane_info({1: np.array([3, 4]), None: ["a", "b"]}, 0, 2), {1: np.int64(3), None: "a"})


def test_the_mask_of_a_key_is_told_and_a_mask_has_none() -> None:
    infos = {"lives": np.array([3, 4]), "_lives": YES_NO, "all": np.array([1, 2])}
    assert info_mask(infos, "lives", 2) is infos["_lives"]
    assert info_mask(infos, "_lives", 2) is None
    all_of_them = info_mask(infos, "all", 2)
    assert all_of_them is not None
    assert all_of_them.tolist() == [True, True]


# As in a batch ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("space", "value", "expected"),
    [
        (spaces.Discrete(5), 3, np.int64(3)),
        (BOX, np.array([1, 2], np.float64), np.array([1, 2], np.float32)),
        (spaces.Text(9), "word", "word"),
        (spaces.Dict({"a": spaces.Discrete(5)}), {"a": 3}, {"a": np.int64(3)}),
        (spaces.Discrete(5), "no number", "no number"),
        (Anything(), [1], [1]),
    ],
    ids=["number", "narrower", "text", "dict", "outside", "custom"],
)
def test_a_value_becomes_what_it_is_in_a_batch(space: Any, value: Any, expected: Any) -> None:
    assert identical(in_batch(space, value), expected)


def test_python_numbers_of_an_info_become_those_of_numpy_in_dicts_too() -> None:
    info = {"n": 3, "x": 0.5, "yes": True, "word": "a", "more": {"n": 4}, "list": [1]}
    expected = {"n": np.int64(3), "x": np.float64(0.5), "yes": np.True_, "word": "a", "more": {"n": np.int64(4)}}
    assert identical(info_in_batch(info), {**expected, "list": [1]})


def test_the_recorded_type_tells_what_a_number_has_lost() -> None:
    assert identical(info_in_batch({"x": 0.75}, {"x": np.int64(0)}), {"x": np.int64(0)})
    assert identical(info_in_batch({"x": 3}, {"x": np.float32(3)}), {"x": np.float32(3)})


def test_a_number_that_no_array_holds_and_an_info_that_is_no_dict_stay() -> None:
    assert info_in_batch({"n": 1 << 70}) == {"n": 1 << 70}
    assert info_in_batch("text") == "text"


# SAME_STEP mode -----------------------------------------------------------------------------------

FINALS = np.array([None, np.array([3, 4], np.float32)], object)


@pytest.mark.parametrize("name", ["final_obs", "final_observation"])
@pytest.mark.parametrize("batch", [FINALS, np.array([[0, 0], [3, 4]], np.float32)], ids=["objects", "batch"])
def test_the_final_observation_of_a_lane_is_found_in_an_array_of_objects_and_in_a_batch(
    name: str, batch: np.ndarray
) -> None:
    assert identical(final_observation(BOX, {name: batch}, 1), np.array([3, 4], np.float32))


@pytest.mark.parametrize("infos", [{}, None, {"final_obs": None}, {"final_obs": FINALS[:1]}], ids=repr)
def test_a_final_observation_that_is_not_told_is_none(infos: Any) -> None:
    assert final_observation(BOX, infos, 0) is None


def test_the_final_info_of_a_lane_has_its_own_entries_only() -> None:
    infos = {"final_info": {"score": np.array([0, 7]), "_score": YES_NO[::-1]}}
    assert final_info(infos, 0, 2) == {}
    assert identical(final_info(infos, 1, 2), {"score": np.int64(7)})
    assert final_info({}, 1, 2) == final_info(None, 1, 2) == {}


def test_infos_without_finals_are_those_of_the_next_episode() -> None:
    infos = {"final_obs": FINALS, "_final_obs": YES_NO, "final_info": {}, "_final_info": YES_NO, "lives": 3}
    assert without_finals(infos) == {"lives": 3}
    assert without_finals(None) is None
