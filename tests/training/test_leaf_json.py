"""Statistics of leaves as JSON values: the same afterwards, also when they are merged."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gym_h5record.training.array_json import ArrayReader, array_to_json
from gym_h5record.training.leaf_json import leaf_from_json, leaf_to_json, moments_from_json, moments_to_json
from gym_h5record.training.leaf_statistics import LeafStatistics, of_array
from gym_h5record.training.moments import moments_of_runs, no_moments, pooled
from gym_h5record.training.row_sample import RowSample, row_keys


def leaf_of(values: np.ndarray, max_rows: int, file: str = "a", histogram: Any = None) -> LeafStatistics:
    """Statistics of values, with a sample of at most ``max_rows`` of them."""
    sample = RowSample(values.dtype, values.shape[1:], max_rows)
    sample.add(row_keys(file, np.arange(len(values))), values)
    return LeafStatistics("x", pooled(moments_of_runs(values, np.zeros(1, np.int64))), sample, 3, histogram)


def again(leaf: LeafStatistics) -> LeafStatistics:
    return leaf_from_json(leaf.name, json.loads(json.dumps(leaf_to_json(leaf), allow_nan=False)), ArrayReader(1 << 20))


def check_same(found: LeafStatistics, expected: LeafStatistics) -> None:
    for one, other in zip(found.moments.arrays(), expected.moments.arrays(), strict=True):
        np.testing.assert_array_equal(one, other, strict=True)
    for name in ("keys", "values"):
        np.testing.assert_array_equal(getattr(found.sample, name), getattr(expected.sample, name), strict=True)
    for name in ("name", "num_missing", "histogram", "count", "shape", "dtype", "quantile_error"):
        assert getattr(found, name) == getattr(expected, name)
    np.testing.assert_array_equal(found.quantile([0.1, 0.5]), expected.quantile([0.1, 0.5]))


@pytest.mark.parametrize("max_rows", [10, 100], ids=["sampled", "whole"])
def test_a_leaf_is_the_same_and_merges_in_the_same_way(max_rows: int) -> None:
    values = np.random.default_rng(0).normal(1e9, 1, (50, 2)).astype(np.float32)
    values[3, 1] = np.nan
    leaf, other = leaf_of(values, max_rows), leaf_of(values[:20] + 1, max_rows, "b")
    check_same(again(leaf), leaf)
    check_same(again(leaf).merge(again(other)), leaf.merge(other))


def test_numbers_and_their_histogram_are_the_same() -> None:
    leaf = leaf_of(np.array([1, -1, 1]), 10, histogram={-1: 1, 1: 2})
    check_same(again(leaf), leaf)


def test_a_leaf_without_values_is_the_same() -> None:
    leaf = of_array("x", np.empty((0, 2)))
    check_same(again(leaf), leaf)
    moments = moments_from_json(json.loads(json.dumps(moments_to_json(no_moments((2,))))), ArrayReader(1 << 10))
    assert (moments.minimum == np.inf).all()


def set_sample(content: dict[str, Any], **values: Any) -> None:
    content["sample"].update(values)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda leaf: set_sample(leaf, num_seen=-1), "expected a count, got -1"),
        (lambda leaf: set_sample(leaf, num_seen=2.0), "expected an integer, got 2.0"),
        (lambda leaf: set_sample(leaf, num_seen=2), "a sample of 3 rows of 2"),
        (lambda leaf: set_sample(leaf, max_rows=0), "a sample of 3 rows"),
        (lambda leaf: set_sample(leaf, keys=array_to_json(np.array([2, 1, 3], np.uint64))), "not in order"),
        (lambda leaf: set_sample(leaf, keys=array_to_json(np.array([1], np.uint64))), "with keys of shape"),
        (lambda leaf: set_sample(leaf, values=array_to_json(np.zeros((3, 2)))), "a sample of shape"),
        (lambda leaf: leaf["moments"].update(mean=array_to_json(np.zeros(1))), "moments of several shapes"),
        (lambda leaf: leaf["moments"].update(mean=array_to_json(np.zeros(1, np.int64))), "int64 in the place of"),
        (lambda leaf: leaf.update(histogram=[[1.5, 2]]), "expected an integer"),
        (lambda leaf: leaf.update(num_missing=None), "expected an integer"),
    ],
    ids=["negative", "float", "few", "none", "order", "keys", "values", "shapes", "dtype", "histogram", "missing"],
)
def test_a_leaf_that_contradicts_itself_is_refused(damage: Callable[[dict[str, Any]], None], message: str) -> None:
    content = leaf_to_json(leaf_of(np.arange(3.0), 10))
    damage(content)
    with pytest.raises(ValueError, match=message):
        leaf_from_json("x", content, ArrayReader(1 << 20))
