"""Tolerance: distances are exact, whatever the type, and arrays are compared in blocks."""

import math

import numpy as np
import pytest

from gym_h5record.values.tolerance import all_close, blocks, distance, is_close, largest_distance

NAN = float("nan")


def test_blocks_cover_two_arrays_once_and_in_order(monkeypatch):
    monkeypatch.setattr("gym_h5record.values.tolerance._BLOCK_ELEMENTS", 4)
    first, second = np.arange(10).reshape(2, 5), -np.arange(10).reshape(2, 5)
    found = [(start, one.tolist(), other.tolist()) for start, one, other in blocks(first, second)]
    assert [start for start, _, _ in found] == [0, 4, 8]
    assert [each for _, one, _ in found for each in one] == list(range(10))
    assert [each for _, _, other in found for each in other] == [-k for k in range(10)]
    assert list(blocks(np.empty((0, 3)), np.empty((0, 3)))) == []


@pytest.mark.parametrize(
    ("first", "second", "within"),
    [
        (1.0, 1.5, True),
        (1.0, 1.6, False),
        (NAN, NAN, True),
        (NAN, 1.0, False),
        (math.inf, math.inf, True),
        (math.inf, -math.inf, False),
        (math.inf, 1e308, False),
        (0.0, -0.0, True),
    ],
)
def test_floats_are_close_within_the_tolerance(first, second, within):
    assert is_close(np.array([first]), np.array([second]), 0.5).tolist() == [within]
    assert all_close(np.array([0, first]), np.array([0, second]), 0.5) is within


def test_close_float16_do_not_overflow():
    assert not is_close(np.array([6e4], np.float16), np.array([-6e4], np.float16), 1.0).any()
    assert is_close(np.array([6e4], np.float16), np.array([-6e4], np.float16), 120_000.0).all()


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.bool_, np.complex64, "U3"])
def test_only_floats_have_a_tolerance(dtype):
    array = np.ones(2, dtype)
    assert not all_close(array, array, 1.0)


def test_the_largest_distance_is_that_of_all_blocks(monkeypatch):
    monkeypatch.setattr("gym_h5record.values.tolerance._BLOCK_ELEMENTS", 2)
    assert largest_distance(np.array([0.0, 3, 0, NAN, 1]), np.array([1.0, 0, 0, 9, 1])) == 3
    assert largest_distance(np.array([NAN]), np.array([1.0])) is None
    assert largest_distance(np.array(["a"]), np.array(["b"])) is None


@pytest.mark.parametrize("dtype", [np.int64, np.uint64])
def test_the_distance_of_integers_does_not_wrap_around(dtype):
    limits = np.iinfo(dtype)
    assert largest_distance(np.array([limits.min], dtype), np.array([limits.max], dtype)) == 2.0**64


@pytest.mark.parametrize(
    ("first", "second", "apart"),
    [
        (3, -4, 7.0),
        (True, False, 1.0),
        (3j, 4 + 0j, 5.0),
        (10**400, 0, math.inf),
        (complex(NAN, 0), 0j, None),
        ("a", "b", None),
        (None, None, None),
    ],
    ids=repr,
)
def test_the_distance_of_python_numbers(first, second, apart):
    assert distance(first, second) == apart
