"""What can still be read of a damaged recording, recorded again into a new file.

Rows are decoded one by one and go the way of every step, so that what comes out
is a recording like any other. Where a row cannot be read, its episode ends
before it, incomplete, and another begins behind it. The damaged file is only read.
"""

from __future__ import annotations

import json
import os
import warnings
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from gym_h5record.codecs import make_codec
from gym_h5record.durable_file import redo_path
from gym_h5record.errors import RecordingWarning
from gym_h5record.format import Origin
from gym_h5record.journal import journal_path
from gym_h5record.provenance import parse_attribute
from gym_h5record.reader import Access, Handle
from gym_h5record.reader.remains import RemainingRow, Remains, Span, tried
from gym_h5record.schema import Schema
from gym_h5record.spaces import space_from_json
from gym_h5record.tagged import parse_json
from gym_h5record.writer import Options, RowWriter, Session, begin_json, make_options

__all__ = ["Salvaged", "check_target", "readable", "salvage"]

_OWN_ATTRIBUTES = ("schema", "compression", "journal_id")


@dataclass(frozen=True)
class Salvaged:
    """What can be read of a damaged recording, or what a new file has got of it.

    Attributes:
        rows: Rows that are readable.
        episodes: Episodes, or pieces of them.
        whole_episodes: Those of them that nothing is missing of.
        committed_rows: Rows that there were.
        committed_episodes: Episodes that there were.
        row_bytes: Bytes of a row in memory, without what varies in size.
    """

    rows: int
    episodes: int
    whole_episodes: int
    committed_rows: int
    committed_episodes: int
    row_bytes: int


def salvage(path: Path, out: str | os.PathLike[str]) -> Salvaged:
    """Copy every readable committed row into a new recording; there is none if nothing is readable.

    Args:
        path: The damaged recording; closed, interrupted, or cut short.
        out: The file to make; never overwritten.

    Raises:
        RecordingExistsError: If ``out`` exists.
        RecordingPathError: If it cannot be made.
        RecordingNotFoundError: If there is no file, only its journal.
        CorruptRecordingError: If nothing can be read, not even the schema.
    """
    check_target(out)
    with closing(Handle(path, Access.DAMAGED)) as handle:
        source = Remains(handle)
        copy = _Copy(source, out)
        try:
            found = _go_through(source, copy)
            copy.close()
        except BaseException:
            copy.discard()
            raise
        return found


def readable(path: Path) -> Salvaged:
    """What ``salvage`` would copy; nothing is written.

    Raises:
        RecordingNotFoundError: If there is no file, only its journal.
        CorruptRecordingError: If nothing can be read, not even the schema.
    """
    with closing(Handle(path, Access.DAMAGED)) as handle:
        return _go_through(Remains(handle), _Nowhere())


def check_target(out: str | os.PathLike[str]) -> None:
    """Make sure that a file can be made.

    Raises:
        RecordingExistsError: If it exists.
        RecordingPathError: If there is no such directory, or it is not ours to write in.
    """
    _options(out, None, None)


# Where it goes --------------------------------------------------------------------------------------


class _Sink(Protocol):
    """Takes episodes row by row."""

    def begin(self, row: RemainingRow, begin: dict[str, Any]) -> None:
        """The first row of an episode."""

    def step(self, before: RemainingRow, row: RemainingRow) -> None:
        """The next row."""

    def end(self) -> None:
        """It was the last one."""


class _Nowhere:
    """What is only counted goes here."""

    def begin(self, row: RemainingRow, begin: dict[str, Any]) -> None:
        """See ``_Sink``."""

    def step(self, before: RemainingRow, row: RemainingRow) -> None:
        """See ``_Sink``."""

    def end(self) -> None:
        """See ``_Sink``."""


class _Copy:
    """The new recording, made with its first row."""

    def __init__(self, source: Remains, out: str | os.PathLike[str]) -> None:
        self._source = source
        self._options = _options(out, *_compression(source), checksum=source.has_checksums)
        self._session: Session | None = None
        self._writer: RowWriter | None = None

    def begin(self, row: RemainingRow, begin: dict[str, Any]) -> None:
        """See ``_Sink``."""
        self._opened().begin_episode(row.observation, row.info, row.frame, begin)

    def step(self, before: RemainingRow, row: RemainingRow) -> None:
        """See ``_Sink``."""
        writer = self._opened()
        writer.put_action(before.action)
        reward, terminated, truncated = before.outcome
        writer.put_step(row.observation, reward, terminated, truncated, row.info, row.frame)

    def end(self) -> None:
        """See ``_Sink``."""
        self._opened().end_episode()

    def close(self) -> None:
        """Complete the file."""
        if self._writer is not None:
            self._writer.release()
        if self._session is not None:
            self._session.close()

    def discard(self) -> None:
        """Leave nothing of it."""
        if self._session is None:  # nothing there is ours
            return
        path = self._options.path
        try:
            self.close()
        finally:
            for each in (path, journal_path(path), redo_path(path)):
                each.unlink(missing_ok=True)

    def _opened(self) -> RowWriter:
        if self._writer is None:
            source = self._source
            metadata = {
                name: value
                for name, value in source.metadata.items()
                if name not in _OWN_ATTRIBUTES and _is_sound(name, value)
            }
            self._session = Session(self._options, _row_bytes(source.schema), 2 * len(json.dumps(metadata)) + (1 << 20))
            self._session.lay_out(source.schema, source.fps, metadata)
            self._writer = RowWriter(self._session, source.schema)
        return self._writer


