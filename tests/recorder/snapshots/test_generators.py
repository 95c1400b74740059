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
from tests.recorder.snapshots.nested_envs import (
    FOUND,
    Holder,
    InListsAndDicts,
    LikeMinAtar,
    LikeTetris,
    MakesItsGame,
    Replacing,
)
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


# Inside objects -------------------------------------------------------------------------------------


def draws(env: Any) -> list[float]:
    return [env.draw() for _ in range(5)]


@pytest.mark.parametrize("make_env", FOUND)
@pytest.mark.parametrize("wrap", [lambda env: env, Noise], ids=["bare", "wrapped"])
def test_generators_inside_objects_go_on_in_another_environment_as_they_would_have(make_env: Any, wrap: Any) -> None:
    env, other, twin = wrap(make_env()), wrap(make_env()), make_env()
    for each in (env.unwrapped, twin):
        each.seed(3)
        each.draw()
    state = GeneratorProvider().take(env)
    GeneratorProvider().restore(other, state)
    assert draws(env.unwrapped) == draws(other.unwrapped) == draws(twin)


@pytest.mark.parametrize("make_env", FOUND)
def test_a_generator_that_was_replaced_between_resets_is_taken_as_it_is(make_env: Any) -> None:
    provider, env, other = GeneratorProvider(), make_env(), make_env()
    for seed in (5, None, 6, 7):
        if seed is not None:
            env.seed(seed)
        provider.restore(other, provider.take(env))
        assert draws(other) == draws(env)


def test_a_shared_generator_inside_objects_is_one_entry_and_stays_shared() -> None:
    env, other = LikeMinAtar(), LikeMinAtar()
    state = GeneratorProvider().take(env)
    assert state is not None
    assert [entry[:3] for entry in json.loads(state)] == [
        [0, ["game", "random"], "numpy-legacy"],
        [0, ["game", "env", "random"], "same"],
    ]
    other.game.env.random = np.random.RandomState(5)
    GeneratorProvider().restore(other, state)
    assert other.game.random is other.game.env.random


def test_a_generator_of_gymnasium_that_an_object_shares_stays_shared() -> None:
    env, other = Gambler(), Gambler()
    for each in (env, other):
        each.reset(seed=1)
        each.road = Holder(np_random=each.np_random)  # type: ignore[attr-defined]
    other.reset(seed=2)
    state = GeneratorProvider().take(env)
    assert state is not None
    GeneratorProvider().restore(other, state)
    assert other.road.np_random is other.np_random  # type: ignore[attr-defined]
    assert other.np_random.random() == env.np_random.random()


def test_a_generator_is_put_where_an_object_has_none_yet_and_nowhere_else() -> None:
    provider = GeneratorProvider()
    state = provider.take(Replacing())
    assert state is not None
    for game, missing in (
        (Holder(rng=None), []),
        (Holder(rng=random.Random(3)), []),
        (Holder(rng="text"), ["game.rng"]),
        (Holder(), ["game.rng"]),
        (None, ["game.rng"]),
    ):
        env = Replacing()
        env.game = game
        assert provider.missing(env, state) == missing
        provider.restore(env, state)
        if missing:
            assert game is None or vars(game) in ({}, {"rng": "text"})
        else:
            assert type(env.game.rng) is np.random.Generator
            assert provider.take(env) == state


def test_what_an_earlier_version_recorded_has_no_missing_places() -> None:
    provider, env = GeneratorProvider(), make(rng=np.random.default_rng(3))
    state = provider.take(env)
    assert state is not None
    assert all(type(entry[1]) is str for entry in json.loads(state))
    assert provider.missing(Gambler(), b"[]") == []
    assert provider.missing(env, state) == []


def test_a_generator_of_an_environment_inside_another_is_no_generator_of_its_own() -> None:
    provider, env = GeneratorProvider(), Lazy()
    env.inner = Lazy()  # type: ignore[attr-defined]
    env.inner.reset(seed=3)  # type: ignore[attr-defined]
    state = provider.take(env)
    assert state is not None
    assert [entry[1] for entry in json.loads(state)] == [
        ["inner", "_np_random"],
        ["inner", "observation_space", "_np_random"],
    ]
    env.reset()
    completed = [entry[1] for entry in json.loads(provider.complete(env, state))]
    assert completed[2:] == ["_np_random", "observation_space/0/_np_random", "_np_random_seed"]


def test_two_generators_inside_objects_are_two_again() -> None:
    env, other = InListsAndDicts(), InListsAndDicts()
    env.seed(3)
    other.rngs["wind"] = other.rngs[7]
    state = GeneratorProvider().take(env)
    assert state is not None
    GeneratorProvider().restore(other, state)
    assert other.rngs["wind"] is not other.rngs[7]
    assert draws(other) == draws(env)


def test_what_the_first_reset_has_made_inside_an_object_is_put_back_as_it_was_made() -> None:
    provider, env, other = GeneratorProvider(), LikeTetris(), LikeTetris()
    env.twin = Holder()  # type: ignore[attr-defined]
    taken = provider.take(env)
    assert taken == b"[]"
    env.reset()
    env.twin.rng = env.randomizer.rng  # type: ignore[attr-defined]
    completed = provider.complete(env, taken, is_bare=True)
    assert [entry[1:3] for entry in json.loads(completed)] == [
        [["randomizer", "rng"], "numpy"],
        [["twin", "rng"], "same"],
    ]
    provider.restore(other, completed)
    assert draws(other) == draws(env)


def test_what_a_reset_has_made_is_left_out_if_it_has_a_seed_or_is_a_later_one() -> None:
    provider, env = GeneratorProvider(), LikeTetris()
    state = provider.take(env)
    assert state is not None
    env.reset(seed=3)
    assert b"randomizer" not in provider.complete(env, state)
    state = provider.take(env)
    assert state is not None
    env.more = Holder(rng=np.random.default_rng(3))  # type: ignore[attr-defined]
    assert provider.complete(env, state, is_bare=True) == state


def test_what_was_found_before_the_first_reset_is_not_what_the_reset_has_made() -> None:
    provider, env = GeneratorProvider(), Replacing()
    env.own = np.random.default_rng(4)  # type: ignore[attr-defined]
    state = provider.take(env)
    assert state is not None
    env.reset()
    env.game, env.other = Holder(rng=np.random.default_rng(3)), env.game  # type: ignore[attr-defined]
    env.third = Holder(rng=env.own)  # type: ignore[attr-defined]
    assert provider.complete(env, state, is_bare=True) == state


def test_an_object_that_only_a_reset_makes_is_missing_before_it() -> None:
    provider, env, other = GeneratorProvider(), MakesItsGame(), MakesItsGame()
    env.reset(seed=3)
    state = provider.take(env)
    assert state is not None
    assert provider.missing(other, state) == ["game.rng"]
    other.reset()
    assert provider.missing(other, state) == []


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
        json.dumps([[9, ["game", "rng"], "numpy", {}]]).encode(),
        json.dumps([[0, ["game", "rng"], "unknown", {}]]).encode(),
        json.dumps([[0, ["game", "rng"], "numpy", {"bit_generator": "system"}]]).encode(),
        json.dumps([[0, ["players", []], "same", 0]]).encode(),
        json.dumps([[0, ["items", -1], "seed", 3]]).encode(),
        json.dumps([[0, [None], "seed", None]]).encode(),
    ],
)
def test_a_state_that_does_not_fit_is_an_error_of_ours(state: bytes) -> None:
    with pytest.raises(SnapshotError):
        GeneratorProvider().restore(make(game=Holder(rng=None), players={}, items=[1]), state)
