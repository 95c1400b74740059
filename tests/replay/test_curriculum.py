"""ResetFromRecording: episodes begin where recordings were, and go on as the environment does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ale_py
import gymnasium as gym
import pytest

import gym_h5record as h5r
from gym_h5record import errors
from gym_h5record.values.exact import identical
from tests.lane_recordings import record_cart_poles
from tests.replay.recordings import LENGTHS, record, tamper

gym.register_envs(ale_py)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return record(gym.make("Acrobot-v1"), tmp_path / "run.h5", None)


def starts(env: gym.Env[Any, Any], count: int) -> list[tuple[int, int]]:
    found = []
    for number in range(count):
        info = env.reset(seed=None if number else 5)[1]
        found.append((info["recording_start"]["episode"], info["recording_start"]["step"]))
    return found


def test_an_episode_begins_where_the_recording_was_and_goes_on_as_it_did(path: Path) -> None:
    env = h5r.ResetFromRecording(gym.make("Acrobot-v1"), path)
    with h5r.Recording(path) as recording:
        for seed in range(10):
            observation, info = env.reset(seed=seed)
            start = info.pop("recording_start")
            episode, step = recording.episodes[start["episode"]], start["step"]
            assert identical(observation, episode.observations[step])
            assert episode.infos is not None
            assert identical(info, episode.infos[step])
            assert identical(env.step(episode.actions[step])[0], episode.observations[step + 1])
    env.close()


def test_a_game_begins_where_the_recording_was(tmp_path: Path) -> None:
    path = record(gym.make("ALE/Breakout-v5"), tmp_path / "game.h5", None)
    env = h5r.ResetFromRecording(gym.make("ALE/Breakout-v5"), path)
    with h5r.Recording(path) as recording:
        observation, info = env.reset(seed=2)
        start = info["recording_start"]
        episode, step = recording.episodes[start["episode"]], start["step"]
        assert identical(observation, episode.observations[step])
        assert identical(env.step(episode.actions[step])[0], episode.observations[step + 1])


def test_uniform_starts_are_anywhere_but_at_the_end_and_the_same_for_the_same_seed(path: Path) -> None:
    env = h5r.ResetFromRecording(gym.make("Acrobot-v1"), path)
    found = starts(env, 150)
    assert {episode for episode, _ in found} == {0, 1, 2}
    assert {step for episode, step in found if episode == 1} == set(range(LENGTHS[1]))
    assert starts(h5r.ResetFromRecording(gym.make("Acrobot-v1"), path), 150) == found


@pytest.mark.parametrize("scheme", ["forward", "reverse"])
def test_a_window_grows_from_the_beginning_or_from_the_end(scheme: Any, path: Path) -> None:
    env = h5r.ResetFromRecording(
        gym.make("Acrobot-v1"), path, scheme=scheme, episodes=[0], window_steps=2, grow_steps=3, grow_resets=30
    )
    found = [step for _, step in starts(env, 60)]
    assert env.window_steps == 8
    first, second = (set(found[:30]), set(found[30:]))
    if scheme == "forward":
        assert (first, second) == ({0, 1}, set(range(5)))
    else:
        assert (first, second) == ({28, 29}, set(range(25, 30)))


def test_some_resets_are_those_of_the_environment(path: Path) -> None:
    env = h5r.ResetFromRecording(gym.make("Acrobot-v1"), path, probability=0.5)
    recorded = ["recording_start" in env.reset(seed=seed)[1] for seed in range(60)]
    assert 15 < sum(recorded) < 45
    seed = recorded.index(False)
    assert identical(env.reset(seed=seed)[0], gym.make("Acrobot-v1").reset(seed=seed)[0])


def test_what_begins_there_can_be_recorded(path: Path, tmp_path: Path) -> None:
    env = h5r.RecordToHDF5(h5r.ResetFromRecording(gym.make("Acrobot-v1"), path), tmp_path / "more.h5", writer="inline")
    env.reset(seed=1)
    env.step(0)
    env.close()
    with h5r.Recording(tmp_path / "more.h5") as recording:
        assert "recording_start" in recording.episodes[0].infos[0]  # type: ignore[index]


def test_episodes_that_cannot_be_run_alone_are_left_out_or_refused(tmp_path: Path) -> None:
    path = record(gym.make("Acrobot-v1"), tmp_path / "run.h5", 7, snapshots=False)
    env = h5r.ResetFromRecording(gym.make("Acrobot-v1"), path)
    assert {episode for episode, _ in starts(env, 20)} == {0}
    with pytest.raises(errors.NotReplayableError):
        h5r.ResetFromRecording(gym.make("Acrobot-v1"), path, episodes=[0, 1])
    unseeded = record(gym.make("Acrobot-v1"), tmp_path / "unseeded.h5", None, snapshots=False)
    with pytest.raises(errors.OptionError, match="no episode with a step that can be run alone"):
        h5r.ResetFromRecording(gym.make("Acrobot-v1"), unseeded)


@pytest.mark.parametrize(
    "options",
    [{"scheme": "random"}, {"probability": 1.5}, {"window_steps": 0}, {"grow_resets": 0}, {"episodes": [3]}],
    ids=str,
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], path: Path) -> None:
    with pytest.raises(errors.OptionError, match=next(iter(options))):
        h5r.ResetFromRecording(gym.make("Acrobot-v1"), path, **options)


def test_an_environment_that_goes_elsewhere_is_an_error(path: Path) -> None:
    tamper(path, "actions", 0, 0, lambda action: (action + 1) % 3)
    env = h5r.ResetFromRecording(gym.make("Acrobot-v1"), path, scheme="reverse", episodes=[0], window_steps=1)
    with pytest.raises(errors.DivergedError, match="not where the recording was: episode 0, step 1, observations"):
        env.reset()


def test_an_episode_begins_where_a_lane_was(tmp_path: Path) -> None:
    path = record_cart_poles(tmp_path / "run.h5", has_statistics=True)
    env = h5r.ResetFromRecording(gym.make("CartPole-v1"), path)
    with h5r.Recording(path) as recording:
        assert any("episode" in info for each in recording for info in each.infos or ())
        lanes = set()
        for seed in range(8):
            observation, info = env.reset(seed=seed)
            episode, step = recording[info["recording_start"]["episode"]], info["recording_start"]["step"]
            assert identical(observation, episode.observations[step])
            lanes.add(episode.env)
    assert len(lanes) > 1
    env.close()


def test_lanes_that_were_stepped_together_are_refused(tmp_path: Path) -> None:
    path = record_cart_poles(tmp_path / "run.h5", vectorization_mode="vector_entry_point")
    with pytest.raises(errors.NotReplayableError, match="CartPoleVectorEnv steps 3 environments together"):
        h5r.ResetFromRecording(gym.make("CartPole-v1"), path)
