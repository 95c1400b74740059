"""Choices a caller may make, checked: every option says what it expected and what it got."""

from __future__ import annotations

from typing import Any

from gym_h5record.errors import OptionError

__all__ = ["check_atol"]


def check_atol(atol: Any) -> float:
    """A tolerance that was asked for.

    Raises:
        OptionError: If it is negative or no number.
    """
    if not (isinstance(atol, (int, float)) and atol >= 0):
        raise OptionError(f"atol: expected a number from 0 on, got {atol!r:.80}")
    return float(atol)
