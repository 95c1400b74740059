"""The control words of a journal: how the recorder and its writer talk to each other."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["Control", "RecorderState", "WriterState"]


class Control(IntEnum):
    """Control words: who writes each is said; a word is 8 bytes, stored at once."""

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


class RecorderState(IntEnum):
    """What the recorder wants."""

    RECORDING = 0
    CLOSING = 1


class WriterState(IntEnum):
    """How the writer is."""

    STARTING = 0
    READY = 1
    FAILED = 2
    DONE = 3
