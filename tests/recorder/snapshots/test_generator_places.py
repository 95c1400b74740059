"""Places of generators: two environments made in the same way list them in the same order."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces, wrappers

from gym_h5record.recorder.snapshots.generator_places import holder_of, layers, parts_of_spaces
from tests.zoo import SPACES


def make(space: gym.Space[Any]) -> gym.Env[Any, Any]:
    env: gym.Env[Any, Any] = gym.Env()
    env.observation_space, env.action_space = space, spaces.Discrete(2)
    return env


def test_layers_are_counted_from_the_inside() -> None:
    env = wrappers.TimeAwareObservation(wrappers.TimeLimit(make(spaces.Box(0, 1, (2,), np.float32)), 9))
    assert layers(env) == [env.unwrapped, env.env, env]
    assert layers(env.unwrapped) == [env.unwrapped]


@pytest.mark.parametrize("space", [space for _, space in SPACES], ids=[name for name, _ in SPACES])
def test_every_part_of_a_space_is_found_at_its_path(space: gym.Space[Any]) -> None:
    env = make(space)
    found = dict(parts_of_spaces(env))
    assert found["observation_space/0/_np_random"] is space
    assert found["action_space/0/_np_random"] is env.action_space
    for path, part in found.items():
        assert holder_of(env, path) == (part, "_np_random")


def test_parts_are_counted_breadth_first() -> None:
    inner = spaces.Dict(c=spaces.Discrete(4))
    space = spaces.Dict(a=inner, b=spaces.Graph(spaces.Discrete(3), None))
    parts = [part for path, part in parts_of_spaces(make(space)) if path.startswith("observation")]
    assert parts == [space, inner, space["b"], inner["c"], space["b"].node_space]


def test_an_environment_without_spaces_has_none() -> None:
    assert [*parts_of_spaces(gym.Env())] == []


def test_an_attribute_is_held_by_the_layer_itself() -> None:
    env = make(spaces.Discrete(2))
    assert holder_of(env, "rng") == (env, "rng")
    with pytest.raises(LookupError):
        holder_of(env, "action_space/3/_np_random")
