"""Checks the numbers of ``/commit`` and of the episode index.

A file may be damaged or hostile, so every reader and writer checks these
numbers before it uses them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format import names as fmt
from gym_h5record.format.nodes import Field

__all__ = ["check_commit", "check_span", "committed_items"]


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
