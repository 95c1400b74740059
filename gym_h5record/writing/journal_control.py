"""The first pages of a journal file: the control words, and the writer's error. ``journal_rows`` has what follows."""

from __future__ import annotations

import os
import struct
from enum import IntEnum
from pathlib import Path

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.storage.paths import open_regular

__all__ = [
    "COPIED_WORDS",
    "HEADER_AT",
    "MAGIC",
    "PAGE_BYTES",
    "Control",
    "RecorderState",
    "WriterState",
    "has_rows",
    "is_unfinished",
    "pack_error",
    "unpack_error",
]


class Control(IntEnum):
    """Control words: the comments say which process writes each. A word is 8 bytes, stored in one instruction."""

    MAGIC = 0
    HEADER_BYTES = 1  # recorder: 0 until the rows have a layout
    HEAD = 16  # recorder: rows appended
    EVENTS = 17  # recorder: marks set on rows that had been appended before
    RECORDER = 18  # recorder: a RecorderState
    FLUSH = 19  # recorder: flushes asked for
    MOVED = 20  # recorder: this journal has been replaced by a larger one
    TAIL = 32  # writer: rows released
    BLOB_TAIL = 33  # writer: bytes released
    WRITER = 34  # writer: a WriterState
    COMMITTED_HEAD = 35  # writer: the HEAD that the last commit saw
    COMMITTED_EVENTS = 36  # writer: the EVENTS that the last commit saw


COPIED_WORDS = (
    *(Control.HEAD, Control.EVENTS, Control.FLUSH, Control.TAIL, Control.BLOB_TAIL),
    *(Control.COMMITTED_HEAD, Control.COMMITTED_EVENTS),
)
"""What a larger journal takes over from the one that it replaces."""


class RecorderState(IntEnum):
    """What the recorder asks of the writer."""

    RECORDING = 0
    CLOSING = 1


class WriterState(IntEnum):
    """How far the writer has come."""

    STARTING = 0
    READY = 1
    FAILED = 2
    DONE = 3


MAGIC = int.from_bytes(b"GH5RJRN1", "little")
"""The first control word of a journal."""

PAGE_BYTES = 4096

HEADER_AT = 2 * PAGE_BYTES
"""Where the JSON header begins, behind the control words and the writer's error."""

_FIRST_WORDS = struct.Struct("=2Q")  # magic, and the bytes of the header: 0 until the rows have a layout


def is_unfinished(path: Path) -> bool:
    """Whether the recorder died while it made the journal. The journal then has no rows."""
    with os.fdopen(open_regular(path, os.O_RDONLY), "rb") as file:
        return not any(file.read(HEADER_AT)) or os.fstat(file.fileno()).st_size < HEADER_AT


def has_rows(path: Path) -> bool:
    """Whether a journal at ``path`` may have rows: it was laid out, or it cannot be read as a journal."""
    if not os.path.lexists(path):
        return False
    try:
        with os.fdopen(open_regular(path, os.O_RDONLY), "rb") as file:
            first = file.read(HEADER_AT)
    except CorruptRecordingError:
        return True
    return any(first) and (len(first) < HEADER_AT or _FIRST_WORDS.unpack_from(first) != (MAGIC, 0))


_SIZE = struct.Struct("<Q")


def pack_error(text: str) -> bytes:
    """The page of the writer's error: the size of the text, the text, zeros."""
    data = text.encode("utf-8", "replace")[: PAGE_BYTES - _SIZE.size]
    return (_SIZE.pack(len(data)) + data).ljust(PAGE_BYTES, b"\0")


def unpack_error(page: memoryview) -> str:
    """The text of a page that ``pack_error`` made."""
    (size_bytes,) = _SIZE.unpack_from(page)
    return bytes(page[_SIZE.size : _SIZE.size + min(size_bytes, PAGE_BYTES - _SIZE.size)]).decode("utf-8", "replace")
