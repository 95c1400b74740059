"""When to record: the triggers and counters of Gymnasium's ``RecordVideo``.

A trigger takes a zero-based counter and returns True to start recording. This
module decides; it neither steps environments nor writes files.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Schedule", "Trigger"]


Trigger = Callable[[int], bool]


class Schedule:
    """Counts episodes and steps, and says when recording starts and stops.

    Episodes count every ``reset``, early ones included; steps count every
    ``step``, over all episodes. Recording stops at the next ``reset`` unless
    the episode trigger starts it anew. Without triggers everything is recorded.

    Attributes:
        episode_id: Number of the running episode, -1 before the first reset.
        step_id: Number of the last step, -1 before the first.

    Example:
        >>> schedule = Schedule(episode_trigger=lambda episode: episode % 2 == 1)
        >>> [schedule.on_reset() for _ in range(4)]
        [False, True, False, True]
    """

    def __init__(self, episode_trigger: Trigger | None = None, step_trigger: Trigger | None = None) -> None:
        self._episode_trigger = episode_trigger
        self._step_trigger = step_trigger
        self._always = episode_trigger is None and step_trigger is None
        self.episode_id = -1
        self.step_id = -1

    @property
    def watches_steps(self) -> bool:
        """Whether ``on_step`` can ever be true."""
        return self._step_trigger is not None

    def on_reset(self) -> bool:
        """Count a reset; whether the new episode is recorded from its beginning."""
        self.episode_id += 1
        if self._always:
            return True
        return self._episode_trigger is not None and bool(self._episode_trigger(self.episode_id))

    def on_step(self) -> bool:
        """Count a step; whether a new recording starts with the observation it gave."""
        self.step_id += 1
        return self._step_trigger is not None and bool(self._step_trigger(self.step_id))
