"""What has no slot, of all lanes: each lane's segments bear its number."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest

from gym_h5record.errors import RecordingWarning
from gym_h5record.format.names import TypeCode
from gym_h5record.writing.lane_unslotted import LaneUnslotted
from gym_h5record.writing.segments import Segment, unpack_segments

NUMBERS = {"a/ends": 1, "infos/json/ends": 2, "infos/json/values": 3, "extras/json/ends": 4, "extras/json/values": 5}


def packed(unslotted: LaneUnslotted) -> list[tuple[int, int, bytes]]:
    return [(each.lane, each.number, bytes(each.data)) for each in unpack_segments(unslotted.pack(NUMBERS))]


def test_nothing_is_packed_of_lanes_that_have_nothing() -> None:
    unslotted = LaneUnslotted(3)
    assert not unslotted.is_any
    assert packed(unslotted) == []


def test_lanes_are_packed_in_their_order_the_step_before_the_row() -> None:
    unslotted = LaneUnslotted(3)
    unslotted.row_segments(2).append(("a/ends", b"row of 2"))
    unslotted.row_segments(0).append(("a/ends", b"row of 0"))
    unslotted.of(2).step.segments.append(("a/ends", b"step of 2"))
    assert unslotted.is_any
    assert packed(unslotted) == [(0, 1, b"row of 0"), (2, 1, b"step of 2"), (2, 1, b"row of 2")]


def test_infos_belong_to_the_row_of_their_lane_and_extras_to_its_step() -> None:
    unslotted = LaneUnslotted(3)
    unslotted.keep_infos(1, {"word": "a"})
    unslotted.keep_extras(1, {"note": "b"})
    size = np.int64(12).tobytes()
    assert packed(unslotted) == [
        (1, 4, size),
        (1, 5, b'{"note":"b"}'),
        (1, 2, size),
        (1, 3, b'{"word":"a"}'),
    ]


def test_the_user_is_warned_once_of_a_column_and_not_once_per_lane() -> None:
    unslotted = LaneUnslotted(2)
    with pytest.warns(RecordingWarning, match="/actions: got"):
        assert unslotted.of(0).keep_step_value("actions", "left") == TypeCode.EXCEPTION
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        unslotted.of(1).keep_step_value("actions", "right")
    assert [(lane, number, json.loads(data)) for lane, number, data in packed(unslotted)] == [
        (0, Segment.STEP_EXCEPTIONS, {"actions": "left"}),
        (1, Segment.STEP_EXCEPTIONS, {"actions": "right"}),
    ]


def test_nothing_is_left_after_clear_and_the_lists_stay_the_same_objects() -> None:
    """The encoders hold the lists."""
    unslotted = LaneUnslotted(2)
    segments = unslotted.row_segments(1)
    segments.append(("a/ends", b"x"))
    unslotted.of(1).step.exceptions["actions"] = None
    unslotted.clear()
    assert not unslotted.is_any
    assert packed(unslotted) == []
    assert unslotted.row_segments(1) is segments
