"""Metadata of a recording: complete, and taken without touching the environment; its spec makes the same stack."""

import hashlib
import json
import math
import threading
import uuid

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import wrappers
from gymnasium.envs.registration import EnvSpec

import gym_h5record
from gym_h5record.errors import MetadataError, UnsupportedSpaceError
from gym_h5record.recorder.provenance import describe_environment, frames_per_second, user_metadata, wrapped_spec
from gym_h5record.values.space_json import space_from_json
from gym_h5record.values.spec_json import resolve, spec_from_json
from gym_h5record.values.tagged_json import loads
from tests.custom_spaces import Unicode
from tests.zoo import NAN_WITH_PAYLOAD, ZooEnv, check_identical, every_space

# The user's metadata ------------------------------------------------------------------------------


def test_run_and_agent_become_attributes_of_their_own():
    attributes = user_metadata({"run_id": "r1", "agent_id": "dqn", "lr": 0.1})
    assert {name: attributes[name] for name in ("run_id", "agent_id")} == {"run_id": "r1", "agent_id": "dqn"}
    assert loads(attributes["user"]) == {"lr": 0.1}


@pytest.mark.parametrize("metadata", [None, {}, {"lr": 1}, {"run_id": None}])
def test_without_a_run_id_each_run_gets_one_of_its_own(metadata):
    first, second = user_metadata(metadata)["run_id"], user_metadata(metadata)["run_id"]
    assert str(uuid.UUID(first)) == first
    assert first != second


def test_without_an_agent_id_it_is_empty():
    assert user_metadata({})["agent_id"] == ""
    assert user_metadata({"agent_id": None})["agent_id"] == ""


@pytest.mark.parametrize("run_id", [0, 7, np.int64(3)], ids=repr)
def test_given_run_id_is_kept_whatever_its_type(run_id):
    attributes = user_metadata({"run_id": run_id, "agent_id": 0})
    assert attributes["run_id"] == str(run_id)
    assert attributes["agent_id"] == "0"


def test_all_attributes_are_text():
    assert all(type(value) is str for value in user_metadata({"a": 1}).values())


def test_values_come_back_exactly():
    given = {
        "seed": 2**70,
        "layers": (64, [64, None]),
        "weights": np.arange(3, dtype=np.float16),
        "nan": NAN_WITH_PAYLOAD,
        "nested": {"a": {1: np.float32(0.1)}},
        "": "empty key",
        "ñ\ud800": "surrogate",
    }
    check_identical(loads(user_metadata(given)["user"]), given, "user")


def test_mapping_of_the_caller_is_left_alone():
    given = {"run_id": "r", "agent_id": "a", "b": [1]}
    user_metadata(given)
    assert given == {"run_id": "r", "agent_id": "a", "b": [1]}


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"model": object()}, "of type object"),
        ({"config": {"deep": [1, {"x": ZooEnv}]}}, "of type ABCMeta|of type type"),
        ({"f": len}, "of type builtin_function_or_method"),
        ({1: "a"}, "the key 1 is not a string"),
        ({("a",): 1}, "is not a string"),
    ],
    ids=["object", "class", "function", "number-key", "tuple-key"],
)
def test_what_cannot_be_written_is_refused_with_the_culprit(metadata, message):
    with pytest.raises(MetadataError, match=rf"metadata: .*{message}.*Use None, booleans, numbers, strings"):
        user_metadata(metadata)


def test_metadata_that_contains_itself_is_refused():
    metadata = {"a": []}
    metadata["a"].append(metadata["a"])
    with pytest.raises(MetadataError, match="metadata"):
        user_metadata(metadata)


@pytest.mark.parametrize("name", ["run_id", "agent_id"])
@pytest.mark.parametrize("text", ["a\0b", "\ud800"], ids=["nul", "surrogate"])
def test_id_that_no_attribute_can_hold_is_refused(name, text):
    with pytest.raises(MetadataError, match=name):
        user_metadata({name: text})


# The environment ----------------------------------------------------------------------------------


class UntouchableEnv(ZooEnv):
    """Fails if it is stepped, reset, rendered, closed or asked for a generator."""

    def __init__(self):
        super().__init__(gym.spaces.Discrete(3))

    @property
    def np_random(self):
        raise AssertionError("np_random makes a generator")

    @property
    def np_random_seed(self):
        raise AssertionError("np_random_seed replaces the generator of ALE")

    def reset(self, **arguments):
        raise AssertionError("reset")

    def step(self, action):
        raise AssertionError("step")

    def render(self):
        raise AssertionError("render")

    def close(self):
        raise AssertionError("close")


