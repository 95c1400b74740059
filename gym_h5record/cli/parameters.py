"""Parsers of option values that several commands share."""

from __future__ import annotations

import ast
import os
import re
from pathlib import Path
from typing import Any

import click

from gym_h5record.storage.paths import given_path

__all__ = ["GivenPath", "parse_episodes", "parse_pairs"]

_RANGE = re.compile(r"(\d+)(?:-(\d+))?")
_MAX_EPISODES = 1 << 20  # of one range: 0-99999999999 must not fill the memory


class GivenPath(click.Path):
    """A path, in which ``~`` is the home directory: shells leave it as it is in ``--output=~/run.h5``."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(
        self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> str | bytes | os.PathLike[str]:
        """The path, as click calls it."""
        return super().convert(given_path(value), param, ctx)


def parse_episodes(context: click.Context, parameter: click.Parameter, text: str | None) -> list[int] | None:
    """Parse episode numbers and ranges such as ``0,3-5``; None if the option is not given."""
    if text is None:
        return None
    numbers: list[int] = []
    for part in text.split(","):
        match = _RANGE.fullmatch(part.strip())
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not 0 <= last - first < _MAX_EPISODES:
            raise click.BadParameter(f"expected numbers and ranges such as 0,3-5, got {text!r}", context, parameter)
        numbers += range(first, last + 1)
    return numbers


def parse_pairs(context: click.Context, parameter: click.Parameter, pairs: tuple[str, ...]) -> dict[str, Any]:
    """Parse the ``key=value`` pairs of a repeatable option; a value that is no Python literal is a string."""
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
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):  # all that literal_eval may raise
        return text
