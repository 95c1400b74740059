"""Specs as text: everything Gymnasium's JSON loses comes back, nothing is imported, hostile text is an error."""

from __future__ import annotations

import enum
import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import ale_py
import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces, wrappers
from gymnasium.envs.registration import EnvSpec, WrapperSpec
from gymnasium.vector import AutoresetMode
from hypothesis import given
from hypothesis import strategies as st

from gym_h5record.errors import CorruptRecordingError, RecordingError, SpecError
from gym_h5record.values import spec_json
from gym_h5record.values.custom_spaces import OpaqueSpace
from gym_h5record.values.exact import identical
from gym_h5record.values.qualified_names import Named
from gym_h5record.values.spec_json import resolve, spec_from_json, spec_obstacle, spec_to_json, without_onlookers
from tests.custom_spaces import Grid, grids_registered
from tests.properties.strategies import PROFILE, any_text, values
from tests.zoo import ZooEnv

gym.register_envs(ale_py)

BOX = spaces.Box(-1, 1, (4,), np.float32)


class Level(enum.Enum):
    EASY = 1


class Tag(str, enum.Enum):
    A = "a"


def halved(observation):
    return observation / 2


def of_cartpole(**kwargs):
    return EnvSpec("Test/CartPole-v3", "gymnasium.envs.classic_control:CartPoleEnv", kwargs=kwargs)


def same_spec(first: EnvSpec, second: EnvSpec) -> bool:
    """Whether two specs are the same to the last bit and type."""
    return identical(_values(first), _values(second))


def _values(spec: EnvSpec) -> dict[str, Any]:
    plain = {name: value for name, value in vars(spec).items() if name != "additional_wrappers"}
    return {**plain, "additional_wrappers": [vars(each) for each in spec.additional_wrappers]}


# There and back -----------------------------------------------------------------------------------


IDS = {
    "CartPole-v1": {"render_mode": "rgb_array"},
    "FrozenLake-v1": {"desc": ["SFFF", "FHFH", "FFFH", "HFFG"], "is_slippery": False},
    "FrozenLake8x8-v1": {"map_name": "8x8", "is_slippery": True},
    "Blackjack-v1": {"natural": True, "sab": False},
    "LunarLander-v3": {"continuous": True, "enable_wind": True, "wind_power": 12.5},
    "BipedalWalker-v3": {"hardcore": True},
    "CarRacing-v3": {"lap_complete_percent": 0.9, "domain_randomize": True},
    "HalfCheetah-v5": {"xml_file": "half_cheetah.xml", "reset_noise_scale": 0.2},
    "ALE/Breakout-v5": {"obs_type": "ram", "frameskip": 4},
    "ALE/Pong-v5": {"frameskip": (2, 5), "obs_type": "grayscale"},
    "Breakout-v4": {},
}


@pytest.mark.parametrize(("name", "kwargs"), IDS.items(), ids=list(IDS))
def test_specs_of_known_environments_come_back(name, kwargs):
    spec = gym.spec(name)
    spec = EnvSpec(**{**{field: getattr(spec, field) for field in FIELDS}, "kwargs": {**spec.kwargs, **kwargs}})
    assert same_spec(spec_from_json(spec_to_json(spec)), spec)


FIELDS = (
    *("id", "entry_point", "reward_threshold", "nondeterministic", "max_episode_steps", "order_enforce"),
    *("disable_env_checker", "kwargs", "additional_wrappers", "vector_entry_point"),
)


@pytest.mark.parametrize(("name", "value"), [("id", "a/B-v7"), ("reward_threshold", np.float64(475)),
    ("nondeterministic", True), ("max_episode_steps", 3), ("order_enforce", False), ("disable_env_checker", True),
    ("vector_entry_point", "a:B"), ("entry_point", None)])  # fmt: skip
def test_every_field_comes_back(name, value):
    spec = EnvSpec(**{"id": "X-v0", "entry_point": "a:A", "kwargs": {"size": (1, 2)}, name: value})
    found = spec_from_json(spec_to_json(spec))
    assert same_spec(found, spec)
    assert type(getattr(found, name)) is type(value)


def test_gymnasiums_own_json_is_kept_where_it_loses_nothing():
    env = wrappers.FrameStackObservation(gym.make("CartPole-v1", max_episode_steps=5), 3)
    text = spec_to_json(env.spec)
    assert text == env.spec.to_json()
    assert EnvSpec.from_json(text) == spec_from_json(text) == env.spec


