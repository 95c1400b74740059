"""Returns so far: numbers or arrays, and NaN where a reward is neither."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gym_h5record as h5r
from gym_h5record.media.returns import running_returns, with_reward, zero_return
from tests.treasures import record_treasures
from tests.zoo import REWARDS, ForeignArray, check_identical

PAIR = np.array([0.5, -2.0])


@pytest.mark.parametrize("reward", [1.5, 2, True, np.float32(0.1), np.array(3), "text", None, np.array([]), 1j])
def test_a_return_of_numbers_begins_with_zero(reward: Any) -> None:
    check_identical(zero_return(reward), 0.0, "zero")


@pytest.mark.parametrize("reward", [PAIR, PAIR.astype(np.float32), PAIR > 0, ForeignArray(PAIR)])
def test_a_return_of_arrays_begins_with_zeros(reward: Any) -> None:
    check_identical(zero_return(reward), np.zeros(2), "zeros")
    total = with_reward(np.zeros(2), reward)
    check_identical(total, np.asarray(reward, np.float64), "total")


@pytest.mark.parametrize(
    ("total", "reward"),
    [(1.0, "1"), (1.0, None), (1.0, PAIR), (1.0, PAIR[:1]), (PAIR, 1.0), (PAIR, "1"), (PAIR, np.zeros(3))],
)
def test_what_is_no_such_reward_counts_as_nan(total: Any, reward: Any) -> None:
    found = with_reward(total, reward)
    assert np.isnan(found).all()
    assert np.shape(found) == np.shape(total)


def test_returns_run_as_they_are_recorded(paintings: Path, tmp_path: Path) -> None:
    for path in (paintings, record_treasures(tmp_path / "run.h5")):
        with h5r.Recording(path) as recording:
            for episode in recording.episodes:
                totals = running_returns(episode)
                assert len(totals) == episode.length + 1
                check_identical(totals[-1], episode.total_reward, "return")
                check_identical(running_returns(episode, 2), totals[:3], "returns up to a limit")


def test_infinities_that_cancel_out_are_nan_without_a_warning() -> None:
    assert math.isnan(with_reward(math.inf, -math.inf))
    assert np.isnan(with_reward(np.full(2, math.inf), np.full(2, -math.inf))).all()


@pytest.mark.parametrize("reward", REWARDS, ids=repr)
def test_rewards_of_every_type_are_added_as_numbers(reward: Any) -> None:
    check_identical(with_reward(1.0, reward), 1.0 + float(reward), "total")
