"""Whether a recorder may append: the message names every difference."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

from gym_h5record.errors import SchemaMismatchError
from gym_h5record.format.column_planning import plan_columns
from gym_h5record.format.schema import Schema
from gym_h5record.recorder.append_check import check_same
from gym_h5record.recorder.provenance import describe_environment

PATH = Path("run.h5")


def schema_of(env: gym.Env[Any, Any], *, infos: bool) -> Schema:
    observation, info = env.reset(seed=0)
    spaces = (env.observation_space, env.action_space)
    return plan_columns((observation, info, None), spaces, "none", None, infos=infos, warn=pytest.fail)


def metadata_of(env: gym.Env[Any, Any], frames: str = "none") -> dict[str, str]:
    return {**describe_environment(env), "frames": frames}


@pytest.fixture
def cartpole() -> gym.Env[Any, Any]:
    return gym.make("CartPole-v1")


def refusal(schema: Schema, theirs: Mapping[str, Any], ours: Mapping[str, str], *, infos: bool) -> str:
    with pytest.raises(SchemaMismatchError, match=r"cannot append to run\.h5: .* Record to another path\.") as caught:
        check_same(schema, theirs, ours, PATH, infos=infos)
    return str(caught.value)


@pytest.mark.parametrize("infos", [True, False])
def test_the_same_environment_may_append(infos: bool, cartpole: gym.Env[Any, Any]) -> None:
    check_same(schema_of(cartpole, infos=infos), metadata_of(cartpole), metadata_of(cartpole), PATH, infos=infos)


def test_every_difference_is_named(cartpole: gym.Env[Any, Any]) -> None:
    theirs = metadata_of(gym.make("Acrobot-v1"), "render")
    told = refusal(schema_of(cartpole, infos=True), theirs, metadata_of(cartpole), infos=False)
    for difference in (
        "its observation_space is Box(",
        "its action_space is Discrete(3), this environment's is Discrete(2)",
        "its frames are 'render', here they would be 'none'",
        "it is recorded with infos=True, here infos=False",
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
