"""Who chooses the actions: chance, or a function of the user's.

A policy is called with the observation and returns the action. Learning, and
anything with a state of its own, is the user's business.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Any

import click
from gymnasium import Space

from gym_h5record.cli.program import CommandError

__all__ = [
    "RANDOM",
    "Policy",
    "check_callable_name",
    "check_policy_name",
    "load_callable",
    "load_policy",
    "random_policy",
]


Policy = Callable[[Any], Any]

RANDOM = "random"


def check_policy_name(context: click.Context, parameter: click.Parameter, name: str) -> str:
    """Refuse what can be no policy before anything is imported or made.

    Raises:
        click.BadParameter: If it is neither ``random`` nor ``package.module:callable``.
    """
    if name != RANDOM and not _is_callable_name(name):
        raise click.BadParameter(f"expected {RANDOM!r} or package.module:callable, got {name!r}", context, parameter)
    return name


def check_callable_name(context: click.Context, parameter: click.Parameter, name: str | None) -> str | None:
    """The same for what can be nothing but a callable, or left out.

    Raises:
        click.BadParameter: If it is no ``package.module:callable``.
    """
    if name is not None and not _is_callable_name(name):
        raise click.BadParameter(f"expected package.module:callable, got {name!r}", context, parameter)
    return name


def _is_callable_name(name: str) -> bool:
    module, colon, attribute = name.partition(":")
    return bool(module and colon and attribute)


def random_policy(space: Space[Any], seed: int | None) -> Policy:
    """Actions drawn from the space, the same ones for the same seed."""
    if seed is not None:
        space.seed(seed)
    return lambda observation: space.sample()


def load_policy(name: str) -> Policy:
    """The policy that ``package.module:callable`` names, to be called with an observation.

    Raises:
        Problem: If it cannot be imported or called.
    """
    return load_callable(name, "policy")


def load_callable(name: str, what: str) -> Callable[..., Any]:
    """The callable that ``package.module:callable`` names.

    Args:
        name: Its name.
        what: What it is, for errors.

    Raises:
        CommandError: If it cannot be imported or called.
    """
    module, _, attribute = name.partition(":")
    try:
        found = functools.reduce(getattr, attribute.split("."), importlib.import_module(module))
    except (ImportError, SyntaxError, AttributeError) as error:
        raise CommandError(
            f"cannot import the {what} {name!r}: {type(error).__name__}: {error}. It is looked for on "
            "Python's path and in the current directory."
        ) from error
    if not callable(found):
        raise CommandError(f"the {what} {name!r} is of type {type(found).__name__}; it must be callable.")
    called: Callable[..., Any] = found
    return called
