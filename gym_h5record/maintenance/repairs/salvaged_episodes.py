"""Rows of which some are lost, given on as episodes and pieces of episodes.

Where a row is lost, its episode ends before it, incomplete, and another begins
behind it. Where the rows come from and where they go is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from gym_h5record.format.names import Origin
from gym_h5record.maintenance.repairs.damaged_recording import DamagedRecording, RemainingRow, Span, tried
from gym_h5record.values.exact import identical
from gym_h5record.writing.index_writer import begin_json

__all__ = ["OnProgress", "SalvagedEpisodes", "Sink"]


OnProgress = Callable[[int, int], None]
"""Told, again and again, how many rows have been read and how many there are; may raise."""

_PROGRESS_ROWS = 256


class Sink(Protocol):
    """Takes episodes row by row."""

    def begin(self, row: RemainingRow, begin: dict[str, Any]) -> None:
        """The first row of an episode."""

    def step(self, before: RemainingRow, row: RemainingRow) -> None:
        """The next row."""

    def end(self) -> None:
        """It was the last one."""


class SalvagedEpisodes:
    """Gives rows to a sink, and ends an episode where it ended, or where a row is missing.

    Args:
        sink: Where the rows go.

    Attributes:
        rows: How many there were.
        count: How many episodes they have become.
        whole: How many of those are as they were recorded, from their first row to their last.
    """

    def __init__(self, sink: Sink) -> None:
        self.rows = self.count = self.whole = 0
        self._sink = sink
        self._before: RemainingRow | None = None  # the row before, if its episode goes on
        self._previous: RemainingRow | None = None  # the row before, unless it is lost
        self._next_id = 0

    def put(self, source: DamagedRecording, span: Span, on_progress: OnProgress | None) -> None:
        """Go through the rows of a span."""
        begin, is_whole = self._begin_span(span), True
        for number in span.rows:
            if on_progress is not None and not number % _PROGRESS_ROWS:
                on_progress(number, source.num_rows)
            row = source.row(number)
            previous, self._previous = self._previous, row
            if row is None:
                self._end()
                begin, is_whole = self._begin(Origin.STEP_TRIGGER), False
                continue
            if self._before is None and begin["columns"]["origins"] == Origin.AFTER_DONE:
                begin = begin if _is_repeated(previous, row) else _in_the_middle(begin)
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
        number = tried(lambda: episode.episode_id, self._next_id)
        nothing: dict[str, bytes] = {}
        return begin_json(
            tried(lambda: episode.seed, None),
            tried(lambda: episode.options, None),
            origin,
            max(0, number),
            snapshot=tried(lambda: episode.snapshot, nothing),
        )

    def _begin(self, origin: Origin) -> dict[str, Any]:
        return begin_json(None, None, origin, self._next_id)


def _is_repeated(row: RemainingRow | None, by: RemainingRow) -> bool:
    """Whether the last row of an episode is repeated by the first of the next, but for the step."""
    if row is None:
        return False
    kept, repeated = (row.observation, row.frame, row.info), (by.observation, by.frame, by.info)
    return tried(lambda: identical(kept, repeated), default=False)


def _in_the_middle(begin: dict[str, Any]) -> dict[str, Any]:
    """An episode that went on after the end of one, of which the repeated row is lost."""
    return {**begin, "columns": {**begin["columns"], "origins": int(Origin.STEP_TRIGGER)}}
