"""Policies and environments that users write: ``package.module:callable`` names, checked and imported.

A policy is called with the observation and returns the action.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from gymnasium import Space

from gym_h5record.cli.program import CommandError

__all__ = [
    "RANDOM",
    "check_callable_name",
    "check_policy_name",
    "import_from_current_directory",
    "load_callable",
    "random_policy",
]


RANDOM = "random"


def check_policy_name(context: click.Context, parameter: click.Parameter, name: str) -> str:
    """Check the form of a policy's name before anything is imported or made.

    Raises:
        click.BadParameter: If it is neither ``random`` nor ``package.module:callable``.
    """
    if name != RANDOM and not _is_callable_name(name):
        raise click.BadParameter(f"expected {RANDOM!r} or package.module:callable, got {name!r}", context, parameter)
    return name


def check_callable_name(context: click.Context, parameter: click.Parameter, name: str | None) -> str | None:
    """Check the form of a callable's name; None if the option is not given.

    Raises:
        click.BadParameter: If it is not ``package.module:callable``.
    """
    if name is not None and not _is_callable_name(name):
        raise click.BadParameter(f"expected package.module:callable, got {name!r}", context, parameter)
    return name


def _is_callable_name(name: str) -> bool:
    module, colon, attribute = name.partition(":")
    return bool(module and colon and attribute)


def import_from_current_directory() -> None:
    """Let the user's modules be found in the current directory, as ``python -m`` does."""
    sys.path.insert(0, str(Path.cwd()))


def random_policy(space: Space[Any], seed: int | None) -> Callable[[Any], Any]:
    """Draw actions from the space; the same seed gives the same actions."""
    if seed is not None:
        space.seed(seed)
    return lambda observation: space.sample()


def load_callable(name: str, what: str) -> Callable[..., Any]:
    """Import the callable that ``package.module:callable`` names.

    Args:
        name: The name.
        what: The word for it in messages.

    Raises:
        CommandError: If it cannot be imported, or is not callable.
    """
    module, _, attribute = name.partition(":")
    try:
        found = functools.reduce(getattr, attribute.split("."), importlib.import_module(module))
    except (ImportError, SyntaxError, AttributeError) as error:
        raise CommandError(
            f"cannot import the {what} {name!r}: {type(error).__name__}: {error}. "
            "It is searched for on Python's path and in the current directory."
        ) from error
    if not callable(found):
        raise CommandError(f"the {what} {name!r} is of type {type(found).__name__}; it must be callable.")
    called: Callable[..., Any] = found
    return called
