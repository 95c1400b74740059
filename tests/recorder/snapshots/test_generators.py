"""Snapshots of generators in attributes: each is found, undisturbed and restored."""

from __future__ import annotations

import copy
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
from gym_h5record.recorder.snapshots.generators import GeneratorProvider
from gym_h5record.values.exact import identical
from tests.zoo import SPACES


class Gambler(gym.Env[Any, Any]):
    def __init__(self) -> None:
        self.observation_space = gym.spaces.Box(0, 1, (1,), np.float64)
        self.action_space = gym.spaces.Discrete(2)


class Noise(gym.Wrapper[Any, Any, Any, Any]):
    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        self.noise = np.random.default_rng(5)


def make(**attributes: Any) -> Any:
    env = Gambler()
    env.reset(seed=1)  # makes Gymnasium's generator
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


class Lazy(Gambler):
    """Uses Gymnasium's generators only in its resets, so that they are created there."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        if seed is None and self._np_random is None:
            seed = 42  # taking a snapshot must not create one: an environment may look
        super().reset(seed=seed)
        return np.array([self.np_random.random(), *self.observation_space.sample()]), {}


def test_nothing_is_made_before_a_reset_that_would_make_it() -> None:
    env = Lazy()
    assert GeneratorProvider().take(env) == b"[]"
    assert env._np_random is None
    assert env.observation_space._np_random is None


def test_what_a_reset_has_made_is_put_back_as_it_was_made() -> None:
    provider = GeneratorProvider()
    for make_env in (Lazy, lambda: Noise(Lazy())):
        env, other = make_env(), make_env()
        state = provider.take(env)
        assert state is not None
        first, _ = env.reset()
        state = provider.complete(env, state)
        second, _ = env.reset()
        provider.restore(other, state)
        found = [other.reset()[0] for _ in range(2)]
        assert np.array_equal(found, [first, second])
        assert other.unwrapped.np_random_seed == 42


def test_what_was_there_before_a_reset_is_not_taken_for_what_it_has_made() -> None:
    provider, env = GeneratorProvider(), make(rng=np.random.default_rng(1))
    state = provider.take(env)
    assert state is not None
    env.reset(seed=7)
    assert provider.complete(env, state) == state


@pytest.mark.parametrize("space", [space for _, space in SPACES], ids=[name for name, _ in SPACES])
def test_samples_of_a_space_go_on_as_they_would_have(space: gym.Space[Any]) -> None:
    env, other = Gambler(), Gambler()
    env.observation_space, other.observation_space = copy.deepcopy(space), copy.deepcopy(space)
    env.observation_space.seed(5)
    env.observation_space.sample()
    state = GeneratorProvider().take(env)
    assert state is not None
    expected = env.observation_space.sample()
    GeneratorProvider().restore(other, state)
    assert identical(other.observation_space.sample(), expected)


def test_children_are_spawned_as_they_would_have_been() -> None:
    env, other = make(), make()
    env.unwrapped.np_random.spawn(2)
    state = GeneratorProvider().take(env)
    assert state is not None
    expected = env.np_random.spawn(1)[0].random()
    other.reset(seed=9)
    held = other.unwrapped.np_random
    GeneratorProvider().restore(other, state)
    assert other.np_random.spawn(1)[0].random() == expected
    assert (other.np_random is held) == (not np.__version__.startswith("1."))


def test_the_seed_is_the_one_that_was_recorded() -> None:
    env, other = make(), make()
    env.reset(seed=2**70)
    state = GeneratorProvider().take(env)
    assert state is not None
    GeneratorProvider().restore(other, state)
    assert other.unwrapped.np_random_seed == 2**70
    assert other.np_random.random() == env.np_random.random()


def test_generators_that_were_two_when_recorded_are_two_again_and_one_is_one() -> None:
    apart, together = make(), make()
    apart.unwrapped.rng = np.random.default_rng(1)
    together.unwrapped.rng = together.noise = together.unwrapped.np_random
    states = [GeneratorProvider().take(env) for env in (apart, together)]
    assert None not in states
    GeneratorProvider().restore(together, states[0])  # type: ignore[arg-type]
    assert len({id(each) for each in (together.np_random, together.unwrapped.rng, together.noise)}) == 3
    assert [together.np_random.random(), together.unwrapped.rng.random(), together.noise.random()] == [
        apart.np_random.random(),
        apart.unwrapped.rng.random(),
        apart.noise.random(),
    ]
    GeneratorProvider().restore(apart, states[1])  # type: ignore[arg-type]
    assert apart.np_random is apart.unwrapped.rng is apart.noise


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
        json.dumps([[0, "rng", "same", 3]]).encode(),
        json.dumps([[0, "_np_random_seed", "seed", []]]).encode(),
        json.dumps([[0, "action_space/7/_np_random", "python", []]]).encode(),
        json.dumps([[0, "metadata/0/_np_random", "python", []]]).encode(),
        json.dumps([[0, "rng", "numpy", {"bit_generator": "PCG64", "state": {}, "seed_seq": [-1, [], 0]}]]).encode(),
        json.dumps([[0, "rng", "unknown", {}]]).encode(),
        json.dumps([[0, "rng", "numpy", {"bit_generator": "system"}]]).encode(),
        json.dumps([[0, "rng", "numpy", {"bit_generator": "PCG64", "state": 3}]]).encode(),
        json.dumps([[0, "rng", "python", [3, [1, 2], None]]]).encode(),
    ],
)
def test_a_state_that_does_not_fit_is_an_error_of_ours(state: bytes) -> None:
    with pytest.raises(SnapshotError):
        GeneratorProvider().restore(make(), state)
