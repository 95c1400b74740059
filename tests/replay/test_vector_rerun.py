"""Recorded resets and steps reach the vector environment as they were, and its batches are taken apart."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv

from gym_h5record.errors import NotReplayableError
from gym_h5record.replay.vector_rerun import VectorRerun
from gym_h5record.replay.vector_timeline import LanesReset, LanesStepped
from gym_h5record.values.differences import ABSENT
from gym_h5record.values.exact import identical
from gym_h5record.values.tagged_json import tag, untag

TEXT = untag(tag(object()))
"""A value that the file has only as text."""

BOX = spaces.Box(-9, 9, (2,), np.float32)


class Listening(VectorEnv[Any, Any, Any]):
    """Keeps what it is given, and gives what it is told to."""

    render_mode = None

    def __init__(self, action_space: Any = spaces.Discrete(3), gives: Any = None, num_envs: int = 3) -> None:  # noqa: B008  # read only
        self.num_envs = num_envs
        self.single_observation_space, self.single_action_space = spaces.Discrete(9), action_space
        self.gives, self.given = gives, []  # type: Any, list[Any]

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        self.given.append((seed, options))
        return np.arange(self.num_envs), {}

    def step(self, actions: Any) -> Any:
        self.given.append(actions)
        flags = np.zeros(self.num_envs, np.bool_)
        return self.gives or (np.arange(self.num_envs), np.ones(self.num_envs), flags, flags, {})


def made(env: Any, mode: AutoresetMode = AutoresetMode.NEXT_STEP) -> VectorRerun:
    recording: Any = SimpleNamespace(metadata={"frames": "none"})
    return VectorRerun(recording, env, mode)


def begun(seeds: dict[int, int | None], options: Any = None, *, is_full: bool = False) -> LanesReset:
    told: Any = {lane: SimpleNamespace(seed=seed, options=options) for lane, seed in seeds.items()}
    return LanesReset(told, is_full)


def stepped(actions: dict[int, Any]) -> LanesStepped:
    told: Any = {lane: (SimpleNamespace(actions=[action]), 0) for lane, action in actions.items()}
    return LanesStepped(told, {})


# Resets -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seeds", "given"),
    [
        ({0: 5, 1: 6, 2: 7}, 5),
        ({0: None, 1: None, 2: None}, None),
        ({0: 5, 1: 5, 2: 5}, [5, 5, 5]),
        ({0: 5, 1: None, 2: 7}, [5, None, 7]),
    ],
    ids=["one number", "none", "list", "list with None"],
)
def test_the_seeds_of_all_lanes_are_one_argument(seeds: Any, given: Any) -> None:
    env = Listening()
    made(env).apply(begun(seeds, {"a": 1}, is_full=True))
    assert env.given == [(given, {"a": 1})]


@pytest.mark.parametrize(
    ("seeds", "given"),
    [({0: None, 2: None}, None), ({0: 4, 2: 6}, 4), ({1: 9, 2: 3}, [None, 9, 3])],
    ids=["none", "one number", "list"],
)
def test_a_reset_of_some_lanes_has_a_mask(seeds: Any, given: Any) -> None:
    env = Listening()
    options = {"a": [1]}
    made(env).apply(begun(seeds, options))
    ((seed, passed),) = env.given
    assert seed == given
    assert passed["reset_mask"].tolist() == [lane in seeds for lane in range(3)]
    assert passed["a"] == [1]
    assert passed["a"] is not options["a"]
    assert "reset_mask" not in options


def test_options_that_are_only_text_cannot_be_given() -> None:
    with pytest.raises(NotReplayableError, match="reset options without an exact form"):
        made(Listening()).apply(begun({0: 1}, {"a": TEXT}))


# Steps --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("space", "actions", "batch"),
    [
        (spaces.Discrete(3), [np.int32(2), np.int32(0), np.int32(1)], np.array([2, 0, 1], np.int32)),
        (BOX, [np.zeros(2), np.ones(2), np.ones(2)], np.array([[0, 0], [1, 1], [1, 1]], np.float64)),
        (
            spaces.Dict({"a": spaces.Discrete(3), "b": BOX}),
            [{"a": np.int64(lane), "b": np.full(2, lane, np.float32)} for lane in range(3)],
            {"a": np.arange(3), "b": np.array([[0, 0], [1, 1], [2, 2]], np.float32)},
        ),
        (
            spaces.Tuple((spaces.Discrete(3), spaces.Text(4))),
            [(np.int64(lane), "ab") for lane in range(3)],
            (np.arange(3), ("ab", "ab", "ab")),
        ),
        (spaces.Text(4), ["a", "b", "c"], ("a", "b", "c")),
    ],
    ids=["discrete", "box", "dict", "tuple", "text"],
)
def test_actions_are_a_batch_in_their_own_dtype(space: Any, actions: Any, batch: Any) -> None:
    env = Listening(space)
    made(env).apply(stepped(dict(enumerate(actions))))
    assert identical(env.given[0], batch)


def test_lanes_that_take_no_step_get_a_valid_action() -> None:
    env = Listening(spaces.Discrete(3, start=4))
    rerun = made(env)
    rerun.apply(stepped({1: np.int64(5)}))
    rerun.apply(stepped({}))
    assert [actions.tolist() for actions in env.given] == [[5, 5, 5], [5, 5, 5]]


def test_an_action_that_is_only_text_cannot_be_given() -> None:
    with pytest.raises(NotReplayableError, match="an action without an exact form"):
        made(Listening()).apply(stepped({0: TEXT}))


# Outcomes -----------------------------------------------------------------------------------------


def test_a_lane_has_its_own_entries() -> None:
    infos = {"a": np.array([1, 0, 3]), "_a": np.array([True, False, True]), "b": np.array([4, 5, 6])}
    gives = np.array([7, 8, 9]), np.array([0.5, 1.5, 2.5]), np.array([True, False, False]), np.zeros(3, np.bool_), infos
    outcome = made(Listening(gives=gives)).apply(stepped({0: 1, 1: 1, 2: 1}))
    first, second = outcome.stepped(0), outcome.stepped(1)
    assert (first.observation, first.info, first.step) == (7, {"a": 1, "b": 4}, (0.5, True, False))
    assert (second.observation, second.info, second.step) == (8, {"b": 5}, (1.5, False, False))
    assert first.frame is ABSENT
    assert outcome.begun(2).step is None


@pytest.mark.parametrize("is_dense", [True, False], ids=["dense", "objects"])
def test_in_same_step_mode_a_lane_that_ended_has_its_final_row_and_the_first_of_the_next(is_dense: bool) -> None:
    finals = np.array([0, 6, 0]) if is_dense else np.array([None, np.int64(6), None], object)
    ended = np.array([False, True, False])
    final_info = {"a": np.array([0, 2, 0]), "_a": ended}
    infos = {
        **{"final_obs": finals, "_final_obs": ended, "final_info": final_info, "_final_info": ended},
        "a": np.array([1, 9, 1]),
    }
    gives = np.array([1, 2, 3]), np.ones(3), np.zeros(3, np.bool_), ended, infos
    outcome = made(Listening(gives=gives), AutoresetMode.SAME_STEP).apply(stepped({0: 1, 1: 1, 2: 1}))
    final, first, running = outcome.stepped(1), outcome.begun(1), outcome.stepped(0)
    assert (final.observation, final.info, final.step) == (6, {"a": 2}, (1.0, False, True))
    assert (first.observation, first.info) == (2, {"a": 9})
    assert (running.observation, running.info) == (1, {"a": 1})


def test_a_final_observation_that_is_missing_is_none() -> None:
    ended = np.ones(3, np.bool_)
    gives = np.array([1, 2, 3]), np.ones(3), ended, ended, {}
    outcome = made(Listening(gives=gives), AutoresetMode.SAME_STEP).apply(stepped({0: 1, 1: 1, 2: 1}))
    assert outcome.stepped(0).observation is None
    assert outcome.stepped(0).info == {}
