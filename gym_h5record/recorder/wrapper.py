"""``RecordToHDF5``: wrap an environment, get one HDF5 file.

The wrapper decides what is recorded and hands copies to an ``EpisodeStream``. The agent gets the original objects.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, SupportsFloat

import gymnasium as gym
from gymnasium.core import ActType, ObsType
from gymnasium.utils import RecordConstructorArgs

from gym_h5record.errors import UnsupportedEnvError
from gym_h5record.recorder.cameras import Cameras
from gym_h5record.recorder.episode_recorder import MALFORMED, STEP_RESULT, EpisodeRecorder
from gym_h5record.recorder.episode_stream import IMMUTABLE, EpisodeStream, kept_copy
from gym_h5record.recorder.episode_summary import Keep
from gym_h5record.recorder.frame_sources import choose_frame_source
from gym_h5record.recorder.living import check_not_recorded, enroll
from gym_h5record.recorder.on_error import FAILURES
from gym_h5record.recorder.recorded_env import describe_recorded
from gym_h5record.recorder.snapshots.provider import SnapshotProvider
from gym_h5record.recorder.snapshots.snapshot_set import make_snapshot_set
from gym_h5record.recorder.triggers import Schedule
from gym_h5record.writing.options import make_options
from gym_h5record.writing.session import Session

__all__ = ["RecordToHDF5"]


class RecordToHDF5(gym.Wrapper[ObsType, ActType, ObsType, ActType], RecordConstructorArgs):
    """Record every step of an environment into one HDF5 file.

    The agent gets the environment's own objects, and recording draws no random number. A step that has returned is
    kept, even if the process is killed. Call ``close`` at the end, else the file is completed when the process ends.

    Args:
        env: The environment; no ``VectorEnv``.
        path: The file to make.
        mode: ``"x"`` makes a new file and never overwrites one; ``"w"`` replaces a file; ``"a"`` appends to a recording
            with the same spaces, and first brings in the steps that an interrupted recorder left. The environment's
            spec says ``"x"`` in the place of ``"w"``: one that is made from it again never replaces this recording.
        frames: ``"auto"`` stores what the environment renders in the modes ``rgb_array``, ``ansi``, ``depth_array`` and
            ``rgbd_tuple``, or links the frames to observations that are the same pictures; ``"render"`` and
            ``"observation"`` demand one of the two; False stores none. A dict of cameras,
            ``{"front": function, ...}``, stores a picture of each: every function is called with ``env`` for every row.
        infos: Whether to record infos.
        times: Whether to record when each row came, in nanoseconds since the recording began.
        snapshots: Whether to keep the generators and the simulator's state that each reset depends on, so that its
            episode can be re-simulated; or your own providers of such state.
        episode_trigger: Which episodes to record, as in ``RecordVideo``.
        step_trigger: At which steps to start recording, as in ``RecordVideo``. Without triggers everything is recorded.
        keep: Asked about every episode when it ends, with an ``EpisodeSummary``; False discards the episode. A process
            that is killed before the answer keeps it.
        compression: ``"gzip"``, ``"zstd"``, ``"lz4"``, ``"lzf"``, ``"szip"`` or None.
        compression_opts: As h5py's; None is a good choice for each.
        writer: ``"process"`` compresses in a process of its own, ``"inline"`` in this one.
        flush_interval_s: Seconds until a reader of the file sees a step.
        durability: With ``"process"``, completed steps survive the death of any process. With ``"power"`` they also
            survive a power cut, but for those of the last ``flush_interval_s``.
        checksum: Whether to keep checksums of all data, for ``gym_h5record.validate``.
        on_error: With ``"raise"``, a call of the recorder raises an error of the writer, such as a full disk. With
            ``"warn"`` the error becomes a ``RecordingWarning``, and the environment goes on without being recorded.
        metadata: Your own metadata of the recording; ``run_id`` and ``agent_id`` become attributes of the file.

    Raises:
        RecordingExistsError: If the file exists and the mode is ``"x"``.
        RecordingPathError: If the directory is missing or cannot be written.
        OptionError: If an option has an unknown value.
        UnsupportedSpaceError: If a space is too large, or a Dict space has a key that is no plain value.
        UnsupportedEnvError: If ``env`` is a ``VectorEnv``.

    Example:
        >>> import gymnasium as gym, gym_h5record as h5r
        >>> env = h5r.RecordToHDF5(gym.make("CartPole-v1"), tmp_path / "run.h5")
        >>> observation, info = env.reset(seed=1)
        >>> for _ in range(10):
        ...     observation, reward, terminated, truncated, info = env.step(0)
        ...     if terminated or truncated:
        ...         observation, info = env.reset()
        >>> env.close()
        >>> h5r.Recording(tmp_path / "run.h5").num_steps
        10
    """

    def __init__(
        self,
        env: gym.Env[ObsType, ActType],
        path: str | os.PathLike[str],
        *,
        mode: str = "x",
        frames: str | Literal[False] | Mapping[str, Callable[[Any], Any]] = "auto",
        infos: bool = True,
        times: bool = True,
        snapshots: bool | Sequence[SnapshotProvider] = True,
        episode_trigger: Callable[[int], bool] | None = None,
        step_trigger: Callable[[int], bool] | None = None,
        keep: Keep | None = None,
        compression: str | None = "gzip",
        compression_opts: Any = None,
        writer: str = "process",
        flush_interval_s: float = 1.0,
        durability: str = "process",
        checksum: bool = False,
        on_error: str = "raise",
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        given: object = env
        if isinstance(given, gym.vector.VectorEnv):
            raise UnsupportedEnvError(
                f"{type(env).__name__} is a VectorEnv: this wrapper records a single environment. "
                "Record all of its environments into one file with gym_h5record.vector.RecordToHDF5."
            )
        frames = Cameras(frames) if isinstance(frames, Mapping) else frames
        RecordConstructorArgs.__init__(
            self,
            path=os.fspath(path),  # text: a spec with a Path cannot be written as JSON
            mode="x" if mode == "w" else mode,
            frames=frames,
            infos=infos,
            times=times,
            snapshots=snapshots,
            episode_trigger=episode_trigger,
            step_trigger=step_trigger,
            keep=keep,
            compression=compression,
            compression_opts=compression_opts,
            writer=writer,
            flush_interval_s=flush_interval_s,
            durability=durability,
            checksum=checksum,
            on_error=on_error,
            metadata=metadata,
        )
        gym.Wrapper.__init__(self, env)
        options = make_options(
            path, mode, compression, compression_opts, writer, flush_interval_s, durability, checksum=checksum
        )
        check_not_recorded(options.path, waits=mode == "a")
        frame_source = choose_frame_source(env, frames)
        recorded = describe_recorded(
            env, frame_source.kind, metadata, infos=infos, times=times, cameras=frame_source.camera_names
        )
        self._recorder: EpisodeRecorder | None = EpisodeRecorder(  # None in a copy
            EpisodeStream(Session(options), recorded),
            Schedule(episode_trigger, step_trigger),
            frame_source,
            make_snapshot_set(snapshots),
            on_error,
            keep,
        )
        self._frame_source = frame_source if frame_source.captures else None  # None in a copy
        self._render = frame_source.render
        self._recorder.close_with(self)
        enroll(self)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[ObsType, dict[str, Any]]:
        """Reset the environment; begin a recorded episode unless the triggers say no."""
        recorder, source = self._recorder, self._frame_source
        if source is not None:
            source.forget()
        begin = None if recorder is None else recorder.before_reset(self.env, seed, options)
        result = self.env.reset(seed=seed, options=options)
        if recorder is not None and begin is not None:
            recorder.after_reset(self.env, result, seed, begin)
        return result

    def step(self, action: ActType) -> tuple[ObsType, SupportsFloat, bool, bool, dict[str, Any]]:
        """Step the environment, and record the action and its outcome."""
        recorder, source = self._recorder, self._frame_source
        rows = None if recorder is None else recorder.rows
        if source is not None:
            source.forget()
        if recorder is None or rows is None:
            return self._step_off_the_path(action)
        extras, recorder.extras = recorder.extras, None  # dropped if the environment raises
        try:
            rows.put_action(action, extras)
        except FAILURES as error:
            if not recorder.errors.goes_on_after(error):
                raise
            return self.env.step(action)
        result = self.env.step(action)
        if recorder.rows is not rows:
            return result  # the step has closed the recorder, or has forked and this process is the child
        try:
            observation, reward, terminated, truncated, info = result
            has_ended = bool(terminated or truncated)
        except MALFORMED:
            recorder.stop_after_malformed("step", result, STEP_RESULT)
            return result
        try:
            frame = None if source is None else source.capture()
            rows.put_step(observation, reward, terminated, truncated, info, frame)
        except BaseException as error:
            recorder.lose_track()
            if not recorder.errors.goes_on_after(error):
                raise
        if has_ended or recorder.watches_steps:
            recorder.after_step(result)
        return result

    def _step_off_the_path(self, action: ActType) -> tuple[ObsType, SupportsFloat, bool, bool, dict[str, Any]]:
        """A step that is not recorded, or the first of the recording, or one after the end of an episode."""
        recorder = self._recorder
        if recorder is None:
            return self.env.step(action)
        first = recorder.before_unrecorded_step(action)
        if recorder.rows is not None:
            return self.step(action)
        result = self.env.step(action)
        recorder.after_unrecorded_step(first, result)
        return result

    def add_extras(self, /, **extras: Any) -> None:
        """Record what the agent knows with the coming step, such as ``add_extras(log_prob=-0.7, value=1.2)``.

        May be called several times before a step; a key that is given again takes the new value. Arrays are copied.
        The keys of the first step that are numbers or arrays get a column each, all others are stored as JSON text.
        Extras of a step that raises, or that is not recorded, are dropped.
        """
        recorder = self._recorder
        if recorder is None:
            return
        for value in extras.values():  # a loop takes 0.07 us for two numbers, ``issuperset`` 0.14
            if type(value) is not float and type(value) not in IMMUTABLE:
                extras = {key: kept_copy(each) for key, each in extras.items()}
                break
        recorder.extras = extras if recorder.extras is None else recorder.extras | extras

    def discard_episode(self) -> None:
        """Forget the newest episode: the running one, or the last one if it has ended and ``reset`` has not come.

        Its steps take no space in the closed file, and the metadata counts them. Nothing is recorded until ``reset``.
        """
        if self._recorder is not None:
            self._recorder.discard_episode()

    def render(self) -> Any:
        """Render the environment. The result is the same as without recording."""
        return self._render()

    def flush(self) -> None:
        """Return once every step so far is committed in the HDF5 file.

        Raises:
            WriterError: If the writer has failed.
        """
        if self._recorder is not None:
            self._recorder.flush()

    def close(self) -> None:
        """Complete the file, then close the environment. May be called again.

        Raises:
            WriterError: If the writer has failed, and no method has raised that before.
        """
        recorder = self._recorder
        try:
            if recorder is not None:
                with recorder.errors.applied():
                    recorder.close()
        finally:
            super().close()

    # What gym_h5record.recorder.living calls ------------------------------------------------------

    @property
    def recorded_path(self) -> Path | None:
        """The path of the file; None once the recording is closed, and in a copy of the wrapper."""
        stream = None if self._recorder is None else self._recorder.open_stream
        return None if stream is None else stream.session.options.path

    def complete(self) -> None:
        """Complete the file at the end of the program; the environment stays open."""
        if self._recorder is not None:
            self._recorder.close()

    def abandon(self) -> None:
        """Stop recording without touching the file: called in a forked child, which shares it."""
        if self._recorder is not None:
            self._recorder.abandon()

    def __getstate__(self) -> dict[str, Any]:
        """A copy does not record: the file belongs to the original."""
        return {
            **self.__dict__,
            "_recorder": None,
            "_frame_source": None,
            "_render": self.env.render,
        }


# Specs of recorded environments name the class by this module; files outlive the modules of this room.
RecordToHDF5.__module__ = "gym_h5record.recorder"
