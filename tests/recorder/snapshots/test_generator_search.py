"""The search for generators: it finds those in plain objects, runs no code, and ends."""

from __future__ import annotations

import gc
import logging
import random
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from gym_h5record.recorder.snapshots import generator_search
from gym_h5record.recorder.snapshots.generator_places import layers, parts_of_spaces
from gym_h5record.recorder.snapshots.generator_search import MAX_PLACES, find_places
from gym_h5record.recorder.snapshots.object_paths import path_text
from tests.recorder.snapshots.nested_envs import (
    Concealed,
    Holder,
    InListsAndDicts,
    LikeMinAtar,
    LikeTetris,
    NestedEnv,
    Replacing,
    WithSlots,
    WithTouchy,
)


def env_with(**attributes: Any) -> NestedEnv:
    env = NestedEnv()
    for name, value in attributes.items():
        setattr(env, name, value)
    return env


def found(env: Any) -> list[str]:
    every_layer = layers(env)
    known = [part for _, part in parts_of_spaces(every_layer[0])]
    return [path_text([layer, *path]) for layer, path in find_places(every_layer, known)]


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (Replacing, ["[0].game.rng"]),
        (LikeMinAtar, ["[0].game.random", "[0].game.env.random"]),
        (LikeTetris, []),
        (
            InListsAndDicts,
            ["[0].rngs['wind']", "[0].rngs[7]", "[0].rngs[2]", "[0].players[0].rng", "[0].players[1][1].rng"],
        ),
        (WithSlots, ["[0].dice.rng"]),
        (WithTouchy, ["[0].world.touchy.rng"]),
        (Concealed, []),
    ],
)
def test_each_is_found_at_its_path(make: Any, expected: list[str]) -> None:
    assert found(make()) == expected


def test_a_generator_that_was_created_later_is_found_then() -> None:
    env = LikeTetris()
    env.reset()
    assert found(env) == ["[0].randomizer.rng"]


def test_objects_whose_dict_was_read_before_give_the_same_paths() -> None:
    env = LikeMinAtar()
    assert [vars(each) for each in (env, env.game, env.game.env)]
    assert found(env) == ["[0].game.random", "[0].game.env.random"]


def test_it_looks_into_wrappers_and_not_into_the_layers_again() -> None:
    env: Any = gym.wrappers.TimeLimit(Replacing(), 5)
    env.noise = Holder(rng=random.Random(3), env=env, inner=env.unwrapped)
    assert found(env) == ["[0].game.rng", "[1].noise.rng"]


def test_attributes_of_the_layers_themselves_are_left_out() -> None:
    env = env_with(rng=np.random.default_rng(3))
    env.reset(seed=3)
    assert found(env) == []
    assert vars(env)
    assert found(env) == []


def test_spaces_that_are_known_are_left_out_and_others_are_not() -> None:
    env = env_with(inner=Holder(action_space=gym.spaces.Discrete(3, seed=3)))
    env.action_space = gym.spaces.Discrete(3, seed=3)
    assert found(env) == ["[0].inner.action_space._np_random"]


class Plain:
    """An object whose ``__dict__`` has not been read."""

    def __init__(self, **below: Any) -> None:
        self.a, self.b, self.c = 1, 2, below.get("c")


def test_nothing_becomes_slower_where_no_generator_is() -> None:
    env = env_with(plain=Plain(c=Plain()), game=Holder(plain=Plain(), rng=random.Random(3)))
    plain = [env.plain, env.plain.c, env.game.plain]  # type: ignore[attr-defined]
    before = [len(gc.get_referents(each)) for each in plain]
    assert found(env) == ["[0].game.rng"]
    assert [len(gc.get_referents(each)) for each in plain] == before  # a __dict__ would be one thing in place of many


def test_it_ends_at_the_fifth_object_from_the_environment() -> None:
    four = Holder(a=Holder(b=Holder(c=Holder(rng=random.Random(3), d=Holder(rng=random.Random(3))))))
    assert found(env_with(game=four)) == ["[0].game.a.b.c.rng"]


@pytest.mark.parametrize("size", [3, 3_000], ids=["within", "beyond"])
def test_it_looks_at_a_limited_number_of_objects(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generator_search, "_MAX_REFERENCES", 2_000)
    cells = [Holder(n=n) for n in range(size)]
    assert found(env_with(cells=cells, rows=[[Holder(rng=random.Random(3))], list(range(5_000))])) == [
        "[0].rows[0][0].rng"
    ]
    grid = [[Holder(n=n) for n in range(60)] for _ in range(60)]
    assert found(env_with(rows=grid, last=[[[Holder(rng=random.Random(3))]]])) == []


def test_beyond_the_limit_it_gives_some_more_places_and_ends() -> None:
    few = env_with(rngs=[Holder(rng=random.Random(3)) for _ in range(MAX_PLACES)])
    many = env_with(rngs=[Holder(rng=random.Random(3)) for _ in range(3 * MAX_PLACES)])
    assert [len(found(few)), len(found(many))] == [MAX_PLACES, MAX_PLACES + 1]


def test_what_is_no_plain_object_is_not_looked_into() -> None:
    class Sub(set[Any]):
        """Items of a set have no place."""

    class WithClassAttribute:
        rng = random.Random(3)

    hidden = [
        {Holder},
        Sub([random.Random(3)]),
        random.Random(3).random,
        WithClassAttribute,
        WithClassAttribute(),
        np.array([random.Random(3)], object),
        random,
        logging.getLogger("tests"),
        (each for each in [random.Random(3)]),
    ]
    assert found(env_with(hidden=hidden)) == []


def test_a_generator_with_the_bits_of_another_library_is_left_out() -> None:
    class Bits(np.random.PCG64):
        """Its state may hold anything."""

    assert found(env_with(game=Holder(rng=np.random.Generator(Bits(3))))) == []


def test_a_class_that_does_not_name_its_module_does_no_harm() -> None:
    class Nameless:
        def __init__(self) -> None:
            self.rng = random.Random(3)

    Nameless.__module__ = 3  # type: ignore[assignment]
    assert found(env_with(game=Nameless())) == ["[0].game.rng"]