def test_environment_is_looked_at_never_touched():
    env = UntouchableEnv()
    describe_environment(wrappers.TimeLimit(wrappers.OrderEnforcing(env), 3))
    assert env._np_random is None


def test_all_attributes_of_an_environment_are_text():
    attributes = describe_environment(gym.make("CartPole-v1"))
    assert all(type(name) is type(value) is str for name, value in attributes.items())


def test_registered_environment_is_named_by_its_id():
    attributes = describe_environment(gym.make("CartPole-v1", render_mode="rgb_array", sutton_barto_reward=True))
    assert attributes["env_name"] == "CartPole-v1"
    assert attributes["env_class"] == "gymnasium.envs.classic_control.cartpole:CartPoleEnv"
    assert attributes["render_mode"] == "rgb_array"


def test_spec_comes_back_and_makes_the_same_environment():
    env = gym.make("CartPole-v1", max_episode_steps=17, sutton_barto_reward=True)
    attributes = describe_environment(env)
    spec = EnvSpec.from_json(attributes["env_spec"])
    assert attributes["env_spec_problem"] == ""
    assert spec == env.spec
    assert gym.make(spec).spec == env.spec


def test_environment_made_by_hand_is_named_by_its_class():
    attributes = describe_environment(ZooEnv(gym.spaces.Discrete(2)))
    assert attributes["env_name"] == "ZooEnv"
    assert attributes["env_class"] == f"{ZooEnv.__module__}:ZooEnv"
    assert attributes["env_spec"] == ""
    assert "was not made by gymnasium.make" in attributes["env_spec_problem"]
    assert attributes["render_mode"] == ""


@pytest.mark.parametrize(
    "wrap",
    [
        lambda env: wrappers.RescaleAction(env, np.float32(-1), np.float32(1)),
        lambda env: wrappers.TransformObservation(env, np.tanh, env.observation_space),
    ],
    ids=["numpy", "function and space"],
)
def test_spec_that_gymnasiums_json_cannot_hold_comes_back(wrap):
    env = wrap(gym.make("Pendulum-v1"))
    attributes = describe_environment(env)
    assert attributes["env_spec_problem"] == ""
    assert resolve(spec_from_json(attributes["env_spec"])) == env.spec


def test_spec_that_cannot_be_stored_is_kept_as_text_with_the_reason():
    env = wrappers.TransformReward(gym.make("Pendulum-v1"), lambda reward: reward * 2)
    attributes = describe_environment(env)
    assert attributes["env_spec"] == ""
    reason, _, shown = attributes["env_spec_problem"].partition(" It is: ")
    assert reason.startswith("the argument func of the wrapper gymnasium.wrappers.")
    assert "a lambda has no name" in reason
    assert "Pendulum-v1" in shown


def test_spec_that_no_environment_can_be_made_of_is_kept_with_the_reason():
    class Plain(gym.Wrapper):
        pass

    attributes = describe_environment(Plain(gym.make("CartPole-v1")))
    assert spec_from_json(attributes["env_spec"]).id == "CartPole-v1"
    assert "Plain does not record its arguments" in attributes["env_spec_problem"]


def test_wrapper_that_only_watches_is_no_reason_to_have_no_spec():
    class Watcher(gym.Wrapper, gym.utils.RecordConstructorArgs):
        def __init__(self, env, trigger):
            gym.utils.RecordConstructorArgs.__init__(self, trigger=trigger)
            super().__init__(env)

    Watcher.__module__, Watcher.__name__ = "gymnasium.wrappers.rendering", "RecordVideo"  # that needs MoviePy
    env = gym.make("CartPole-v1")
    attributes = describe_environment(Watcher(env, lambda episode: episode % 100 == 0))
    assert attributes["env_spec_problem"] == ""
    assert spec_from_json(attributes["env_spec"]) == env.spec


def test_wrapper_whose_arguments_cannot_be_copied_is_named_as_the_reason():
    class Locked(gym.Wrapper, gym.utils.RecordConstructorArgs):
        def __init__(self, env):
            gym.utils.RecordConstructorArgs.__init__(self, _disable_deepcopy=True, lock=threading.Lock())
            super().__init__(env)

    env = wrappers.TimeLimit(wrappers.TransformReward(Locked(gym.make("CartPole-v1")), abs), 5)
    with pytest.warns(UserWarning, match="copying the environment spec"):
        attributes = describe_environment(env)
    assert attributes["env_spec"] == ""
    assert "cannot be copied" in attributes["env_spec_problem"]


