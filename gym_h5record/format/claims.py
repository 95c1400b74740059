"""Checks the numbers of ``/commit`` and of the episode index.

A file may be damaged or hostile, so every reader and writer checks these
numbers before it uses them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format import names as fmt
from gym_h5record.format.nodes import Field

__all__ = ["Commit", "check_commit", "check_span", "committed_items"]

_NUM_COUNTS = 2  # the numbers of a commit that readers need


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
    def for_another_journal(self) -> Commit:
        """The same rows, where another journal goes on: it begins with the position of the next row."""
        return self._replace(head=self.rows, tail=self.rows, tail_row=self.rows)

    @classmethod
    def read(cls, items: Callable[[str, int, int], Iterable[int]]) -> Commit:
        """The commit of a file.

        Args:
            items: Reads a part of a dataset: its name, the first item, and the item behind the last one.

        Raises:
            CorruptRecordingError: If they contradict each other.
        """
        numbers = (*items(fmt.COMMIT, 0, _NUM_COUNTS), *items(fmt.POSITIONS, 0, len(cls._fields) - _NUM_COUNTS))
        commit = cls(*map(int, numbers))
        check_commit(commit.rows, commit.episodes)
        if min(commit) < 0 or commit.tail_row > commit.rows or commit.tail > commit.head:
            raise CorruptRecordingError(f"/{fmt.COMMIT} and /{fmt.POSITIONS} contradict each other: {tuple(commit)}")
        return commit


def check_commit(num_rows: int, num_episodes: int) -> None:
    """Check the two numbers of ``/commit``: every episode has at least one row."""
    if not 0 <= num_episodes <= num_rows:
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
