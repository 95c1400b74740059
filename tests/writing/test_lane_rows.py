"""Which rows of a run of ticks belong in the file: those of each lane follow each other."""

from __future__ import annotations

from typing import Any

import numpy as np

from gym_h5record.format.names import RowFlag
from gym_h5record.writing.lane_rows import LaneRows, find_lane_rows

F, L, GONE, NONE = RowFlag.FIRST, RowFlag.LAST, RowFlag.LAST | RowFlag.DISCARDED, RowFlag.ABSENT


def found(*lanes: list[int], start: int = 40, rows: Any = None, open_starts: Any = None) -> LaneRows:
    """The rows of lanes with these flags in each tick."""
    rows = [0] * len(lanes) if rows is None else rows
    open_starts = rows if open_starts is None else open_starts
    flags = np.array(lanes, np.uint8).T
    return find_lane_rows(flags, start, np.array(rows, np.int64), np.array(open_starts, np.int64))


def table(rows: LaneRows) -> list[tuple[int, int, int]]:
    """Lane, tick and row of each row."""
    return list(zip(rows.lanes.tolist(), rows.ticks.tolist(), rows.rows.tolist(), strict=True))


def test_rows_are_ordered_by_lane_and_counted_in_each_from_its_own_first_one() -> None:
    rows = found([F, 0, 0], [F, 0, 0], rows=[30, 7])
    assert table(rows) == [(0, 0, 30), (0, 1, 31), (0, 2, 32), (1, 0, 7), (1, 1, 8), (1, 2, 9)]
    assert rows.next_rows.tolist() == [33, 10]
    assert rows.flags.tolist() == [F, 0, 0, F, 0, 0]
    assert rows.is_newest.tolist() == [False, False, True] * 2


def test_a_lane_has_no_row_where_it_is_absent() -> None:
    rows = found([F, NONE, 0], [NONE, F, NONE], [NONE, NONE, NONE], rows=[30, 7, 5])
    assert table(rows) == [(0, 0, 30), (0, 2, 31), (1, 1, 7)]
    assert rows.next_rows.tolist() == [32, 8, 5]
    assert rows.is_newest.tolist() == [False, True, True]


def test_the_places_of_rows_are_told_by_tick_and_lane() -> None:
    assert found([F, NONE, 0], [NONE, F, GONE]).places().tolist() == [[0, -1], [-1, -1], [1, -1]]


def test_the_last_row_of_an_episode_is_told_by_its_flag_or_by_the_next_first_row_of_its_lane() -> None:
    rows = found([F, 0, F, L], [0, F, 0, 0])
    assert rows.is_last.tolist() == [False, True, False, True, True, False, False, False]


def test_the_first_row_of_a_lane_ends_nothing_in_the_lane_before() -> None:
    assert found([F, 0], [F, 0]).is_last.tolist() == [False] * 4


def test_a_discarded_episode_leaves_no_gap_in_its_lane_and_nothing_in_the_others() -> None:
    rows = found([F, GONE, F, 0], [F, 0, 0, 0], rows=[30, 7])
    assert table(rows) == [(0, 2, 30), (0, 3, 31), (1, 0, 7), (1, 1, 8), (1, 2, 9), (1, 3, 10)]
    assert rows.discarded == ((42, 0),)
    assert rows.drops_open.tolist() == [False, False]


def test_a_discarded_episode_that_began_before_takes_its_earlier_rows_along() -> None:
    rows = found([0, GONE, F], [0, 0, 0], rows=[30, 7], open_starts=[25, 2])
    assert rows.first_rows.tolist() == [25, 7]
    assert rows.drops_open.tolist() == [True, False]
    assert table(rows)[:1] == [(0, 2, 25)]
    assert rows.next_rows.tolist() == [26, 10]


def test_a_row_whose_next_episode_is_discarded_stays_the_last_of_its_own() -> None:
    """It has no flag that says so. If it were running, the ring would wait for its step for ever."""
    rows = found([F, 0, F, GONE], [F, 0, 0, 0])
    assert table(rows)[:2] == [(0, 0, 0), (0, 1, 1)]
    assert rows.flags[:2].tolist() == [F, L]
    assert rows.is_last.tolist() == [False, True] + [False] * 4


def test_a_lane_may_have_no_row_left() -> None:
    rows = found([0, GONE], [NONE, NONE], rows=[30, 7], open_starts=[25, 7])
    assert table(rows) == []
    assert rows.is_last.tolist() == []
    assert rows.next_rows.tolist() == [25, 7]


def test_a_mark_in_a_slot_where_the_lane_is_absent_discards_nothing() -> None:
    rows = found([F, NONE | GONE, 0])
    assert (table(rows), rows.discarded) == ([(0, 0, 0), (0, 2, 1)], ())


# How much is discarded -----------------------------------------------------------------------------


def test_the_steps_of_a_discarded_episode_are_a_row_less_than_its_rows() -> None:
    rows = found([F, 0, 0, GONE], [F, GONE, F, GONE])
    assert rows.discarded == ((42, 1), (44, 0), (44, 1))
    assert rows.discarded_before(44) == (3, 3 + 1 + 1)


def test_steps_before_the_run_are_counted_when_their_rows_are_left_out() -> None:
    rows = found([0, 0, GONE], rows=[30], open_starts=[25])
    assert rows.discarded_before(43) == (1, 7)
    assert rows.discarded_before(41) == (0, 6)  # the run ends in its middle: six of its rows are gone


def test_runs_that_part_a_discarded_episode_count_its_steps_once() -> None:
    """Another lane holds the tick 42. The next run begins there, with the first row of the discarded episode."""
    first = found([0, 0, 0, GONE], rows=[30], open_starts=[25])
    assert first.discarded_before(42) == (0, 7)
    second = found([0, GONE], start=42, rows=[25], open_starts=[25])
    assert second.discarded_before(44) == (1, 1)  # together 9 rows, 8 steps


# Blocks --------------------------------------------------------------------------------------------


def test_a_block_has_all_lanes_in_all_ticks_at_the_same_rows() -> None:
    assert found([F, 0], [F, 0], rows=[5, 5]).is_block
    assert not found([F, 0], [F, 0], rows=[5, 6]).is_block
    assert not found([F, 0], [F, NONE], rows=[5, 5]).is_block
    assert not found([F, GONE], [F, 0], rows=[5, 5]).is_block


def test_values_of_a_block_are_told_tick_by_tick() -> None:
    rows = found([F, 0, 0], [F, 0, 0])
    assert rows.by_tick(np.arange(6)).tolist() == [[0, 3], [1, 4], [2, 5]]
    assert rows.by_tick(np.arange(12).reshape(6, 2)).tolist()[1] == [[2, 3], [8, 9]]
