"""Problems: what one is, every kind there is, and how many rows with the same problem become one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import numpy as np

from gym_h5record.display import counted, full_repr, printable_lines
from gym_h5record.format.names import ENDS
from gym_h5record.format.nodes import Field

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

_SALVAGE = "Copy the readable rows into a new file: gym-h5record repair FILE --salvage NEW"
_COPY = "Copy the file again from its source, or save the readable rows: gym-h5record repair FILE --salvage NEW"

CATALOGUE: dict[str, tuple[Severity, str]] = {
    # The file as a whole.
    "not-a-recording": (Severity.ERROR, ""),
    "format-version": (Severity.ERROR, "Upgrade: pip install --upgrade gym_h5record"),
    "unreadable": (Severity.ERROR, _COPY),
    "interrupted": (Severity.ERROR, "Complete the file with the rows in its journal: gym-h5record repair FILE"),
    "cut-short": (Severity.ERROR, _COPY),
    "left-behind": (Severity.WARNING, "It is no longer needed; delete it."),
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
    "mask": (Severity.ERROR, "Name its episodes again: gym_h5record.add_mask(FILE, name, episodes, replace=True)"),
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
    # Contents: values of the environment and of the agent, and when they came.
    "not-finite": (Severity.WARNING, ""),
    "out-of-space": (Severity.WARNING, ""),
    "time-order": (Severity.WARNING, "Do not compute with the times of these rows; nothing else depends on /times."),
}
"""Severity and remedy by code. In a remedy, FILE is the recording and NEW a file to make."""


def make_problem(code: str, place: str, message: str) -> Problem:
    """Make a problem of a kind in ``CATALOGUE``."""
    severity, remedy = CATALOGUE[code]
    return Problem(severity, code, place, message, remedy)


# Text for messages ------------------------------------------------------------------------------------


def quote(value: object) -> str:
    """Quote a value from the file, at most 80 characters of it.

    Example:
        >>> quote("a" * 1000)[-5:]
        'aa...'
    """
    return _shortened(full_repr(value[:80] if isinstance(value, str) else value), 80)


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
    return _shortened(text.replace(str(path), path.name) or type(error).__name__, 160)


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 3]}..."


# Many rows with one problem ---------------------------------------------------------------------------


@dataclass
class _Finding:
    """The first row with a problem, and how many rows have it."""

    at: int
    detail: str
    count: int = 0


class Findings:
    """Collects what is wrong with rows: one problem for each kind and column, however many rows have it.

    Args:
        fields: The fields of the recording: their ``axis`` says whether rows, episodes or items are numbered.
    """

    def __init__(self, fields: Iterable[Field] = ()) -> None:
        self._axes: dict[str, str] = {field.name: field.axis for field in fields}
        self._found: dict[tuple[str, str], _Finding] = {}

    def add(self, code: str, name: str, at: int, detail: str, *, count: int = 1) -> None:
        """Note a problem of rows that follow each other.

        Args:
            code: The kind of problem.
            name: The column, or the node of a value.
            at: Number of the first row.
            detail: What is wrong with the first row.
            count: How many rows have the problem.
        """
        self._found.setdefault((code, name), _Finding(at, detail)).count += count

    def add_where(self, code: str, name: str, wrong: np.ndarray, first: int, detail: Callable[[int], str]) -> bool:
        """Note a problem of some rows of a block.

        Args:
            code: The kind of problem.
            name: The column, or the node of a value.
            wrong: Which rows of the block are wrong, ``(n,)`` bool.
            first: Number of the first row of the block.
            detail: Says what is wrong with a row, from its position in the block.

        Returns:
            Whether any row is wrong.
        """
        count = int(np.count_nonzero(wrong))
        if count:
            at = int(wrong.argmax())
            text = "" if (code, name) in self._found else detail(at)  # only the first row is shown
            self.add(code, name, first + at, text, count=count)
        return count > 0

    def problems(self) -> list[Problem]:
        """All problems, in the order in which each was found first."""
        return [self._problem(code, name, finding) for (code, name), finding in self._found.items()]

    def _problem(self, code: str, name: str, finding: _Finding) -> Problem:
        axis = self._axes.get(name) or self._axes.get(f"{name}/{ENDS}", "row")  # a text is a node: its ends are a field
        likewise = f"; likewise {counted(finding.count - 1, f'more {axis}')}" if finding.count > 1 else ""
        return make_problem(code, f"/{name} {axis} {finding.at}", finding.detail + likewise)
