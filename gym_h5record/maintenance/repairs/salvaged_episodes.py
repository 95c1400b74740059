"""Turn the rows of a damaged recording into episodes.

Where a row cannot be read, the episode ends before it, incomplete, and another one begins behind it. ``salvaging``
decides where the rows come from and where they go.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gym_h5record.format.names import Origin
from gym_h5record.maintenance.repairs.damaged_recording import DamagedRecording, ReadableRow, Span, read_or
from gym_h5record.values.exact import identical
from gym_h5record.writing.row_writer import begin_json

__all__ = ["OnProgress", "SalvagedEpisodes", "Sink"]

OnProgress = Callable[[int, int], None]
"""Called every 256 rows with the number of rows read and the number of all rows. It may raise."""

_PROGRESS_ROWS = 256


class Sink:
    """Takes episodes row by row. This one drops them: ``SalvagedEpisodes`` counts them."""

    def begin(self, row: ReadableRow, begin: dict[str, Any]) -> None:
        """Take the first row of an episode, and how the episode began, as ``begin_json`` describes it."""

    def step(self, before: ReadableRow, row: ReadableRow) -> None:
        """Take the next row, and the row before it, which holds the step between them."""

    def end(self) -> None:
        """End the episode."""


class SalvagedEpisodes:
    """Gives the rows of one lane to a sink, and ends an episode where it ended or where a row is missing.

    Attributes:
        rows: How many rows the sink has taken.
        count: How many episodes they make.
        whole: How many of those are as they were recorded, from the first row to the last.
    """

    def __init__(self, sink: Sink) -> None:
        self.rows = self.count = self.whole = 0
        self._sink = sink
        self._before: ReadableRow | None = None  # the row before, None at the start of an episode
        self._previous: ReadableRow | None = None  # the row before, of any episode; None if it could not be read
        self._next_id = 0

    def put(self, source: DamagedRecording, span: Span, on_progress: OnProgress | None) -> None:
        """Read the rows of a span, and hand on those that can be read."""
        begin, is_whole = self._begin_span(span), True
        for done, number in enumerate(span.rows, span.before):
            if on_progress is not None and not done % _PROGRESS_ROWS:
                on_progress(done, source.num_rows)
            row = source.row(number)
            previous, self._previous = self._previous, row
            if row is None:
                self._end()
                begin, is_whole = self._begin(Origin.STEP_TRIGGER), False
                continue
            is_after_done = self._before is None and begin["columns"]["origins"] == Origin.AFTER_DONE
            if is_after_done and not _is_repeated(previous, row):  # the last row of the other episode is lost
                begin["columns"]["origins"] = int(Origin.STEP_TRIGGER)
            is_over = self._put(row, begin) or number == span.rows[-1]
            if is_over or row.is_last:
                self._end()
                self.whole += is_whole and row.is_last
                self._next_id += row.is_last
                # In a span without an episode, a row behind a last row begins one.
                begin, is_whole = self._begin(Origin.RESET if row.is_last else Origin.STEP_TRIGGER), row.is_last

    def _put(self, row: ReadableRow, begin: dict[str, Any]) -> bool:
        """Hand on a row; say whether the step that led to it ended the episode."""
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
        """How the episode of a span began, with defaults for parts of its entry that cannot be read."""
        if span.episode is None:
            return self._begin(Origin.RESET)
        episode = span.episode
        no_snapshot: dict[str, bytes] = {}
        return begin_json(
            read_or(lambda: episode.seed, None),
            read_or(lambda: episode.options, None),
            read_or(lambda: episode.origin, Origin.RESET),
            max(0, read_or(lambda: episode.episode_id, self._next_id)),
            snapshot=read_or(lambda: episode.snapshot, no_snapshot),
        )

    def _begin(self, origin: Origin) -> dict[str, Any]:
        return begin_json(None, None, origin, self._next_id)


def _is_repeated(row: ReadableRow | None, by: ReadableRow) -> bool:
    """Whether the first row of an episode repeats observation, frame and info of the last row before it."""
    if row is None:
        return False
    kept, repeated = (row.observation, row.frame, row.info), (by.observation, by.frame, by.info)
    return read_or(lambda: identical(kept, repeated), default=False)
