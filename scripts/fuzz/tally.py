"""Adds up what became of hostile files, and makes the table of it."""

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
"""Of the table; from ``hang`` on, whatever is not zero is wrong."""

_WRONG = {"hang": "hang", "crash": "crash", "memory": "memory", "touched": "touched outside"}
_FORBIDDEN = COLUMNS[COLUMNS.index("hang") :]


@dataclass
class Tally:
    """What became of some files.

    Attributes:
        name: What they have in common.
        counts: By the columns of the table.
        problems: What was wrong, a line each.
        slowest_s: The longest that an entry took.
        largest_bytes: The most memory that an entry took.
    """

    name: str
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COLUMNS, 0))
    problems: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    largest_bytes: int = 0

    @property
    def is_good(self) -> bool:
        """Whether nothing happened that must not happen."""
        return not any(self.counts[name] for name in _FORBIDDEN)

    def add_file(self) -> None:
        """Another file."""
        self.counts["files"] += 1

    def add(self, file: str, entry: str, outcome: Outcome, good: Outcome | None = None) -> None:
        """Another file through an entry.

        Args:
            file: Which one, for people.
            entry: Which entry.
            outcome: What came of it.
            good: What comes of the good recording that the file was made from, None if that cannot be compared.
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
            print(self.problems[-1], file=sys.stderr)  # at once: the rest may take an hour


def markdown(tallies: Iterable[Tally]) -> str:
    """The table, with a last line that adds up the others."""
    tallies = list(tallies)
    total = {name: sum(tally.counts[name] for tally in tallies) for name in COLUMNS}
    lines = [f"| what | {' | '.join(COLUMNS)} |", f"|---|{'---:|' * len(COLUMNS)}"]
    for name, counts in [*((tally.name, tally.counts) for tally in tallies), ("together", total)]:
        lines.append(f"| {name} | {' | '.join(f'{counts[column]:,}' for column in COLUMNS)} |")
    return "\n".join(lines)
