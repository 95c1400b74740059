"""Choices a caller may make, checked: every option says what it expected and what it got."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from gym_h5record.errors import OptionError

__all__ = ["check_atol", "check_one_of"]


def check_one_of(name: str, value: Any, known: Collection[Any]) -> None:
    """Check that an option has one of the values it may have.

    Args:
        name: The option, as the caller spells it.
        value: What the caller gave.
        known: The values it may have.

    Raises:
        OptionError: If ``value`` is none of them.
    """
    if value not in known:
        raise OptionError(f"{name}: expected one of {', '.join(map(repr, known))}, got {value!r:.80}")


def check_atol(atol: Any) -> float:
    """A tolerance that was asked for.

    Raises:
        OptionError: If it is negative or no number.
    """
    if not (isinstance(atol, (int, float)) and atol >= 0):
        raise OptionError(f"atol: expected a number from 0 on, got {atol!r:.80}")
    return float(atol)