def _is_sound(name: str, value: Any) -> bool:
    """Whether an attribute says something: one that does not would make the others unreadable too."""
    try:
        parse_attribute(name, value)
        if name in ("observation_space", "action_space"):
            space_from_json(parse_json(value))
    except ValueError:
        return False
    return isinstance(value, str)


def _go_through(source: Remains, sink: _Sink) -> Salvaged:
    """Give all rows that can be read to a sink, as episodes or pieces of them."""
    pieces = _Pieces(sink)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordingWarning)  # who recorded it has been warned
        for span in source.spans():
            pieces.put(source, span)
    return Salvaged(
        rows=pieces.rows,
        episodes=pieces.count,
        whole_episodes=pieces.whole,
        committed_rows=source.num_rows,
        committed_episodes=source.num_episodes,
        row_bytes=_row_bytes(source.schema),
    )


class _Pieces:
    """Gives rows to a sink, and ends an episode where it ended, or where a row is missing.

    Args:
        sink: Where the rows go.

    Attributes:
        rows: How many there were.
        count: How many episodes they have become.
        whole: How many of those are as they were recorded, from their first row to their last.
    """

    def __init__(self, sink: _Sink) -> None:
        self.rows = self.count = self.whole = 0
        self._sink = sink
        self._before: RemainingRow | None = None  # the row before, if its episode goes on
        self._is_behind_gap = False
        self._next_id = 0

    def put(self, source: Remains, span: Span) -> None:
        """Go through the rows of a span."""
        begin, is_whole = self._begin_span(span), True
        for number in span.rows:
            row = source.row(number)
            self._is_behind_gap = row is None
            if row is None:
                self._end()
                begin, is_whole = self._begin(Origin.STEP_TRIGGER), False
                continue
            is_over = self._put(row, begin) or number == span.rows[-1]
            if is_over or row.is_last:
                self._end()
                self.whole += is_whole and row.is_last
                self._next_id += row.is_last
                # Of rows that the index does not tell apart, the next one begins an episode if this one ended one.
                begin, is_whole = self._begin(Origin.RESET if row.is_last else Origin.STEP_TRIGGER), row.is_last

    def _put(self, row: RemainingRow, begin: dict[str, Any]) -> bool:
        """Hand on a row.

        Returns:
            Whether the step that led to it ended the episode.
        """
        self.rows += 1
        before, self._before = self._before, row
        if before is not None:
            self._sink.step(before, row)
            return bool(before.outcome[1] or before.outcome[2])
        self.count += 1
        self._next_id = begin["columns"]["ids"]
        self._sink.begin(row, begin)
        return False

    def _end(self) -> None:
        if self._before is not None:
            self._sink.end()
            self._before = None

    def _begin_span(self, span: Span) -> dict[str, Any]:
        """How an episode began, as far as that can be read."""
        if span.episode is None:
            return self._begin(Origin.RESET)
        episode = span.episode
        origin = tried(lambda: episode.origin, Origin.RESET)
        if origin is Origin.AFTER_DONE and self._is_behind_gap:  # the row that it repeats is lost
            origin = Origin.STEP_TRIGGER
        number = tried(lambda: episode.episode_id, self._next_id)
        return begin_json(
            tried(lambda: episode.seed, None), tried(lambda: episode.options, None), origin, max(0, number)
        )

    def _begin(self, origin: Origin) -> dict[str, Any]:
        return begin_json(None, None, origin, self._next_id)


def _options(out: str | os.PathLike[str], name: str | None, opts: Any, *, checksum: bool = False) -> Options:
    return make_options(out, "x", name, opts, "inline", 1.0, checksum=checksum)


def _compression(source: Remains) -> tuple[str | None, Any]:
    """How the damaged recording is compressed; if it does not say, as new recordings are."""

    def read() -> tuple[str | None, Any]:
        codec = make_codec(*json.loads(source.metadata["compression"]))
        return codec.name, codec.opts

    default: tuple[str | None, Any] = ("gzip", None)
    return tried(read, default)


def _row_bytes(schema: Schema) -> int:
    return sum(field.item_bytes for field in schema.ring_fields)
