"""Rewards of many steps as a line of a few points."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import gym_h5record as h5r
from gym_h5record.media import timelines
from gym_h5record.media.timelines import reward_timeline
from tests.treasures import DeepSea


def test_few_steps_are_shown_each(paintings: Path) -> None:
    with h5r.Recording(paintings) as recording:
        line = reward_timeline(recording.steps)
    expected = [step / 2 for step in (1, 2, 3, 4, 5, 6, 7, 1, 2, 3)]
    assert (line.steps_per_bin, line.steps.tolist()) == (1, list(range(10)))
    assert line.mean.tolist() == line.low.tolist() == line.high.tolist() == [[each] for each in expected]


@pytest.mark.parametrize("block_steps", [1, 4, 1 << 16])
def test_many_steps_are_shown_by_their_mean_lowest_and_highest(
    paintings: Path, monkeypatch: pytest.MonkeyPatch, block_steps: int
) -> None:
    monkeypatch.setattr(timelines, "_BLOCK_STEPS", block_steps)
    with h5r.Recording(paintings) as recording:
        line = reward_timeline(recording.steps, max_bins=3)
    assert (line.steps_per_bin, line.steps.tolist()) == (4, [0, 4, 8])
    assert line.mean[:, 0].tolist() == [1.25, 2.375, 1.25]
    assert line.low[:, 0].tolist() == [0.5, 0.5, 1.0]
    assert line.high[:, 0].tolist() == [2.0, 3.5, 1.5]


def test_rewards_that_are_arrays_have_a_line_for_each_component(treasures: Path) -> None:
    with h5r.Recording(treasures) as recording:
        line = reward_timeline(recording.steps)
        assert np.array_equal(line.mean, recording.steps.rewards[:])


@pytest.mark.filterwarnings("ignore::gym_h5record.errors.RecordingWarning")
def test_what_is_no_finite_number_is_left_out(tmp_path: Path) -> None:
    rewards = iter([1.0, float("nan"), "much", 5.0])
    env = gym.wrappers.TransformReward(DeepSea(), lambda _: next(rewards))  # type: ignore[arg-type,return-value]
    with h5r.RecordToHDF5(env, tmp_path / "run.h5", writer="inline") as recorder:
        recorder.reset(seed=0)
        for _ in range(4):
            recorder.step(0)
    with h5r.Recording(tmp_path / "run.h5") as recording:
        assert reward_timeline(recording.steps, max_bins=1).mean.tolist() == [[3.0]]
        assert np.isnan(reward_timeline(recording.steps).mean[1:3]).all()


def test_no_step_is_a_line_without_points(tmp_path: Path) -> None:
    with h5r.RecordToHDF5(gym.make("CartPole-v1"), tmp_path / "run.h5", writer="inline") as recorder:
        recorder.reset(seed=0)
    with h5r.Recording(tmp_path / "run.h5") as recording:
        line: Any = reward_timeline(recording.steps)
    assert (len(line.steps), line.mean.shape) == (0, (0, 1))
