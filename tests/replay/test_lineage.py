"""Which episodes are run to reach one: alone, after a reset, or after all episodes before it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
from gymnasium import wrappers

import gym_h5record as h5r
from gym_h5record.errors import NotReplayableError, OptionError
from gym_h5record.replay.lineage import (
    branches_off,
    chosen_numbers,
    from_first_known,
    in_same_env,
    since_first_known,
    since_known_reset,
    since_reset,
    surviving_state,
)
from tests.replay.recordings import record


def numbers(episodes: list[h5r.Episode]) -> list[int]:
    return [each.number for each in episodes]


def test_an_episode_that_began_with_a_reset_is_enough_alone(tmp_path: Path) -> None:
    with h5r.Recording(record(gym.make("Acrobot-v1"), tmp_path / "run.h5", None)) as recording:
        assert [numbers(since_known_reset(recording, number)) for number in range(3)] == [[0], [1], [2]]
        assert [numbers(since_first_known(recording, number)) for number in range(3)] == [[0], [0, 1], [0, 1, 2]]


def test_episodes_are_chosen_by_number_from_either_end_and_each_once(cartpole_path: Path) -> None:
    with h5r.Recording(cartpole_path) as recording:
        assert chosen_numbers(recording, None) == [0, 1, 2]
        assert chosen_numbers(recording, [-1, 0, 2]) == [2, 0]
        assert [chosen_numbers(recording, [episode]) for episode in (-3, 2)] == [[0], [2]]
        with pytest.raises(OptionError, match=r"has 3 episodes, there is no \[3, -4\]"):
            chosen_numbers(recording, [0, 3, -4])
        with pytest.raises(OptionError, match=r"has 3 episodes, there is no \[-4\]"):
            chosen_numbers(recording, [-4])


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
        assert numbers(since_known_reset(recording, count - 2)) == list(range(count - 1))
        assert numbers(since_known_reset(recording, count - 1)) == [count - 1]
        assert numbers(since_reset(recording, 1)) == [0, 1]


def test_without_snapshots_the_way_begins_at_the_first_seed(tmp_path: Path) -> None:
    path = record(gym.make("Acrobot-v1"), tmp_path / "run.h5", snapshots=False)
    with h5r.Recording(path) as recording:
        assert numbers(since_first_known(recording, 2)) == [0, 1, 2]
        with pytest.raises(NotReplayableError, match="neither a seed nor a snapshot"):
            since_known_reset(recording, 1)


def test_a_reset_that_was_not_recorded_is_missing_on_the_way(tmp_path: Path) -> None:
    path = record(gym.make("Acrobot-v1"), tmp_path / "run.h5", episode_trigger=lambda number: number != 1)
    with h5r.Recording(path) as recording:
        assert numbers(since_known_reset(recording, 1)) == [1]
        with pytest.raises(NotReplayableError, match="the recording lacks 1 reset before episode 1"):
            since_first_known(recording, 1)


def test_appended_episodes_are_of_another_environment(tmp_path: Path) -> None:
    path = record(gym.make("Acrobot-v1"), tmp_path / "run.h5")
    record(gym.make("Acrobot-v1"), path, mode="a")
    with h5r.Recording(path) as recording:
        assert [numbers(in_same_env(recording, number)) for number in (2, 3, 5)] == [[0, 1, 2], [3], [3, 4, 5]]
        assert numbers(since_first_known(recording, 5)) == [3, 4, 5]


def test_a_missing_reset_is_named_and_the_list_begins_behind_it(tmp_path: Path) -> None:
    path = record(gym.make("Acrobot-v1"), tmp_path / "run.h5", episode_trigger=lambda number: number != 1)
    with h5r.Recording(path) as recording:
        episodes, missing = from_first_known(recording, in_same_env(recording, 1))
        assert numbers(episodes) == [1]
        assert missing == "the recording lacks 1 reset before episode 1"
    path = record(gym.make("Acrobot-v1"), path, mode="w", step_trigger=[3].__contains__, episode_trigger=bool)
    with h5r.Recording(path) as recording:
        episodes, missing = from_first_known(recording, in_same_env(recording, 2))
        assert numbers(episodes) == [1, 2]
        assert missing == "the recording of episode 0 began in the middle of an episode"


def test_only_a_first_bare_reset_of_a_branch_goes_on_with_another_recording(tmp_path: Path) -> None:
    parent = record(gym.make("CartPole-v1"), tmp_path / "run.h5")
    for number, (options, expected) in enumerate([({}, True), ({"seed": 3}, False), ({"options": {}}, False)]):
        path = tmp_path / f"{number}.h5"
        with h5r.RecordToHDF5(h5r.branch(parent, 1, 3)[0], path, writer="inline") as env:
            env.reset(**options)
            env.step(0)
            env.reset()
            env.step(0)
        with h5r.Recording(path) as recording:
            assert [branches_off(recording, number) for number in (0, 1)] == [expected, False]
    with h5r.Recording(parent) as recording:
        assert not branches_off(recording, 0)


@pytest.mark.parametrize(
    ("wrap", "expected"),
    [
        (lambda env: env, ""),
        (wrappers.NormalizeReward, "the running statistics of NormalizeReward"),
        (wrappers.NormalizeObservation, "the running statistics of NormalizeObservation"),
    ],
    ids=["none", "rewards", "observations"],
)
def test_what_is_known_to_outlive_resets_is_named(wrap: Any, expected: str, tmp_path: Path) -> None:
    with h5r.Recording(record(wrap(gym.make("Pendulum-v1")), tmp_path / "run.h5")) as recording:
        assert surviving_state(recording) == expected
