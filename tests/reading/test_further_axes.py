"""Further axes: NumPy's result, little memory, and nothing read for an index that cannot be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gym_h5record.reading import read_ahead
from gym_h5record.reading.further_axes import cropped_row, cropped_rows

ARRAY = np.arange(20 * 6 * 5, dtype=np.int32).reshape(20, 6, 5)
ROW_BYTES = 6 * 5 * 4


class Reader:
    """Reads rows of ``ARRAY``, and keeps how many it was asked for at a time."""

    def __init__(self) -> None:
        self.counts: list[int] = []

    def __call__(self, rows: range | np.ndarray) -> np.ndarray:
        self.counts.append(len(rows))
        return ARRAY[np.asarray(rows)]


def cropped(reader: Reader, rows: Any, further: tuple[Any, ...]) -> np.ndarray:
    return cropped_rows(reader, rows, further, (6, 5), ARRAY.dtype)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of three rows."""
    monkeypatch.setattr(read_ahead, "_BLOCK_BYTES", 3 * ROW_BYTES)


BASIC = [
    (slice(1, 4),),
    (2,),
    (slice(None), 0),
    (..., -1),
    (None, slice(None, None, -2)),
    (slice(0, 0),),
    (np.int8(3), 2),
]


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("further", BASIC, ids=str)
@pytest.mark.parametrize("rows", [range(1, 9), np.array([7, 7, 0, 19, 3, 2, 1, 0])], ids=["range", "array"])
def test_parts_of_the_rows_are_read_block_by_block(rows: Any, further: tuple[Any, ...]) -> None:
    reader = Reader()
    found, expected = cropped(reader, rows, further), ARRAY[np.asarray(rows)][(slice(None), *further)]
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    assert np.array_equal(found, expected)
    assert reader.counts == [3, 3, 2]


def test_the_result_does_not_refer_to_the_rows() -> None:
    assert cropped(Reader(), range(8), (slice(1, 2),)).base is None
    row = ARRAY[:1].copy()
    assert cropped_row(row, (slice(1, 2),)).base is None
    assert cropped_row(row, (slice(None),)).base is not None


@pytest.mark.parametrize("further", [(6,), (0, 0, 0), (slice(None), -6)], ids=str)
def test_an_index_that_cannot_be_is_an_error_before_anything_is_read(further: tuple[Any, ...]) -> None:
    reader = Reader()
    with pytest.raises(IndexError, match="out of bounds|too many indices"):
        cropped(reader, range(8), further)
    assert reader.counts == []


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize(
    ("rows", "further"),
    [
        (range(2, 10), ([1, 2],)),
        (range(2, 10), (np.arange(6) > 2, 0)),
        (range(2, 10), (0, slice(None), True)[:2]),
        (np.array([4, 2]), ([1, 2],)),
        (np.array([4, 2]), (slice(None), [1, 2])),
        (np.array([[4, 2], [1, 1], [0, 9]]), (slice(1, 3),)),
        (np.array([[4], [1]]), ([1, 2, 3],)),
    ],
    ids=str,
)
def test_arrays_in_an_index_are_paired_as_by_numpy(rows: Any, further: tuple[Any, ...]) -> None:
    first = slice(rows.start, rows.stop) if isinstance(rows, range) else rows
    found, expected = cropped(Reader(), rows, further), ARRAY[(first, *further)]
    assert found.shape == expected.shape
    assert np.array_equal(found, expected)


def test_one_row_is_indexed_as_by_numpy() -> None:
    for further in [*BASIC, ([1, 2],), (slice(None), [1, 2]), (0, 0)]:
        found, expected = cropped_row(ARRAY[4:5], further), ARRAY[(4, *further)]
        assert type(found) is type(expected)
        assert np.array_equal(found, expected)
