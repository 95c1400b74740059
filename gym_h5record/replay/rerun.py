"""An environment that goes through recorded episodes again. Nothing is compared here."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium as gym

from gym_h5record.display import short_repr
from gym_h5record.errors import NotReplayableError
from gym_h5record.format.names import Origin
from gym_h5record.reading.episodes import Episode
from gym_h5record.reading.recording import Recording
from gym_h5record.recorder.frame_sources import choose_frame_source
from gym_h5record.recorder.snapshots.snapshot_set import SnapshotSet
from gym_h5record.values.differences import ABSENT
from gym_h5record.values.tagged_json import places_of_text

__all__ = ["Outcome", "Rerun"]


@dataclass(frozen=True)
class Outcome:
    """What a reset or a step gave.

    Attributes:
        observation: The observation.
        info: The info.
        frame: The picture, ``ABSENT`` if none were rendered for the recording.
        step: Reward, terminated and truncated; None after a reset.
    """

    observation: Any
    info: Any
    frame: Any
    step: tuple[Any, Any, Any] | None = None


class Rerun:
    """Puts an environment where an episode began, and steps it as it was stepped.

    Args:
        recording: The episodes are of it.
        env: An environment like that which was recorded.
        snapshots: Puts generators and simulators back.
    """

    def __init__(self, recording: Recording, env: gym.Env[Any, Any], snapshots: SnapshotSet) -> None:
        self.env = env
        self._snapshots = snapshots
        # Rendering may draw random numbers: it is done when the recorder did it.
        self._source = choose_frame_source(env, "render" if recording.metadata["frames"] == "render" else False)
        self._last: Outcome | None = None

    @property
    def last(self) -> Outcome | None:
        """What the newest reset or step gave; None before the first."""
        return self._last

    def begin(self, episode: Episode, *, restore: bool) -> Outcome:
        """Reset as the recorded agent did, or go on after an end as it did.

        Args:
            episode: The episode.
            restore: Whether to put back what the reset depended on; otherwise the
                environment has to be where it was then.

        Raises:
            SnapshotError: If that does not fit the environment.
            NotReplayableError: If the file has the options as text only.
        """
        if episode.origin is Origin.AFTER_DONE and self._last is not None:
            return self._last
        _check_given("reset options", episode.options)
        if restore:
            self._snapshots.restore(self.env, episode.snapshot)
        observation, info = self.env.reset(seed=episode.seed, options=episode.options)
        self._last = Outcome(observation, info, self._frame())
        return self._last

    def step(self, action: Any) -> Outcome:
        """Take a recorded action.

        Raises:
            NotReplayableError: If the file has it as text only.
        """
        _check_given("an action", action)
        observation, reward, terminated, truncated, info = self.env.step(copy.deepcopy(action))
        self._last = Outcome(observation, info, self._frame(), (reward, terminated, truncated))
        return self._last

    def _frame(self) -> Any:
        return self._source.capture() if self._source.kind == "render" else ABSENT

    def play(self, chain: Sequence[Episode], num_steps: int, *, restore_all: bool) -> Outcome:
        """Run episodes one after the other, of the last one the first steps only.

        Args:
            chain: The episodes.
            num_steps: How many steps of the last one to take.
            restore_all: Whether to restore every episode's snapshot, not only the first one's.
        """
        for position, episode in enumerate(chain):
            outcome = self.begin(episode, restore=restore_all or not position)
            actions = episode.actions
            for step in range(num_steps if episode is chain[-1] else episode.length):
                outcome = self.step(actions[step])
        return outcome


def _check_given(what: str, value: Any) -> None:
    text = next(places_of_text(value), None)
    if text is not None:
        raise NotReplayableError(
            f"it was given {what} without an exact form: the file has {short_repr(value)} as text only"
        )
