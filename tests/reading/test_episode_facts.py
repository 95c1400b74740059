"""What a condition may ask of episodes: the same as the episodes say one by one."""

from __future__ import annotations

import math
from pathlib import Path

import h5py
import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.errors import CorruptRecordingError, SelectionError
from gym_h5record.reading.episode_facts import episode_fact
from gym_h5record.reading.expression import NAMES
from tests.reading import record
from tests.treasures import record_treasures
from tests.zoo import ZooEnv


@pytest.fixture
def path(tmp_path: Path) -> Path:
    record(tmp_path / "run.h5", ZooEnv(spaces.Discrete(9), rewards=(0.1, 0.2, 0.7), length=10), [10, 4, 0, 10])
    return tmp_path / "run.h5"


@pytest.mark.parametrize("name", NAMES)
def test_facts_are_those_of_the_episodes(name: str, path: Path) -> None:
    numbers = np.array([3, 0, 1])
    with h5r.Recording(path) as recording:
        found = episode_fact(recording._index, name, numbers).tolist()
        expected = [getattr(recording[number], name) for number in numbers.tolist()]
    if name == "seed":
        expected = [math.nan if seed is None else seed for seed in expected]
        found, expected = [[str(each) for each in values] for values in (found, expected)]
    assert found == expected


def test_seeds_are_numbers_where_all_episodes_have_one(path: Path) -> None:
    with h5r.Recording(path) as recording:
        assert episode_fact(recording._index, "seed", np.array([0, 2])).dtype == np.int64


def test_a_seed_beyond_int64_is_exact(tmp_path: Path) -> None:
    env = h5r.RecordToHDF5(ZooEnv(spaces.Discrete(9)), tmp_path / "run.h5", writer="inline")
    env.reset(seed=2**70)
    env.reset(seed=1)
    env.close()
    with h5r.Recording(tmp_path / "run.h5") as recording:
        assert episode_fact(recording._index, "seed", np.array([0, 1])).tolist() == [2**70, 1]
        assert recording.select(f"seed == {2**70}").numbers.tolist() == [0]
    with h5py.File(tmp_path / "run.h5", "r+") as file:
        file["episodes/json/ends"][:] = 0
    with (
        h5r.Recording(tmp_path / "run.h5") as recording,
        pytest.raises(CorruptRecordingError, match="seed of episode 0"),
    ):
        recording.select("seed > 0")


def test_of_returns_that_are_arrays_no_condition_can_be_made(tmp_path: Path) -> None:
    with h5r.Recording(record_treasures(tmp_path / "run.h5")) as recording:
        with pytest.raises(
            SelectionError, match=r"total_reward is an array \(2,\) in this recording: select by a function"
        ):
            recording.select("total_reward > 1")
        assert recording.select(lambda episode: episode.total_reward[0] > 1).numbers.tolist() == [0, 2]
