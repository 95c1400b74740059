"""Problems of one kind in one column, counted: a million wrong rows are one problem."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gym_h5record.validation.catalogue import make_problem
from gym_h5record.validation.problem import Problem

__all__ = ["Findings"]


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
