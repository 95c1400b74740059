"""Padding in a batch; functions of every array of a batch."""

from __future__ import annotations

import numpy as np
import pytest

from gym_h5record.reading.row_batches import map_leaves, read_only, with_padding


def test_padding_is_zero_in_arrays_and_none_in_lists() -> None:
    known = np.array([True, False, True, False])
    assert with_padding(["a", "b"], known) == ["a", None, "b", None]
    assert with_padding(np.array([[1, 2], [3, 4]], np.int8), known).tolist() == [[1, 2], [0, 0], [3, 4], [0, 0]]
    assert with_padding(np.ones(2, np.int8), known).dtype == np.int8
    assert with_padding([], np.array([False])) == [None]


def test_a_function_is_applied_to_arrays_and_lists_wherever_they_are() -> None:
    batch = {"a": [1, 2], "b": (np.array([3]), {"c": [{"d": 4}]})}
    assert map_leaves(batch, len) == {"a": 2, "b": (1, {"c": 1})}


def test_an_array_that_is_kept_cannot_be_changed() -> None:
    array = np.zeros(2)
    assert read_only(array) is array
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1
