"""Discarded episodes leave gaps between positions, and none between rows."""

from __future__ import annotations

from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_h5record.format.names import RowFlag
from gym_h5record.writing.kept_rows import KeptRows, find_kept_rows
from tests.properties.strategies import PROFILE

FIRST, LAST, DISCARDED = RowFlag.FIRST, RowFlag.LAST, RowFlag.DISCARDED
GONE = LAST | DISCARDED


def kept(flags: list[int], start: int = 0, row: int = 0, open_start: int = 0) -> KeptRows:
    return find_kept_rows(np.array(flags, np.uint8), start, row, open_start)


def positions(rows: KeptRows) -> list[int]:
    return [position for start, stop in rows.runs for position in range(start, stop)]


def test_all_rows_are_kept_where_nothing_is_discarded() -> None:
    rows = kept([FIRST, 0, LAST, FIRST, 0], start=40, row=30)
    assert rows == KeptRows(((40, 45),), 30, drops_open=False, discarded=(), stop=45)
    assert (rows.num_rows, rows.next_row, rows.ends_discarded) == (5, 35, False)


def test_a_discarded_episode_has_positions_and_no_rows() -> None:
    rows = kept([FIRST, LAST, FIRST, 0, GONE, FIRST, 0], start=40, row=30)
    assert rows == KeptRows(((40, 42), (45, 47)), 30, drops_open=False, discarded=((45, 2),), stop=47)
    assert (rows.num_rows, rows.next_row, rows.ends_discarded) == (4, 34, False)


def test_a_discarded_episode_that_began_before_takes_its_earlier_rows_along() -> None:
    rows = kept([0, 0, GONE, FIRST, 0], start=40, row=30, open_start=25)
    assert rows == KeptRows(((43, 45),), 25, drops_open=True, discarded=((43, 7),), stop=45)


def test_an_episode_of_a_single_row_may_be_discarded() -> None:
    rows = kept([FIRST, FIRST | GONE, FIRST | GONE, FIRST])
    assert (positions(rows), rows.discarded) == ([0, 3], ((2, 0), (3, 0)))


def test_there_may_be_no_row_left() -> None:
    rows = kept([0, GONE, FIRST, GONE], start=40, row=30, open_start=25)
    assert rows == KeptRows((), 25, drops_open=True, discarded=((42, 6), (44, 1)), stop=44)
    assert (rows.num_rows, rows.next_row, rows.ends_discarded) == (0, 25, True)
    assert rows.position(24) == rows.position(30) == (44, 25)


def test_there_may_be_no_position() -> None:
    rows = kept([], start=40, row=30)
    assert rows == KeptRows((), 30, drops_open=False, discarded=(), stop=40)
    assert rows.position(30) == (40, 30)


@pytest.mark.parametrize(
    ("row", "expected"),
    [(0, (40, 30)), (30, (40, 30)), (31, (41, 31)), (32, (45, 32)), (33, (46, 33)), (34, (47, 34)), (99, (47, 34))],
)
def test_the_position_of_a_row_skips_the_discarded_ones(row: int, expected: tuple[int, int]) -> None:
    assert kept([FIRST, LAST, FIRST, 0, GONE, FIRST, 0], start=40, row=30).position(row) == expected


def test_an_episode_is_discarded_before_the_position_behind_it() -> None:
    rows = kept([FIRST, GONE, FIRST, FIRST, 0, GONE, FIRST], start=40)
    assert [rows.discarded_before(position) for position in (41, 42, 45, 46, 47)] == [
        *((0, 0), (1, 1), (1, 1), (2, 3), (2, 3))
    ]


@PROFILE
@given(
    st.lists(st.tuples(st.integers(1, 6), st.booleans()), min_size=1, max_size=8),
    st.booleans(),
    st.data(),
)
def test_rows_and_positions_are_those_that_counting_one_by_one_gives(
    episodes: list[tuple[int, bool]], last_runs: bool, data: st.DataObject
) -> None:
    stops = list(accumulate(size for size, _ in episodes))
    head = stops[-1]
    tail = data.draw(st.integers(0, head))
    flags, is_kept = [], []
    for number, (size, is_discarded) in enumerate(episodes):
        is_discarded &= not (last_runs and number == len(episodes) - 1)
        mark = GONE if is_discarded else data.draw(st.sampled_from([0, LAST]))
        flags += [*([FIRST, *[0] * (size - 2), mark] if size > 1 else [FIRST | mark])]
        is_kept += [not is_discarded] * size
    open_episode = next((number for number, stop in enumerate(stops) if tail < stop), len(episodes))
    open_position = stops[open_episode - 1] if open_episode else 0
    open_start = sum(is_kept[:open_position])

    rows = kept(flags[tail:], tail, open_start + tail - open_position, open_start)

    drops = tail > open_position and not is_kept[open_position]
    expected = [position for position in range(tail, head) if is_kept[position]]
    first = open_start if drops or tail == head else open_start + tail - open_position
    assert (positions(rows), rows.drops_open, rows.first_row, rows.stop) == (expected, drops, first, head)
    for row, position in enumerate(expected, first):
        assert rows.position(row) == (position, row)
    discarded = [(stop, stop - start - 1) for start, stop in zip([0, *stops], stops, strict=False)]
    discarded = [each for each in discarded if each[0] > tail and not is_kept[each[0] - 1]]
    assert list(rows.discarded) == discarded
    assert rows.ends_discarded == (tail < head and not is_kept[-1])
    for position in range(tail, head + 1):
        before = [steps for stop, steps in discarded if stop <= position]
        assert rows.discarded_before(position) == (len(before), sum(before))
