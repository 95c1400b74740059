"""What can still be read of a damaged recording, recorded again into a new file.

Rows are decoded one by one and go the way of every step, so that what comes out
is a recording like any other. Where a row cannot be read, its episode ends
before it, incomplete, and another begins behind it. The damaged file is only read.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from gym_h5record import format as fmt
from gym_h5record.codecs import make_codec
from gym_h5record.durable_file import redo_path
from gym_h5record.errors import CorruptRecordingError, RecordingWarning
from gym_h5record.format import Origin, TypeCode
from gym_h5record.guard import has_group, open_attribute, open_dataset, open_metadata
from gym_h5record.journal import journal_path
from gym_h5record.layout import all_fields
from gym_h5record.reader import Access, Decoder, Episode, EpisodeIndex, Handle, Storage
from gym_h5record.schema import Schema
from gym_h5record.schema_json import schema_from_json
from gym_h5record.writer import Options, RowWriter, Session, begin_json, make_options

__all__ = ["Salvaged", "check_target", "readable", "salvage"]

T = TypeVar("T")

_OWN_ATTRIBUTES = ("schema", "compression", "journal_id")
_TOTALS = ("total_steps", "total_episodes")
_OUTCOME = (fmt.REWARDS, fmt.TERMINATIONS, fmt.TRUNCATIONS)
_DECODE_ERRORS = (ValueError, TypeError, LookupError, ArithmeticError, MemoryError, RecursionError)
"""What comes of decoding what makes no sense; ``CorruptRecordingError`` is a ``ValueError``."""


@dataclass(frozen=True)
class Salvaged:
    """What can be read of a damaged recording, or what a new file has got of it.

    Attributes:
        rows: Rows that are readable.
        episodes: Episodes, or pieces of them.
        lost_rows: Committed rows that are not readable.
        lost_episodes: Committed episodes that are not whole any more.
        row_bytes: Bytes of a row in memory, without what varies in size.
    """

    rows: int
    episodes: int
    lost_rows: int
    lost_episodes: int
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
        source = _Source(handle)
        copy = _Copy(source, out)
        try:
            found = _go_through(source, copy)
        except BaseException:
            copy.discard()
            raise
        copy.close()
        return found


def readable(path: Path) -> Salvaged:
    """What ``salvage`` would copy; nothing is written.

    Raises:
        RecordingNotFoundError: If there is no file, only its journal.
        CorruptRecordingError: If nothing can be read, not even the schema.
    """
    with closing(Handle(path, Access.DAMAGED)) as handle:
        return _go_through(_Source(handle), _Nowhere())


def check_target(out: str | os.PathLike[str]) -> None:
    """Make sure that a file can be made.

    Raises:
        RecordingExistsError: If it exists.
        RecordingPathError: If there is no such directory, or it is not ours to write in.
    """
    _options(out, None, None)


# The damaged recording ------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Row:
    """All that a row holds: an observation, and the step taken from it."""

    observation: Any
    frame: Any
    info: Any
    action: Any
    outcome: tuple[Any, ...]
    is_last: bool  # of its episode: there is no step


@dataclass(frozen=True)
class _Span:
    """The rows of one episode and how it began, or of episodes that the index does not tell apart."""

    rows: range
    begin: dict[str, Any] | None


class _Source:
    """The damaged recording, of which any part may be unreadable."""

    def __init__(self, handle: Handle) -> None:
        self.metadata = open_metadata(handle.file)
        self.fps = _tried(lambda: float(open_attribute(handle.file, "fps")), float("nan"))
        self.schema: Schema = schema_from_json(str(self.metadata.get("schema")))
        self.has_checksums = has_group(handle.file, fmt.CHECKSUMS)
        self._storage = Storage(handle)
        self._storage.expect(all_fields(self.schema))
        self._decoder = Decoder(self._storage, self.schema)
        self.num_rows, self.num_episodes = self._committed()
        self._stop = min(self.num_rows, _stored_rows(handle))

    def spans(self) -> Iterator[_Span]:
        """The episodes: by the index as far as it makes sense; behind that, rows whose types tell."""
        start = 0
        index = EpisodeIndex(self._storage, self.num_episodes, self.num_rows)
        for number in range(self._indexed_episodes()):
            episode = self._episode(index, number)
            if episode is None or episode.start != start or start >= self._stop:
                break
            stop = start + episode.length + 1
            yield _Span(range(start, min(stop, self._stop)), _begin_of(episode))
            start = stop
        if start < self._stop:
            yield _Span(range(start, self._stop), None)

    def row(self, row: int) -> _Row | None:
        """A row, None if any part of it cannot be read."""
        return _tried(lambda: self._row(row), None)

    def _row(self, row: int) -> _Row:
        schema, value = self.schema, self._decoder.value
        rewards = self._storage.row(fmt.TYPES, row)[0, schema.code_index[fmt.REWARDS]]
        return _Row(
            observation=value(schema.observation, row),
            frame=None if schema.frame is None else value(schema.frame, row),
            info={} if schema.infos is None else self._decoder.info(row),
            action=value(schema.action, row),
            outcome=tuple(value(schema.coded[schema.code_index[name]], row) for name in _OUTCOME),
            is_last=bool(rewards == TypeCode.ABSENT),
        )

    def _committed(self) -> tuple[int, int]:
        """Rows and episodes by ``/commit``, or by the totals of the metadata."""
        counts = _tried(lambda: [int(each) for each in self._storage.items(fmt.COMMIT, 0, 2)], [])
        if not counts or not 0 <= counts[1] <= counts[0]:
            steps, episodes = (self.metadata.get(name) for name in _TOTALS)
            if not isinstance(steps, int) or not isinstance(episodes, int) or min(steps, episodes) < 0:
                raise CorruptRecordingError(f"/{fmt.COMMIT} cannot be read, so nobody knows which rows are valid")
            counts = [steps + episodes, episodes]
        return counts[0], counts[1]

    def _indexed_episodes(self) -> int:
        """How many episodes can be looked up."""
        try:
            for name in ("starts", "lengths"):
                self._storage.check_stored(f"{fmt.EPISODES}/{name}", self.num_episodes)
        except CorruptRecordingError:
            return 0
        return self.num_episodes

    def _episode(self, index: EpisodeIndex, number: int) -> Episode | None:
        return _tried(lambda: Episode(self._decoder, self.schema, index, number), None)


def _stored_rows(handle: Handle) -> int:
    """How many rows there can be in the file, whatever it claims."""
    try:
        dataset = open_dataset(handle.file, fmt.REWARDS)
        return min(len(dataset), int(dataset.id.get_num_chunks()) * int(dataset.chunks[0]))
    except (OSError, RuntimeError, ValueError):
        return 0


def _begin_of(episode: Episode) -> dict[str, Any]:
    """How an episode began, as far as that can be read."""
    return begin_json(
        _tried(lambda: episode.seed, None),
        _tried(lambda: episode.options, None),
        _tried(lambda: episode.origin, Origin.RESET),
        max(0, _tried(lambda: episode.episode_id, 0)),
    )


def _tried(read: Callable[[], T], default: T) -> T:
    """What can be read, or something in its place."""
    try:
        return read()
    except _DECODE_ERRORS:
        return default


# Where it goes --------------------------------------------------------------------------------------


class _Sink(Protocol):
    """Takes episodes row by row."""

    def begin(self, row: _Row, begin: dict[str, Any]) -> None:
        """The first row of an episode."""

    def step(self, before: _Row, row: _Row) -> None:
        """The next row."""

    def end(self) -> None:
        """It was the last one."""


class _Nowhere:
    """What is only counted goes here."""

    def begin(self, row: _Row, begin: dict[str, Any]) -> None:
        """See ``_Sink``."""

    def step(self, before: _Row, row: _Row) -> None:
        """See ``_Sink``."""

    def end(self) -> None:
        """See ``_Sink``."""


class _Copy:
    """The new recording, made with its first row."""

    def __init__(self, source: _Source, out: str | os.PathLike[str]) -> None:
        self._source = source
        self._options = _options(out, *_compression(source), checksum=source.has_checksums)
        self._session: Session | None = None
        self._writer: RowWriter | None = None

    def begin(self, row: _Row, begin: dict[str, Any]) -> None:
        """See ``_Sink``."""
        self._opened().begin_episode(row.observation, row.info, row.frame, begin)

    def step(self, before: _Row, row: _Row) -> None:
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
                if isinstance(value, str) and name not in _OWN_ATTRIBUTES
            }
            self._session = Session(self._options, _row_bytes(source.schema), 2 * len(json.dumps(metadata)) + (1 << 20))
            self._session.lay_out(source.schema, source.fps, metadata)
            self._writer = RowWriter(self._session, source.schema)
        return self._writer


def _go_through(source: _Source, sink: _Sink) -> Salvaged:
    """Give all rows that can be read to a sink, as episodes or pieces of them."""
    pieces = _Pieces(sink)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordingWarning)  # who recorded it has been warned
        for span in source.spans():
            pieces.put(source, span)
    return Salvaged(
        rows=pieces.rows,
        episodes=pieces.count,
        lost_rows=source.num_rows - pieces.rows,
        lost_episodes=max(0, source.num_episodes - pieces.whole),
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
        self._before: _Row | None = None  # the row before, if its episode goes on
        self._next_id = 0

    def put(self, source: _Source, span: _Span) -> None:
        """Go through the rows of a span."""
        begin, is_whole = span.begin or self._begin(Origin.RESET), True
        for number in span.rows:
            row = source.row(number)
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

    def _put(self, row: _Row, begin: dict[str, Any]) -> bool:
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

    def _begin(self, origin: Origin) -> dict[str, Any]:
        return begin_json(None, None, origin, self._next_id)


def _options(out: str | os.PathLike[str], name: str | None, opts: Any, *, checksum: bool = False) -> Options:
    return make_options(out, "x", name, opts, "inline", 1.0, checksum=checksum)


def _compression(source: _Source) -> tuple[str | None, Any]:
    """How the damaged recording is compressed; if it does not say, as new recordings are."""

    def read() -> tuple[str | None, Any]:
        codec = make_codec(*json.loads(source.metadata["compression"]))
        return codec.name, codec.opts

    return _tried(read, ("gzip", None))


def _row_bytes(schema: Schema) -> int:
    return sum(field.item_bytes for field in schema.ring_fields)
