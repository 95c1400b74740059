"""Adds up the outcomes of hostile files, and makes the table."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass, field

from .worker import Outcome

__all__ = ["COLUMNS", "Tally", "markdown"]

COLUMNS = (
    "files",
    "probes",
    "refused",
    "harmless",
    "other values",
    "hang",
    "crash",
    "memory",
    "touched outside",
    "other",
)
"""The columns of the table. From ``hang`` on, all numbers must be zero."""

_WRONG = {"hang": "hang", "crash": "crash", "memory": "memory", "touched": "touched outside"}
_FORBIDDEN = COLUMNS[COLUMNS.index("hang") :]


@dataclass
class Tally:
    """The outcomes of one group of files.

    Attributes:
        name: The name of the group.
        counts: Numbers by the columns of the table.
        problems: A line for each outcome that must not be.
        slowest_s: The longest time that an entry took.
        largest_bytes: The most memory that an entry took.
    """

    name: str
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COLUMNS, 0))
    problems: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    largest_bytes: int = 0

    @property
    def is_good(self) -> bool:
        """Whether all numbers that must be zero are zero."""
        return not any(self.counts[name] for name in _FORBIDDEN)

    def add_file(self) -> None:
        """Count a file."""
        self.counts["files"] += 1

    def add(self, file: str, entry: str, outcome: Outcome, good: Outcome | None = None) -> None:
        """Count an outcome.

        Args:
            file: The name of the file, for messages.
            entry: The name of the entry.
            outcome: The outcome of the file.
            good: The outcome of the good recording that the file was made from; None if they cannot be compared.
        """
        self.counts["probes"] += 1
        self.slowest_s = max(self.slowest_s, outcome.seconds)
        self.largest_bytes = max(self.largest_bytes, outcome.growth_bytes)
        if outcome.kind == "refused":
            self.counts["refused"] += 1
        elif outcome.kind == "done":
            is_same = good is None or good.digest == outcome.digest
            self.counts["harmless" if is_same else "other values"] += 1
        else:
            self.counts[_WRONG.get(outcome.kind, "other")] += 1
            self.problems.append(f"{file}, {entry}: {outcome.kind}: {outcome.detail}")
            print(self.problems[-1], file=sys.stderr)  # at once: the other files may take an hour


def markdown(tallies: Iterable[Tally]) -> str:
    """The table: a line for each tally, and a line for their sum."""
    tallies = list(tallies)
    total = {name: sum(tally.counts[name] for tally in tallies) for name in COLUMNS}
    lines = [f"| what | {' | '.join(COLUMNS)} |", f"|---|{'---:|' * len(COLUMNS)}"]
    for name, counts in [*((tally.name, tally.counts) for tally in tallies), ("together", total)]:
        lines.append(f"| {name} | {' | '.join(f'{counts[column]:,}' for column in COLUMNS)} |")
    return "\n".join(lines)
