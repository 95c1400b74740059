"""The summary that ``keep`` is asked about says what the index of the recording says."""

from __future__ import annotations

import math
import struct
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from gym_h5record.recorder.episode_summary import EpisodeSummary, EpisodeTally
from tests.zoo import ForeignArray


def total(*rewards: Any) -> Any:
    tally = EpisodeTally(None, {})
    for reward in rewards:
        tally.add(reward, False, False, {})
    return tally.summary().total_reward


def test_an_episode_without_steps_has_the_info_of_its_reset() -> None:
    info = {"x": 1}
    summary = EpisodeTally(7, info).summary()
    assert summary == EpisodeSummary(0, 0.0, terminated=False, truncated=False, last_info=info, seed=7)
    assert summary.last_info is info
    assert not summary.complete


@pytest.mark.parametrize(("terminated", "truncated"), [(True, False), (False, True), (np.True_, np.False_), (1, 0)])
def test_the_flags_and_the_info_are_those_of_the_last_step(terminated: Any, truncated: Any) -> None:
    tally, info = EpisodeTally(None, {}), {"success": True}
    tally.add(1.5, False, False, {})
    tally.add(np.float32(0.5), terminated, truncated, info)
    summary = tally.summary()
    assert (summary.length, summary.total_reward, summary.seed) == (2, 2.0, None)
    assert (summary.terminated, summary.truncated) == (bool(terminated), bool(truncated))
    assert summary.complete
    assert summary.last_info is info


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int8, np.uint64, np.bool_])
def test_rewards_of_small_types_are_added_as_float64(dtype: Any) -> None:
    rewards = [dtype(number % 100 if dtype is not np.bool_ else number % 2) for number in range(3000)]
    found = total(*rewards)
    assert type(found) is float
    assert found == sum(float(reward) for reward in rewards)


@pytest.mark.parametrize(
    ("rewards", "expected"),
    [
        ([0.1] * 10, sum([0.1] * 10, 0.0)),
        ([-0.0, -0.0], 0.0),
        ([1e308, np.float64(1e308)], math.inf),
        ([np.float64("inf"), np.float64("-inf")], math.nan),
        ([1.0, None, 1.0], math.nan),
        ([1.0, "2"], math.nan),
        ([2**53 + 1], float(2**53 + 1)),
        ([Fraction(1, 3)], 1 / 3),
        ([np.array(1.5), 1], 2.5),
        ([[1.0, 2.0]], math.nan),
        ([1.0, np.zeros(2)], math.nan),
    ],
)
def test_the_total_is_a_float_of_python_and_nan_where_a_reward_is_no_number(
    rewards: list[Any], expected: float
) -> None:
    found = total(*rewards)
    assert type(found) is float
    assert struct.pack("d", found) == struct.pack("d", expected) or (math.isnan(found) and math.isnan(expected))


def test_arrays_of_rewards_are_added_by_element_into_a_new_array() -> None:
    rewards = [np.array([1, 2], np.float32), ForeignArray(np.array([0.5, -2.0]))]
    found = total(*rewards)
    assert (found.tolist(), found.dtype) == ([1.5, 0.0], np.float64)
    assert rewards[0].tolist() == [1, 2]
    assert np.isnan(total(*rewards, 1.0)).all()
