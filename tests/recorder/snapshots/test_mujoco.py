"""Snapshots of MuJoCo: the full state of a model is restored bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from gym_h5record.errors import SnapshotError
from gym_h5record.recorder.snapshots.mujoco import MujocoProvider


@pytest.fixture(autouse=True)
def in_a_directory_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # MuJoCo writes a log into the working directory


def play(env: gym.Env[Any, Any]) -> list[bytes]:
    return [env.step(np.full(6, 0.3, np.float32))[0].tobytes() for _ in range(20)]


def test_a_simulation_goes_on_in_another_environment_as_it_would_have() -> None:
    env, other = gym.make("HalfCheetah-v5"), gym.make("HalfCheetah-v5")
    env.reset(seed=1)
    other.reset(seed=2)
    play(env)
    state = MujocoProvider().take(env)
    assert state is not None
    MujocoProvider().restore(other, state)
    assert play(other) == play(env)


def test_a_state_of_another_model_is_refused() -> None:
    env, other = gym.make("HalfCheetah-v5"), gym.make("Reacher-v5")
    env.reset(seed=1)
    other.reset(seed=1)
    state = MujocoProvider().take(env)
    assert state is not None
    with pytest.raises(SnapshotError, match="has 91 numbers, this model's has"):
        MujocoProvider().restore(other, state)


def test_environments_without_it_have_no_state_of_it() -> None:
    env = gym.make("CartPole-v1")
    assert MujocoProvider().take(env) is None
    with pytest.raises(SnapshotError, match="cannot be restored into a CartPoleEnv"):
        MujocoProvider().restore(env, b"")


def test_an_environment_whose_model_cannot_be_asked_for_yet_is_not_mujocos() -> None:
    class Shy(gym.Env[Any, Any]):
        @property
        def model(self) -> Any:
            raise RuntimeError("there is no model before the first reset")

    assert MujocoProvider().take(Shy()) is None
