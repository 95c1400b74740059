"""Addresses: one numbering for the rows of all lanes, which never changes while a recording grows."""

from __future__ import annotations

import numpy as np
import pytest

from gym_h5record.format.lanes import LANE_BITS, MAX_LANES, address, lane_begin, lane_of, row_of

LAST_ROW = (1 << 40) - 1


def test_the_address_of_a_row_of_the_first_lane_is_its_number() -> None:
    assert [address(0, row) for row in (0, 7, LAST_ROW)] == [0, 7, LAST_ROW]


def test_a_lane_begins_where_the_rows_of_the_lane_before_can_never_come() -> None:
    assert LANE_BITS == 40
    assert address(1, 0) == 1_099_511_627_776 == address(0, LAST_ROW) + 1
    assert address(3, 5) == 3 * 1_099_511_627_776 + 5


@pytest.mark.parametrize(("lane", "row"), [(0, 0), (0, LAST_ROW), (1, 0), (7, 123), (MAX_LANES - 1, LAST_ROW)])
def test_an_address_tells_its_lane_its_row_and_where_its_lane_begins(lane: int, row: int) -> None:
    at = address(lane, row)
    assert (lane_of(at), row_of(at), lane_begin(at)) == (lane, row, lane << 40)


def test_the_last_address_of_the_last_lane_fits_int64_with_room_for_the_one_behind_it() -> None:
    assert MAX_LANES == 16_384
    assert int(np.int64(address(MAX_LANES - 1, LAST_ROW))) + 1 < np.iinfo(np.int64).max


def test_the_address_before_the_first_lane_is_in_no_lane() -> None:
    """Readers of ragged items ask for the end before the first one."""
    assert (lane_of(-1), row_of(-1), row_of(0)) == (-1, LAST_ROW, 0)


def test_arrays_of_lanes_and_rows_give_arrays_of_int64() -> None:
    at = address(np.array([0, 2]), np.array([5, 6]))
    assert (at.dtype, at.tolist()) == (np.int64, [5, (2 << 40) + 6])
    assert (lane_of(at).tolist(), row_of(at).tolist()) == ([0, 2], [5, 6])
    assert address(2, np.array([0, 1])).tolist() == [2 << 40, (2 << 40) + 1]


def test_the_begin_of_a_lane_is_a_python_int() -> None:
    assert type(lane_begin(np.int64(address(2, 9)))) is int
