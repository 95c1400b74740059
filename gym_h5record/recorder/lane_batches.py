"""Batches of a vector environment as the recorder takes them: checked, and the entries of the recorded lanes only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import Space

from gym_h5record.display import short_repr
from gym_h5record.errors import EpisodeDataError, OptionError
from gym_h5record.notices import OnceWarner
from gym_h5record.recorder.episode_recorder import MALFORMED
from gym_h5record.recorder.episode_stream import kept_copy
from gym_h5record.recorder.vector_frames import VectorFrames
from gym_h5record.values.lane_values import (
    final_info,
    final_observation,
    has_entries,
    lanes_where,
    map_batch,
    without_finals,
)
from gym_h5record.writing.batch_rows import BatchRows

__all__ = ["LaneBatches", "checked_mask", "mask_or_problem", "seeds_of"]


class LaneBatches:
    """Takes what the environment and the agent give apart into what the lanes record.

    Args:
        lanes: The environments that are recorded: lane k is environment ``lanes[k]``.
        num_envs: How many environments there are.
        spaces: The observation and the action space of a single environment.
        frames: Gives the pictures.
    """

    def __init__(
        self, lanes: Sequence[int], num_envs: int, spaces: tuple[Space[Any], Space[Any]], frames: VectorFrames
    ) -> None:
        self._lanes, self._num_envs = list(lanes), num_envs
        self._observation_space, self._action_space = spaces
        self._frames = frames
        self._shape = (num_envs,)
        self._is_whole = self._lanes == list(range(num_envs))  # whether all environments are recorded
        self._notices = OnceWarner()

    def rows(self, observations: Any, infos: Any) -> BatchRows:
        """What is recorded of the rows that a reset or a step has led to.

        Raises:
            ValueError, TypeError, LookupError: If the batch of observations has not an entry for every environment.
        """
        if type(observations) is not np.ndarray or len(observations) != self._num_envs:
            map_batch(self._observation_space, observations, self._checked_size)
        frames = self._frames.capture() if self._frames.captures else None
        if self._is_whole:
            return BatchRows(observations, infos, frames)
        return BatchRows(self._picked(self._observation_space, observations), self._picked_infos(infos), frames)

    def outcome(self, rewards: Any, terminations: Any, truncations: Any) -> tuple[tuple[Any, Any, Any], np.ndarray]:
        """The outcome of the steps of the lanes, and which of their episodes have ended, ``(lanes,)`` bool.

        Raises:
            ValueError, TypeError: If one of them has not an entry for every environment.
        """
        ended = np.logical_or(terminations, truncations)
        if ended.shape != self._shape or len(rewards) != self._num_envs:
            raise ValueError(f"an outcome of {ended.shape} and {len(rewards)}")
        if self._is_whole:
            return (rewards, terminations, truncations), ended
        picked = [self._picked(None, each) for each in (rewards, terminations, truncations)]
        return (picked[0], picked[1], picked[2]), ended[self._lanes]

    def actions(self, actions: Any) -> tuple[Any, str | None]:
        """The actions of the lanes, and what is wrong with the batch if it has not an action for every environment."""
        try:
            if type(actions) is not np.ndarray or len(actions) != self._num_envs:
                map_batch(self._action_space, actions, self._checked_size)
            return (actions if self._is_whole else self._picked(self._action_space, actions)), None
        except (*MALFORMED, LookupError):
            wanted = f"an action for each of {self._num_envs} environments"
            return None, f"step() got {short_repr(actions)}, expected {wanted}."

    def extras(self, extras: Mapping[str, Any]) -> dict[str, Any]:
        """Copies of what the agent adds to the steps of the lanes: arrays of numbers, and lists of anything else.

        Raises:
            EpisodeDataError: If one of them has another number of entries than there are environments.
        """
        kept = {}
        for key, values in extras.items():
            if not hasattr(values, "__len__") or len(values) != self._num_envs:
                raise EpisodeDataError(
                    f"{key}: expected an array with an entry for each of {self._num_envs} environments, got "
                    f"{short_repr(values)}"
                )
            copied = kept_copy(values)
            kept[key] = self._picked(None, np.asarray(copied) if _are_numbers(copied) else list(copied))
        return kept

    def chosen(self, envs: Sequence[int] | None) -> Sequence[int]:
        """The lanes of some environments, or of all.

        Raises:
            OptionError: If one of them is not recorded.
        """
        if envs is None:
            return range(len(self._lanes))
        known = {env: lane for lane, env in enumerate(self._lanes)}
        if any(env not in known for env in envs):
            raise OptionError(f"lanes: expected some of {self._lanes!r:.200}, got {envs!r:.200}")
        return [known[env] for env in envs]

    def reset_lanes(self, mask: np.ndarray | None) -> list[int]:
        """The lanes that a reset with this mask resets."""
        return list(range(len(self._lanes))) if mask is None else lanes_where(mask[self._lanes])

    def env(self, lane: int) -> int:
        """The environment of a lane."""
        return self._lanes[lane]

    # SAME_STEP mode -------------------------------------------------------------------------------

    def finals(self, rows: BatchRows, lanes: Sequence[int]) -> tuple[BatchRows, BatchRows, dict[int, tuple[Any, Any]]]:
        """Take a step apart in which some environments have been reset, after it had ended their episodes.

        Args:
            rows: What the step gave.
            lanes: The lanes of these environments.

        Returns:
            The rows that the step led to, where those of these lanes are wrong; the rows of the resets; and the final
            observation and info of each of these lanes.
        """
        found = {}
        for lane in lanes:
            observation = final_observation(self._observation_space, rows.infos, lane)
            if observation is None:
                self._notices.warn(
                    'the step gives no final observation in infos["final_obs"] for an environment that it has reset: '
                    "it is recorded as None."
                )
            found[lane] = observation, final_info(rows.infos, lane, len(self._lanes))
        after = BatchRows(rows.observations, without_finals(rows.infos), rows.frames)
        return self._without_frames(after, found), after, found

    def _without_frames(self, rows: BatchRows, finals: Mapping[int, Any]) -> BatchRows:
        """The rows without the pictures of environments that have been reset since: theirs were never rendered."""
        if rows.frames is None:
            return rows
        self._notices.warn("the frames of final observations are None: in SAME_STEP mode they are never rendered.")
        frames = [None if lane in finals else frame for lane, frame in enumerate(rows.frames)]
        return BatchRows(rows.observations, rows.infos, frames)

    # Some of the environments ---------------------------------------------------------------------

    def _picked(self, space: Space[Any] | None, batch: Any) -> Any:
        """The entries of the recorded environments."""
        lanes = self._lanes

        def pick(part: Any) -> Any:
            if isinstance(part, np.ndarray):
                return part[lanes]
            picked = [part[lane] for lane in lanes]  # also of an array of another library
            return tuple(picked) if isinstance(part, tuple) else picked

        return batch if self._is_whole else map_batch(space, batch, pick)

    def _picked_infos(self, infos: Any) -> Any:
        if type(infos) is dict:
            return {key: self._picked_infos(values) for key, values in infos.items()}
        if not has_entries(infos, self._num_envs):
            return infos
        return infos[self._lanes] if isinstance(infos, np.ndarray) else [infos[lane] for lane in self._lanes]

    def _checked_size(self, part: Any) -> Any:
        if len(part) != self._num_envs:
            raise ValueError(f"{len(part)} values of {self._num_envs} environments")
        return part


def checked_mask(options: Any, num_envs: int) -> np.ndarray | None:
    """A copy of the ``reset_mask`` among the options of a reset, None if there is none.

    Raises:
        OptionError: If it is no boolean for each environment.
    """
    if not isinstance(options, Mapping) or "reset_mask" not in options:
        return None
    mask = options["reset_mask"]
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or mask.shape != (num_envs,):
        raise OptionError(f"reset_mask: expected a boolean array ({num_envs},), got {short_repr(mask)}")
    return mask.copy()


def mask_or_problem(options: Any, num_envs: int) -> tuple[np.ndarray | None, str | None]:
    """The mask as of ``checked_mask``; or one that resets nothing, and what is wrong with that of the options.

    The error that the environment raises then tells the user.
    """
    try:
        return checked_mask(options, num_envs), None
    except OptionError as error:
        return np.zeros(num_envs, np.bool_), f"reset() got another {error}."


def seeds_of(seed: Any, num_envs: int) -> list[Any]:
    """The seed of each environment: Gymnasium counts up from a single one."""
    if isinstance(seed, (int, np.integer)):
        return [int(seed) + place for place in range(num_envs)]
    if seed is not None and len(seed) == num_envs:
        return list(seed)
    return [None] * num_envs


def _are_numbers(values: Any) -> bool:
    if isinstance(values, (list, tuple)) and not all(isinstance(each, (int, float, np.number)) for each in values):
        return False
    return bool(np.asarray(values).dtype.kind in "biuf")