KWARGS = {
    "tuple": (2, 5),
    "nested tuple": {"a": [(1, {"b": (2,)})]},
    "numpy scalar": np.float64(0.5),
    "array": np.arange(6, dtype="<i2").reshape(2, 3),
    "looks like a name": ({"$named": ["os", "system"]},),
    "keys": {1: "a", (2, None): "b"},
    "set": {1, 2},
    "bytes": b"\0\xff",
    "dtype": np.dtype(">f4"),
    "space": spaces.Dict({"a": spaces.Discrete(3), "b": spaces.Tuple([BOX])}),
    "two spaces": [BOX, {"x": spaces.Discrete(2)}],
    "enum": AutoresetMode.SAME_STEP,
    "string enum": Tag.A,
    "keyed by enum": {Level.EASY: (1,)},
    "class": ZooEnv,
    "dtype class": np.float32,
    "ufunc": np.tanh,
    "function": halved,
    "nested function": {"schedules": [(halved, 3)]},
    "set of classes": frozenset({int, str}),
    "method": spaces.Box.sample,
    "surrogates": "\ud800\udc00",
}


@pytest.mark.parametrize("value", KWARGS.values(), ids=list(KWARGS))
def test_what_gymnasiums_json_loses_comes_back(value):
    spec = of_cartpole(thing=value)
    text = spec_to_json(spec)
    assert json.loads(text)["gym_h5record"] == 1
    assert json.loads(text)["id"] == spec.id
    assert same_spec(resolve(spec_from_json(text)), spec)


@pytest.mark.parametrize(
    "value", [float("nan"), -0.0, {"$named": ["os", "system"]}, {"gym_h5record": 1}, 10**30], ids=repr
)
def test_what_looks_difficult_and_is_not_comes_back_from_gymnasiums_json(value):
    spec = of_cartpole(thing=value)
    assert spec_to_json(spec) == spec.to_json()
    assert same_spec(spec_from_json(spec.to_json()), spec)


def test_what_is_named_comes_back_as_a_name():
    found = spec_from_json(spec_to_json(of_cartpole(level=Level.EASY, functions=(halved,))))
    assert found.kwargs == {"level": Named(__name__, "Level.EASY"), "functions": (Named(__name__, "halved"),)}


def test_an_entry_point_may_be_a_class():
    spec = EnvSpec("X-v0", gym.envs.classic_control.CartPoleEnv)
    found = spec_from_json(spec_to_json(spec))
    assert type(found.entry_point) is Named
    assert resolve(found) == spec


def test_wrappers_come_back_with_what_they_were_given():
    env = gym.make("CartPole-v1")
    env = wrappers.TransformObservation(env, halved, BOX)
    env = wrappers.RecordEpisodeStatistics(wrappers.TimeLimit(env, 7), buffer_length=5)
    env = wrappers.RescaleObservation(env, np.float32(-1), np.ones(4, np.float32))
    spec = resolve(spec_from_json(spec_to_json(env.spec)))
    assert same_spec(spec, env.spec)
    assert gym.make(spec).spec.additional_wrappers[0] == env.spec.additional_wrappers[0]


def test_atari_preprocessing_comes_back():
    env = wrappers.AtariPreprocessing(gym.make("ALE/Pong-v5", frameskip=1), screen_size=(84, 42))
    env = wrappers.FrameStackObservation(env, 4, padding_type="zero")
    found = spec_from_json(spec_to_json(env.spec))
    assert same_spec(found, env.spec)
    assert gym.make(found).observation_space == env.observation_space


@PROFILE
@given(kwargs=st.dictionaries(any_text, values, max_size=4), wrapper=st.none() | st.dictionaries(any_text, values))
def test_any_arguments_come_back(kwargs, wrapper):
    spec = of_cartpole(**kwargs)
    spec.additional_wrappers = (WrapperSpec("W", "a:W", wrapper),)
    assert same_spec(spec_from_json(spec_to_json(spec)), spec)


# What cannot be stored ----------------------------------------------------------------------------


