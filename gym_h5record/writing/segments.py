"""The segments of a row in the journal: its parts of varying size, such as text, and how an episode began."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gym_h5record.errors import CorruptRecordingError

__all__ = ["Segment", "pack_begin", "pack_segment", "unpack_segments", "without_segments"]

_HEAD = struct.Struct("<IIQ")  # number of the field, lane, bytes that follow


@dataclass(frozen=True)
class Segment:
    """A part of a row whose size varies.

    Attributes:
        number: The place of a ragged field in the schema, or one of the numbers below.
        data: The bytes of the field's items in this row.
        lane: The lane of the row, 0 in a recording of a single environment.
    """

    number: int
    data: bytes
    lane: int = 0

    EPISODE = 0xFFFF0000  # JSON: how the episode that starts here began
    ROW_EXCEPTIONS = 0xFFFF0001  # JSON: exact values of this row's observation, frame
    STEP_EXCEPTIONS = 0xFFFF0002  # JSON: exact values of the step that led to this row
    SNAPSHOT = 0xFFFF0003  # name of a provider, NUL, state that the reset of this episode depended on


def pack_segment(number: int, data: bytes, lane: int = 0) -> bytes:
    """A segment as bytes."""
    return _HEAD.pack(number, lane, len(data)) + data


def pack_begin(begin: Mapping[str, Any], lane: int = 0) -> bytes:
    """How an episode began, as ``begin_json`` gives it, and the snapshots in it, as segments of the journal."""
    text = json.dumps({"columns": begin["columns"], "json": begin["json"]}).encode()
    data = pack_segment(Segment.EPISODE, text, lane)
    for name, state in begin.get("snapshot", {}).items():
        data += pack_segment(Segment.SNAPSHOT, f"{name}\0".encode() + state, lane)
    return data


def unpack_segments(data: bytes) -> Iterator[Segment]:
    """The segments in ``data``.

    Raises:
        CorruptRecordingError: If the last segment does not end where ``data`` ends.
    """
    at = 0
    while at < len(data):
        number, lane, size_bytes = _HEAD.unpack(data[at : at + _HEAD.size].ljust(_HEAD.size, b"\xff"))
        at += _HEAD.size
        if at + size_bytes > len(data):
            raise CorruptRecordingError("in the journal, a segment runs over the end of its row")
        yield Segment(number, data[at : at + size_bytes], lane)
        at += size_bytes


def without_segments(data: bytes, numbers: set[int]) -> bytes:
    """The segments in ``data`` but those with these numbers."""
    kept = (each for each in unpack_segments(data) if each.number not in numbers)
    return b"".join(pack_segment(each.number, each.data) for each in kept)
