"""What is wrong with a recording, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from gym_h5record.printable import printable_lines

__all__ = ["Problem", "Severity"]


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
