"""What is wrong with a recording, as a value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import numpy as np

from gym_h5record.display import printable_lines

__all__ = ["CATALOGUE", "Findings", "Problem", "Severity", "make_problem", "quote", "reason"]


class Severity(str, Enum):
    """How bad a problem is.

    Attributes:
        ERROR: The file contradicts its format; something in it is missing or wrong.
        WARNING: The file is whole, but something about it should be known.
    """

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        severity: How bad it is.
        code: A word for programs, such as ``"column-missing"``.
        place: Where: a path in the file, with a row or an episode where there is one.
        message: What was expected and what was found.
        remedy: What to do about it.
    """

    severity: Severity
    code: str
    place: str
    message: str
    remedy: str = ""

    def __str__(self) -> str:
        return printable_lines(f"{self.severity.value} {self.code} at {self.place}: {self.message}")


_QUOTED_CHARACTERS = 80
_REASON_CHARACTERS = 160

_REPAIR = "Bring in what its recorder left: gym-h5record repair FILE"
_SALVAGE = "Copy what can be read into a new file: gym-h5record repair FILE --salvage NEW"
_COPY = "Copy the file again from where it came from, or save what is left: gym-h5record repair FILE --salvage NEW"
_UPGRADE = "Upgrade: pip install --upgrade gym_h5record"
_DELETE = "Nobody needs it any more; delete it."

CATALOGUE: dict[str, tuple[Severity, str]] = {
    # The file as a whole.
    "not-a-recording": (Severity.ERROR, ""),
    "format-version": (Severity.ERROR, _UPGRADE),
    "unreadable": (Severity.ERROR, _COPY),
    "interrupted": (Severity.ERROR, _REPAIR),
    "cut-short": (Severity.ERROR, _COPY),
    "left-behind": (Severity.WARNING, _DELETE),
    # Metadata.
    "metadata-missing": (Severity.ERROR, _SALVAGE),
    "metadata-unreadable": (Severity.ERROR, ""),
    "metadata-incomplete": (Severity.WARNING, ""),
    "totals": (Severity.ERROR, "/commit is the truth; recording another episode with mode='a' renews them."),
    "space-unreadable": (Severity.ERROR, ""),
    "env-spec": (Severity.WARNING, "Make the environment by hand to replay it."),
    # Structure.
    "schema": (Severity.ERROR, ""),
    "commit": (Severity.ERROR, _SALVAGE),
    "column-missing": (Severity.ERROR, _SALVAGE),
    "column-type": (Severity.ERROR, _SALVAGE),
    "column-short": (Severity.ERROR, _SALVAGE),
    "column-unreadable": (Severity.ERROR, _SALVAGE),
    "frames-link": (Severity.ERROR, _SALVAGE),
    "episode-span": (Severity.ERROR, _SALVAGE),
    "rows-left-over": (Severity.WARNING, "They belong to no episode; everything before them is good."),
    # Contents: how values are stored.
    "chunk-unreadable": (Severity.ERROR, _SALVAGE),
    "ragged": (Severity.ERROR, _SALVAGE),
    "type-code": (Severity.ERROR, _SALVAGE),
    "undecodable": (Severity.ERROR, _SALVAGE),
    "padding": (Severity.ERROR, _SALVAGE),
    "checksum": (Severity.ERROR, _COPY),
    # Contents: episodes and the rows they are made of.
    "dones": (Severity.ERROR, _SALVAGE),
    "done-early": (Severity.ERROR, _SALVAGE),
    "episode-flags": (Severity.ERROR, _SALVAGE),
    "episode-return": (Severity.ERROR, _SALVAGE),
    "episode-seed": (Severity.ERROR, _SALVAGE),
    "episode-id": (Severity.ERROR, _SALVAGE),
    "episode-origin": (Severity.ERROR, _SALVAGE),
    "episode-json": (Severity.ERROR, _SALVAGE),
    # Contents: what the environment gave and took.
    "not-finite": (Severity.WARNING, ""),
    "out-of-space": (Severity.WARNING, ""),
}
"""By code: severity and remedy. FILE is the recording, NEW a file to make."""


def make_problem(code: str, place: str, message: str) -> Problem:
    """A problem of a kind in the catalogue."""
    severity, remedy = CATALOGUE[code]
    return Problem(severity, code, place, message, remedy)


def quote(value: object) -> str:
    """Something from the file, for a message; no more than the beginning of it.

    Example:
        >>> quote("a" * 1000)[-5:]
        'aa...'
    """
    return _shortened(repr(value[:_QUOTED_CHARACTERS] if isinstance(value, str) else value), _QUOTED_CHARACTERS)


def reason(error: BaseException, path: Path) -> str:
    """What an error says about a recording, for a message."""
    text = str(error).removeprefix(f"{path}: ")
    text = f"it{text.removeprefix(str(path))}" if text.startswith(f"{path} ") else text
    return _shortened(text or type(error).__name__, _REASON_CHARACTERS)


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 3]}..."


@dataclass
class _Finding:
    """The first of its kind, and how many there are."""

    at: int
    detail: str
    unit: str
    count: int = 0


class Findings:
    """What is found while a recording is read from its first row to its last."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], _Finding] = {}

    def add(self, code: str, name: str, at: int, detail: str, *, count: int = 1, unit: str = "row") -> None:
        """Take note of something.

        Args:
            code: What it is.
            name: The column.
            at: Number of the first row.
            detail: About the first row.
            count: How many rows it is about.
            unit: What is counted, if not rows.
        """
        self._found.setdefault((code, name), _Finding(at, detail, unit)).count += count

    def add_where(
        self,
        code: str,
        name: str,
        wrong: np.ndarray,
        first: int,
        detail: Callable[[int], str],
        *,
        unit: str = "row",
    ) -> None:
        """Take note of rows that are wrong.

        Args:
            code: What it is.
            name: The column.
            wrong: Which of some rows that follow each other are wrong, ``(n,)`` bool.
            first: Number of the first of them.
            detail: Says from the position of a row among them what is wrong with it.
            unit: What is counted, if not rows.
        """
        count = int(np.count_nonzero(wrong))
        if count:
            at = int(wrong.argmax())
            text = "" if (code, name) in self._found else detail(at)  # the first one is shown
            self.add(code, name, first + at, text, count=count, unit=unit)

    def problems(self) -> list[Problem]:
        """All of it, in the order it was found first."""
        return [
            make_problem(code, f"/{name} {each.unit} {each.at}", each.detail + _likewise(each))
            for (code, name), each in self._found.items()
        ]


def _likewise(finding: _Finding) -> str:
    more = finding.count - 1
    return f"; likewise {more:,} more {finding.unit}{'s' if more > 1 else ''}" if more else ""
