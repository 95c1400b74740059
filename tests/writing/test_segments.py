"""The segments of a row."""

from __future__ import annotations

import pytest

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.writing.segments import Segment, pack_segment, unpack_segments


def test_numbers_never_change() -> None:
    assert (Segment.EPISODE, Segment.ROW_EXCEPTIONS, Segment.STEP_EXCEPTIONS) == (0xFFFF0000, 0xFFFF0001, 0xFFFF0002)
    assert Segment.SNAPSHOT == 0xFFFF0003


def test_a_segment_is_its_number_its_lane_its_size_and_its_bytes() -> None:
    assert pack_segment(3, b"abc", 2) == bytes([3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]) + b"abc"
    packed = pack_segment(3, b"abc") + pack_segment(Segment.EPISODE, b"")
    assert list(unpack_segments(packed)) == [Segment(3, b"abc"), Segment(Segment.EPISODE, b"")]
    assert list(unpack_segments(b"")) == []


@pytest.mark.parametrize("kept", [1, 11, 13])
def test_segments_that_are_cut_are_corrupt(kept: int) -> None:
    with pytest.raises(CorruptRecordingError, match="a segment runs over the end of its row"):
        list(unpack_segments(pack_segment(3, b"abc")[:kept]))
