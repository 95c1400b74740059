"""Indices are read as NumPy reads them, and what is no index of rows is refused with a sentence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gym_h5record.reading.indexing import parse_index, parse_row

SHAPE = (5, 4, 3)


def rows_of(index: Any) -> Any:
    """The rows that an index takes, without further axes."""
    found = parse_index(index, SHAPE, "a column of 5 rows")
    assert found.further == ()
    return found.rows


# Rows ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "index", [3, -2, np.int8(3), np.uint64(3), np.array(-2), np.array(3, np.uint8), (3,)], ids=repr
)
def test_a_whole_number_is_one_row(index: Any) -> None:
    rows = rows_of(index)
    assert (type(rows), rows) == (int, 3)


def test_an_object_that_says_which_number_it_is_is_one_row() -> None:
    class Third:
        def __index__(self) -> int:
            return 2

    assert rows_of(Third()) == 2


@pytest.mark.parametrize("index", [slice(1, 4), slice(None, None, -2), slice(-3, 99), slice(4, 1)], ids=str)
def test_a_slice_is_a_range(index: slice) -> None:
    assert rows_of(index) == range(5)[index]


@pytest.mark.parametrize("index", [(), ..., (...,), slice(None)], ids=repr)
def test_all_rows_have_four_names(index: Any) -> None:
    assert rows_of(index) == range(5)


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        ([0, -1, 0], [0, 4, 0]),
        ([], []),
        (range(3, 0, -1), [3, 2, 1]),
        (np.array([-5, 4], np.int8), [0, 4]),
        (np.array([4], np.uint64), [4]),
        (np.array([[0, -1], [2, 2]]), [[0, 4], [2, 2]]),
        (np.empty((0, 2), np.int64), np.empty((0, 2))),
        ([True, False, False, True, False], [0, 3]),
        (np.zeros(5, bool), []),
    ],
    ids=str,
)
def test_lists_arrays_and_masks_are_arrays_of_rows_from_0_on(index: Any, expected: Any) -> None:
    rows = rows_of(index)
    assert rows.dtype == np.int64
    assert rows.tolist() == np.asarray(expected).tolist()


def test_the_array_of_the_caller_is_not_changed() -> None:
    index = np.array([-1, 0])
    rows_of(index)
    assert index.tolist() == [-1, 0]


@pytest.mark.parametrize("index", [5, -6, [0, 5], [-6, 0], np.array([2**64 - 1], np.uint64), 10**30], ids=repr)
def test_a_row_out_of_range_is_named(index: Any) -> None:
    wrong = index if isinstance(index, int) else next(int(each) for each in index if not -5 <= int(each) < 5)
    with pytest.raises(IndexError, match=rf"^index {wrong} is out of range for a column of 5 rows$"):
        rows_of(index)


@pytest.mark.parametrize(
    ("index", "found"),
    [
        (np.ones(4, bool), "a mask of 4 does"),
        ([True] * 6, "a mask of 6 does"),
        (np.ones((5, 4), bool), r"a mask of the shape \(5, 4\) does"),
    ],
    ids=["short", "long", "two axes"],
)
def test_a_mask_that_does_not_fit_is_refused_with_both_sizes(index: Any, found: str) -> None:
    with pytest.raises(IndexError, match=rf"^{found} not fit a column of 5 rows"):
        rows_of(index)


@pytest.mark.parametrize(
    ("index", "found"),
    [
        (1.0, r"1\.0"),
        (np.float64(1), r"1\.0"),
        (True, "True"),
        (np.True_, "True"),
        ("lives", "'lives'"),
        (b"x", "b'x'"),
        ({1, 2}, r"\{1, 2\}"),
        ([0.0, 1.0], "an array of float64"),
        (np.empty(0), "an array of float64"),
        (["a"], "an array of <U1"),
        ([10**30], "an array of object"),
        ([[0], [0, 1]], r"\[\[0\], \[0, 1\]\]"),
    ],
    ids=repr,
)
def test_what_is_no_index_of_rows_is_shown_with_what_is(index: Any, found: str) -> None:
    with pytest.raises(TypeError, match=f"^{found} is no index of a column of 5 rows: expected a row number, a slice"):
        rows_of(index)


def test_a_slice_of_other_than_whole_numbers_is_refused() -> None:
    with pytest.raises(TypeError, match="slice indices must be integers"):
        rows_of(slice(0.5, 2))


@pytest.mark.parametrize("index", [None, (None, 0), (..., None, 0, 0, 0)], ids=repr)
def test_an_axis_in_front_of_the_rows_is_refused(index: Any) -> None:
    with pytest.raises(
        TypeError, match=r"None adds no axis in front of the rows .*: take rows first, column\[:\]\[None\]"
    ):
        parse_index(index, SHAPE, "a column of 5 rows")


# Further axes -------------------------------------------------------------------------------------


def test_what_follows_the_rows_is_passed_on_as_it_is() -> None:
    further = (slice(1, 2), ..., None, [0, 1])
    assert parse_index((2, *further), SHAPE, "a column").further == further
    assert parse_index((2, *further), SHAPE, "a column").rows == 2


@pytest.mark.parametrize("further", [(0,), (0, 0), (None, 0, 0), (np.ones((4, 3), bool),), (True, 0, 0)], ids=str)
def test_ellipsis_in_front_stands_for_the_rows_if_the_other_axes_are_fewer(further: Any) -> None:
    found = parse_index((..., *further), SHAPE, "a column")
    assert found.rows == range(5)
    assert found.further[0] is ...
    assert found.further[1:] == further


@pytest.mark.parametrize("further", [(2, 0, 0), (2, slice(None), 0), (2, np.ones((4, 3), bool))], ids=str)
def test_ellipsis_in_front_of_an_index_of_all_axes_stands_for_none(further: Any) -> None:
    found = parse_index((..., *further), SHAPE, "a column")
    assert found.rows == 2
    assert found.further[0] is ...
    assert found.further[1:] == further[1:]
    values = np.arange(60).reshape(SHAPE)
    assert np.array_equal(values[(..., *further)], values[(2, *found.further)])


def test_a_second_ellipsis_is_refused() -> None:
    with pytest.raises(IndexError, match="a column has at most one Ellipsis"):
        parse_index((..., 0, ...), SHAPE, "a column")


# One row ------------------------------------------------------------------------------------------


def test_a_row_may_be_counted_from_the_end() -> None:
    assert [parse_row(index, 3, "a list") for index in (0, 2, -1, -3)] == [0, 2, 2, 0]
    for index in (3, -4):
        with pytest.raises(IndexError, match=f"index {index} is out of range for a list"):
            parse_row(index, 3, "a list")
