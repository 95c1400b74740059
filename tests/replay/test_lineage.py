"""Which episodes lead to one."""

from __future__ import annotations

from pathlib import Path

import gymnasium as gym
import pytest

import gym_h5record as h5r
from gym_h5record.errors import NotReplayableError
from gym_h5record.replay.lineage import all_before, alone, from_known, in_one_life
from tests.replay.recordings import record


def numbers(chain: list[h5r.Episode]) -> list[int]:
    return [each.number for each in chain]


def test_an_episode_that_began_with_a_reset_is_enough_alone(tmp_path: Path) -> None:
    with h5r.Recording(record(gym.make("Acrobot-v1"), tmp_path / "run.h5", None)) as recording:
        assert [numbers(alone(recording, number)) for number in range(3)] == [[0], [1], [2]]
        assert [numbers(all_before(recording, number)) for number in range(3)] == [[0], [0, 1], [0, 1, 2]]


def test_an_episode_that_went_on_after_the_end_needs_those_that_it_continues(tmp_path: Path) -> None:
    env = h5r.RecordToHDF5(gym.make("Taxi-v4", max_episode_steps=3), tmp_path / "run.h5", writer="inline")
    env.reset(seed=1)
    for _ in range(8):
        env.step(0)
    env.reset()
    env.step(0)
    env.close()
    with h5r.Recording(tmp_path / "run.h5") as recording:
        count = recording.num_episodes
        assert count > 2
        assert numbers(alone(recording, count - 2)) == list(range(count - 1))
        assert numbers(alone(recording, count - 1)) == [count - 1]


def test_without_snapshots_the_way_begins_at_the_first_seed(tmp_path: Path) -> None:
    path = record(gym.make("Acrobot-v1"), tmp_path / "run.h5", snapshots=False)
    with h5r.Recording(path) as recording:
        assert numbers(all_before(recording, 2)) == [0, 1, 2]
        with pytest.raises(NotReplayableError, match="neither a seed nor a snapshot"):
            alone(recording, 1)


def test_a_reset_that_was_not_recorded_is_missing_on_the_way(tmp_path: Path) -> None:
    path = record(gym.make("Acrobot-v1"), tmp_path / "run.h5", episode_trigger=lambda number: number != 1)
    with h5r.Recording(path) as recording:
        assert numbers(alone(recording, 1)) == [1]
        with pytest.raises(NotReplayableError, match="1 resets of the environment before episode 1 were not recorded"):
            all_before(recording, 1)


def test_what_was_appended_is_another_life(tmp_path: Path) -> None:
    path = record(gym.make("Acrobot-v1"), tmp_path / "run.h5")
    record(gym.make("Acrobot-v1"), path, mode="a")
    with h5r.Recording(path) as recording:
        assert [numbers(in_one_life(recording, number)) for number in (2, 3, 5)] == [[0, 1, 2], [3], [3, 4, 5]]
        assert numbers(all_before(recording, 5)) == [3, 4, 5]


def test_a_life_begins_anew_behind_what_is_missing_and_says_what(tmp_path: Path) -> None:
    path = record(gym.make("Acrobot-v1"), tmp_path / "run.h5", episode_trigger=lambda number: number != 1)
    with h5r.Recording(path) as recording:
        life, missing = from_known(recording, in_one_life(recording, 1))
        assert numbers(life) == [1]
        assert missing == "1 resets of the environment before episode 1 were not recorded"
    path = record(gym.make("Acrobot-v1"), path, mode="w", step_trigger=[3].__contains__, episode_trigger=bool)
    with h5r.Recording(path) as recording:
        life, missing = from_known(recording, in_one_life(recording, 2))
        assert numbers(life) == [1, 2]
        assert missing == "the recording of episode 0 began in the middle of an episode"
