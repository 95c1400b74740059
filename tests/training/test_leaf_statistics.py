"""Statistics of one leaf: quantiles, channels, merging."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_h5record.errors import OptionError
from gym_h5record.training.leaf_statistics import of_array

FRACTIONS = [0.0, 0.01, 0.3, 0.5, 0.999, 1.0]


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float16", "float32", "float64"])
def test_quantiles_are_those_of_numpy(dtype: str) -> None:
    values = (np.random.default_rng(0).normal(size=(77, 3, 2)) * 30).astype(dtype)
    leaf = of_array("x", values)
    expected = np.quantile(values.astype(np.float64), FRACTIONS, axis=0)
    np.testing.assert_allclose(leaf.quantile(FRACTIONS), expected, rtol=1e-14, atol=1e-14)
    np.testing.assert_allclose(leaf.quantile(0.3), expected[2], rtol=1e-14, atol=1e-14)
    assert leaf.quantiles[0.5].shape == leaf.shape == (3, 2)


def test_a_quantile_of_numbers_is_a_number() -> None:
    leaf = of_array("x", np.array([3, 1, 2, 10]))
    assert leaf.quantile(0.5) == 2.5
    assert {type(each) for each in (leaf.mean, leaf.std, leaf.min, leaf.max, leaf.quantile(0.5))} == {np.float64}
    assert leaf.quantile([0.0, 1.0]).tolist() == [1.0, 10.0]
    assert [float(each) for each in leaf.quantiles.values()][3] == 2.5


def test_quantiles_leave_out_what_is_not_finite() -> None:
    values = np.array([[np.nan, np.nan], [1.0, np.inf], [2.0, np.nan], [np.inf, np.nan], [4.0, -np.inf]])
    leaf = of_array("x", values)
    assert leaf.quantile(0.5)[0] == 2.0
    assert leaf.quantile(1.0)[0] == 4.0
    assert np.isnan(leaf.quantile(0.5)[1])
    assert leaf.num_nonfinite.tolist() == [2, 5]
    assert leaf.num_finite.tolist() == [3, 0]
    assert leaf.count == 5
    assert "7 elements not finite" in repr(leaf)
    assert np.isnan([leaf.mean[1], leaf.variance[1], leaf.std[1], leaf.min[1], leaf.max[1]]).all()


def test_no_value_has_nan_statistics() -> None:
    leaf = of_array("x", np.zeros((0, 2)))
    assert leaf.count == 0
    assert np.isnan([leaf.mean, leaf.std, leaf.min, leaf.max, leaf.quantile(0.5)]).all()


@pytest.mark.parametrize("q", [-0.1, 1.5, np.nan, [0.2, 2.0], [[0.1]]], ids=str)
def test_a_quantile_beyond_0_to_1_is_refused(q: object) -> None:
    with pytest.raises(OptionError, match="q: expected numbers from 0 to 1"):
        of_array("x", np.arange(3.0)).quantile(q)  # type: ignore[arg-type]


@pytest.mark.parametrize("axis", [0, 2, -1, -3])
def test_channels_pool_the_other_axes(axis: int) -> None:
    pictures = np.random.default_rng(2).integers(0, 256, (11, 4, 5, 3), np.uint8)
    found = of_array("frames", pictures).per_channel(axis)
    by_channel = np.moveaxis(pictures.astype(np.float64), axis % 3 + 1, -1).reshape(-1, pictures.shape[axis % 3 + 1])
    np.testing.assert_allclose(found.mean, by_channel.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.std, by_channel.std(axis=0), rtol=1e-12)
    assert np.array_equal(found.min, by_channel.min(axis=0))
    assert np.array_equal(found.max, by_channel.max(axis=0))
    assert (found.num_finite == len(by_channel)).all()


@pytest.mark.parametrize(("shape", "axis"), [((), -1), ((3,), 1), ((3,), -2)], ids=str)
def test_an_axis_that_is_not_there_has_no_channels(shape: tuple[int, ...], axis: int) -> None:
    with pytest.raises(OptionError, match=f"which have no axis {axis}"):
        of_array("x", np.zeros((2, *shape))).per_channel(axis)


@given(st.lists(st.floats(-100, 100, width=32), min_size=2, max_size=40), st.integers(1, 39))
def test_merging_equals_computing_at_once(numbers: list[float], cut: int) -> None:
    values = np.array(numbers) + 1e9
    first, second = of_array("x", values[:cut]), of_array("x", values[cut:])
    merged, whole = first.merge(second), of_array("x", values)
    assert merged.count == whole.count
    np.testing.assert_allclose([merged.mean, merged.min, merged.max], [whole.mean, whole.min, whole.max], rtol=1e-15)
    np.testing.assert_allclose(merged.variance, whole.variance, rtol=1e-6, atol=1e-12)


def test_leaves_of_other_shapes_are_not_merged() -> None:
    with pytest.raises(OptionError, match=r"shape \(2,\) and of shape \(3,\)"):
        of_array("x", np.zeros((1, 2))).merge(of_array("x", np.zeros((1, 3))))
