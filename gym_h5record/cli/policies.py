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

from gym_h5record.cli.exits import Problem

__all__ = ["RANDOM", "Policy", "check_policy_name", "load_policy", "random_policy"]

Policy = Callable[[Any], Any]

RANDOM = "random"


def check_policy_name(context: click.Context, parameter: click.Parameter, name: str) -> str:
    """Refuse what can be no policy before anything is imported or made.

    Raises:
        click.BadParameter: If it is neither ``random`` nor ``package.module:callable``.
    """
    module, colon, attribute = name.partition(":")
    if name != RANDOM and not (module and colon and attribute):
        raise click.BadParameter(f"expected {RANDOM!r} or package.module:callable, got {name!r}", context, parameter)
    return name


def random_policy(space: Space[Any], seed: int | None) -> Policy:
    """Actions drawn from the space, the same ones for the same seed."""
    if seed is not None:
        space.seed(seed)
    return lambda observation: space.sample()


def load_policy(name: str) -> Policy:
    """The callable that ``package.module:callable`` names.

    Raises:
        Problem: If it cannot be imported or called.
    """
    module, _, attribute = name.partition(":")
    try:
        policy = functools.reduce(getattr, attribute.split("."), importlib.import_module(module))
    except (ImportError, SyntaxError, AttributeError) as error:
        raise Problem(
            f"cannot import the policy {name!r}: {type(error).__name__}: {error}. It is looked for on "
            "Python's path and in the current directory."
        ) from error
    if not callable(policy):
        raise Problem(
            f"the policy {name!r} is of type {type(policy).__name__}; it must be callable with an observation."
        )
    called: Policy = policy
    return called
