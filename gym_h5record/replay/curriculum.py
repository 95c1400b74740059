"""``ResetFromRecording``: episodes of a live environment that begin in the middle of recorded ones.

For curricula, as robosuite's ``DemoSamplerWrapper`` does with the states of demonstrations. The
environment gets there by the recorded reset and the recorded actions, so it
is where the recording was in every respect, not only as far as a state can be set.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Literal

import gymnasium as gym
import numpy as np
from gymnasium.core import ActType, ObsType
from gymnasium.utils import RecordConstructorArgs

from gym_h5record.errors import DivergedError, OptionError
from gym_h5record.reading.episodes import Episode
from gym_h5record.reading.recording import Recording
from gym_h5record.recorder.snapshots.provider import SnapshotProvider
from gym_h5record.recorder.snapshots.snapshot_set import make_snapshot_set
from gym_h5record.replay.episode_check import go_to, make_comparison
from gym_h5record.replay.lineage import alone, chosen_numbers
from gym_h5record.replay.rerun import Rerun

__all__ = ["START_KEY", "ResetFromRecording"]


START_KEY = "recording_start"
"""Added to the info of a reset that begins in a recorded episode: ``{"episode": k, "step": t}``."""

Scheme = Literal["uniform", "forward", "reverse"]
_SCHEMES = ("uniform", "forward", "reverse")


class ResetFromRecording(gym.Wrapper[ObsType, ActType, ObsType, ActType], RecordConstructorArgs):
    """Begin episodes at recorded states.

    ``reset(seed=...)`` seeds the choice of the state; the environment itself has the generators
    that it had in the recording. Steps up to the state count for a ``TimeLimit`` inside.

    Args:
        env: An environment like that which was recorded.
        path: The recording.
        scheme: ``"uniform"``: any step of an episode; ``"forward"``: one of its first
            ``window_steps``, a window that grows; ``"reverse"``: one of its last ones likewise.
        episodes: Which episodes to begin in; None for all that can be run alone.
        probability: How often to begin in a recording; otherwise the environment is reset as always.
        window_steps: Size of the window at first.
        grow_steps: By how much it grows.
        grow_resets: After how many resets that began in a recording.
        ignore: Paths into infos that are not compared, as for ``verify``.
        snapshots: Providers for simulators that are not known here.

    Raises:
        OptionError: If an option is unknown or an episode does not exist.
        NotReplayableError: If a chosen episode cannot be run alone.

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
        self._comparison = make_comparison(ignore=ignore)
        self._recording = Recording(path)
        self._episodes = _startable(self._recording, episodes)
        self._rerun = Rerun(self._recording, env, make_snapshot_set(tuple(snapshots)))

    @property
    def window_steps(self) -> int:
        """Size of the window by now."""
        first, growth, resets = self._window
        return first + growth * (self._starts // resets)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[ObsType, dict[str, Any]]:
        """Begin where a recording was at a step, or as the environment does.

        Raises:
            DivergedError: If the environment does not do again what was recorded.
        """
        if seed is not None:
            self._rng = np.random.default_rng(seed)
        if self._rng.random() >= self._probability:
            return self.env.reset(seed=seed, options=options)
        episode = self._episodes[self._rng.integers(len(self._episodes))]
        step = self._choose_step(episode.length)
        self._starts += 1
        chain = alone(self._recording, episode.number)
        where, outcome = go_to(self._rerun, chain, step, self._comparison, restore_all=True), self._rerun.last
        if where is not None or outcome is None:
            raise DivergedError(
                f"{self._recording.path}: the environment is not where the recording was: {where}. "
                "Is it made in the same way? See gym_h5record.verify."
            )
        return outcome.observation, {**outcome.info, START_KEY: {"episode": episode.number, "step": step}}

    def close(self) -> None:
        """Close the recording and the environment."""
        self._recording.close()
        super().close()

    def _choose_step(self, length: int) -> int:
        """A step that an episode of ``length`` steps has not ended with."""
        window = length if self._scheme == "uniform" else min(self.window_steps, length)
        first = length - window if self._scheme == "reverse" else 0
        return int(self._rng.integers(first, first + window))


def _startable(recording: Recording, episodes: Sequence[int] | None) -> list[Episode]:
    """Episodes with a step that can be run alone."""
    found = [recording.episodes[number] for number in chosen_numbers(recording, episodes)]
    if episodes is None:
        found = [each for each in found if each.snapshot or each.seed is not None]
    else:
        for each in found:
            alone(recording, each.number)
    found = [each for each in found if each.length]
    if not found:
        raise OptionError(f"{recording.path} has no episode with a step that can be run alone.")
    return found


def _check_options(scheme: str, probability: float, *positive: int) -> None:
    if scheme not in _SCHEMES:
        raise OptionError(f"scheme: expected one of {', '.join(map(repr, _SCHEMES))}, got {scheme!r}")
    if not 0 <= probability <= 1:
        raise OptionError(f"probability: expected a number from 0 to 1, got {probability!r}")
    if min(positive) < 1:
        raise OptionError(f"window_steps, grow_steps and grow_resets: expected at least 1, got {positive}")
