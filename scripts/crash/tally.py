"""Adds up findings, and makes the table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from .findings import Finding

__all__ = ["Tally", "markdown"]

_HEADINGS = (
    "what happens",
    "crash points",
    "nothing recorded yet",
    "files that open after repair",
    "steps acknowledged",
    "steps found",
    "steps lost",
    "episodes that contradict",
)
_NUMBERS = ("points", "empty", "opened", "acknowledged", "found", "lost", "contradicting", "strays", "failures")


@dataclass
class Tally:
    """The findings for one kind of crash.

    Attributes:
        kind: Its line in the table.
        points: Crash points that were tried.
        empty: Crash points without a file, because nothing had been recorded yet.
        opened: Files that could be read after ``repair``.
        acknowledged: Steps that had returned, in all files together.
        found: Steps in the files.
        lost: Acknowledged steps that are missing; all steps of a file that does not open.
        contradicting: Episodes that differ from the played ones.
        strays: Crash points with files left beside the recording.
        failures: Victims that ended before they were killed.
        problems: Sentences about everything that went wrong, each with its place.
    """

    kind: str
    points: int = 0
    empty: int = 0
    opened: int = 0
    acknowledged: int = 0
    found: int = 0
    lost: int = 0
    contradicting: int = 0
    strays: int = 0
    failures: int = 0
    problems: list[str] = field(default_factory=list)

    def add(self, finding: Finding, acknowledged: list[int], where: str, *, points: int = 1) -> None:
        """Add the finding after ``points`` crashes. All acknowledged acts of an unreadable file count as lost steps."""
        self.points += points
        self.empty += finding.is_empty * points
        self.opened += finding.opens * points
        promised = finding.promised or acknowledged
        self.acknowledged += sum(promised)
        self.found += sum(finding.found)
        lost = sum(max(0, steps - found) for steps, found in zip(promised, finding.found, strict=True))
        self.lost += lost
        self.contradicting += len(finding.contradicting)
        self.strays += bool(finding.strays)
        if lost:
            self.problems.append(f"{where}: {lost} of {sum(promised)} steps are lost")
        self.problems += [f"{where}: {problem}" for problem in finding.problems]
        if finding.strays:
            self.problems.append(f"{where}: left behind: {', '.join(finding.strays)}")

    def fail(self, problem: str) -> None:
        """Note that a victim ended before it was killed."""
        self.failures += 1
        self.problems.append(problem)

    def merge(self, other: Tally) -> None:
        """Add the findings of another tally."""
        for name in _NUMBERS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.problems += other.problems

    @property
    def is_good(self) -> bool:
        """Whether nothing was lost, nothing contradicts, and every file opens."""
        bad = self.lost or self.contradicting or self.failures
        return not bad and self.opened + self.empty == self.points

    def as_dict(self) -> dict[str, Any]:
        """The attributes, for JSON."""
        return asdict(self)


def markdown(tallies: Iterable[Tally]) -> str:
    """The table: a line for each tally, and a line for their sum."""
    total = Tally("**all together**")
    lines = [_line(_HEADINGS), _line(["---", *["---:"] * (len(_HEADINGS) - 1)])]
    for tally in tallies:
        lines.append(_line(_cells(tally)))
        total.merge(tally)
    return "\n".join([*lines, _line(_cells(total))])


def _cells(tally: Tally) -> list[str]:
    return [tally.kind, *(f"{getattr(tally, name):,}" for name in _NUMBERS[: len(_HEADINGS) - 1])]


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
