"""Policies and environments that users write: ``package.module:callable`` names, checked and imported.

A policy is called with the observation and returns the action.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import click
from gymnasium import Space

from gym_h5record.cli.environments import quieten_atari
from gym_h5record.cli.program import CommandError
from gym_h5record.cli.progress import OnProgress, row_progress
from gym_h5record.reading.recording import Recording

__all__ = [
    "RANDOM",
    "check_callable_name",
    "check_policy_name",
    "import_from_current_directory",
    "load_callable",
    "random_policy",
    "running_episodes",
]

RANDOM = "random"


def check_policy_name(context: click.Context, parameter: click.Parameter, name: str) -> str:
    """Check the form of a policy's name before anything is imported or made."""
    if name != RANDOM and not _is_callable_name(name):
        raise click.BadParameter(f"expected {RANDOM!r} or package.module:callable, got {name!r}", context, parameter)
    return name


def check_callable_name(context: click.Context, parameter: click.Parameter, name: str | None) -> str | None:
    """Check the form of a callable's name; None if the option is not given."""
    if name is not None and not _is_callable_name(name):
        raise click.BadParameter(f"expected package.module:callable, got {name!r}", context, parameter)
    return name


def _is_callable_name(name: str) -> bool:
    module, colon, attribute = name.partition(":")
    return bool(module and colon and attribute)


def import_from_current_directory() -> None:
    """Let the user's modules be found in the current directory, as ``python -m`` does."""
    sys.path.insert(0, str(Path.cwd()))


@contextmanager
def running_episodes(path: Path, *, as_json: bool, workers: int = 1) -> Iterator[OnProgress | None]:
    """Run the user's code on episodes: draw a bar, or with ``as_json`` move what the code prints to stderr.

    ALE prints no banner in this process. Other processes print theirs when they start, so that with them the bar is
    drawn after the first episode.
    """
    import_from_current_directory()
    with Recording(path) as recording:
        if str(recording.metadata.get("env_class")).startswith("ale_py."):
            quieten_atari()
    with (
        redirect_stdout(sys.stderr if as_json else sys.stdout),
        row_progress(path.name, "episodes", is_shown=not as_json, at_once=workers == 1) as on_progress,
    ):
        yield on_progress


def random_policy(space: Space[Any], seed: int | None) -> Callable[[Any], Any]:
    """Draw actions from the space; the same seed gives the same actions."""
    if seed is not None:
        space.seed(seed)
    return lambda observation: space.sample()


def load_callable(name: str, what: str) -> Callable[..., Any]:
    """Import the callable that ``package.module:callable`` names; messages call it ``what``."""
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
