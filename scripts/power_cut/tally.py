"""Adds up what is left after power cuts, and makes the table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["Tally", "markdown"]

_HEADINGS = (
    "power cut during",
    "power cuts",
    "nothing synced yet",
    "files that open after repair",
    "steps that had to be there",
    "steps found",
    "steps lost",
    "episodes that contradict",
    "left behind",
)
_NUMBERS = ("cuts", "empty", "opened", "promised", "found", "lost", "contradicting", "strays")


@dataclass
class Tally:
    """What was found after the power cuts of one kind.

    Attributes:
        kind: What was going on.
        cuts: How often the power was cut.
        empty: How often there was no recording, because nothing had been synced yet.
        opened: How many files were whole after ``repair``.
        promised: Steps whose commit had been completed.
        found: Steps in the files.
        lost: Steps promised and missing, or all of them where a file does not open.
        contradicting: Episodes that are not what was played.
        strays: How often something was left beside the recording.
        has_promise: Whether any of this is promised.
        problems: What went wrong, each with where.
    """

    kind: str
    cuts: int = 0
    empty: int = 0
    opened: int = 0
    promised: int = 0
    found: int = 0
    lost: int = 0
    contradicting: int = 0
    strays: int = 0
    has_promise: bool = True
    problems: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Whether what is promised has been kept."""
        wrong = self.lost or self.contradicting or self.problems
        return not self.has_promise or (not wrong and self.opened + self.empty == self.cuts)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def markdown(tallies: Iterable[Tally]) -> str:
    """The table, a line for each tally."""
    lines = [_line(_HEADINGS), _line(["---", *["---:"] * (len(_HEADINGS) - 1)])]
    return "\n".join([*lines, *(_line(_cells(tally)) for tally in tallies)])


def _cells(tally: Tally) -> list[str]:
    return [tally.kind, *(f"{getattr(tally, name):,}" for name in _NUMBERS)]


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
