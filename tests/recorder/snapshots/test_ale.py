"""Snapshots of ALE: both generators are restored, also into another version of ALE."""

from __future__ import annotations

from typing import Any

import ale_py
import gymnasium as gym
import numpy as np
import pytest

from gym_h5record.errors import SnapshotError
from gym_h5record.recorder.snapshots.ale import AleProvider, splice

gym.register_envs(ale_py)


def make(game: str = "Breakout") -> gym.Env[Any, Any]:
    return gym.make(f"ALE/{game}-v5", obs_type="ram")


def play(env: gym.Env[Any, Any], steps: int = 60) -> list[bytes]:
    """RAM after a reset and after steps whose actions are always the same."""
    first = env.reset()[0].tobytes()
    return [first, *(env.step(step * 7 % 3)[0].tobytes() for step in range(steps))]


def test_an_episode_is_the_same_again_in_another_environment() -> None:
    env = make()
    env.reset(seed=4)
    play(env, 30)
    state = AleProvider().take(env)
    assert state is not None
    assert state.startswith(f"{ale_py.__version__}\0".encode())
    expected = play(env)
    other = make()
    AleProvider().restore(other, state)
    assert play(other) == expected


@pytest.mark.sampled(2)
@pytest.mark.parametrize("game", ["Breakout", "Qbert", "Tetris", "Amidar"])
def test_a_state_of_another_version_is_spliced_into_one_of_this(game: str) -> None:
    env = make(game)
    env.reset(seed=4)
    play(env, 30)
    state = AleProvider().take(env)
    assert state is not None
    expected = play(env)
    other = make(game)
    AleProvider().restore(other, b"0.0.1" + state[state.index(b"\0") :])
    assert play(other) == expected


def test_what_has_other_generators_is_refused() -> None:
    env = make()
    state = env.unwrapped.clone_state(include_rng=True).serialize()  # type: ignore[attr-defined]
    with pytest.raises(SnapshotError, match="has 0 generators, this version's has 2"):
        splice(b"nothing", state)


def test_other_environments_have_no_state_of_it_and_take_none() -> None:
    env = gym.make("CartPole-v1")
    assert AleProvider().take(env) is None
    with pytest.raises(SnapshotError, match="cannot be restored into a CartPoleEnv"):
        AleProvider().restore(env, b"")


def test_taking_disturbs_nothing() -> None:
    env, twin = make(), make()
    env.reset(seed=2)
    twin.reset(seed=2)
    AleProvider().take(env)
    assert play(env) == play(twin)
    assert np.array_equal(env.unwrapped._np_random.random(3), twin.unwrapped._np_random.random(3))  # type: ignore[union-attr]


class Doubled(ale_py.AtariEnv):  # type: ignore[misc]  # has no types
    """A user's environment, derived from that of ALE."""

    def step(self, action: Any) -> Any:
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, 2 * reward, terminated, truncated, info


def test_environments_derived_from_ales_are_ales() -> None:
    env, other = (Doubled("breakout", obs_type="ram") for _ in range(2))
    env.reset(seed=4)
    state = AleProvider().take(env)
    assert state is not None
    expected = play(env)
    AleProvider().restore(other, state)
    assert play(other) == expected
