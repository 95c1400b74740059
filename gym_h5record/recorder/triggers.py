"""When to record: triggers and counters as in Gymnasium's ``RecordVideo``.

A trigger is called with a counter that begins at 0, and returns True to start recording.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Schedule", "Trigger"]

Trigger = Callable[[int], bool]


class Schedule:
    """Counts episodes and steps, and says when recording starts and stops.

    The episode counter counts every ``reset``, also one before the episode has ended. The step counter counts every
    ``step`` and does not restart with an episode. Recording stops at the next ``reset`` unless the episode trigger
    returns True for it. Without triggers everything is recorded.

    Attributes:
        episode_id: Number of the running episode, -1 before the first reset.
        step_id: Number of the last step, -1 before the first step.
        records_everything: Whether there is no trigger.
        watches_steps: Whether there is a step trigger; without one ``on_step`` always returns False.

    Example:
        >>> schedule = Schedule(episode_trigger=lambda episode: episode % 2 == 1)
        >>> [schedule.on_reset() for _ in range(4)]
        [False, True, False, True]
    """

    def __init__(self, episode_trigger: Trigger | None = None, step_trigger: Trigger | None = None) -> None:
        self._episode_trigger = episode_trigger
        self._step_trigger = step_trigger
        self.records_everything = episode_trigger is None and step_trigger is None
        self.watches_steps = step_trigger is not None
        self.episode_id = -1
        self.step_id = -1

    def on_reset(self) -> bool:
        """Count a reset. Returns whether the new episode is recorded from its beginning."""
        self.episode_id += 1
        if self.records_everything:
            return True
        return self._episode_trigger is not None and bool(self._episode_trigger(self.episode_id))

    def on_step(self) -> bool:
        """Count a step. Returns whether recording starts with the observation of this step."""
        self.step_id += 1
        return self._step_trigger is not None and bool(self._step_trigger(self.step_id))
