"""Options that several commands read in the same way."""

from __future__ import annotations

import ast
from typing import Any

import click

__all__ = ["parse_pairs"]


def parse_pairs(context: click.Context, parameter: click.Parameter, pairs: tuple[str, ...]) -> dict[str, Any]:
    """``key=value`` pairs of a repeatable option, values as Python literals or else as strings.

    Raises:
        click.BadParameter: If one is not ``key=value``.
    """
    parsed = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise click.BadParameter(f"expected key=value, got {pair!r}", context, parameter)
        parsed[key] = _literal(value)
    return parsed


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):  # all that it may raise
        return text
