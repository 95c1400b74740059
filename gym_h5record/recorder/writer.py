"""``Writer``: the same file without an environment, for JAX rollouts, robots and other people's arrays.

It stands on ``EpisodeStream``, as the recorder does. ``given_episode`` checks the arrays of whole episodes.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from gymnasium import Space

from gym_h5record.display import counted
from gym_h5record.errors import EpisodeDataError, OptionError, StepBeforeResetError
from gym_h5record.format.names import Origin
from gym_h5record.recorder.episode_stream import EpisodeStream, warn_of_repr
from gym_h5record.recorder.given_episode import check_episode
from gym_h5record.recorder.living import check_not_recorded, enroll
from gym_h5record.recorder.recorded_env import describe_written
from gym_h5record.writing.options import make_options
from gym_h5record.writing.row_writer import RowWriter, begin_json
from gym_h5record.writing.session import Session
from gym_h5record.writing.step_batch import plan_batch

__all__ = ["Writer"]


class Writer:
    """Write episodes into a recording, step by step or as whole arrays.

    The file is the one that ``RecordToHDF5`` makes, as exact and as safe against a kill. Either all rows of a recording
    have a frame, or none; else there is an ``EpisodeDataError``. Every method may raise ``WriterError`` if the writer
    has failed, such as on a full disk, and ``RecordingClosedError`` after ``close``.

    Args:
        path: The file to make.
        observation_space: The space of the observations.
        action_space: The space of the actions.
        num_envs: 1: a writer has a single lane.
        env_name: What the data is of, such as the name of a robot or a task.
        fps: Steps per second of real time, NaN if unknown.
        mode: This option and all others are those of ``RecordToHDF5``.
        times: See there.
        compression: See there.
        compression_opts: See there.
        writer: See there.
        flush_interval_s: See there.
        durability: See there.
        checksum: See there.
        metadata: See there.

    Raises:
        RecordingExistsError: If the file exists and the mode is ``"x"``.
        RecordingInUseError: If another recorder or writer has the path.
        RecordingPathError: If the directory is missing or cannot be written.
        OptionError: If an option has an unknown value.
        MetadataError: If the metadata cannot be stored.

    Example:
        >>> import gym_h5record as h5r, numpy as np
        >>> from gymnasium.spaces import Box, Discrete
        >>> spaces = {"observation_space": Box(-1, 1, (4,)), "action_space": Discrete(2)}
        >>> with h5r.Writer(tmp_path / "arrays.h5", **spaces) as writer:
        ...     writer.append_episode(
        ...         observations=np.zeros((101, 4), np.float32), actions=np.ones(100, np.int64), rewards=np.ones(100)
        ...     )
        >>> h5r.Recording(tmp_path / "arrays.h5").episodes[0].total_reward
        100.0
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        observation_space: Space[Any],
        action_space: Space[Any],
        num_envs: int = 1,
        env_name: str = "",
        fps: float = float("nan"),
        mode: str = "x",
        times: bool = True,
        compression: str | None = "gzip",
        compression_opts: Any = None,
        writer: str = "process",
        flush_interval_s: float = 1.0,
        durability: str = "process",
        checksum: bool = False,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        if num_envs != 1:
            raise OptionError(f"num_envs: expected 1, got {num_envs!r}. Use one writer, with its own path, per lane.")
        options = make_options(
            path, mode, compression, compression_opts, writer, flush_interval_s, durability, checksum=checksum
        )
        check_not_recorded(options.path, waits=mode == "a")
        recorded = describe_written(env_name, (observation_space, action_space), fps, metadata, times=times)
        self._stream = EpisodeStream(Session(options), recorded)
        self._rows: RowWriter | None = None  # None also while the first row of the recording waits for its step
        self._is_open = False  # whether an episode is
        self._can_discard = False  # whether the newest row belongs to an episode that may be discarded
        self._num_episodes = 0
        self._finalizer = weakref.finalize(self, self._stream.close)  # for a writer that is dropped without close()
        enroll(self)

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Episodes -------------------------------------------------------------------------------------

    def begin_episode(
        self,
        observation: Any,
        info: dict[str, Any] | None = None,
        seed: int | None = None,
        options: dict[str, Any] | None = None,
        frame: Any = None,
    ) -> None:
        """Begin an episode. One that is still open ends here as incomplete.

        Args:
            observation: The first observation.
            info: The info that came with it.
            seed: The seed of the episode.
            options: The options of the reset.
            frame: The picture of the first observation.
        """
        self._begin(observation, info, frame, seed, options)

    def append(
        self,
        action: Any,
        observation: Any,
        reward: Any,
        terminated: Any,
        truncated: Any,
        info: dict[str, Any] | None = None,
        frame: Any = None,
        extras: dict[str, Any] | None = None,
    ) -> None:
        """Append a step to the open episode, which ends if the step terminates or truncates it.

        Args:
            action: The action.
            observation: The observation that it led to.
            reward: The reward.
            terminated: Whether the episode ends here.
            truncated: Whether the episode is cut off here.
            info: The info that came with the observation.
            frame: The picture of the observation.
            extras: What the agent knows, by key.

        Raises:
            StepBeforeResetError: If no episode is open.
        """
        self._stream.session.check_not_closing()
        if not self._is_open:
            raise StepBeforeResetError("no episode is open: call begin_episode() before append().")
        self._check_frame(has_frame=frame is not None)
        self._append(action, observation, reward, terminated, truncated, info, frame, extras)

    def end_episode(self) -> None:
        """End the open episode, if there is one, as incomplete: no step has terminated or truncated it."""
        if self._is_open:
            rows = self._rows or self._stream.lay_out_first_row()
            if rows is not None:
                rows.end_episode()
        self._rows, self._is_open = None, False

    def discard_episode(self) -> None:
        """Forget the newest episode, whether it is open or has ended. It takes no space in the closed file.

        Raises:
            StepBeforeResetError: If this writer has begun none, or the newest one has been discarded already.
        """
        self._stream.session.check_not_closing()
        if not self._can_discard:
            raise StepBeforeResetError("there is no episode to discard: call begin_episode() first.")
        self._stream.discard_episode()
        self._rows, self._is_open, self._can_discard = None, False, False

    def append_episode(
        self,
        *,
        observations: Any,
        actions: Any,
        rewards: Any,
        terminations: Any = None,
        truncations: Any = None,
        infos: Any = None,
        frames: Any = None,
        extras: Mapping[str, Any] | None = None,
        times: Any = None,
        seed: int | None = None,
        options: dict[str, Any] | None = None,
    ) -> None:
        """Append a whole episode of T steps.

        Values may be arrays, also of another library such as JAX, or lists. Those of a Dict space are a dict of arrays,
        those of a Tuple space a tuple of arrays, each with one entry per row. Where a field does not fit, nothing is
        written.

        Args:
            observations: T + 1 of them: the first one, and those that the steps led to.
            actions: T of them.
            rewards: T of them.
            terminations: ``(T,)`` bool, only the last may be true; None if none is.
            truncations: ``(T,)`` bool, only the last may be true; None if none is.
            infos: T + 1 dicts, or a dict of arrays with T + 1 entries.
            frames: T + 1 pictures.
            extras: A dict of arrays with T entries.
            times: When the rows came, ``(T + 1,)``, in seconds since the recording began; None for now. They do not go
                back, also not from one episode to the next.
            seed: The seed of the episode.
            options: The options of the reset.

        Raises:
            EpisodeDataError: If a field has another number of entries, or the episode goes on after its end. The error
                names the field.
        """
        if times is not None and not self._stream.recorded.times:
            raise EpisodeDataError("times: this writer has times=False. Leave them out, or make it with times=True.")
        given = check_episode(
            {
                **{"observations": observations, "actions": actions, "rewards": rewards, "frames": frames},
                **{"terminations": terminations, "truncations": truncations, "infos": infos, "times": times},
                "extras": {} if extras is None else extras,
            }
        )
        self._check_frame(has_frame=frames is not None)
        self._stream.open()
        began_ns = self._stream.session.began_ns
        times_ns = given.times_ns(began_ns)
        self._begin(given.observation(0), given.info(0), given.frame(0), seed, options, began_ns + int(times_ns[0]))
        if given.num_steps:
            self._append(*given.step(0), began_ns + int(times_ns[1]))
        if self._rows is not None and given.num_steps > 1:
            batch = plan_batch(self._rows.schema, given.steps_after_first(times_ns))
            if batch is not None:
                self._rows.put_batch(batch)
                self._is_open = not batch.is_ended
            else:
                for number in range(1, given.num_steps):
                    self._append(*given.step(number), began_ns + int(times_ns[number + 1]))
        self.end_episode()

    # The file -------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Return once every step so far is committed in the HDF5 file."""
        self._rows = self._stream.lay_out_first_row() or self._rows
        self._stream.session.flush()

    def close(self) -> None:
        """Complete the file. An open episode ends as incomplete. May be called again."""
        self._rows, self._is_open = None, False
        self._stream.close()
        self._finalizer.detach()

    def __repr__(self) -> str:
        return f"<Writer {str(self._stream.session.options.path)!r}: {counted(self._num_episodes, 'episode')}>"

    # What gym_h5record.recorder.living calls ------------------------------------------------------

    @property
    def recorded_path(self) -> Path | None:
        """The path of the file; None once it is closed."""
        session = self._stream.session
        return None if session.is_closing else session.options.path

    def complete(self) -> None:
        """Complete the file at the end of the program."""
        self._finalizer()

    def abandon(self) -> None:
        """Stop writing without touching the file: called in a forked child, which shares it."""
        self._finalizer.detach()
        self._stream.abandon()

    # One row --------------------------------------------------------------------------------------

    def _begin(
        self, observation: Any, info: Any, frame: Any, seed: int | None, options: Any, time_ns: int | None = None
    ) -> None:
        self._check_frame(has_frame=frame is not None)
        self.end_episode()
        self._can_discard = False
        begin = begin_json(seed, options, Origin.RESET, self._num_episodes, warn_of_repr)
        self._rows = self._stream.begin_episode(observation, {} if info is None else info, frame, begin, time_ns)
        self._num_episodes += 1
        self._is_open = self._can_discard = True

    def _append(
        self,
        action: Any,
        observation: Any,
        reward: Any,
        terminated: Any,
        truncated: Any,
        info: Any,
        frame: Any,
        extras: dict[str, Any] | None,
        time_ns: int | None = None,
    ) -> None:
        info, rows = {} if info is None else info, self._rows
        if rows is None:
            result = (observation, reward, terminated, truncated, info)
            self._rows = self._stream.record_first_step(action, extras or {}, result, frame, time_ns)
        else:
            rows.put_action(action, extras)
            rows.put_step(observation, reward, terminated, truncated, info, frame, time_ns)
        if terminated or truncated:
            self._rows, self._is_open = None, False

    def _check_frame(self, *, has_frame: bool) -> None:
        """The first row says whether the recording has frames; the others have to follow."""
        stream = self._stream
        kind = "render" if has_frame else "none"
        if not self._num_episodes:
            attributes = {**stream.recorded.attributes, "frames": kind}
            stream.recorded = replace(stream.recorded, frames=kind, attributes=attributes)
        elif kind != stream.recorded.frames:
            what = "a frame is given, but the rows before have none" if has_frame else "the rows before have frames"
            raise EpisodeDataError(f"frames: {what}. Either all rows of a recording have one, or none.")
