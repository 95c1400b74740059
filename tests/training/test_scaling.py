"""The offset and the scale of one leaf."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_h5record.errors import OptionError
from gym_h5record.training.leaf_statistics import of_array
from gym_h5record.training.scaling import MODES, leaf_scale
from tests.zoo import DTYPES

FLOAT = np.dtype(np.float64)
HALVES = (0.25, 0.75)

each_mode = pytest.mark.parametrize("mode", MODES)


def test_mean_std_gives_mean_0_and_deviation_1() -> None:
    values = 1e9 + np.random.default_rng(0).normal(size=(1000, 3))
    normal = leaf_scale(of_array("x", values), "mean_std", HALVES).normalize(values, FLOAT)
    np.testing.assert_allclose(normal.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(normal.std(axis=0), 1, rtol=1e-6)


def test_min_max_gives_minus_1_to_1() -> None:
    values = np.random.default_rng(0).normal(size=(1000, 3))
    normal = leaf_scale(of_array("x", values), "min_max", HALVES).normalize(values, FLOAT)
    np.testing.assert_allclose([normal.min(axis=0), normal.max(axis=0)], [[-1] * 3, [1] * 3], rtol=1e-12)


def test_quantiles_become_minus_1_and_1_and_nothing_is_cut_off() -> None:
    values = np.random.default_rng(0).normal(size=(1000, 3))
    normal = leaf_scale(of_array("x", values), "quantile", HALVES).normalize(values, FLOAT)
    np.testing.assert_allclose(np.quantile(normal, HALVES, axis=0), [[-1] * 3, [1] * 3], rtol=1e-12)
    assert normal.max() > 2


@each_mode
@pytest.mark.parametrize("value", [0.0, 0.1, 1e9 + 0.1, -3e300, 5e-324], ids=str)
def test_a_constant_becomes_0_and_comes_back(mode: str, value: float) -> None:
    values = np.full((50, 2), value)
    scale = leaf_scale(of_array("x", values), mode, HALVES)
    assert (scale.scale == 1).all()
    assert (scale.normalize(values, FLOAT) == 0).all()
    assert (scale.inverse(np.zeros((50, 2))) == value).all()


@each_mode
def test_an_element_whose_spread_is_rounding_counts_as_constant(mode: str) -> None:
    values = np.array([1e9, np.nextafter(1e9, 2e9)] * 5)
    assert leaf_scale(of_array("x", values), mode, HALVES).scale == 1
    assert leaf_scale(of_array("x", np.array([1e9, 1e9 + 1] * 5)), mode, HALVES).scale == 0.5


def test_equal_quantiles_have_scale_1() -> None:
    values = np.array([0.0] * 90 + [5.0])
    assert leaf_scale(of_array("x", values), "quantile", HALVES).scale == 1
    assert leaf_scale(of_array("x", values), "min_max", HALVES).scale == 2.5


@each_mode
@pytest.mark.parametrize("dtype", DTYPES, ids=[dtype.__name__ for dtype in DTYPES])
def test_the_inverse_gives_the_recorded_values_and_dtype(mode: str, dtype: Any) -> None:
    numbers = np.random.default_rng(3).normal(size=(40, 3)) * 30
    values = (np.abs(numbers) if np.dtype(dtype).kind == "u" else numbers).astype(dtype)
    scale = leaf_scale(of_array("x", values), mode, HALVES)
    found = scale.inverse(scale.normalize(values, FLOAT))
    assert found.dtype == values.dtype
    np.testing.assert_allclose(found.astype(np.float64), values.astype(np.float64), rtol=1e-3, atol=1e-12)
    if np.dtype(dtype).kind != "f":
        assert np.array_equal(found, values)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64", "uint64"])
def test_integers_beyond_the_dtype_become_its_limits(dtype: str) -> None:
    limits = np.iinfo(dtype)
    scale = leaf_scale(of_array("x", np.array([0, 100], dtype)), "mean_std", HALVES)
    low, high = scale.inverse(np.array([-1e30, 1e30]))
    assert low == limits.min
    assert limits.max - int(high) < 4096
    assert int(high) > 100


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=20), st.sampled_from(MODES))
def test_the_inverse_of_any_values_is_exact_to_rounding(numbers: list[float], mode: str) -> None:
    values = np.array(numbers)
    scale = leaf_scale(of_array("x", values), mode, HALVES)
    found = scale.inverse(scale.normalize(values, FLOAT))
    np.testing.assert_allclose(found, values, rtol=1e-9, atol=1e-9 * max(np.abs(values).max(), 1e-300))


@pytest.mark.parametrize("shape", [(3, 2), (7, 3, 2), (2, 5, 3, 2), (0, 3, 2)], ids=str)
def test_arrays_may_have_axes_in_front(shape: tuple[int, ...]) -> None:
    values = np.arange(30.0).reshape(5, 3, 2)
    scale = leaf_scale(of_array("x", values), "mean_std", HALVES)
    given_values = np.ones(shape)
    normal = scale.normalize(given_values, np.dtype(np.float32))
    assert (normal.shape, normal.dtype) == (shape, np.float32)
    assert (given_values == 1).all()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((4, 2)), r"x: expected an array of shape \(\.\.\., 3, 2\), got \(4, 2\)"),
        (np.zeros(2), r"got \(2,\)"),
        (1.5, r"got \(\)"),
        ("text", "x: expected an array of numbers, got 'text'"),
        ([[1], [2, 3]], "x: expected an array of numbers, got"),
        ({"a": 1}, "x: expected an array of numbers, got"),
        (np.array(["a"]), "x: expected an array of numbers, got"),
    ],
    ids=["rank", "vector", "number", "text", "ragged", "dict", "texts"],
)
def test_other_shapes_and_values_are_refused(values: Any, message: str) -> None:
    scale = leaf_scale(of_array("x", np.zeros((5, 3, 2))), "mean_std", HALVES)
    with pytest.raises(OptionError, match=message):
        scale.normalize(values, FLOAT)
    with pytest.raises(OptionError, match=message):
        scale.inverse(values)


@each_mode
def test_an_element_without_a_finite_value_is_refused(mode: str) -> None:
    with pytest.raises(OptionError, match="x cannot be normalised: 1 element without a finite value"):
        leaf_scale(of_array("x", np.array([[1.0, np.nan], [2.0, np.inf]])), mode, HALVES)


@pytest.mark.parametrize("mode", ["mean_std"])
def test_statistics_beyond_float64_are_refused(mode: str) -> None:
    with pytest.raises(OptionError, match=f"x cannot be normalised by {mode}: its values are beyond float64"):
        leaf_scale(of_array("x", np.array([-1.7e308, 1.7e308])), mode, HALVES)


def test_scales_are_equal_if_all_numbers_are() -> None:
    values = np.arange(6.0).reshape(3, 2)
    first, second = (leaf_scale(of_array("x", values), "min_max", HALVES) for _ in range(2))
    assert first == second
    assert first != leaf_scale(of_array("x", values + 1e-9), "min_max", HALVES)
    assert first != leaf_scale(of_array("y", values), "min_max", HALVES)
    assert first != leaf_scale(of_array("x", values.astype(np.float32)), "min_max", HALVES)
    assert first != "x"
