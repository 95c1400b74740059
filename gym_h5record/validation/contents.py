"""Whether what is in the columns makes sense: every committed row is read, block by block.

A block has so many rows that all its columns together take a few megabytes, so
memory does not grow with the file; each column is read from its first item to
its last, once. What is in a block is the business of ``episodes`` and ``values``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gymnasium import Space

from gym_h5record import format as fmt
from gym_h5record.layout import all_fields
from gym_h5record.schema import Schema
from gym_h5record.validation.episodes import Episodes
from gym_h5record.validation.findings import Findings
from gym_h5record.validation.lists import Lists
from gym_h5record.validation.problem import Problem
from gym_h5record.validation.rows import Columns, Rows
from gym_h5record.validation.structure import Structure
from gym_h5record.validation.subject import Subject
from gym_h5record.validation.values import Values

__all__ = ["content_problems"]

_BLOCK_BYTES = 4 << 20
_MAX_BLOCK_ROWS = 1 << 14


def content_problems(
    structure: Structure,
    subject: Subject,
    spaces: dict[str, Space[Any]],
    on_progress: Callable[[int, int], None] | None = None,
) -> list[Problem]:
    """What is wrong with the contents of an open recording.

    Args:
        structure: Its structure, which has been looked at.
        subject: The recording.
        spaces: Its spaces, by the columns that hold their values; those that cannot be read are not there.
        on_progress: Called with the rows that have been looked at, and with how many there are.

    Returns:
        One problem for each kind and column, in the order they are found.
    """
    findings = Findings()
    columns = Columns(subject, structure.broken, findings)
    lists = Lists(columns, findings)
    episodes = Episodes(subject, columns, lists, findings) if structure.is_indexed else None
    values = Values(subject, lists, findings, spaces)
    size, rows = _block_rows(subject.schema), None
    for start in range(0, subject.whole_rows, size):
        rows = Rows(columns, start, min(start + size, subject.whole_rows), rows)
        last = None if episodes is None else episodes.check(rows)
        values.check(rows, last)
        if on_progress is not None:
            on_progress(rows.stop, subject.whole_rows)
    return findings.problems()


def _block_rows(schema: Schema) -> int:
    """Rows in a block: a power of two, as those of chunks."""
    row_bytes = sum(
        field.item_bytes
        for field in all_fields(schema)
        if field.parent is None and not field.name.startswith(f"{fmt.EPISODES}/")
    )
    fitting = min(_BLOCK_BYTES // row_bytes, _MAX_BLOCK_ROWS)
    return 1 << max(fitting.bit_length() - 1, 0)
