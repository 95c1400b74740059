"""The parts of a row whose size varies, as they stand in the journal's ring of bytes."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from gym_h5record.errors import CorruptRecordingError

__all__ = ["Segment", "pack_segment", "unpack_segments"]

_HEAD = struct.Struct("<IQ")  # number of the field, bytes that follow


@dataclass(frozen=True)
class Segment:
    """A part of a row whose size varies: bytes of items of one field.

    Besides the ragged fields of the schema, numbered in its order, a row may
    carry the segments below.
    """

    number: int
    data: bytes

    EPISODE = 0xFFFF0000  # JSON: how the episode that starts here began
    ROW_EXCEPTIONS = 0xFFFF0001  # JSON: exact values of this row's observation, frame
    STEP_EXCEPTIONS = 0xFFFF0002  # JSON: exact values of the step that led to this row
    SNAPSHOT = 0xFFFF0003  # name, NUL, state: what the reset that began this episode depended on


def pack_segment(number: int, data: bytes) -> bytes:
    """A segment as bytes."""
    return _HEAD.pack(number, len(data)) + data


def unpack_segments(data: bytes) -> Iterator[Segment]:
    """The segments that ``data`` consists of.

    Raises:
        CorruptRecordingError: If the last one does not end with it.
    """
    at = 0
    while at < len(data):
        number, size_bytes = _HEAD.unpack(data[at : at + _HEAD.size].ljust(_HEAD.size, b"\xff"))
        at += _HEAD.size
        if at + size_bytes > len(data):
            raise CorruptRecordingError("in the journal, a segment runs over the end of its row")
        yield Segment(number, data[at : at + size_bytes])
        at += size_bytes
