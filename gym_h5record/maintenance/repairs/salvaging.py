"""Copy the readable rows of a damaged recording into a new one. The damaged file is only read.

Rows are decoded one by one and written by ``RowWriter`` or ``LaneRowWriter`` like the steps of an environment, so the
copy is a recording like any other. A vector recording keeps its lanes, and its episodes their order.
"""

from __future__ import annotations

import json
import mmap
import os
import warnings
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gym_h5record.cached import cached_property
from gym_h5record.errors import RecordingWarning
from gym_h5record.format.metadata import read_attribute, readable_attributes
from gym_h5record.format.names import MASK_NAMES
from gym_h5record.maintenance.repairs.damaged_recording import DamagedRecording, ReadableRow, read_or
from gym_h5record.maintenance.repairs.salvaged_episodes import OnProgress, SalvagedEpisodes, Sink
from gym_h5record.maintenance.repairs.salvaged_lanes import LaneSink
from gym_h5record.storage.handle import Access, Handle
from gym_h5record.storage.hdf5.codecs import make_codec
from gym_h5record.storage.paths import journal_path, redo_path
from gym_h5record.writing.lane_row_writer import LaneRowWriter
from gym_h5record.writing.options import make_options
from gym_h5record.writing.row_writer import RowWriter
from gym_h5record.writing.session import Session

__all__ = ["Salvaged", "check_can_be_made", "salvage"]

_OWN_ATTRIBUTES = ("schema", "compression", "journal_id", MASK_NAMES)
"""The new file writes these itself. It has no masks: where episodes are lost, the others get new numbers."""


@dataclass(frozen=True)
class Salvaged:
    """What can be read of a damaged recording.

    Attributes:
        rows: Rows that can be read.
        episodes: Episodes that they make. An episode with a lost row makes several.
        whole_episodes: Episodes that no row is missing of.
        committed_rows: Rows that the damaged recording had.
        committed_episodes: Episodes that it had.
        row_bytes: Bytes of a row in memory, without values of varying size.
    """

    rows: int
    episodes: int
    whole_episodes: int
    committed_rows: int
    committed_episodes: int
    row_bytes: int


def salvage(path: Path, out: str | os.PathLike[str] | None, on_progress: OnProgress | None = None) -> Salvaged:
    """Copy every readable committed row into a new recording. If no row is readable, no file is made.

    Args:
        path: The damaged recording: closed, interrupted, or cut short.
        out: The file to make; never overwritten. None to count the rows only.
        on_progress: Called as rows are read. If it raises, the new file is removed.

    Raises:
        RecordingExistsError: If ``out`` exists.
        RecordingPathError: If ``out`` cannot be made.
        RecordingNotFoundError: If there is no file, only its journal.
        CorruptRecordingError: If the schema cannot be read, or how many rows are committed.
    """
    with closing(Handle(path, Access.DAMAGED)) as handle:
        source = DamagedRecording(handle)
        copy = None if out is None else _Copy(source, out)
        lanes = [SalvagedEpisodes(Sink() if copy is None else copy.sink(lane)) for lane in range(source.num_lanes)]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RecordingWarning)  # the damaged recording was made with the same ones
                for span in source.spans():
                    lanes[span.lane].put(source, span, on_progress)
            if copy is not None:
                copy.close()
        except BaseException:
            if copy is not None:
                copy.discard()
            raise
    return Salvaged(
        rows=sum(each.rows for each in lanes),
        episodes=sum(each.count for each in lanes),
        whole_episodes=sum(each.whole for each in lanes),
        committed_rows=source.num_rows,
        committed_episodes=source.num_episodes,
        row_bytes=source.row_bytes,
    )


def check_can_be_made(out: str | os.PathLike[str]) -> None:
    """Check that a new file can be made.

    Raises:
        RecordingExistsError: If it exists.
        RecordingPathError: If its directory does not exist or is not writable.
    """
    make_options(out, "x", None, None, "inline", 1.0)


