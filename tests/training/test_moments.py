"""Moments of parts, combined, are those of all values."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_h5record.training.moments import BYTES_PER_ELEMENT, Moments, combined, moments_of_runs, no_moments, pooled

WHOLE = np.zeros(1, np.int64)


def check_equal(found: Moments, values: np.ndarray) -> None:
    """Fail unless these are NumPy's numbers for the array of all values."""
    exact = values.astype(np.float64)
    assert (found.count == len(values)).all()
    assert (found.num_nonfinite == 0).all()
    np.testing.assert_allclose(found.mean, exact.mean(axis=0), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.squares / len(values), exact.var(axis=0), rtol=1e-9, atol=1e-15)
    assert np.array_equal(found.minimum, exact.min(axis=0))
    assert np.array_equal(found.maximum, exact.max(axis=0))


@pytest.mark.parametrize(
    "dtype", ["bool", "int8", "uint8", "int16", "uint16", "int64", "float16", "float32", "float64"]
)
@pytest.mark.parametrize("shape", [(), (3,), (2, 1, 2)], ids=str)
def test_moments_of_every_dtype_are_those_of_numpy(dtype: str, shape: tuple[int, ...]) -> None:
    values = (np.random.default_rng(0).normal(size=(500, *shape)) * 40).astype(dtype)
    check_equal(pooled(moments_of_runs(values, WHOLE)), values)


@pytest.mark.parametrize("extreme", [-128, 127], ids=str)
def test_sums_of_bytes_do_not_overflow(extreme: int) -> None:
    values = np.full((1 << 16, 1), extreme, np.int8)
    values[::2] = -1
    check_equal(pooled(moments_of_runs(values, WHOLE)), values)
    bright = np.full(1 << 16, 255, np.uint8)
    check_equal(pooled(moments_of_runs(bright, WHOLE)), bright)


def test_more_bytes_than_their_sums_hold_are_summed_as_floats() -> None:
    values = np.full((1 << 16) + 5000, 255, np.uint8)
    values[::3] = 7
    check_equal(pooled(moments_of_runs(values, WHOLE)), values)


def test_variance_keeps_its_digits_at_a_mean_of_a_billion() -> None:
    values = 1e9 + np.random.default_rng(1).normal(size=(100_000, 2))
    parts = [moments_of_runs(part, WHOLE) for part in np.array_split(values, 37)]
    found = no_moments((2,))
    for part in parts:
        found = combined(found, pooled(part))
    np.testing.assert_allclose(found.squares / len(values), values.var(axis=0), rtol=1e-9)
    exact = [math.fsum(column) / len(values) for column in values.T]  # the mean of NumPy is off by 6e-15 of it
    np.testing.assert_allclose(found.mean, exact, rtol=3e-16)


@given(
    st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=60),
    st.lists(st.integers(1, 59), max_size=8),
    st.sampled_from([0.0, 1e9]),
)
def test_runs_are_computed_apart_and_pooled_to_the_whole(numbers: list[float], cuts: list[int], mean: float) -> None:
    values = np.array(numbers) + mean
    begins = np.array(sorted({0, *(cut for cut in cuts if cut < len(values))}))
    runs = moments_of_runs(values, begins)
    for at, part in enumerate(np.split(values, begins[1:])):
        assert runs.count[at] == len(part)
        np.testing.assert_allclose(runs.mean[at], part.mean(), rtol=1e-12, atol=1e-9)
        np.testing.assert_allclose(runs.squares[at], part.var() * len(part), rtol=1e-6, atol=1e-4)
        assert (runs.minimum[at], runs.maximum[at]) == (part.min(), part.max())
    whole, once = pooled(runs), pooled(moments_of_runs(values, WHOLE))
    np.testing.assert_allclose(whole.mean, once.mean, rtol=1e-12, atol=1e-9)
    np.testing.assert_allclose(whole.squares, once.squares, rtol=1e-6, atol=1e-4)


def test_values_that_are_not_finite_are_counted_apart() -> None:
    values = np.array([[1.0, np.nan], [np.inf, np.nan], [3.0, -np.inf], [5.0, np.nan]])
    runs = moments_of_runs(values, np.array([0, 2]))
    assert runs.count.tolist() == [[1, 0], [2, 0]]
    assert runs.num_nonfinite.tolist() == [[1, 2], [0, 2]]
    whole = pooled(runs)
    assert whole.count.tolist() == [3, 0]
    assert whole.num_nonfinite.tolist() == [1, 4]
    assert (whole.mean[0], whole.minimum[0], whole.maximum[0]) == (3.0, 1.0, 5.0)
    assert whole.squares[0] == 8.0


@pytest.mark.parametrize(
    "combine", [lambda a, b: combined(a, b), lambda a, b: combined(b, a)], ids=["behind", "in-front"]
)
def test_no_moments_change_nothing(combine: Callable[[Moments, Moments], Any]) -> None:
    values = np.array([[1e9], [1e9 + 1]])
    check_equal(combine(pooled(moments_of_runs(values, WHOLE)), no_moments((1,))), values)


@pytest.mark.parametrize("values", [[1e308, -1e308, 1e308], [1.5e308, 1e308, 1.2e308]], ids=["signs", "sum"])
def test_a_variance_beyond_float64_is_infinite_and_the_mean_is_right(values: list[float]) -> None:
    expected = sum(each / 3 for each in values)
    for found in (
        pooled(moments_of_runs(np.array(values), WHOLE)),
        pooled(moments_of_runs(np.array(values), np.array([0, 1, 2]))),
    ):
        assert found.squares == np.inf
        assert (found.minimum, found.maximum) == (min(values), max(values))
        np.testing.assert_allclose(found.mean, expected, rtol=1e-12)


def test_a_large_constant_has_no_variance_beside_no_values() -> None:
    found = combined(no_moments(()), pooled(moments_of_runs(np.full(7, 1e200), WHOLE)))
    assert (found.mean, found.squares) == (1e200, 0.0)


def test_entries_are_replaced_in_place() -> None:
    moments = no_moments((3, 2))
    moments[np.array([2, 0])] = moments_of_runs(np.arange(8.0).reshape(4, 2), np.array([0, 2]))
    assert moments.mean.tolist() == [[5.0, 6.0], [0.0, 0.0], [1.0, 2.0]]
    assert moments[1:].count.tolist() == [[0, 0], [2, 2]]


@pytest.mark.parametrize("value", [0.1, 1e9 + 0.1, -3e-300], ids=str)
def test_a_constant_has_exactly_its_mean_and_no_variance(value: float) -> None:
    runs = moments_of_runs(np.full((1003, 2), value), np.array([0, 7, 500]))
    for found in (runs, pooled(runs)):
        assert (found.mean == value).all()
        assert (found.squares == 0).all()


def test_moments_take_as_many_bytes_as_they_say() -> None:
    moments = moments_of_runs(np.zeros((5, 7)), WHOLE)
    assert sum(each.nbytes for each in moments.arrays()) == 7 * BYTES_PER_ELEMENT
