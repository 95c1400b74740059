"""Checks of options: messages say what was expected and what the caller gave."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from gym_h5record.errors import OptionError

__all__ = ["check_atol", "check_one_of"]


def check_one_of(name: str, value: Any, known: Collection[Any]) -> None:
    """Raise ``OptionError`` if the caller's value of an option is none of the known ones."""
    if not any(isinstance(value, type(each)) and value == each for each in known):  # 0 equals False
        raise OptionError(f"{name}: expected one of {', '.join(map(repr, known))}, got {value!r:.80}")


def check_atol(atol: Any) -> float:
    """A tolerance as a float. Raises ``OptionError`` if it is negative or not a number."""
    if not (isinstance(atol, (int, float)) and atol >= 0):
        raise OptionError(f"atol: expected a number from 0 on, got {atol!r:.80}")
    return float(atol)
