"""A class that reads one row, or a range of them, is indexed as NumPy indexes a first axis."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gym_h5record.reading.rows import Rows

pytestmark = pytest.mark.compacted


class Squares(Rows[int, Any]):
    """Row r is the square of r. Batches of more than three rows are lists."""

    def __init__(self, start: int, length: int) -> None:
        super().__init__(start, length)
        self.asked: list[Any] = []

    def _one(self, row: int) -> int:
        self.asked.append(row)
        return row**2

    def _many(self, start: int, stop: int) -> Any:
        self.asked.append((start, stop))
        squares = np.arange(start, stop) ** 2
        return squares if len(squares) <= 3 else squares.tolist()

    def _some(self, rows: np.ndarray) -> Any:
        self.asked.append(rows.tolist())
        return rows**2 if len(rows) <= 3 else (rows**2).tolist()

    def _stored(self, position: int) -> None:
        return None


@pytest.fixture
def squares() -> Squares:
    """The squares of 10 to 19."""
    return Squares(10, 10)


@pytest.mark.parametrize("index", [2, -8, np.int64(2), np.int8(-8), np.array(2), (2,)], ids=repr)
def test_a_number_is_one_row_of_the_recording(index: Any, squares: Squares) -> None:
    assert squares[index] == 144
    assert squares.asked == [12]
    assert type(squares.asked[0]) is int


def test_a_slice_is_read_at_once_and_one_with_steps_by_its_rows(squares: Squares) -> None:
    assert squares[2:4].tolist() == [144, 169]
    assert squares.asked == [(12, 14)]
    assert squares[6:2:-2].tolist() == [256, 196]
    assert squares.asked[1:] == [[16, 14]]


@pytest.mark.parametrize("index", [slice(4, 2), slice(2, 4, -1), [], np.zeros(10, bool), slice(99, None)], ids=str)
def test_no_rows_are_an_empty_batch(index: Any, squares: Squares) -> None:
    assert squares[index].tolist() == []


def test_lists_arrays_and_masks_give_batches_in_their_order(squares: Squares) -> None:
    assert squares[[-1, 0, 0]].tolist() == [361, 100, 100]
    assert squares[np.arange(10) % 5 == 0].tolist() == [100, 225]
    assert squares[range(2)].tolist() == [100, 121]


def test_row_numbers_of_several_axes_need_arrays(squares: Squares) -> None:
    assert squares[np.array([[0], [4], [6]])].tolist() == [[100], [196], [256]]
    with pytest.raises(TypeError, match=r"row numbers of the shape \(1, 4\) take arrays, .* a list of values"):
        squares[np.array([[0, 1, 2, 3]])]


def test_further_axes_are_refused_unless_a_subclass_has_them(squares: Squares) -> None:
    with pytest.raises(TypeError, match="has no further axes: take rows first"):
        squares[0:2, 0]
    assert squares.asked == []


def test_it_is_a_sequence(squares: Squares) -> None:
    assert [*squares] == [row**2 for row in range(10, 20)]
    assert next(reversed(squares)) == 361
    assert 144 in squares
    assert (squares.index(121), squares.count(361), len(squares)) == (1, 1, 10)