class _Copy:
    """The new recording; the file is made with the first row."""

    def __init__(self, source: DamagedRecording, out: str | os.PathLike[str]) -> None:
        gzip = make_codec("gzip")  # the default of new recordings
        codec = read_or(lambda: make_codec(*read_attribute("compression", source.metadata["compression"])), gzip)
        self._source = source
        self._options = make_options(out, "x", codec.name, codec.opts, "inline", 1.0, checksum=source.has_checksums)
        self._session: Session | None = None
        self._journal_id: str | None = None  # None: there is no journal yet, "": the journal has no id yet
        self._release: Callable[[], None] | None = None

    def sink(self, lane: int) -> Sink:
        """Writes the episodes of a lane."""
        if self._source.schema.num_envs is None:
            return _RowSink(self)
        return LaneSink(lambda: self.lane_writer, self.clock_ns, lane, self._source.num_lanes)

    @cached_property
    def row_writer(self) -> RowWriter:
        """Writes rows of a single environment."""
        writer = RowWriter(self._opened(), self._source.schema)
        self._release = writer.release
        return writer

    @cached_property
    def lane_writer(self) -> LaneRowWriter:
        """Writes rows of all lanes."""
        no_spaces: Any = (None, None)  # values come one by one, not as batches of a space
        writer = LaneRowWriter(self._opened(), self._source.schema, no_spaces)
        self._release = writer.release
        return writer

    def clock_ns(self, row: ReadableRow) -> int | None:
        """The time of a row, as if the new recording had begun when the damaged one did."""
        return None if row.time_ns is None or self._session is None else self._session.began_ns + row.time_ns

    def close(self) -> None:
        """Complete the file."""
        if self._release is not None:
            self._release()
        if self._session is not None:
            self._session.close()

    def discard(self) -> None:
        """Remove the file."""
        path = self._options.path
        try:
            self.close()
        finally:
            if self._journal_id is not None:  # without a journal nothing has been made
                leftovers = [journal_path(path), redo_path(path)]
                if self._journal_id and _mentions(path, self._journal_id):
                    leftovers.append(path)  # another program may have put a file there meanwhile; that one stays
                for each in leftovers:
                    each.unlink(missing_ok=True)

    def _opened(self) -> Session:
        source = self._source
        metadata = {
            name: value
            for name, value in readable_attributes(source.metadata).items()
            if isinstance(value, str) and name not in _OWN_ATTRIBUTES
        }
        session = self._session = Session(self._options)
        session.open()
        session.reserve(source.row_bytes * source.num_lanes, 2 * len(json.dumps(metadata)) + (1 << 20))
        self._journal_id = ""
        session.lay_out(source.schema, source.fps, metadata)
        self._journal_id = str(session.journal.header["journal_id"])
        return session


class _RowSink(Sink):
    """Writes the episodes of a single environment."""

    def __init__(self, copy: _Copy) -> None:
        self._copy = copy

    def begin(self, row: ReadableRow, begin: dict[str, Any]) -> None:
        writer = self._copy.row_writer  # first: with it the new recording begins, and its clock
        writer.begin_episode(row.observation, row.info, row.frame, begin, self._copy.clock_ns(row))

    def step(self, before: ReadableRow, row: ReadableRow) -> None:
        writer = self._copy.row_writer
        writer.put_action(before.action, before.extras)
        reward, terminated, truncated = before.outcome
        time_ns = self._copy.clock_ns(row)
        writer.put_step(row.observation, reward, terminated, truncated, row.info, row.frame, time_ns)

    def end(self) -> None:
        self._copy.row_writer.end_episode()


def _mentions(path: Path, journal_id: str) -> bool:
    """Whether a file, perhaps torn, holds the id of a journal: only the file that it was drained into does."""
    if not path.is_file() or not path.stat().st_size:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(journal_id.encode()) >= 0
