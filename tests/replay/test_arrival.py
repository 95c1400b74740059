"""The way to a step: the last episode is compared at every step, those before it are only run."""

from __future__ import annotations

from pathlib import Path

import gymnasium as gym
import pytest

import gym_h5record as h5r
from gym_h5record.recorder.snapshots.snapshot_set import make_snapshot_set
from gym_h5record.replay.episode_check import go_to, make_comparison
from gym_h5record.replay.lineage import all_before, alone
from gym_h5record.replay.rerun import Rerun
from gym_h5record.values.exact import identical
from tests.replay.recordings import record, tamper


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return record(gym.make("Acrobot-v1"), tmp_path / "run.h5")


@pytest.mark.parametrize("restore_all", [True, False])
@pytest.mark.parametrize("step", [0, 7, 25])
def test_one_arrives_where_the_recording_was(step: int, restore_all: bool, path: Path) -> None:
    with h5r.Recording(path) as recording:
        rerun = Rerun(recording, gym.make("Acrobot-v1"), make_snapshot_set(()))
        chain = alone(recording, 2) if restore_all else all_before(recording, 2)
        assert go_to(rerun, chain, step, make_comparison(), restore_all=restore_all) is None
        assert rerun.last is not None
        assert identical(rerun.last.observation, recording.episodes[2].observations[step])


def test_a_difference_before_the_step_is_found_and_one_behind_it_is_not(path: Path) -> None:
    tamper(path, "rewards", 2, 5, lambda reward: reward + 1)
    tamper(path, "rewards", 1, 0, lambda reward: reward + 1)  # of an episode that only leads there
    with h5r.Recording(path) as recording:
        for step, is_found in ((5, False), (6, True), (20, True)):
            rerun = Rerun(recording, gym.make("Acrobot-v1"), make_snapshot_set(()))
            found = go_to(rerun, all_before(recording, 2), step, make_comparison(), restore_all=False)
            assert (found is not None) == is_found
            if found is not None:
                assert (found.episode, found.step, found.leaf) == (2, 5, "rewards")
