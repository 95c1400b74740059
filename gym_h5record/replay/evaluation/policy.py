"""``Policy``: the callable that chooses actions. Errors get a note that says where they were raised."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["Policy", "begin_episode", "noting"]

Policy = Callable[[Any], Any]
"""Called with an observation, returns an action. A policy with a memory also has ``reset()``."""


def begin_episode(policy: Policy, episode: int) -> None:
    """Call the policy's ``reset``, if it has one."""
    reset = getattr(policy, "reset", None)
    if callable(reset):
        with noting(f"raised by the policy's reset before episode {episode}"):
            reset()


@contextmanager
def noting(note: str) -> Iterator[None]:
    """Add a note to every exception of the block. Python 3.10 has no notes; there this does nothing."""
    try:
        yield
    except Exception as error:
        if hasattr(error, "add_note"):
            error.add_note(note)
        raise
