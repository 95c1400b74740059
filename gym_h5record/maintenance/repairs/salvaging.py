"""What can still be read of a damaged recording, recorded again into a new file.

Rows are decoded one by one and go the way of every step, so that what comes out
is a recording like any other. Where a row cannot be read, its episode ends
before it, incomplete, and another begins behind it. The damaged file is only read.
"""

from __future__ import annotations

import json
import mmap
import os
import warnings
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gym_h5record.errors import RecordingWarning
from gym_h5record.format.metadata import readable_attributes
from gym_h5record.format.schema import Schema
from gym_h5record.maintenance.repairs.damaged_recording import DamagedRecording, RemainingRow, tried
from gym_h5record.maintenance.repairs.salvaged_episodes import OnProgress, SalvagedEpisodes, Sink
from gym_h5record.storage.handle import Access, Handle
from gym_h5record.storage.hdf5.codecs import make_codec
from gym_h5record.storage.paths import journal_path, redo_path
from gym_h5record.values.tagged_json import parse_json
from gym_h5record.writing.options import Options, make_options
from gym_h5record.writing.row_writer import RowWriter
from gym_h5record.writing.session import Session

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


def salvage(path: Path, out: str | os.PathLike[str], on_progress: OnProgress | None = None) -> Salvaged:
    """Copy every readable committed row into a new recording; there is none if nothing is readable.

    Args:
        path: The damaged recording; closed, interrupted, or cut short.
        out: The file to make; never overwritten.
        on_progress: Called as rows are read. If it raises, nothing is left of the new file.

    Raises:
        RecordingExistsError: If ``out`` exists.
        RecordingPathError: If it cannot be made.
        RecordingNotFoundError: If there is no file, only its journal.
        CorruptRecordingError: If nothing can be read, not even the schema.
    """
    check_target(out)
    with closing(Handle(path, Access.DAMAGED)) as handle:
        source = DamagedRecording(handle)
        copy = _Copy(source, out)
        try:
            found = _go_through(source, copy, on_progress)
            copy.close()
        except BaseException:
            copy.discard()
            raise
        return found


def readable(path: Path, on_progress: OnProgress | None = None) -> Salvaged:
    """What ``salvage`` would copy; nothing is written.

    Raises:
        RecordingNotFoundError: If there is no file, only its journal.
        CorruptRecordingError: If nothing can be read, not even the schema.
    """
    with closing(Handle(path, Access.DAMAGED)) as handle:
        return _go_through(DamagedRecording(handle), _Nowhere(), on_progress)


def check_target(out: str | os.PathLike[str]) -> None:
    """Make sure that a file can be made.

    Raises:
        RecordingExistsError: If it exists.
        RecordingPathError: If there is no such directory, or it is not ours to write in.
    """
    _options(out, None, None)


# Where it goes --------------------------------------------------------------------------------------


class _Nowhere:
    """What is only counted goes here."""

    def begin(self, row: RemainingRow, begin: dict[str, Any]) -> None:
        """See ``Sink``."""

    def step(self, before: RemainingRow, row: RemainingRow) -> None:
        """See ``Sink``."""

    def end(self) -> None:
        """See ``Sink``."""


class _Copy:
    """The new recording, made with its first row."""

    def __init__(self, source: DamagedRecording, out: str | os.PathLike[str]) -> None:
        self._source = source
        self._options = _options(out, *_compression(source), checksum=source.has_checksums)
        self._session: Session | None = None
        self._writer: RowWriter | None = None

    def begin(self, row: RemainingRow, begin: dict[str, Any]) -> None:
        """See ``Sink``."""
        self._opened().begin_episode(row.observation, row.info, row.frame, begin)

    def step(self, before: RemainingRow, row: RemainingRow) -> None:
        """See ``Sink``."""
        writer = self._opened()
        writer.put_action(before.action)
        reward, terminated, truncated = before.outcome
        writer.put_step(row.observation, reward, terminated, truncated, row.info, row.frame)

    def end(self) -> None:
        """See ``Sink``."""
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
        path, header = self._options.path, self._session.journal.header
        try:
            self.close()
        finally:
            leftovers = [journal_path(path), redo_path(path)]
            if "journal_id" in header and _mentions(path, header["journal_id"]):  # else somebody has taken the path
                leftovers.append(path)
            for each in leftovers:
                each.unlink(missing_ok=True)

    def _opened(self) -> RowWriter:
        if self._writer is None:
            source = self._source
            metadata = {
                name: value
                for name, value in readable_attributes(source.metadata).items()
                if isinstance(value, str) and name not in _OWN_ATTRIBUTES
            }
            self._session = Session(self._options, _row_bytes(source.schema), 2 * len(json.dumps(metadata)) + (1 << 20))
            self._session.lay_out(source.schema, source.fps, metadata)
            self._writer = RowWriter(self._session, source.schema)
        return self._writer


def _mentions(path: Path, journal_id: str) -> bool:
    """Whether a file is the one that a journal is drained into, torn or not."""
    if not path.is_file() or not path.stat().st_size:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(journal_id.encode()) >= 0


def _go_through(source: DamagedRecording, sink: Sink, on_progress: OnProgress | None) -> Salvaged:
    """Give all rows that can be read to a sink, as episodes or pieces of them."""
    pieces = SalvagedEpisodes(sink)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordingWarning)  # who recorded it has been warned
        for span in source.spans():
            pieces.put(source, span, on_progress)
    return Salvaged(
        rows=pieces.rows,
        episodes=pieces.count,
        whole_episodes=pieces.whole,
        committed_rows=source.num_rows,
        committed_episodes=source.num_episodes,
        row_bytes=_row_bytes(source.schema),
    )


def _options(out: str | os.PathLike[str], name: str | None, opts: Any, *, checksum: bool = False) -> Options:
    return make_options(out, "x", name, opts, "inline", 1.0, checksum=checksum)


def _compression(source: DamagedRecording) -> tuple[str | None, Any]:
    """How the damaged recording is compressed; if it does not say, as new recordings are."""

    def read() -> tuple[str | None, Any]:
        codec = make_codec(*parse_json(source.metadata["compression"]))
        return codec.name, codec.opts

    default: tuple[str | None, Any] = ("gzip", None)
    return tried(read, default)


def _row_bytes(schema: Schema) -> int:
    return sum(field.item_bytes for field in schema.ring_fields)
