"""Bootstrap intervals: the same for the same seed, and as wide as the spread of the values says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gym_h5record.replay.evaluation import bootstrap
from gym_h5record.replay.evaluation.bootstrap import mean_interval

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=40)


def test_intervals_cover_the_mean_of_a_known_distribution_as_often_as_they_say() -> None:
    rng = np.random.default_rng(1)
    intervals = [mean_interval(rng.normal(5, 2, 50).tolist(), seed) for seed in range(100)]
    covered = sum(each is not None and each.low < 5 < each.high for each in intervals)
    assert 89 <= covered <= 99


def test_the_interval_is_as_wide_as_the_normal_one() -> None:
    values = np.random.default_rng(2).normal(0, 1, 400)
    interval = mean_interval(values.tolist(), 0)
    assert interval is not None
    assert interval.mean == pytest.approx(values.mean())
    expected = 2 * 1.96 * values.std() / math.sqrt(len(values))
    assert interval.high - interval.low == pytest.approx(expected, rel=0.05)


def test_the_same_seed_gives_the_same_interval_and_another_one_hardly_another() -> None:
    values = np.random.default_rng(3).normal(0, 1, 30).tolist()
    first, other = mean_interval(values, 0), mean_interval(values, 1)
    assert first == mean_interval(values, 0)
    assert first != other
    assert first.low == pytest.approx(other.low, abs=0.05)


def test_the_global_generator_is_left_alone() -> None:
    np.random.seed(5)
    expected = np.random.get_state()[1].copy()
    mean_interval([1.0, 2.0], 0)
    assert np.array_equal(np.random.get_state()[1], expected)


def test_many_values_are_drawn_in_blocks_of_bounded_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "_BLOCK", 1000)
    interval = mean_interval(np.arange(7.0).tolist(), 0)
    assert interval.count == 7
    assert 1 < interval.low < 3 < interval.high < 5


def test_of_no_values_there_is_no_mean_and_of_one_no_interval() -> None:
    assert mean_interval([], 0) is None
    assert mean_interval([3.0], 0) == bootstrap.Interval(3.0, None, None, 1)


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_returns_that_are_no_finite_numbers_are_no_error(value: float) -> None:
    interval = mean_interval([1.0, value], 0)
    assert not math.isfinite(interval.mean)


@given(VALUES, st.integers(0, 2**63))
@settings(max_examples=30, deadline=None)
def test_an_interval_lies_between_the_least_and_the_largest_value(values: list[float], seed: int) -> None:
    interval = mean_interval(values, seed)
    slack = 1e-9 * max(map(abs, values))
    assert min(values) - slack <= interval.low <= interval.high <= max(values) + slack
    assert interval.mean == pytest.approx(sum(values) / len(values), abs=1e-6)
    assert {type(each) for each in (interval.mean, interval.low, interval.high)} == {float}
