"""``RecordToHDF5``: wrap an environment, get one HDF5 file.

The wrapper decides what is recorded and hands copies to an ``EpisodeStream``. The agent gets the original objects.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import Any, Literal, SupportsFloat

import gymnasium as gym
from gymnasium.core import ActType, ObsType
from gymnasium.utils import RecordConstructorArgs

from gym_h5record.errors import RecordingPathError, StepBeforeResetError, UnsupportedEnvError, WriterError
from gym_h5record.format.names import Origin
from gym_h5record.recorder.episode_stream import EpisodeStream, describe_recorded, kept_copy, warn, warn_of_repr
from gym_h5record.recorder.forks import abandon_in_children
from gym_h5record.recorder.frame_sources import choose_frame_source
from gym_h5record.recorder.snapshots.provider import SnapshotProvider
from gym_h5record.recorder.snapshots.snapshot_set import make_snapshot_set
from gym_h5record.recorder.triggers import Schedule
from gym_h5record.writing.options import checked_on_error, make_options
from gym_h5record.writing.row_writer import RowWriter, begin_json
from gym_h5record.writing.session import Session

__all__ = ["RecordToHDF5"]

_FAILURES = (WriterError, RecordingPathError)  # what ``on_error`` is about


class RecordToHDF5(gym.Wrapper[ObsType, ActType, ObsType, ActType], RecordConstructorArgs):
    """Record every step of an environment into one HDF5 file.

    The agent gets the environment's own objects, and recording draws no random number. A step that has returned is
    kept, even if the process is killed. Call ``close`` at the end, else the file is completed when the process ends.

    Args:
        env: The environment; no ``VectorEnv``.
        path: The file to make.
        mode: ``"x"`` makes a new file and never overwrites one; ``"w"`` replaces a file; ``"a"`` appends to a recording
            with the same spaces, and first brings in the steps that an interrupted recorder left.
        frames: ``"auto"`` stores the pictures that an ``rgb_array`` environment renders, or links them to observations
            that are the same pictures; ``"render"`` and ``"observation"`` demand one of the two; False stores none.
        infos: Whether to record infos.
        snapshots: Whether to keep the generators and the simulator's state that each reset depends on, so that its
            episode can be re-simulated; or your own providers of such state.
        episode_trigger: Which episodes to record, as in ``RecordVideo``.
        step_trigger: At which steps to start recording, as in ``RecordVideo``. Without triggers everything is recorded.
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
        UnsupportedSpaceError: If a space is a custom one.
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
        frames: str | Literal[False] = "auto",
        infos: bool = True,
        snapshots: bool | Sequence[SnapshotProvider] = True,
        episode_trigger: Callable[[int], bool] | None = None,
        step_trigger: Callable[[int], bool] | None = None,
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
                "Wrap the environments inside it, each with its own path."
            )
        RecordConstructorArgs.__init__(
            self,
            path=path,
            mode=mode,
            frames=frames,
            infos=infos,
            snapshots=snapshots,
            episode_trigger=episode_trigger,
            step_trigger=step_trigger,
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
        self._warns_on_error = checked_on_error(on_error) == "warn"
        self._frame_source = choose_frame_source(env, frames)
        self._capture = self._frame_source.capture if self._frame_source.kind == "render" else None
        self._snapshots = make_snapshot_set(snapshots)
        self._schedule = Schedule(episode_trigger, step_trigger)
        self._watches_steps = self._schedule.watches_steps
        recorded = describe_recorded(env, self._frame_source.kind, metadata, infos=infos)
        self._stream: EpisodeStream | None = EpisodeStream(Session(options), recorded)  # None in a copy and once closed
        # Also runs when the interpreter exits, and when the wrapper is dropped without close().
        self._finalizer = weakref.finalize(self, self._stream.close)
        self._rows: RowWriter | None = None  # while an episode is being recorded
        self._is_recording = False
        abandon_in_children(self)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[ObsType, dict[str, Any]]:
        """Reset the environment; begin a recorded episode unless the triggers say no."""
        stream = self._open_stream
        if stream is not None and stream.rows is None and self._schedule.records_everything:
            with self._failing_as_wanted():
                stream.open()  # the writer process loads while the environment resets
        if self._open_stream is None:
            return self.env.reset(seed=seed, options=options)
        # Before the environment changes the options, or draws from a generator:
        snapshot = self._snapshots.take(self.env, is_bare=seed is None and options is None)
        begin = begin_json(seed, options, Origin.RESET, self._schedule.episode_id + 1, warn_of_repr, snapshot)
        result = self.env.reset(seed=seed, options=options)
        try:
            self._snapshots.complete(self.env, begin["snapshot"])
            self._record_reset(*result, begin)
        except BaseException as error:
            self._rows, self._is_recording = None, False  # the steps that follow belong to no recorded episode
            if not self._goes_on_after(error):
                raise
        return result

    def step(self, action: ActType) -> tuple[ObsType, SupportsFloat, bool, bool, dict[str, Any]]:
        """Step the environment, and record the action and its outcome."""
        rows = self._rows
        if rows is None:
            return self._step_off_the_path(action)
        try:
            rows.put_action(action)
        except _FAILURES as error:
            if not self._goes_on_after(error):
                raise
            return self.env.step(action)
        result = self.env.step(action)
        if self._rows is not rows:
            return result  # the step has closed the recorder, or has forked and this process is the child
        observation, reward, terminated, truncated, info = result
        try:
            frame = None if self._capture is None else self._capture()
            rows.put_step(observation, reward, terminated, truncated, info, frame)
        except BaseException as error:
            self._rows, self._is_recording = None, False  # the environment is a step ahead of its recording
            if not self._goes_on_after(error):
                raise
        if terminated or truncated:
            self._rows = None
        if self._watches_steps:
            with self._failing_as_wanted():
                self._watch_step(observation, info)
        return result

    def render(self) -> Any:
        """Render the environment. The result is the same as without recording."""
        return self._frame_source.render()

    def flush(self) -> None:
        """Return once every step so far is committed in the HDF5 file.

        Raises:
            WriterError: If the writer has failed.
        """
        stream = self._open_stream
        if stream is not None:
            with self._failing_as_wanted():
                self._rows = stream.lay_out_first_row() or self._rows
                stream.session.flush()

    def close(self) -> None:
        """Complete the file, then close the environment. May be called again.

        Raises:
            WriterError: If the writer has failed, and no method has raised that before.
        """
        try:
            with self._failing_as_wanted():
                self._close_recording()
        finally:
            super().close()

    def abandon(self) -> None:
        """Stop recording without touching the file: called in a forked child, which shares it."""
        stream, self._stream, self._rows = self._stream, None, None
        if stream is not None:
            self._finalizer.detach()
            stream.abandon()

    # What most steps do not need --------------------------------------------------------------------

    def _step_off_the_path(self, action: ActType) -> tuple[ObsType, SupportsFloat, bool, bool, dict[str, Any]]:
        """A step that is not recorded, or the first of the recording, or one after the end of an episode."""
        stream = self._open_stream
        if stream is None:
            return self.env.step(action)
        if self._schedule.episode_id < 0:
            raise StepBeforeResetError("step() was called before the first reset(); call reset() to begin an episode.")
        with self._failing_as_wanted():
            if monotonic() >= stream.session.due_s:
                stream.session.tick()
            if self._is_recording:
                self._rows = stream.step_on(self._schedule.episode_id)
        if self._rows is not None:
            return self.step(action)
        is_first = stream.has_first_row
        kept_action = kept_copy(action) if is_first else None
        result = self.env.step(action)
        with self._failing_as_wanted():
            if is_first and stream.has_first_row:
                rows = stream.record_first_step(kept_action, result, self._frame_source.capture())
                self._rows = None if result[2] or result[3] else rows
            self._watch_step(result[0], result[4])
        return result

    def _record_reset(self, observation: Any, info: Any, begin: dict[str, Any]) -> None:
        recorded, stream = self._schedule.on_reset(), self._open_stream
        if stream is None:
            return
        if self._rows is not None and not recorded:
            self._rows.end_episode()
        self._is_recording = recorded
        if recorded:
            self._rows = stream.begin_episode(observation, info, self._frame_source.capture(), begin)
        else:
            stream.lay_out_first_row()
            self._rows = None

    def _watch_step(self, observation: Any, info: Any) -> None:
        """Begin a new recording here if the step trigger says so."""
        stream = self._open_stream
        if stream is None or not self._schedule.on_step():
            return
        if self._rows is not None:
            self._rows.end_episode()
        self._is_recording = True
        begin = begin_json(None, None, Origin.STEP_TRIGGER, self._schedule.episode_id)
        self._rows = stream.begin_episode(observation, info, self._frame_source.capture(), begin)

    # When recording ends, or fails ------------------------------------------------------------------

    @contextmanager
    def _failing_as_wanted(self) -> Iterator[None]:
        try:
            yield
        except _FAILURES as error:
            if not self._goes_on_after(error):
                raise

    def _goes_on_after(self, error: BaseException) -> bool:
        """Whether the environment goes on without recording after an error, as ``on_error`` says."""
        if not self._warns_on_error or not isinstance(error, _FAILURES):
            return False
        causes = [error]
        try:
            self._close_recording()
        except _FAILURES as closing_error:
            causes.append(closing_error)
        warn(f"{' '.join(map(str, causes))} The environment goes on without being recorded.")
        for each in causes:  # their stack frames refer to the journal
            each.__traceback__ = each.__cause__ = each.__context__ = None
        return True

    @property
    def _open_stream(self) -> EpisodeStream | None:
        """The stream; None in a copy and once the recording is closed: the wrapper then only passes through."""
        return None if self._stream is None or self._stream.session.is_closing else self._stream

    def _close_recording(self) -> None:
        stream, self._rows = self._stream, None
        if stream is None:
            return
        try:
            stream.close()
        finally:
            if stream.session.is_closed:  # else it was interrupted: the next ``close``, or the finalizer, completes it
                self._stream = None
                self._finalizer.detach()

    def __getstate__(self) -> dict[str, Any]:
        """A copy does not record: the file belongs to the original."""
        return {**self.__dict__, "_stream": None, "_rows": None, "_finalizer": None}


# Specs of recorded environments name the class by this module; files outlive the modules of this room.
RecordToHDF5.__module__ = "gym_h5record.recorder"
