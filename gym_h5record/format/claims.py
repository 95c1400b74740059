"""Checks the numbers of ``/commit`` and of the episode index.

A file may be damaged or hostile, so every reader and writer checks these
numbers before it uses them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import NamedTuple

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format import names as fmt
from gym_h5record.format.lanes import address, row_of
from gym_h5record.format.nodes import Field

__all__ = [
    "Commit",
    "LaneCommit",
    "check_commit",
    "check_span",
    "committed_items",
    "empty_commit",
    "most_items",
    "read_commit",
]

_NUM_COUNTS = 2  # the numbers of a commit that readers need
_TOO_MANY_ROWS = 1 << 63  # for an int64
_NUM_POSITIONS = 4  # those that only the writer needs, before the rows


class Commit(NamedTuple):
    """The two numbers of ``/commit``, and those of ``/positions``, which only the writer needs.

    A position counts the rows of a journal, discarded ones included. Rows before ``tail`` never change again.

    Attributes:
        rows: Valid rows.
        episodes: Valid episodes.
        discarded_episodes: Episodes that were discarded before position ``tail``.
        discarded_steps: Steps of these episodes.
        head: Position behind the last valid row.
        tail: Position from which the writer writes again.
        tail_row: The row that the position ``tail`` has in the file.
    """

    rows: int
    episodes: int
    discarded_episodes: int = 0
    discarded_steps: int = 0
    head: int = 0
    tail: int = 0
    tail_row: int = 0

    @property
    def parts(self) -> dict[str, tuple[int, ...]]:
        """The numbers by the name of their dataset."""
        return {fmt.COMMIT: self[:_NUM_COUNTS], fmt.POSITIONS: self[_NUM_COUNTS:]}

    @property
    def lane_rows(self) -> tuple[int, ...]:
        """Valid rows of each lane."""
        return (self.rows,)

    @property
    def most_rows(self) -> int:
        """Valid rows of the lane that has most of them: so long are the datasets at least."""
        return self.rows

    @property
    def for_another_journal(self) -> Commit:
        """The same rows, where another journal goes on: it begins with the position of the next row."""
        return self._replace(head=self.rows, tail=self.rows, tail_row=self.rows)


class LaneCommit(NamedTuple):
    """The numbers of a commit of a vector recording: rows are counted lane by lane.

    A position counts the ticks of a journal, in each of which any lane may have a row.

    Attributes:
        lane_rows: Valid rows of each lane.
        episodes: Valid episodes of all lanes.
        discarded_episodes: As of ``Commit``.
        discarded_steps: As of ``Commit``.
        head: As of ``Commit``.
        tail: As of ``Commit``.
        tail_rows: The row of each lane from which the writer writes again.
    """

    lane_rows: tuple[int, ...]
    episodes: int
    discarded_episodes: int = 0
    discarded_steps: int = 0
    head: int = 0
    tail: int = 0
    tail_rows: tuple[int, ...] = ()

    @property
    def rows(self) -> int:
        """Valid rows of all lanes together."""
        return sum(self.lane_rows)

    @property
    def most_rows(self) -> int:
        """Valid rows of the lane that has most of them: so long are the datasets at least."""
        return max(self.lane_rows)

    @property
    def tail_row(self) -> int:
        """Rows of all lanes before those from which the writer writes again."""
        return sum(self.tail_rows)

    @property
    def parts(self) -> dict[str, tuple[int, ...]]:
        """The numbers by the name of their dataset."""
        counts = (self.discarded_episodes, self.discarded_steps, self.head, self.tail)
        return {fmt.COMMIT: (*self.lane_rows, self.episodes), fmt.POSITIONS: (*counts, *self.tail_rows)}

    @property
    def for_another_journal(self) -> LaneCommit:
        """The same rows, where another journal goes on."""
        return self._replace(head=self.rows, tail=self.rows, tail_rows=self.lane_rows)


def empty_commit(num_envs: int | None) -> Commit | LaneCommit:
    """The commit of a recording without rows: of a vector recording, if the number of its lanes is given."""
    if num_envs is None:
        return Commit(0, 0)
    return LaneCommit((0,) * num_envs, 0, tail_rows=(0,) * num_envs)


def read_commit(items: Callable[[str, int, int], Iterable[int]], num_envs: int | None) -> Commit | LaneCommit:
    """The commit of a file.

    Args:
        items: Reads a part of a dataset: its name, the first item, and the item behind the last one.
        num_envs: Lanes of a vector recording, None if it is none.

    Raises:
        CorruptRecordingError: If the numbers contradict each other.
    """
    num_lanes = 1 if num_envs is None else num_envs
    *lane_rows, episodes = map(int, items(fmt.COMMIT, 0, num_lanes + 1))
    episodes_gone, steps_gone, head, tail = map(int, items(fmt.POSITIONS, 0, _NUM_POSITIONS))
    tail_rows = [int(row) for row in items(fmt.POSITIONS, _NUM_POSITIONS, _NUM_POSITIONS + num_lanes)]
    check_commit(sum(lane_rows), episodes)
    positions = (episodes_gone, steps_gone, head, tail)
    is_beyond = any(tail_row > rows for tail_row, rows in zip(tail_rows, lane_rows, strict=True))
    if min(*lane_rows, *positions, *tail_rows) < 0 or is_beyond or tail > head:
        raise CorruptRecordingError(
            f"/{fmt.COMMIT} and /{fmt.POSITIONS} contradict each other: {lane_rows!r:.80}, {episodes}, {positions}, "
            f"{tail_rows!r:.80}"
        )
    if num_envs is None:
        return Commit(lane_rows[0], episodes, *positions, tail_rows[0])
    return LaneCommit(tuple(lane_rows), episodes, *positions, tuple(tail_rows))


def check_commit(num_rows: int, num_episodes: int) -> None:
    """Check the two numbers of ``/commit``: every episode has at least one row. The rows of lanes are added up."""
    if not 0 <= num_episodes <= num_rows < _TOO_MANY_ROWS:
        raise CorruptRecordingError(f"/{fmt.COMMIT} claims {num_rows} rows and {num_episodes} episodes")


def check_span(episode: int, start: int, length: int, num_rows: int) -> None:
    """Check that the ``length + 1`` rows of an episode are among the committed ones."""
    if start < 0 or length < 0 or start + length >= num_rows:
        raise CorruptRecordingError(
            f"episode {episode} claims rows {start} to {start + length}, the recording has {num_rows}"
        )


def committed_items(
    field: Field, fields: Mapping[str, Field], num_rows: int, num_episodes: int, end_at: Callable[[str, int], int]
) -> int:
    """Count the items of a field that belong to the first rows, or to the first episodes for a field of ``/episodes``.

    The ends of its parent say how many items a ragged field has. ``end_at`` reads an end: its arguments are the name of
    the field of ends, and an index.
    """
    if field.parent is None:
        return num_episodes if field.axis == "episode" else num_rows
    lists = committed_items(fields[field.parent], fields, num_rows, num_episodes, end_at)
    return end_at(field.parent, lists - 1) if lists else 0


def most_items(
    field: Field, fields: Mapping[str, Field], commit: Commit | LaneCommit, end_at: Callable[[str, int], int]
) -> int:
    """How long the dataset of a field has to be at least: the committed items of the lane that has most of them.

    ``end_at`` reads an end, by the name of the field of ends and an address.
    """
    if field.num_lanes is None:
        return committed_items(field, fields, commit.rows, commit.episodes, end_at)
    if field.parent is None:
        return commit.most_rows
    return max(
        committed_items(field, fields, rows, commit.episodes, partial(_end_in_lane, end_at, lane))
        for lane, rows in enumerate(commit.lane_rows)
    )


def _end_in_lane(end_at: Callable[[str, int], int], lane: int, name: str, row: int) -> int:
    return int(row_of(end_at(name, address(lane, row))))
