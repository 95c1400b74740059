"""``Rerun``: takes an environment through recorded episodes again. It compares nothing."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import gymnasium as gym
import numpy as np

from gym_h5record.display import short_repr
from gym_h5record.errors import NotReplayableError
from gym_h5record.format.names import Origin
from gym_h5record.reading.episodes import Episode
from gym_h5record.reading.recording import Recording
from gym_h5record.recorder.frame_sources import choose_frame_source
from gym_h5record.recorder.snapshots.snapshot_set import SnapshotSet
from gym_h5record.values.differences import ABSENT
from gym_h5record.values.exact import identical
from gym_h5record.values.lane_values import in_batch, info_in_batch
from gym_h5record.values.tagged_json import places_of_text

__all__ = ["Outcome", "Rerun", "check_exact", "missing_clause"]

_MAX_PLACES = 3


@dataclass(frozen=True)
class Outcome:
    """The result of a reset or a step.

    Attributes:
        frame: The picture, ``ABSENT`` if the recorder rendered none. Cameras are not in the file, so theirs are absent.
        step: Reward, terminated and truncated; None after a reset.
    """

    observation: Any
    info: Any
    frame: Any
    step: tuple[Any, Any, Any] | None = None


class Rerun:
    """Resets and steps an environment, made like the recorded one, as the recorded agent did.

    Attributes:
        recording: The recording of the episodes.
        env: The environment.
        last: The outcome of the last reset or step, None before the first reset.
        missing: Places of recorded generators that the environment did not have when a snapshot was last restored.
    """

    def __init__(self, recording: Recording, env: gym.Env[Any, Any], snapshots: SnapshotSet) -> None:
        self.recording = recording
        self.env = env
        self.last: Outcome | None = None
        self.missing: list[str] = []
        self._snapshots = snapshots
        self._has_lanes = "vector" in recording.metadata
        self._episode: Episode | None = None
        self._row = 0
        # Rendering may draw random numbers, so render exactly where the recorder did.
        self._source = choose_frame_source(env, "render" if recording.metadata.get("frames") == "render" else False)

    def begin(self, episode: Episode, *, restore: bool) -> Outcome:
        """Begin an episode: reset, or go on from the last step if the recorded agent did not reset.

        Without ``restore``, which restores the snapshot, the environment must be where it was before the reset.

        Raises:
            SnapshotError: If the snapshot does not fit the environment.
            NotReplayableError: If the file has the options of the reset only as text.
        """
        if episode.origin is Origin.AFTER_DONE and self.last is not None:
            return self.last
        check_exact("reset options", episode.options)
        if restore:
            self._restore(episode)
        self._source.forget()
        observation, info = self.env.reset(seed=episode.seed, options=episode.options)
        self._episode, self._row = episode, 0
        self.last = self._told(Outcome(observation, info, self._frame()))
        return self.last

    def step(self, action: Any) -> Outcome:
        """Take a recorded action.

        Raises:
            NotReplayableError: If the file has the action only as text.
        """
        check_exact("an action", action)
        self._source.forget()
        observation, reward, terminated, truncated, info = self.env.step(copy.deepcopy(action))
        self._row += 1
        self.last = self._told(Outcome(observation, info, self._frame(), (reward, terminated, truncated)))
        return self.last

    def _told(self, outcome: Outcome) -> Outcome:
        """The outcome as the recorded agent got it: that of a vector environment got entries of batches."""
        episode, step = self._episode, outcome.step
        if not self._has_lanes or episode is None or self._row > episode.length:
            return outcome
        recorded = episode.observations[self._row]
        is_single = identical(recorded, outcome.observation)  # in SAME_STEP mode, the final one is given by itself
        infos = episode.infos
        return replace(
            outcome,
            observation=recorded if is_single else in_batch(self.recording.observation_space, outcome.observation),
            info=outcome.info if infos is None else info_in_batch(outcome.info, infos[self._row]),
            step=None if step is None else (np.float64(step[0]), np.bool_(step[1]), np.bool_(step[2])),
        )

    def play(self, episodes: Sequence[Episode], *, restore_all: bool) -> None:
        """Run whole episodes; restore every episode's snapshot, or only that of the first one."""
        for position, episode in enumerate(episodes):
            self.begin(episode, restore=restore_all or not position)
            for action in episode.actions:
                self.step(action)

    def _restore(self, episode: Episode) -> None:
        snapshot = episode.snapshot
        self.missing = self._snapshots.missing(self.env, snapshot)
        if self.missing:  # when recording, a reset may have made these objects: this one, or one before
            self.env.reset(seed=episode.seed, options=copy.deepcopy(episode.options))
            self.missing = self._snapshots.missing(self.env, snapshot)
        self._snapshots.restore(self.env, snapshot)

    def _frame(self) -> Any:
        return self._source.capture() if self._source.captures else ABSENT


def missing_clause(rerun: Rerun) -> str:
    """A clause that names ``Rerun.missing``, "" if nothing is missing."""
    if not rerun.missing:
        return ""
    places = ", ".join(rerun.missing[:_MAX_PLACES]) + (", ..." if len(rerun.missing) > _MAX_PLACES else "")
    return f"the environment has no place for recorded generators: {places}"


def check_exact(what: str, value: Any) -> None:
    """Raise NotReplayableError if a value that the environment was given is in the file only as text."""
    if next(places_of_text(value), None) is not None:
        raise NotReplayableError(
            f"the environment was given {what} without an exact form: the file has {short_repr(value)} as text only"
        )
