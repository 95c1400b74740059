"""Asking a policy for actions: a callable with or without a memory. Whose fault an error is, its note says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["Policy", "begin_episode", "noting"]


Policy = Callable[[Any], Any]
"""Called with an observation, returns an action. One with a memory has ``reset()``."""


def begin_episode(policy: Policy, episode: int) -> None:
    """Tell a policy that has a memory that an episode begins."""
    reset = getattr(policy, "reset", None)
    if callable(reset):
        with noting(f"raised by the policy's reset before episode {episode}"):
            reset()


@contextmanager
def noting(note: str) -> Iterator[None]:
    """Add a note to whatever is raised; Python 3.10 shows none."""
    try:
        yield
    except Exception as error:
        if hasattr(error, "add_note"):
            error.add_note(note)
        raise
