"""``ResetFromRecording``: episodes of a live environment that begin in the middle of recorded ones.

This serves curricula, as robosuite's ``DemoSamplerWrapper`` does. robosuite sets the simulator's state; here the
environment takes the recorded reset and actions, so that wrappers and generators are where they were too.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import gymnasium as gym
import numpy as np
from gymnasium.core import ActType, ObsType
from gymnasium.utils import RecordConstructorArgs

from gym_h5record.errors import OptionError
from gym_h5record.options import check_one_of
from gym_h5record.reading.episodes import Episode
from gym_h5record.reading.recording import Recording
from gym_h5record.recorder.snapshots.provider import SnapshotProvider
from gym_h5record.recorder.snapshots.snapshot_set import make_snapshot_set
from gym_h5record.replay.episode_check import go_to
from gym_h5record.replay.lineage import chosen_numbers, since_known_reset
from gym_h5record.replay.outcome_comparison import make_comparison_rules
from gym_h5record.replay.rerun import Rerun
from gym_h5record.replay.vector_description import check_lanes_alone, ignored_infos

__all__ = ["START_KEY", "ResetFromRecording"]

START_KEY = "recording_start"
"""Added to the info of a reset that begins in a recorded episode: ``{"episode": k, "step": t}``."""

Scheme = Literal["uniform", "forward", "reverse"]
_SCHEMES = ("uniform", "forward", "reverse")


class ResetFromRecording(gym.Wrapper[ObsType, ActType, ObsType, ActType], RecordConstructorArgs):
    """Begin episodes at recorded states.

    ``reset(seed=...)`` seeds the choice of the state; at that state the environment has the generators of the
    recording. A ``TimeLimit`` inside counts the steps up to the state.

    Args:
        env: An environment made like the recorded one.
        path: The recording.
        scheme: ``"uniform"`` begins at any step of an episode, ``"forward"`` at one of the first ``window_steps``,
            ``"reverse"`` at one of the last ``window_steps``.
        episodes: Numbers of the episodes to begin in; None for all that can be run alone.
        probability: Share of the resets that begin in the recording. The others reset the environment as usual.
        window_steps: Size of the window at the beginning.
        grow_steps: How many steps the window grows by.
        grow_resets: After how many resets into the recording the window grows.
        ignore: Paths into infos that are not compared, as for ``verify``.
        snapshots: Providers for simulators that this package does not know.

    Raises:
        OptionError: If an option is unknown or an episode does not exist.
        NotReplayableError: If a chosen episode cannot be run alone, as those of lanes that were stepped together.

    Example:
        >>> env = ResetFromRecording(gym.make("CartPole-v1"), cartpole_path, scheme="reverse", window_steps=5)
        >>> observation, info = env.reset(seed=3)
        >>> sorted(info["recording_start"])
        ['episode', 'step']
    """

    def __init__(
        self,
        env: gym.Env[ObsType, ActType],
        path: str | os.PathLike[str],
        *,
        scheme: Scheme = "uniform",
        episodes: Sequence[int] | None = None,
        probability: float = 1.0,
        window_steps: int = 25,
        grow_steps: int = 25,
        grow_resets: int = 100,
        ignore: str | Sequence[str] = (),
        snapshots: Sequence[SnapshotProvider] = (),
    ) -> None:
        _check_options(scheme, probability, window_steps, grow_steps, grow_resets)
        RecordConstructorArgs.__init__(
            self,
            path=path,
            scheme=scheme,
            episodes=episodes,
            probability=probability,
            window_steps=window_steps,
            grow_steps=grow_steps,
            grow_resets=grow_resets,
            ignore=ignore,
            snapshots=snapshots,
        )
        gym.Wrapper.__init__(self, env)
        self._scheme = scheme
        self._probability = probability
        self._window = (window_steps, grow_steps, grow_resets)
        self._rng = np.random.default_rng()
        self._starts = 0
        self._recording = Recording(path)
        check_lanes_alone(self._recording)
        rules = make_comparison_rules(ignore=ignore)
        self._rules = replace(rules, ignore=(*rules.ignore, *ignored_infos(self._recording)))
        self._episodes = _startable(self._recording, episodes)
        self._rerun = Rerun(self._recording, env, make_snapshot_set(tuple(snapshots)))

    @property
    def window_steps(self) -> int:
        """The present size of the window."""
        first, growth, resets = self._window
        return first + growth * (self._starts // resets)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[ObsType, dict[str, Any]]:
        """Run the environment to a recorded step, or reset it as usual.

        Raises:
            DivergedError: If the environment does something else than was recorded.
        """
        if seed is not None:
            self._rng = np.random.default_rng(seed)
        if self._rng.random() >= self._probability:
            return self.env.reset(seed=seed, options=options)
        episode = self._episodes[self._rng.integers(len(self._episodes))]
        step = self._choose_step(episode.length)
        self._starts += 1
        episodes = since_known_reset(self._recording, episode.number)
        outcome = go_to(self._rerun, episodes, step, self._rules, restore_all=True)
        return outcome.observation, {**outcome.info, START_KEY: {"episode": episode.number, "step": step}}

    def close(self) -> None:
        """Close the recording and the environment."""
        self._recording.close()
        super().close()

    def _choose_step(self, length: int) -> int:
        """One of the steps 0 to ``length - 1``, inside the window."""
        window = length if self._scheme == "uniform" else min(self.window_steps, length)
        first = length - window if self._scheme == "reverse" else 0
        return int(self._rng.integers(first, first + window))


def _startable(recording: Recording, episodes: Sequence[int] | None) -> list[Episode]:
    """The chosen episodes that have a step and can be run alone."""
    found = [recording.episodes[number] for number in chosen_numbers(recording, episodes)]
    if episodes is None:
        found = [each for each in found if each.snapshot or each.seed is not None]
    else:
        for each in found:
            since_known_reset(recording, each.number)
    found = [each for each in found if each.length]
    if not found:
        raise OptionError(f"{recording.path} has no episode with a step that can be run alone.")
    return found


def _check_options(scheme: str, probability: float, *positive: int) -> None:
    check_one_of("scheme", scheme, _SCHEMES)
    if not 0 <= probability <= 1:
        raise OptionError(f"probability: expected a number from 0 to 1, got {probability!r}")
    if min(positive) < 1:
        raise OptionError(f"window_steps, grow_steps and grow_resets: expected at least 1, got {positive}")
