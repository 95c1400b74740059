"""Whether a recorder may append: the message names every difference."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

import gym_h5record as h5r
from gym_h5record.errors import SchemaMismatchError
from gym_h5record.format.column_planning import plan_columns
from gym_h5record.format.schema import Schema
from gym_h5record.recorder.append_check import check_same
from gym_h5record.recorder.provenance import describe_environment
from gym_h5record.values.exact import identical
from tests.custom_spaces import Anything, Unicode, registered
from tests.paintings import FRAMES, expected_frame, record_paintings
from tests.zoo import ZooEnv

PATH = Path("run.h5")


def schema_of(env: gym.Env[Any, Any], *, infos: bool, times: bool = True) -> Schema:
    observation, info = env.reset(seed=0)
    spaces = (env.observation_space, env.action_space)
    return plan_columns((observation, info, None), spaces, "none", None, infos=infos, times=times, warn=pytest.fail)


def metadata_of(env: gym.Env[Any, Any], frames: str = "none") -> dict[str, str]:
    return {**describe_environment(env), "frames": frames}


@pytest.fixture
def cartpole() -> gym.Env[Any, Any]:
    return gym.make("CartPole-v1")


def refusal(
    schema: Schema, theirs: Mapping[str, Any], ours: Mapping[str, str], *, infos: bool, times: bool = True
) -> str:
    with pytest.raises(SchemaMismatchError, match=r"cannot append to run\.h5: .* Record to another path\.") as caught:
        check_same(schema, theirs, ours, PATH, infos=infos, times=times)
    return str(caught.value)


@pytest.mark.parametrize("times", [True, False])
@pytest.mark.parametrize("infos", [True, False])
def test_the_same_environment_may_append(infos: bool, times: bool, cartpole: gym.Env[Any, Any]) -> None:
    schema, metadata = schema_of(cartpole, infos=infos, times=times), metadata_of(cartpole)
    check_same(schema, metadata, metadata, PATH, infos=infos, times=times)


def test_every_difference_is_named(cartpole: gym.Env[Any, Any]) -> None:
    theirs = metadata_of(gym.make("Acrobot-v1"), "render")
    schema = replace(schema_of(cartpole, infos=True), extras=None)
    told = refusal(schema, theirs, metadata_of(cartpole), infos=False, times=False)
    for difference in (
        "its observation_space is Box(",
        "its action_space is Discrete(3), this environment's is Discrete(2)",
        "its frames are 'render', here they would be 'none'",
        "it is recorded with infos=True, here infos=False",
        "it is recorded with times=True, here times=False",
        "it was made by a version without extras",
    ):
        assert difference in told


@pytest.mark.parametrize("text", ["no JSON", "{}", None], ids=repr)
def test_a_space_that_cannot_be_read_is_a_difference(text: str | None, cartpole: gym.Env[Any, Any]) -> None:
    theirs: dict[str, Any] = {**metadata_of(cartpole), "action_space": text}
    if text is None:
        del theirs["action_space"]
    told = refusal(schema_of(cartpole, infos=True), theirs, metadata_of(cartpole), infos=True)
    assert "its action_space cannot be read" in told
    assert "observation_space" not in told


@pytest.mark.parametrize(
    ("frames", "other", "difference"),
    [
        ("rgb_array", "ansi", "its frames have the render_mode 'rgb_array', here they would have 'ansi'"),
        ("depth_array", "rgbd_tuple_list", "its frames have the render_mode 'depth_array', here they would have"),
        ("cameras", "ansi", "its frames are 'cameras', here they would be 'render'"),
        ("cameras", {"front": str}, "its cameras are ['map/text', 'depth', 'front', 'wrist'], here they are ['front']"),
    ],
)
def test_frames_of_another_kind_are_a_difference(frames: str, other: Any, difference: str, tmp_path: Path) -> None:
    record_paintings(tmp_path / "run.h5", (2,), **FRAMES[frames])
    arguments = {"frames": other} if isinstance(other, dict) else FRAMES[other]
    env = gym.make("Painter-v0", length=2, render_mode=arguments.get("render_mode"))
    cameras = arguments.get("frames", "auto")
    recorder = h5r.RecordToHDF5(env, tmp_path / "run.h5", mode="a", frames=cameras, writer="inline")
    with pytest.raises(SchemaMismatchError, match=re.escape(difference)):
        recorder.reset()
    recorder.close()


@pytest.mark.parametrize("frames", ["ansi", "cameras"])
def test_frames_of_the_same_kind_may_be_appended(frames: str, tmp_path: Path) -> None:
    path = record_paintings(tmp_path / "run.h5", (2,), **FRAMES[frames])
    arguments = {**FRAMES[frames]}
    mode = f"{arguments['render_mode']}_list" if "render_mode" in arguments else None  # pictures are the same
    cameras = dict(reversed(arguments["frames"].items())) if "frames" in arguments else "auto"
    env = gym.make("Painter-v0", length=2, render_mode=mode)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".* keeps the env_spec it began with")
        recorder = h5r.RecordToHDF5(env, path, mode="a", frames=cameras, writer="inline")
        recorder.reset()
    recorder.step(0)
    recorder.close()
    with h5r.Recording(path) as recording:
        assert identical(recording.episodes[1].frames[1], expected_frame(frames, 1))  # type: ignore[index]


def test_a_live_custom_space_is_compared_with_what_the_file_says_of_it() -> None:
    env, other = ZooEnv(Anything(1, 2), Unicode()), ZooEnv(Unicode(), Unicode())
    schema, theirs = schema_of(env, infos=True), metadata_of(env)
    check_same(schema, theirs, metadata_of(ZooEnv(Anything(1, 2), Unicode())), PATH, infos=True, times=True)
    told = refusal(schema, theirs, metadata_of(other), infos=True)
    assert f"its observation_space is OpaqueSpace('{Unicode.__module__}:Anything'" in told
    assert "action_space" not in told


def test_what_a_registered_class_says_of_itself_is_compared_if_both_say_it() -> None:
    bare = metadata_of(ZooEnv(Anything(1), Unicode()))
    schema = schema_of(ZooEnv(Anything(1), Unicode()), infos=True)
    with registered(Anything, lambda space: list(space.values), lambda json: Anything(*json)):
        one, other = (metadata_of(ZooEnv(Anything(number), Unicode())) for number in (1, 2))
        check_same(schema, one, one, PATH, infos=True, times=True)
        check_same(schema, bare, one, PATH, infos=True, times=True)
        assert "observation_space" in refusal(schema, one, other, infos=True)
    check_same(schema, one, bare, PATH, infos=True, times=True)
    assert "observation_space" in refusal(schema, one, other, infos=True)
