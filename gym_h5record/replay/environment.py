"""``ReplayFromHDF5``: a recording as an environment.

It needs only the file. It returns the recorded values, bit for bit; it executes no action, it only compares them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np

from gym_h5record.display import short_repr
from gym_h5record.errors import (
    ActionMismatchError,
    EndOfEpisodeError,
    OptionError,
    RenderModeError,
    ReplayError,
    StepBeforeResetError,
)
from gym_h5record.format.nodes import Array, DictOf, Text, TupleOf
from gym_h5record.notices import warn
from gym_h5record.options import check_one_of
from gym_h5record.reading.episodes import Episode
from gym_h5record.reading.recording import Recording
from gym_h5record.recorder.frame_sources import RENDER_MODES
from gym_h5record.values.exact import identical

__all__ = ["INCOMPLETE_KEY", "ReplayFromHDF5"]

INCOMPLETE_KEY = "episode_incomplete"
"""Key added to the last info of an episode that the environment did not end; its value is True."""

_ON_MISMATCH = ("ignore", "warn", "raise")


class ReplayFromHDF5(gym.Env[Any, Any]):
    """Play a recording back through Gymnasium's interface.

    ``reset`` plays the next episode, and after the last one the first again. ``reset(seed=...)`` plays the first one,
    for any seed. ``reset(options={"episode": k})`` plays episode ``k`` of the recording.
    The last step of an episode that the environment did not end returns ``truncated=True``, and an info with the key
    ``"episode_incomplete"``.

    Args:
        path: The recording.
        episodes: Numbers of the episodes to play; None for all that have a step.
        on_mismatch: What to do if an action is not the recorded one: ``"ignore"``, ``"warn"`` or ``"raise"``.
        render_mode: The mode of the recorded frames, or None. Both render them; with None the recording may have none.
            The mode is ``"rgb_array"``, ``"ansi"``, ``"depth_array"`` or ``"rgbd_tuple"``, or ``"cameras"`` if a frame
            is a dict with a picture of each camera.

    Raises:
        OptionError: If an option is unknown, or an episode does not exist.
        ReplayError: If no episode has a step.

    Example:
        >>> env = ReplayFromHDF5(cartpole_path)
        >>> observation, info = env.reset()
        >>> observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
        >>> reward
        1.0
    """

    metadata: dict[str, Any] = {"render_modes": [*RENDER_MODES], "render_fps": 30}  # noqa: RUF012  # as in gymnasium.Env

    def __init__(
        self,
        path: str | os.PathLike[str],
        episodes: Sequence[int] | None = None,
        *,
        on_mismatch: str = "ignore",
        render_mode: str | None = None,
    ) -> None:
        check_one_of("on_mismatch", on_mismatch, _ON_MISMATCH)
        self._on_mismatch = on_mismatch
        self._recording = self._opened(path)
        self.observation_space = self._recording.observation_space
        self.action_space = self._recording.action_space
        self.render_mode = _render_mode(self._recording)
        if render_mode not in (None, self.render_mode):
            has = f"frames of the render_mode {self.render_mode!r}" if self.render_mode else "none"
            raise RenderModeError(
                f"render_mode {render_mode!r}: a replay renders the recorded frames; {self._recording.path} has {has}."
            )
        fps = self._recording.fps
        self.metadata = {
            "render_modes": [self.render_mode] if self.render_mode else [],
            "render_fps": fps if fps > 0 else ReplayFromHDF5.metadata["render_fps"],
        }
        self._numbers = self._playable(episodes)
        self._cursor = 0
        self._episode: Episode | None = None
        self._step = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode of the recording.

        Args:
            seed: Any seed goes back to the first episode.
            options: ``{"episode": k}`` to play episode ``k`` of the recording.
        """
        super().reset(seed=seed)
        if seed is not None:
            self._cursor = 0
        number = (options or {}).get("episode")
        if number is None:
            number = self._numbers[self._cursor % len(self._numbers)]
            self._cursor += 1
        self._episode = self._recording.episodes[number]
        self._step = 0
        return self._episode.observations[0], self._info(self._episode)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Return the next recorded step.

        Raises:
            EndOfEpisodeError: At the recorded end of the episode.
            ActionMismatchError: If the action is not the recorded one and ``on_mismatch`` is ``"raise"``.
        """
        episode, step = self._running(), self._step
        if step >= episode.length:
            raise EndOfEpisodeError(
                f"episode {episode.number} of {self._recording.path} ends after {episode.length} steps, "
                f"step {step} was never recorded. Call reset()."
            )
        if self._on_mismatch != "ignore":
            self._compare(episode, step, action)
        self._step = step + 1
        reward, terminated, truncated = episode.rewards[step], episode.terminations[step], episode.truncations[step]
        info = self._info(episode)
        if self._step == episode.length and not (terminated or truncated):
            truncated, info[INCOMPLETE_KEY] = True, True
        return episode.observations[self._step], reward, terminated, truncated, info

    def render(self) -> Any:
        """The recorded frame of the newest observation, None if there are no frames."""
        episode = self._running()
        return None if episode.frames is None else episode.frames[self._step]

    def close(self) -> None:
        """Close the recording."""
        self._recording.close()

    def _opened(self, path: Any) -> Recording:
        return Recording(path)

    def _running(self) -> Episode:
        if self._episode is None:
            raise StepBeforeResetError("call reset() first: it chooses the episode to play.")
        return self._episode

    def _info(self, episode: Episode) -> dict[str, Any]:
        info = {} if episode.infos is None else episode.infos[self._step]
        return info if isinstance(info, dict) else {"info": info}

    def _compare(self, episode: Episode, step: int, action: Any) -> None:
        recorded = episode.actions[step]
        are_integers = all(isinstance(each, (int, np.integer)) for each in (action, recorded))  # of Python or of NumPy
        if identical(action, recorded) or (are_integers and int(action) == int(recorded)):
            return
        actions = f"the recorded action is {short_repr(recorded)}, got {short_repr(action)}."
        message = f"episode {episode.number}, step {step}: {actions}"
        if self._on_mismatch == "raise":
            raise ActionMismatchError(message)
        warn(message)

    def _playable(self, episodes: Sequence[int] | None) -> list[int]:
        total = self._recording.num_episodes
        if episodes is None:
            numbers = [episode.number for episode in self._recording.episodes if episode.length]
        else:
            missing = [number for number in episodes if not 0 <= number < total]
            if missing:
                raise OptionError(f"episodes: {self._recording.path} has episodes 0 to {total - 1}, not {missing}")
            numbers = list(episodes)
        if not numbers:
            raise ReplayError(f"{self._recording.path} has no episode with a step: nothing to replay.")
        return numbers


def _render_mode(recording: Recording) -> str | None:
    """The render mode of an environment that renders frames like the recorded ones, None if there are none."""
    if recording.schema.frame is None and not recording.schema.linked_frames:
        return None
    node = recording.schema.frame  # None if the observations are the pictures
    if isinstance(node, Text):
        return "ansi"
    if isinstance(node, TupleOf):
        return "rgbd_tuple"
    if isinstance(node, DictOf):
        return "cameras"
    recorded = str(recording.metadata.get("render_mode")).removesuffix("_list")
    return "depth_array" if isinstance(node, Array) and recorded == "depth_array" else "rgb_array"
