"""``gym_h5record.vector.ReplayFromHDF5``: a recording as a vector environment."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from gym_h5record.errors import OptionError, RecordingError, ReplayError
from gym_h5record.reading.recording import Recording
from gym_h5record.replay.environment import ReplayFromHDF5 as ReplayOfOne

__all__ = ["ReplayFromHDF5"]


class ReplayFromHDF5(SyncVectorEnv):
    """Play a recording back as a vector environment, with the autoreset mode that it was recorded with.

    Environment k plays the episodes of lane k, one after the other, and after the last one the first again. With
    another number of environments, or a recording of a single one, the episodes are dealt out in turn. Actions are not
    executed. A seed goes back to the first episodes.

    Args:
        path: The recording.
        num_envs: How many environments; None for as many as were recorded.
        autoreset_mode: How they are reset; None for the recorded mode, or ``NEXT_STEP`` if a single environment was
            recorded.
        on_mismatch: As of ``gym_h5record.ReplayFromHDF5``.
        render_mode: As of ``gym_h5record.ReplayFromHDF5``.

    Raises:
        OptionError: If an option is unknown.
        ReplayError: If there is no episode with a step for one of the environments, or no batches can be made of the
            spaces.

    Example:
        >>> import gym_h5record as h5r
        >>> envs = h5r.vector.ReplayFromHDF5(cartpole_path, num_envs=2)
        >>> observations, infos = envs.reset()
        >>> envs.step(envs.action_space.sample())[1].tolist()
        [1.0, 1.0]
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        num_envs: int | None = None,
        *,
        autoreset_mode: AutoresetMode | str | None = None,
        on_mismatch: str = "ignore",
        render_mode: str | None = None,
    ) -> None:
        recording = Recording(path)
        try:
            count = recording.num_envs if num_envs is None else num_envs
            if type(count) is not int or count < 1:
                raise OptionError(f"num_envs: expected a number from 1 on, got {num_envs!r:.80}")
            shares = _shares(recording, count)
            makers = [
                partial(_LaneReplay, recording, share, on_mismatch=on_mismatch, render_mode=render_mode)
                for share in shares
            ]
            mode = _mode(recording, autoreset_mode)
            with _batching_explained(recording):
                super().__init__(makers, autoreset_mode=mode)
        except BaseException:
            recording.close()
            raise
        self._recording = recording

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin the next episode of every environment, or of those that ``options["reset_mask"]`` names.

        Raises:
            ReplayError: If an observation is not as its space is, so that Gymnasium cannot put it into a batch.
        """
        with self._fit_explained():
            return super().reset(seed=seed, options=options)

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Play the next step of every environment.

        Raises:
            ReplayError: As of ``reset``.
            ActionMismatchError: As of ``gym_h5record.ReplayFromHDF5``.
        """
        with self._fit_explained():
            return super().step(actions)

    @contextmanager
    def _fit_explained(self) -> Iterator[None]:
        """Turn an error of Gymnasium into a sentence, if it comes from an observation that does not fit its space."""
        try:
            yield
        except RecordingError:
            raise
        except (LookupError, TypeError, ValueError) as error:
            observations: list[Any] = self._env_obs
            if all(each is None or self.single_observation_space.contains(each) for each in observations):
                raise
            raise ReplayError(
                f"{self._recording.path} has an observation that is not in its space, so it cannot be part of a batch: "
                "gym_h5record.ReplayFromHDF5 plays it by itself."
            ) from error

    def close_extras(self, **kwargs: Any) -> None:
        """Close the recording."""
        super().close_extras(**kwargs)
        self._recording.close()


@contextmanager
def _batching_explained(recording: Recording) -> Iterator[None]:
    """Turn an error of Gymnasium about the spaces of a recording into a sentence."""
    try:
        yield
    except RecordingError:
        raise
    except (LookupError, TypeError, ValueError, MemoryError) as error:
        raise ReplayError(
            f"{recording.path}: Gymnasium cannot make batches of its spaces ({error or type(error).__name__}). "
            "gym_h5record.ReplayFromHDF5 plays it by itself."
        ) from error


class _LaneReplay(ReplayOfOne):
    """Plays some episodes of a recording that is open, and that others read too."""

    def __init__(self, recording: Recording, episodes: list[int], **options: Any) -> None:
        self._shared = recording
        super().__init__(recording.path, episodes, **options)

    def _opened(self, path: Any) -> Recording:
        return self._shared

    def close(self) -> None:
        """The vector environment closes the recording."""

    def _info(self, episode: Any) -> dict[str, Any]:
        # Gymnasium makes an array of booleans of Python's, but one of objects of NumPy's.
        return {key: bool(each) if isinstance(each, np.bool_) else each for key, each in super()._info(episode).items()}


def _shares(recording: Recording, count: int) -> list[list[int]]:
    """The numbers of the episodes that each environment plays."""
    playable = [episode for episode in recording.episodes if episode.length]
    shares: list[list[int]] = [[] for _ in range(count)]
    for place, episode in enumerate(playable):
        shares[episode.env if count == recording.num_envs else place % count].append(episode.number)
    empty = [lane for lane, share in enumerate(shares) if not share]
    if empty:
        what = "lane" if count == recording.num_envs else "environment"
        raise ReplayError(f"{recording.path} has no episode with a step for {what} {empty[0]}: nothing to replay.")
    return shares


def _mode(recording: Recording, wanted: AutoresetMode | str | None) -> AutoresetMode:
    if wanted is None:
        name = recording.metadata.get("vector", {}).get("autoreset_mode")
        return AutoresetMode.__members__.get(str(name), AutoresetMode.NEXT_STEP)
    try:
        return AutoresetMode(wanted)
    except ValueError:
        raise OptionError(
            f"autoreset_mode: expected a member of gymnasium.vector.AutoresetMode, got {wanted!r:.80}"
        ) from None
