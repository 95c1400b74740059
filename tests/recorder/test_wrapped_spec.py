"""The spec of a stack of wrappers makes that stack, wherever a TimeLimit stands in it."""

from __future__ import annotations

import gymnasium as gym
import pytest
from gymnasium import spaces, wrappers

from gym_h5record.recorder.provenance import wrapped_spec
from tests.zoo import ZooEnv


class Limit(wrappers.TimeLimit):
    """A limit of its own class."""


class Skip(gym.Wrapper, gym.utils.RecordConstructorArgs):
    """Takes every action so many times."""

    def __init__(self, env, times):
        gym.utils.RecordConstructorArgs.__init__(self, times=times)
        super().__init__(env)
        self.times = times

    def step(self, action):
        for _ in range(self.times):
            found = self.env.step(action)
        return found


def limited_late():
    return wrappers.TimeLimit(Skip(gym.make("Pendulum-v1", max_episode_steps=-1), 4), 10)


STACKS = {
    "late limit": limited_late,
    "two limits": lambda: wrappers.TimeLimit(gym.make("Pendulum-v1", max_episode_steps=5), 10),
    "limits between": lambda: wrappers.TimeLimit(Skip(wrappers.TimeLimit(Skip(gym.make("Pendulum-v1"), 2), 7), 3), 9),
    "own class": lambda: Limit(gym.make("Pendulum-v1", max_episode_steps=-1), 6),
    "own class late": lambda: Skip(Limit(Skip(gym.make("Pendulum-v1"), 2), 6), 2),
    "late order": lambda: Skip(wrappers.TimeLimit(Skip(gym.make("Pendulum-v1"), 2), 6), 2),
}


@pytest.mark.parametrize("stack", STACKS.values(), ids=list(STACKS))
def test_the_same_stack_is_made_again(stack):
    env = stack()
    again = gym.make(wrapped_spec(env))
    assert str(again) == str(env)
    assert wrapped_spec(again) == wrapped_spec(env)


def test_steps_are_counted_where_they_were():
    env, again = limited_late(), gym.make(wrapped_spec(limited_late()))
    for each in (env, again):
        each.reset(seed=0)
        flags = [each.step(each.action_space.sample())[3] for _ in range(10)]
        assert flags == [False] * 9 + [True]


@pytest.mark.parametrize(
    "env",
    [
        gym.make("CartPole-v1"),
        gym.make("CartPole-v1", max_episode_steps=3, disable_env_checker=True),
        wrappers.TimeLimit(gym.make("CartPole-v1", max_episode_steps=-1), 5),
        Skip(wrappers.RecordEpisodeStatistics(gym.make("CartPole-v1")), 2),
    ],
    ids=["plain", "options", "by hand", "wrapped"],
)
def test_a_usual_stack_keeps_its_own_spec(env):
    assert wrapped_spec(env) is env.spec


def test_an_environment_made_by_hand_has_none():
    assert wrapped_spec(wrappers.TimeLimit(ZooEnv(spaces.Discrete(2)), 5)) is None