class Opaque:
    pass


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (lambda x: x, "the argument thing of Test/CartPole-v3 cannot be stored: a lambda has no name"),
        ([{"f": lambda x: x}], r"the argument thing of Test/CartPole-v3\[0\]\['f'\] cannot be stored"),
        (partial(halved), "thing of Test/CartPole-v3 cannot be stored: an object of type functools.partial"),
        (Opaque(), f"an object of type {__name__}.Opaque has no exact form"),
        (np.array([Opaque()], object), "Opaque has no exact form"),
        ({Opaque(): 1}, "Opaque has no exact form"),
        (np.dtype([("a", "i4")]), "has no exact form"),
        (
            [spaces.Tuple([type("Own", (gym.Space,), {})()])],
            r"CartPole-v3\[0\] cannot be stored: it is or holds a space of the class .*:Own, which is not registered",
        ),
    ],
    ids=["lambda", "nested lambda", "partial", "object", "array", "key", "structured dtype", "custom space"],
)
def test_the_argument_that_cannot_be_stored_is_named(value, sentence):
    with pytest.raises(SpecError, match=sentence):
        spec_to_json(of_cartpole(thing=value))


def test_the_wrapper_whose_argument_cannot_be_stored_is_named():
    env = wrappers.TransformReward(gym.make("CartPole-v1"), lambda reward: reward)
    with pytest.raises(SpecError, match=r"the argument func of the wrapper gymnasium.*:TransformReward cannot be"):
        spec_to_json(env.spec)


def test_an_entry_point_that_is_a_lambda_is_named():
    with pytest.raises(SpecError, match="the entry_point of X-v0 cannot be stored: a lambda"):
        spec_to_json(EnvSpec("X-v0", lambda: None))


def test_a_space_of_a_registered_class_comes_back_but_nothing_stands_for_it():
    """An environment that is made with an ``OpaqueSpace`` would be another one."""
    spec = of_cartpole(spaces=[spaces.Tuple([Grid(3)])])
    with grids_registered():
        text = spec_to_json(spec)
        found = resolve(spec_from_json(text))
        assert type(found.kwargs["spaces"][0][0]) is Grid
        assert found.kwargs == spec.kwargs
    found = spec_from_json(text)
    assert type(found.kwargs["spaces"][0][0]) is OpaqueSpace
    with pytest.raises(SpecError, match=r"an argument cannot be made from the file: .*:Grid, which is not registered"):
        resolve(found)


def test_arguments_that_contain_themselves_are_refused():
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(SpecError, match="nested more than"):
        spec_to_json(of_cartpole(loop=loop))


def test_arguments_nested_deeper_than_can_be_read_are_refused():
    deep: Any = ()
    for _ in range(60):
        deep = (deep,)
    with pytest.raises(SpecError, match="nested too deep"):
        spec_to_json(of_cartpole(deep=deep))


def test_arguments_of_absurd_size_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(spec_json, "MAX_TEXT_BYTES", 1000)
    with pytest.raises(SpecError, match="at most"):
        spec_to_json(of_cartpole(data="x" * 1000))


def test_arguments_equal_to_those_that_come_back_are_stored():
    class Mapping(dict):
        pass

    spec = of_cartpole(options=Mapping(a=1))
    assert spec_from_json(spec_to_json(spec)) == spec


def test_what_stands_in_the_way_of_making_it_is_said():
    class Plain(gym.Wrapper):
        pass

    assert spec_obstacle(gym.spec("CartPole-v1")) == ""
    assert "Plain does not record its arguments" in spec_obstacle(Plain(gym.make("CartPole-v1")).spec)
    assert "no entry_point" in spec_obstacle(EnvSpec("X-v0", vector_entry_point="a:B"))


def test_onlookers_can_be_left_out():
    video = WrapperSpec("RecordVideo", "gymnasium.wrappers.rendering:RecordVideo", {"episode_trigger": lambda n: True})
    spec = of_cartpole()
    spec.additional_wrappers = (video, WrapperSpec("W", "a:W", {}))
    assert [each.name for each in without_onlookers(spec).additional_wrappers] == ["W"]
    assert len(spec.additional_wrappers) == 2


def test_onlookers_are_where_they_are_thought_to_be():
    for name in spec_json._ONLOOKERS:
        assert issubclass(gym.envs.registration.load_env_creator(name), gym.Wrapper)


# Strangers' text ----------------------------------------------------------------------------------


