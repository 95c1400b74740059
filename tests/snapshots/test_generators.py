"""Generators in attributes: all of them found, none disturbed, each put back."""

from __future__ import annotations

import gc
import json
import random
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import gym_h5record as h5r
from gym_h5record.errors import SnapshotError
from gym_h5record.snapshots import GeneratorProvider


class Gambler(gym.Env[Any, Any]):
    observation_space = gym.spaces.Box(0, 1, (1,), np.float64)
    action_space = gym.spaces.Discrete(2)


class Noise(gym.Wrapper[Any, Any, Any, Any]):
    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        self.noise = np.random.default_rng(5)


def make(**attributes: Any) -> Any:
    env = Gambler()
    for name, value in attributes.items():
        setattr(env, name, value)
    return Noise(env)


def numpy_generator(name: str) -> np.random.Generator:
    return np.random.Generator(getattr(np.random, name)(3))


GENERATORS = {
    name: (partial(numpy_generator, name), lambda found: found.random())
    for name in ("PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64")
} | {
    "RandomState": (lambda: np.random.RandomState(3), lambda found: found.standard_normal()),
    "random.Random": (lambda: random.Random(3), lambda found: found.gauss(0, 1)),
}


@pytest.mark.parametrize(("new", "draw"), GENERATORS.values(), ids=GENERATORS)
def test_a_generator_goes_on_in_another_environment_as_it_would_have(new: Any, draw: Any) -> None:
    env = make(rng=new())
    draw(env.unwrapped.rng)  # half of a pair may be left over
    state = GeneratorProvider().take(env)
    expected = [draw(env.unwrapped.rng) for _ in range(5)] + [env.noise.random(), env.np_random.random()]
    for there in (new(), None):  # one that is there, one that is not yet
        other = make(rng=there)
        GeneratorProvider().restore(other, state)
        found = [draw(other.unwrapped.rng) for _ in range(5)] + [other.noise.random(), other.np_random.random()]
        assert found == expected


@pytest.mark.parametrize(("new", "draw"), GENERATORS.values(), ids=GENERATORS)
def test_taking_disturbs_nothing(new: Any, draw: Any) -> None:
    env, twin = make(rng=new()), make(rng=new())
    env.reset(seed=1)
    twin.reset(seed=1)
    GeneratorProvider().take(env)
    assert draw(env.unwrapped.rng) == draw(twin.unwrapped.rng)
    assert env.np_random.random() == twin.np_random.random()
    assert env.unwrapped.np_random_seed == twin.unwrapped.np_random_seed == 1


def test_taking_does_not_make_the_attributes_of_an_environment_slower(tmp_path: Path) -> None:
    env = gym.make("CartPole-v1")
    env.reset(seed=1)
    layers = [env.unwrapped, env, env.env]  # type: ignore[attr-defined]
    before = [len(gc.get_referents(layer)) for layer in layers]
    recorder = h5r.RecordToHDF5(env, tmp_path / "run.h5", writer="inline")
    recorder.reset()
    recorder.step(0)
    recorder.reset()
    assert [
        len(gc.get_referents(layer)) for layer in layers
    ] == before  # a __dict__ would be one thing in place of many
    recorder.close()


def test_attributes_of_an_environment_whose_dict_was_seen_are_found() -> None:
    env = make(rng=np.random.default_rng(1))
    assert vars(env.unwrapped)
    assert vars(env)
    state = GeneratorProvider().take(env)
    assert state is not None
    assert state.count(b"PCG64") == 3


def test_a_generator_that_is_shared_stays_shared() -> None:
    env = make()
    env.unwrapped.mine = env.unwrapped.np_random
    state = GeneratorProvider().take(env)
    GeneratorProvider().restore(env, state)
    assert env.unwrapped.mine is env.unwrapped.np_random


def test_what_becomes_a_generator_later_is_found() -> None:
    provider, env = GeneratorProvider(), make(rng=None, other=3)
    assert provider.take(env).count(b"PCG64") == 2  # type: ignore[union-attr]
    env.unwrapped.rng = np.random.default_rng(1)
    assert provider.take(env).count(b"PCG64") == 3  # type: ignore[union-attr]
    env.unwrapped.more = np.random.default_rng(1)
    assert provider.take(env).count(b"PCG64") == 4  # type: ignore[union-attr]
    env.unwrapped.rng = None
    assert provider.take(env).count(b"PCG64") == 3  # type: ignore[union-attr]
    del env.unwrapped.more
    assert provider.take(make(rng=None)).count(b"PCG64") == 2  # type: ignore[union-attr]


def test_a_never_seeded_environment_is_given_the_generator_it_would_give_itself() -> None:
    env = make()
    assert env.unwrapped._np_random is None
    state = GeneratorProvider().take(env)
    expected = env.np_random.random()
    other = make()
    GeneratorProvider().restore(other, state)
    assert other.np_random.random() == expected


def test_an_environment_that_makes_its_own_generator_is_left_alone() -> None:
    class Own(Gambler):
        asked = 0

        @property
        def np_random(self) -> Any:
            self.asked += 1
            return None

    env = Own()
    assert GeneratorProvider().take(env) == b"[]"
    assert env.asked == 0


@pytest.mark.parametrize(
    "state",
    [
        b"no JSON",
        b"7",
        b"[[7]]",
        json.dumps([[9, "rng", "numpy", {}]]).encode(),
        json.dumps([[0, "rng", "unknown", {}]]).encode(),
        json.dumps([[0, "rng", "numpy", {"bit_generator": "system"}]]).encode(),
        json.dumps([[0, "rng", "numpy", {"bit_generator": "PCG64", "state": 3}]]).encode(),
        json.dumps([[0, "rng", "python", [3, [1, 2], None]]]).encode(),
    ],
)
def test_a_state_that_does_not_fit_is_an_error_of_ours(state: bytes) -> None:
    with pytest.raises(SnapshotError):
        GeneratorProvider().restore(make(), state)