def test_wrappers_are_listed_from_the_outside_in():
    env = wrappers.RecordEpisodeStatistics(wrappers.TimeLimit(ZooEnv(gym.spaces.Discrete(2)), 5))
    assert json.loads(describe_environment(env)["env_wrappers"]) == [
        "gymnasium.wrappers.common:RecordEpisodeStatistics",
        "gymnasium.wrappers.common:TimeLimit",
    ]


@every_space
def test_spaces_come_back_equal(space):
    attributes = describe_environment(ZooEnv(space, gym.spaces.Discrete(2)))
    assert space_from_json(json.loads(attributes["observation_space"])) == space
    assert space_from_json(json.loads(attributes["action_space"])) == gym.spaces.Discrete(2)


def test_spaces_are_those_of_the_outermost_wrapper():
    env = wrappers.FlattenObservation(ZooEnv(gym.spaces.MultiBinary([2, 3])))
    attributes = describe_environment(env)
    assert space_from_json(json.loads(attributes["observation_space"])) == env.observation_space


def test_a_custom_space_is_described_by_class_and_repr():
    attributes = describe_environment(ZooEnv(Unicode(), gym.spaces.Discrete(2)))
    described = {"type": "$custom", "class": f"{Unicode.__module__}:Unicode", "repr": "Unicode()"}
    assert json.loads(attributes["observation_space"]) == described


def test_a_space_that_cannot_be_stored_is_refused():
    with pytest.raises(UnsupportedSpaceError, match="cannot store a Dict space with the key"):
        describe_environment(ZooEnv(gym.spaces.Dict({object: gym.spaces.Discrete(2)}), gym.spaces.Discrete(2)))


def test_versions_and_platform_are_told():
    attributes = describe_environment(gym.make("CartPole-v1"))
    versions = json.loads(attributes["versions"])
    assert versions["gym_h5record"] == gym_h5record.__version__
    assert versions["gymnasium"] == gym.__version__
    assert versions["numpy"] == np.__version__
    assert {"python", "h5py"} <= versions.keys()
    assert json.loads(attributes["platform"]).keys() == {"system", "machine"}


def test_libraries_of_the_environment_and_its_wrappers_have_a_version():
    class Wrapper(gym.Wrapper):
        pass

    Wrapper.__module__ = "pytest.inner"
    versions = json.loads(describe_environment(Wrapper(gym.make("CartPole-v1")))["versions"])
    assert versions["pytest"] == pytest.__version__
    assert "tests" not in versions


def test_only_atari_has_a_rom():
    assert "rom_md5" not in describe_environment(gym.make("CartPole-v1"))


def test_rom_of_atari_is_told_by_its_md5():
    ale_py = pytest.importorskip("ale_py")
    gym.register_envs(ale_py)
    env = gym.make("ALE/Pong-v5")
    before = env.unwrapped._np_random.bit_generator.state
    attributes = describe_environment(env)
    rom = ale_py.roms.get_rom_path("pong").read_bytes()
    assert attributes["rom_md5"] == hashlib.md5(rom, usedforsecurity=False).hexdigest()
    assert attributes["env_name"] == "ALE/Pong-v5"
    assert env.unwrapped._np_random.bit_generator.state == before
    env.close()


# Frames per second --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fps", "expected"), [(30, 30.0), (12.5, 12.5), (np.float32(0.5), 0.5), (np.int64(60), 60.0)], ids=repr
)
def test_frames_per_second_are_the_environments(fps, expected):
    env = ZooEnv(gym.spaces.Discrete(2))
    env.metadata = {"render_fps": fps}
    found = frames_per_second(env)
    assert type(found) is float
    assert found == expected


@pytest.mark.parametrize("metadata", [{}, {"render_fps": None}, {"render_fps": "fast"}, {"render_modes": []}], ids=repr)
def test_unknown_frames_per_second_are_nan(metadata):
    env = ZooEnv(gym.spaces.Discrete(2))
    env.metadata = metadata
    assert math.isnan(frames_per_second(env))


# The spec of a stack of wrappers ------------------------------------------------------------------


class Limit(wrappers.TimeLimit):
    """A TimeLimit of a derived class."""


class Skip(gym.Wrapper, gym.utils.RecordConstructorArgs):
    """Takes every action ``times`` times."""

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
    assert wrapped_spec(wrappers.TimeLimit(ZooEnv(gym.spaces.Discrete(2)), 5)) is None
