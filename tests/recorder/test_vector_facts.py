"""The facts about a vector environment: what it is, how it resets, and which of its environments are recorded."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.envs.classic_control.cartpole import CartPoleVectorEnv
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv
from gymnasium.wrappers.vector import NormalizeObservation, RecordEpisodeStatistics

from gym_h5record.errors import OptionError, UnsupportedEnvError
from gym_h5record.recorder.vector_facts import (
    autoreset_mode,
    check_lanes,
    check_vector_env,
    describe_vector,
    single_envs,
)
from tests.scripted import functions
from tests.test_architecture import run


class Own(VectorEnv[Any, Any, Any]):
    """A vector environment of the user."""

    def __init__(self, metadata: dict[str, Any], batch_size: Any = None) -> None:
        self.num_envs = 3
        self.metadata = metadata
        self.single_observation_space, self.single_action_space = spaces.Discrete(3), spaces.Discrete(2)
        if batch_size is not None:
            self.batch_size = batch_size


def scripted(**options: Any) -> SyncVectorEnv:
    return SyncVectorEnv(functions("box", [(3,), (2,)]), **options)


def described(env: Any, **options: Any) -> dict[str, Any]:
    recorded = describe_vector(env, [1, 0], "none", None, infos=True, times=True, **options)
    return {**recorded.attributes, "vector": json.loads(recorded.attributes["vector"])}


# What is recorded ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("env", "message"),
    [
        (gym.make("CartPole-v1"), r"is a single environment.* with gym_h5record\.RecordToHDF5\."),
        (object(), "object is no environment"),
    ],
    ids=["single", "none"],
)
def test_what_is_no_vector_environment_is_refused(env: Any, message: str) -> None:
    with pytest.raises(UnsupportedEnvError, match=message):
        check_vector_env(env)


def test_batches_of_some_environments_are_refused() -> None:
    with pytest.raises(UnsupportedEnvError, match="gives batches of 2 of its 3 environments, .*batch_size=3"):
        check_vector_env(Own({}, batch_size=2))
    for whole in (0, 3, None, "all"):
        check_vector_env(Own({}, batch_size=whole))


def test_all_environments_are_recorded_unless_some_are_named() -> None:
    assert check_lanes(None, 3) == [0, 1, 2]
    assert check_lanes((2, 0), 3) == [2, 0]
    assert [type(lane) for lane in check_lanes(np.arange(2), 3)] == [int, int]


@pytest.mark.parametrize("lanes", [[3], [-1], [0, 0], [], [True], ["1"], [0.0], 1, "1"], ids=repr)
def test_lanes_that_are_no_different_environments_are_refused(lanes: Any) -> None:
    with pytest.raises(OptionError, match="lanes: expected a list of different numbers from 0 to 2, got"):
        check_lanes(lanes, 3)


def test_more_lanes_than_a_recording_may_have_are_refused() -> None:
    assert len(check_lanes(None, 16_384)) == 16_384
    with pytest.raises(OptionError, match="at most 16384 can be recorded, got 16385"):
        check_lanes(None, 16_385)


# How it resets -------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", list(AutoresetMode), ids=lambda mode: mode.name)
def test_the_mode_is_that_of_the_environment_below_its_wrappers(mode: AutoresetMode) -> None:
    assert autoreset_mode(scripted(autoreset_mode=mode)) is mode
    assert autoreset_mode(RecordEpisodeStatistics(scripted(autoreset_mode=mode))) is mode


def test_the_attribute_of_an_instance_is_asked_before_the_metadata_of_its_class() -> None:
    env: Any = Own({"autoreset_mode": AutoresetMode.NEXT_STEP})
    assert autoreset_mode(env) is AutoresetMode.NEXT_STEP
    env.autoreset_mode = AutoresetMode.SAME_STEP
    assert autoreset_mode(env) is AutoresetMode.SAME_STEP


@pytest.mark.parametrize("metadata", [{}, {"autoreset_mode": None}, {"autoreset_mode": "sometimes"}], ids=repr)
def test_an_environment_that_does_not_say_how_it_resets_is_refused(metadata: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedEnvError, match="Own does not say how it resets: set metadata"):
        autoreset_mode(Own(metadata))


# What is noted -------------------------------------------------------------------------------------


def test_only_environments_in_this_process_can_be_reached() -> None:
    envs = scripted()
    assert single_envs(envs) == list(envs.envs)
    assert single_envs(CartPoleVectorEnv(num_envs=2)) is None


def test_class_mode_lanes_and_wrappers_are_noted() -> None:
    vector = described(NormalizeObservation(scripted()))["vector"]
    assert vector["class"] == "gymnasium.vector.sync_vector_env:SyncVectorEnv"
    assert vector["wrappers"] == ["gymnasium.wrappers.vector.stateful_observation:NormalizeObservation"]
    assert (vector["autoreset_mode"], vector["num_envs"], vector["lanes"]) == ("NEXT_STEP", 2, [1, 0])
    assert vector["spec"] is None


def test_the_spec_of_a_vector_environment_is_noted_if_it_has_one() -> None:
    envs = gym.make_vec("CartPole-v1", num_envs=2, vectorization_mode="vector_entry_point")
    assert json.loads(described(envs)["vector"]["spec"])["id"] == "CartPole-v1"


def test_a_spec_that_is_not_of_gymnasium_is_none() -> None:
    env = Own({"autoreset_mode": AutoresetMode.NEXT_STEP})
    env.spec = SimpleNamespace(config={"num_envs": 2})  # type: ignore[assignment]  # as EnvPool has it
    found = described(env)
    assert found["vector"]["spec"] is None
    assert found["env_name"] == "Own"


def test_one_of_the_environments_is_described_where_they_can_be_reached() -> None:
    envs = gym.make_vec("CartPole-v1", num_envs=2, vectorization_mode="sync")
    found = described(envs)
    assert found["env_name"] == "CartPole-v1"
    assert found["env_class"] == "gymnasium.envs.classic_control.cartpole:CartPoleEnv"
    assert json.loads(found["env_spec"])["id"] == "CartPole-v1"


def test_environments_that_are_stepped_together_have_no_spec_of_one() -> None:
    found = described(CartPoleVectorEnv(num_envs=2))
    assert found["env_name"] == "CartPoleVectorEnv"
    assert found["env_spec_problem"] == "CartPoleVectorEnv steps its environments together"
    assert found["env_spec"] == ""


@pytest.mark.parametrize("has_lambda", [False, True], ids=["plain", "lambda"])
def test_workers_survive_the_question_for_their_spec(has_lambda: bool) -> None:
    wrap: Any = _with_lambda if has_lambda else gym.wrappers.TimeAwareObservation
    envs = gym.make_vec("CartPole-v1", num_envs=2, vectorization_mode="async", wrappers=[wrap])
    found = described(envs)
    envs.reset(seed=1)
    assert envs.step(np.array([0, 1]))[1].tolist() == [1, 1]
    envs.close()
    if has_lambda:
        assert found["env_spec"] == ""
        assert "are not asked for their spec: they have TransformReward, TimeLimit" in found["env_spec_problem"]
    else:
        assert json.loads(found["env_spec"])["additional_wrappers"][0]["name"] == "TimeAwareObservation"


def _with_lambda(env: Any) -> Any:
    return gym.wrappers.TransformReward(env, lambda reward: reward)


def test_the_recorder_is_made_with_wrappers_that_take_no_type_parameters() -> None:
    code = (
        "from typing import Any; from gymnasium import vector; base = vector.VectorWrapper;"
        "base.__class_getitem__ = None;"
        "from gym_h5record.vector import RecordToHDF5; print(issubclass(RecordToHDF5, base))"
    )
    assert run(code) == "True"


def test_spaces_are_those_of_a_single_environment() -> None:
    recorded = describe_vector(
        scripted(), [0], "none", {"run_id": "seven"}, infos=False, times=False, cameras=("front",)
    )
    assert recorded.spaces[0] == spaces.Box(-1000, 1000, (3,), np.float32)
    assert recorded.spaces[1] == spaces.Discrete(100)
    assert (recorded.infos, recorded.times, recorded.has_user_metadata) == (False, False, True)
    assert (recorded.attributes["run_id"], recorded.attributes["frames"]) == ("seven", "none")
    assert recorded.cameras == ("front",)
