"""``executed_actions``: played without sticky actions, its result gives the same game."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ale_py
import gymnasium as gym
import numpy as np
import pytest
from gymnasium import wrappers

import gym_h5record as h5r
from gym_h5record import errors
from tests.lane_recordings import record_cart_poles
from tests.replay.recordings import record

gym.register_envs(ale_py)


def check_same_game(path: Path, game: str, episode: int) -> float:
    """Play what was executed in a game without stickiness; the share of frames in which actions stuck."""
    executed = h5r.executed_actions(path, episode)
    plain: Any = gym.make(
        f"ALE/{game}-v5", repeat_action_probability=0.0, frameskip=1, obs_type="ram", full_action_space=True
    )
    with h5r.Recording(path) as recording:
        recorded = recording.episodes[episode]
        assert executed.shape[0] == recorded.length
        start: Any = h5r.branch(path, episode, 0)[0]
        plain.reset()
        plain.unwrapped.ale.restoreState(start.unwrapped.ale.cloneState(include_rng=True))
        asked = [start.unwrapped._action_set[recorded.actions[at]].value for at in range(recorded.length)]
        for at, frames in enumerate(executed):
            reward = sum(plain.step(action)[1] for action in frames if action >= 0)
            assert np.array_equal(plain.unwrapped.ale.getRAM(), recorded.observations[at + 1]), at
            assert reward == recorded.rewards[at]
    stuck = [action != asked[at] for at, frames in enumerate(executed) for action in frames if action >= 0]
    return float(np.mean(stuck))


@pytest.mark.parametrize(
    ("game", "options"), [("Breakout", {}), ("Pong", {"frameskip": 1}), ("SpaceInvaders", {"frameskip": (2, 5)})]
)
def test_what_was_executed_gives_the_same_game_without_stickiness(game: str, options: Any, tmp_path: Path) -> None:
    env = gym.make(f"ALE/{game}-v5", obs_type="ram", **options)
    env.reset(seed=1)  # else one time in ten no action sticks where it would show
    path = record(env, tmp_path / "run.h5", None)
    stuck = check_same_game(path, game, 2)
    assert 0 < stuck < 0.5


def test_without_stickiness_it_is_what_was_asked_for(tmp_path: Path) -> None:
    env = gym.make("ALE/Pong-v5", obs_type="ram", repeat_action_probability=0.0)
    path = record(env, tmp_path / "run.h5")
    executed = h5r.executed_actions(path, -1)
    with h5r.Recording(path) as recording:
        asked = [env.unwrapped._action_set[action].value for action in recording.episodes[-1].actions[:]]  # type: ignore[attr-defined]
    assert executed.tolist() == [[action] * 4 for action in asked]


def test_steps_of_a_preprocessed_game_have_its_frames(tmp_path: Path) -> None:
    env = wrappers.AtariPreprocessing(gym.make("ALE/Breakout-v5", frameskip=1), noop_max=30)
    path = record(env, tmp_path / "run.h5")
    executed = h5r.executed_actions(path, 1)
    assert executed.shape == (12, 4)
    assert (executed >= 0).all()


def test_other_environments_have_none(tmp_path: Path) -> None:
    path = record(gym.make("CartPole-v1"), tmp_path / "run.h5")
    with pytest.raises(errors.UnsupportedEnvError, match="CartPoleEnv is no environment of ALE"):
        h5r.executed_actions(path, 0)
    with pytest.raises(errors.OptionError, match="has 3 episodes"):
        h5r.executed_actions(path, 3)


def test_a_recording_that_branches_off_another_goes_on_with_what_stuck_there(tmp_path: Path) -> None:
    path = record(gym.make("ALE/Breakout-v5", obs_type="ram"), tmp_path / "run.h5", None)
    whole = h5r.executed_actions(path, 2)
    with h5r.Recording(path) as recording:
        actions = [recording.episodes[2].actions[step] for step in range(9, 25)]
    more = h5r.RecordToHDF5(h5r.branch(path, 2, 9)[0], tmp_path / "more.h5", writer="inline")
    more.reset()
    for action in actions:
        more.step(action)
    more.close()
    assert np.array_equal(h5r.executed_actions(tmp_path / "more.h5", 0), whole[9:])


@pytest.mark.parametrize("other", [{"repeat_action_probability": 0.0}, {"frameskip": 2}])
def test_another_game_than_the_recorded_one_has_nothing_to_tell(other: Any, tmp_path: Path) -> None:
    path = record(gym.make("ALE/Breakout-v5", obs_type="ram"), tmp_path / "run.h5", 1)
    with pytest.raises(errors.DivergedError, match="not where the recording was: episode 2, step"):
        h5r.executed_actions(path, 2, env=lambda: gym.make("ALE/Breakout-v5", obs_type="ram", **other))


@pytest.mark.long
def test_what_was_executed_in_a_lane_gives_the_same_game_without_stickiness(tmp_path: Path) -> None:
    envs = gym.make_vec("ALE/Pong-v5", num_envs=2, vectorization_mode="sync", obs_type="ram", max_episode_steps=6)
    recorded = h5r.vector.RecordToHDF5(envs, tmp_path / "pong.h5", writer="inline")
    recorded.action_space.seed(1)
    recorded.reset(seed=1)
    for _ in range(9):
        recorded.step(recorded.action_space.sample())
    recorded.close()
    with h5r.Recording(tmp_path / "pong.h5") as recording:
        assert [each.env for each in recording] == [0, 1, 0, 1]
    for number in range(4):
        check_same_game(tmp_path / "pong.h5", "Pong", number)


def test_lanes_that_were_stepped_together_are_refused(tmp_path: Path) -> None:
    path = record_cart_poles(tmp_path / "run.h5", vectorization_mode="vector_entry_point")
    with pytest.raises(errors.NotReplayableError, match="CartPoleVectorEnv steps 3 environments together"):
        h5r.executed_actions(path, 0)
