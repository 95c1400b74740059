"""What has no slot in the ring, of all lanes: ``unslotted`` for ticks."""

from __future__ import annotations

from typing import Any

from gym_h5record.writing.encoders import Segments
from gym_h5record.writing.unslotted import UnslottedRow

__all__ = ["LaneUnslotted"]


class LaneUnslotted:
    """The segments and exceptions of the newest row of each lane, and of the step that leads to it.

    Args:
        num_lanes: How many lanes there are.
    """

    def __init__(self, num_lanes: int) -> None:
        warned: set[str] = set()
        self._rows = [UnslottedRow(warned) for _ in range(num_lanes)]
        self._used: set[int] = set()

    @property
    def is_any(self) -> bool:
        """Whether a lane may have something."""
        return bool(self._used)

    def of(self, lane: int) -> UnslottedRow:
        """What a lane has; more may be added to it."""
        self._used.add(lane)
        return self._rows[lane]

    def row_segments(self, lane: int) -> Segments:
        """The segments of the row of a lane."""
        return self.of(lane).row.segments

    def keep_infos(self, lane: int, rest: Any) -> None:
        """Keep the keys of an info that have no column."""
        self.of(lane).keep_other_infos(rest)

    def keep_extras(self, lane: int, rest: Any) -> None:
        """Keep the keys of extras that have no column."""
        self.of(lane).keep_other_extras(rest)

    def pack(self, numbers: dict[str, int]) -> bytes:
        """All of it as segments."""
        rows = ((lane, self._rows[lane]) for lane in sorted(self._used))
        return b"".join(each.step.pack(numbers, lane) + each.row.pack(numbers, lane) for lane, each in rows)

    def clear(self) -> None:
        """Forget all of it."""
        for lane in self._used:
            self._rows[lane].step.clear()
            self._rows[lane].row.clear()
        self._used.clear()
