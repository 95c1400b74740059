"""The way to a step of a recorded episode, compared with the recording at every step of it."""

from __future__ import annotations

from collections.abc import Sequence

from gym_h5record.reader import Episode
from gym_h5record.resimulate.check import Comparison, check_episode
from gym_h5record.resimulate.reports import Divergence
from gym_h5record.resimulate.rerun import Rerun

__all__ = ["go_to"]


def go_to(
    rerun: Rerun, chain: Sequence[Episode], num_steps: int, comparison: Comparison, *, restore_all: bool
) -> Divergence | None:
    """Run episodes one after the other, of the last one the first steps only.

    What was hidden at the reset may show in any step: a reward, say, that running statistics scale.

    Args:
        rerun: The environment; ``rerun.last`` is what it gave last.
        chain: The episodes.
        num_steps: How many steps of the last one to take.
        comparison: How to compare the last one.
        restore_all: Whether to restore every episode's snapshot, not only the first one's.

    Returns:
        Where the last episode first differs, if it does.
    """
    before = chain[:-1]
    if before:
        rerun.play(before, before[-1].length, restore_all=restore_all)
    restore = restore_all or not before
    return check_episode(rerun, chain[-1], comparison, restore=restore, num_steps=num_steps).divergence
