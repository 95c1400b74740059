"""Adds up the results of power cuts, and makes the table."""

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
    """The results of the power cuts of one kind.

    Attributes:
        kind: Its line in the table.
        cuts: Power cuts.
        empty: Power cuts after which there was no recording, because nothing had been synced yet.
        opened: Files that were whole after ``repair``.
        promised: Steps whose commit had been completed.
        found: Steps in the files.
        lost: Promised steps that are missing; all steps of a file that does not open.
        contradicting: Episodes that differ from the played ones.
        strays: Power cuts that left files beside the recording.
        has_promise: Whether the recorder promises anything: it does not with ``durability="process"``.
        problems: Sentences about everything that went wrong, each with its place.
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
        """Whether every promise was kept."""
        wrong = self.lost or self.contradicting or self.problems
        return not self.has_promise or (not wrong and self.opened + self.empty == self.cuts)

    def as_dict(self) -> dict[str, Any]:
        """The attributes, for JSON."""
        return asdict(self)


def markdown(tallies: Iterable[Tally]) -> str:
    """The table: a line for each tally."""
    lines = [_line(_HEADINGS), _line(["---", *["---:"] * (len(_HEADINGS) - 1)])]
    return "\n".join([*lines, *(_line(_cells(tally)) for tally in tallies)])


def _cells(tally: Tally) -> list[str]:
    return [tally.kind, *(f"{getattr(tally, name):,}" for name in _NUMBERS)]


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
