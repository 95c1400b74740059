"""The facts of a recording, from an environment or without one."""

from __future__ import annotations

import json
import math
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from gym_h5record.errors import MetadataError
from gym_h5record.recorder.provenance import describe_arrays, describe_environment
from gym_h5record.recorder.recorded_env import RecordedEnv, describe_recorded, describe_written
from gym_h5record.values.space_json import space_from_json

SPACES = (spaces.Box(-1, 1, (4,), np.float64), spaces.Discrete(3))


def of_cartpole(metadata: Any = None, *, infos: Any = True, times: Any = True) -> RecordedEnv:
    env = gym.make("CartPole-v1")
    return describe_recorded(env, "cameras", metadata, infos=infos, times=times, cameras=("front",))


def of_arrays(metadata: Any = None, *, times: Any = True) -> RecordedEnv:
    return describe_written("robot", SPACES, 30, metadata, times=times)


def test_the_facts_of_an_environment_are_its_own() -> None:
    env = gym.make("CartPole-v1")
    recorded = of_cartpole()
    assert recorded.spaces == (env.observation_space, env.action_space)
    assert (recorded.fps, recorded.frames, recorded.cameras) == (50.0, "cameras", ("front",))
    own = {name: text for name, text in recorded.attributes.items() if name not in ("run_id", "agent_id", "user")}
    assert own == {**describe_environment(env), "frames": "cameras"}


def test_the_facts_without_an_environment_are_those_that_are_given() -> None:
    recorded = of_arrays()
    assert recorded.spaces == SPACES
    assert (recorded.fps, recorded.frames, recorded.cameras, recorded.infos) == (30.0, "none", (), True)
    assert recorded.attributes["env_name"] == "robot"
    assert recorded.attributes.items() >= {**describe_arrays("robot", *SPACES), "frames": "none"}.items()
    assert space_from_json(json.loads(recorded.attributes["observation_space"])) == SPACES[0]
    assert math.isnan(describe_written("", SPACES, float("nan"), None, times=True).fps)


@pytest.mark.parametrize("describe", [of_cartpole, of_arrays])
def test_the_users_metadata_is_among_the_attributes(describe: Any) -> None:
    recorded = describe({"run_id": "r", "note": 5})
    assert (recorded.attributes["run_id"], json.loads(recorded.attributes["user"])) == ("r", {"note": 5})
    assert recorded.has_user_metadata
    assert not describe().has_user_metadata
    assert not describe({}).has_user_metadata
    assert all(type(text) is str for text in recorded.attributes.values())
    with pytest.raises(MetadataError, match="is of type object"):
        describe({"note": object()})


def test_options_are_truth_values() -> None:
    assert (of_cartpole(infos=1, times=0).infos, of_cartpole(infos=0, times=1).times) == (True, True)
    assert of_cartpole(infos=0).infos is of_cartpole(times=0).times is of_arrays(times=0).times is False
