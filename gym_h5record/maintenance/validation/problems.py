"""Problems: what one is, every kind there is, and how many rows with the same problem become one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import numpy as np

from gym_h5record.display import counted, printable_lines

__all__ = ["CATALOGUE", "Findings", "Problem", "Severity", "make_problem", "quote", "reason"]


class Severity(str, Enum):
    """How bad a problem is.

    Attributes:
        ERROR: The file contradicts its format: something in it is missing or wrong.
        WARNING: The file follows its format, but the user should know about something in it.
    """

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        severity: How bad it is.
        code: A word for programs, such as ``"column-missing"``.
        place: A path in the file, and the row or episode if there is one.
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


# Every kind of problem --------------------------------------------------------------------------------

_REPAIR = "Complete the file with the rows in its journal: gym-h5record repair FILE"
_SALVAGE = "Copy the readable rows into a new file: gym-h5record repair FILE --salvage NEW"
_COPY = "Copy the file again from its source, or save the readable rows: gym-h5record repair FILE --salvage NEW"
_UPGRADE = "Upgrade: pip install --upgrade gym_h5record"
_DELETE = "It is no longer needed; delete it."

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
    "totals": (Severity.ERROR, "Trust /commit. Recording another episode with mode='a' writes the totals again."),
    "space-unreadable": (Severity.ERROR, ""),
    "env-spec": (Severity.WARNING, "Make the environment yourself and pass it to `verify` or `branch`."),
    # Structure.
    "schema": (Severity.ERROR, ""),
    "commit": (Severity.ERROR, _SALVAGE),
    "column-missing": (Severity.ERROR, _SALVAGE),
    "column-type": (Severity.ERROR, _SALVAGE),
    "column-short": (Severity.ERROR, _SALVAGE),
    "column-unreadable": (Severity.ERROR, _SALVAGE),
    "frames-link": (Severity.ERROR, _SALVAGE),
    "episode-span": (Severity.ERROR, _SALVAGE),
    "rows-left-over": (Severity.WARNING, "They belong to no episode; all rows before them are good."),
    # Contents: how values are stored.
    "chunk-unreadable": (Severity.ERROR, _SALVAGE),
    "ragged": (Severity.ERROR, _SALVAGE),
    "type-code": (Severity.ERROR, _SALVAGE),
    "undecodable": (Severity.ERROR, _SALVAGE),
    "padding": (Severity.ERROR, _SALVAGE),
    "checksum": (Severity.ERROR, _COPY),
    # Contents: episodes and their rows.
    "dones": (Severity.ERROR, _SALVAGE),
    "done-early": (Severity.ERROR, _SALVAGE),
    "episode-flags": (Severity.ERROR, _SALVAGE),
    "episode-return": (Severity.ERROR, _SALVAGE),
    "episode-seed": (Severity.ERROR, _SALVAGE),
    "episode-id": (Severity.ERROR, _SALVAGE),
    "episode-origin": (Severity.ERROR, _SALVAGE),
    "episode-json": (Severity.ERROR, _SALVAGE),
    # Contents: values of the environment and of the agent.
    "not-finite": (Severity.WARNING, ""),
    "out-of-space": (Severity.WARNING, ""),
}
"""Severity and remedy by code. In a remedy, FILE is the recording and NEW a file to make."""


def make_problem(code: str, place: str, message: str) -> Problem:
    """Make a problem of a kind in ``CATALOGUE``."""
    severity, remedy = CATALOGUE[code]
    return Problem(severity, code, place, message, remedy)


# Text for messages ------------------------------------------------------------------------------------

_QUOTED_CHARACTERS = 80
_REASON_CHARACTERS = 160


def quote(value: object) -> str:
    """Quote a value from the file, at most 80 characters of it.

    Example:
        >>> quote("a" * 1000)[-5:]
        'aa...'
    """
    return _shortened(repr(value[:_QUOTED_CHARACTERS] if isinstance(value, str) else value), _QUOTED_CHARACTERS)


def reason(error: BaseException, path: Path) -> str:
    """Say what an error says about a recording, in at most 160 characters and without the directory of the file.

    Example:
        >>> reason(ValueError("/data/run.h5: /rewards is short"), Path("/data/run.h5"))
        '/rewards is short'
    """
    text = str(error)
    while text.startswith(f"{path}: "):
        text = text.removeprefix(f"{path}: ")
    text = f"it{text.removeprefix(str(path))}" if text.startswith(f"{path} ") else text
    return _shortened(text.replace(str(path), path.name) or type(error).__name__, _REASON_CHARACTERS)


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 3]}..."


# Many rows with one problem ---------------------------------------------------------------------------


@dataclass
class _Finding:
    """The first row with a problem, and how many rows have it."""

    at: int
    detail: str
    unit: str
    count: int = 0


class Findings:
    """Collects what is wrong with rows: one problem for each kind and column, however many rows have it."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], _Finding] = {}

    def add(self, code: str, name: str, at: int, detail: str, *, count: int = 1, unit: str = "row") -> None:
        """Note a problem of rows that follow each other.

        Args:
            code: The kind of problem.
            name: The column.
            at: Number of the first row.
            detail: What is wrong with the first row.
            count: How many rows have the problem.
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
        """Note a problem of some rows of a block.

        Args:
            code: The kind of problem.
            name: The column.
            wrong: Which rows of the block are wrong, ``(n,)`` bool.
            first: Number of the first row of the block.
            detail: Says what is wrong with a row, from its position in the block.
            unit: What is counted, if not rows.
        """
        count = int(np.count_nonzero(wrong))
        if count:
            at = int(wrong.argmax())
            text = "" if (code, name) in self._found else detail(at)  # only the first row is shown
            self.add(code, name, first + at, text, count=count, unit=unit)

    def problems(self) -> list[Problem]:
        """All problems, in the order in which each was found first."""
        return [
            make_problem(code, f"/{name} {each.unit} {each.at}", each.detail + _likewise(each))
            for (code, name), each in self._found.items()
        ]


def _likewise(finding: _Finding) -> str:
    return f"; likewise {counted(finding.count - 1, f'more {finding.unit}')}" if finding.count > 1 else ""