GOOD = json.loads(spec_to_json(of_cartpole(size=(1, 2))))
HOSTILE = {
    "empty": "",
    "no json": "EnvSpec()",
    "number": "5",
    "list": "[]",
    "no wrappers": '{"id": 5}',
    "deep": "[" * 100_000,
    "deep object": '{"a":' * 5000,
    "many": "[" + "{}," * (1 << 22) + "{}]",
    **{
        name: json.dumps({**GOOD, **change})
        for name, change in {
            "newer": {"gym_h5record": 2},
            "bool version": {"gym_h5record": None},
            "unknown field": {"autoreset": True},
            "id": {"id": 5},
            "malformed id": {"id": "a/b/c d"},
            "long version": {"id": "X-v" + "9" * 10_000},
            "entry point": {"entry_point": 5},
            "entry point list": {"entry_point": ["a:b"]},
            "steps": {"max_episode_steps": "many"},
            "checker": {"disable_env_checker": "no"},
            "kwargs": {"kwargs": [1]},
            "kwargs keys": {"kwargs": {"$dict": [[1, 2]]}},
            "wrappers": {"additional_wrappers": 5},
            "wrapper": {"additional_wrappers": [{"name": "a"}]},
            "wrapper names": {"additional_wrappers": [{"name": 1, "entry_point": "a:b", "kwargs": {}}]},
            "wrapper entry": {"additional_wrappers": [{"name": "a", "entry_point": 5, "kwargs": {}}]},
            "wrapper kwargs": {"additional_wrappers": [{"name": "a", "entry_point": "b:c", "kwargs": 5}]},
            "named": {"kwargs": {"a": {"$named": ["os"]}}},
            "named kind": {"kwargs": {"a": {"$named": 5}}},
            "named numbers": {"kwargs": {"a": {"$named": [1, 2]}}},
            "named relative": {"kwargs": {"a": {"$named": [".os", "system"]}}},
            "unknown tag": {"kwargs": {"a": {"$call": ["os", "system"]}}},
            "dtype": {"kwargs": {"a": {"$dtype": "i4,i4"}}},
            "dtype kind": {"kwargs": {"a": {"$dtype": 5}}},
            "space": {"kwargs": {"a": {"$space": 0}}},
            "space index": {"kwargs": {"a": {"$space": -1}}, "spaces": [{"type": "MultiBinary", "n": 3}]},
            "space kind": {"kwargs": {"a": {"$space": "0"}}, "spaces": [{"type": "MultiBinary", "n": 3}]},
            "spaces": {"spaces": 5},
            "spaces none": {"spaces": [None]},
            "large spaces": {"spaces": [{"type": "MultiBinary", "n": 1 << 26}] * 3},
            "unhashable": {"kwargs": {"a": {"$set": [[1]]}}},
            "array": {"kwargs": {"a": {"$array": ["<f8", [1 << 40], ""]}}},
            "object dtype": {"kwargs": {"a": {"$array": ["O", [1], "AAAAAAAAAAA="]}}},
        }.items()
    },
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=list(HOSTILE))
def test_text_that_is_no_spec_is_corrupt(text):
    with pytest.raises(CorruptRecordingError, match="not the spec of an environment"):
        spec_from_json(text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["$named", "$dtype", "$space", "$tuple", "$dict", "$set", "$array", "$numpy", "$object"]),
            inner,
            min_size=1,
            max_size=1,
        )
    ),
    max_leaves=6,
)


@PROFILE
@given(field=st.sampled_from([*GOOD, "spaces"]), value=json_values)
def test_any_json_is_a_spec_or_corrupt(field, value):
    try:
        found = spec_from_json(json.dumps({**GOOD, field: value}))
    except CorruptRecordingError:
        return
    assert type(found) is EnvSpec


def test_reading_imports_nothing_and_resolving_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    module = "module_named_in_a_file"
    (tmp_path / f"{module}.py").write_text("def function():\n    return 5\n")
    monkeypatch.syspath_prepend(tmp_path)
    named = {"$named": [module, "function"]}
    wrapper = {"name": "W", "entry_point": f"{module}:W", "kwargs": {"f": [named]}}
    text = json.dumps({**GOOD, "entry_point": named, "kwargs": {"a": named}, "additional_wrappers": [wrapper]})
    found = spec_from_json(text)
    assert repr(found)
    assert module not in sys.modules
    resolved = resolve(found)
    assert resolved.entry_point() == resolved.kwargs["a"]() == resolved.additional_wrappers[0].kwargs["f"][0]() == 5
    assert found.kwargs["a"] == Named(module, "function")  # as it was
    del sys.modules[module]


def test_resolving_says_what_is_missing():
    with pytest.raises(SpecError, match="no_such_module_at_all:f"):
        resolve(of_cartpole(f=[Named("no_such_module_at_all", "f")]))
    assert issubclass(SpecError, RecordingError)
