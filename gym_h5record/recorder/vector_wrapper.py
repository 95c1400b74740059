"""``gym_h5record.vector.RecordToHDF5``: wrap a vector environment, get one HDF5 file with a lane per environment."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gymnasium.vector import VectorEnv, VectorWrapper

from gym_h5record.recorder.cameras import Cameras
from gym_h5record.recorder.episode_summary import Keep
from gym_h5record.recorder.lane_batches import LaneBatches
from gym_h5record.recorder.lane_recorder import LaneRecorder
from gym_h5record.recorder.lane_states import LaneStates
from gym_h5record.recorder.lane_stream import LaneStream
from gym_h5record.recorder.living import check_not_recorded, enroll
from gym_h5record.recorder.snapshots.lane_snapshots import LaneSnapshots
from gym_h5record.recorder.snapshots.provider import SnapshotProvider
from gym_h5record.recorder.triggers import Schedule
from gym_h5record.recorder.vector_facts import (
    autoreset_mode,
    check_lanes,
    check_vector_env,
    describe_vector,
    single_envs,
)
from gym_h5record.recorder.vector_frames import choose_vector_frames
from gym_h5record.writing.options import make_options
from gym_h5record.writing.session import Session

__all__ = ["RecordToHDF5"]

if TYPE_CHECKING:
    _VectorWrapper = VectorWrapper[Any, Any, Any, Any, Any]
else:
    _VectorWrapper = VectorWrapper  # before Gymnasium 1.4, it takes no type parameters


class RecordToHDF5(_VectorWrapper):
    """Record every step of a vector environment into one HDF5 file.

    Each environment is a lane. The lane of every dataset is what a recording of that environment alone would hold: its
    episodes with their true final observations, whatever the autoreset mode. The agent gets the environment's own
    objects. ``gym_h5record.Recording`` reads the file, and shows the episodes of all lanes in the order they ended.

    Args:
        env: The vector environment.
        path: The file to make.
        lanes: Which environments to record, by their numbers; None for all.
        mode: This option and all others are those of ``gym_h5record.RecordToHDF5``. Triggers and ``keep`` are asked
            about each lane by itself.
        frames: See there. A camera is called with the vector environment, and returns a picture of each environment.
        infos: See there.
        times: See there.
        snapshots: See there; kept for the environments of a ``SyncVectorEnv`` that are reset by a ``reset`` or a
            step of their own. Those of other vector environments cannot be reached.
        episode_trigger: See there.
        step_trigger: See there.
        keep: See there.
        compression: See there.
        compression_opts: See there.
        writer: See there.
        flush_interval_s: See there.
        durability: See there.
        checksum: See there.
        on_error: See there.
        metadata: See there.

    Raises:
        UnsupportedEnvError: If ``env`` is no vector environment, or does not say how it resets.
        OptionError: If an option has an unknown value, or there is no such lane.
        RecordingExistsError: If the file exists and the mode is ``"x"``.
        RecordingPathError: If the directory is missing or cannot be written.

    Example:
        >>> import gymnasium as gym, gym_h5record as h5r
        >>> envs = h5r.vector.RecordToHDF5(gym.make_vec("CartPole-v1", num_envs=4), tmp_path / "lanes.h5")
        >>> observations, infos = envs.reset(seed=1)
        >>> for _ in range(5):
        ...     observations, rewards, terminations, truncations, infos = envs.step(envs.action_space.sample())
        >>> envs.close()
        >>> recording = h5r.Recording(tmp_path / "lanes.h5")
        >>> recording.num_envs, recording.num_steps
        (4, 20)
    """

    def __init__(
        self,
        env: VectorEnv[Any, Any, Any],
        path: str | os.PathLike[str],
        *,
        lanes: Sequence[int] | None = None,
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
        check_vector_env(env)
        super().__init__(env)
        chosen = check_lanes(lanes, env.num_envs)
        frames = Cameras(frames) if isinstance(frames, Mapping) else frames
        options = make_options(
            path, mode, compression, compression_opts, writer, flush_interval_s, durability, checksum=checksum
        )
        check_not_recorded(options.path, waits=mode == "a")
        source = choose_vector_frames(env, frames, chosen)
        recorded = describe_vector(
            env, chosen, source.kind, metadata, infos=infos, times=times, cameras=source.camera_names
        )
        envs = single_envs(env)
        self._recorder: LaneRecorder | None = LaneRecorder(  # None in a copy
            LaneStream(Session(options), recorded, len(chosen)),
            autoreset_mode(env),
            LaneBatches(chosen, env.num_envs, recorded.spaces, source),
            LaneStates([Schedule(episode_trigger, step_trigger) for _ in chosen], keep),
            LaneSnapshots(snapshots, [] if envs is None else [envs[lane] for lane in chosen]),
            on_error,
        )
        self._frames = source if source.captures else None  # None in a copy
        self._render = source.render
        self._recorder.close_with(self)
        enroll(self)

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Reset the environments, or those of a ``reset_mask``; begin recorded episodes unless the triggers say no."""
        recorder = self._recorder
        if self._frames is not None:
            self._frames.forget()
        if recorder is None:
            return self.env.reset(seed=seed, options=options)
        begins = recorder.before_reset(seed, options, self.env.num_envs)
        result = self.env.reset(seed=seed, options=options)
        if begins is not None:
            recorder.after_reset(result, begins)
        return result

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Step the environments, and record the actions and their outcome."""
        recorder = self._recorder
        if self._frames is not None:
            self._frames.forget()
        if recorder is None:
            return self.env.step(actions)
        recorder.before_step(actions)
        result = self.env.step(actions)
        recorder.after_step(result)
        return result

    def add_extras(self, /, **extras: Any) -> None:
        """Record what the agent knows with the coming step, as arrays with an entry for each environment.

        Such as ``add_extras(log_prob=log_probs, value=values)``, with ``(num_envs,)`` or ``(num_envs, *shape)``.

        Raises:
            EpisodeDataError: If an array has another number of entries.
        """
        if self._recorder is not None:
            self._recorder.add_extras(extras)

    def discard_episode(self, lanes: Sequence[int] | None = None) -> None:
        """Forget the newest episode of some environments, or of all: the running one, or one that has just ended.

        An episode that has ended can be forgotten until the next step. In ``SAME_STEP`` mode its environment has begun
        the next one by then: pass ``keep`` to decide about it. Nothing of a lane is recorded until its next reset.

        Args:
            lanes: The numbers of the environments.
        """
        if self._recorder is not None:
            self._recorder.discard_episode(lanes)

    def render(self) -> Any:
        """Render the environments. The result is the same as without recording."""
        return self._render()

    def flush(self) -> None:
        """Return once every step so far is committed in the HDF5 file.

        Raises:
            WriterError: If the writer has failed.
        """
        if self._recorder is not None:
            self._recorder.flush()

    def close(self, **kwargs: Any) -> None:
        """Complete the file, then close the environments. May be called again.

        Raises:
            WriterError: If the writer has failed, and no method has raised that before.
        """
        recorder = self._recorder
        try:
            if recorder is not None:
                with recorder.errors.applied():
                    recorder.close()
        finally:
            super().close(**kwargs)

    # What gym_h5record.recorder.living calls ------------------------------------------------------

    @property
    def recorded_path(self) -> Path | None:
        """The path of the file; None once the recording is closed, and in a copy of the wrapper."""
        stream = None if self._recorder is None else self._recorder.open_stream
        return None if stream is None else stream.session.options.path

    def complete(self) -> None:
        """Complete the file at the end of the program; the environments stay open."""
        if self._recorder is not None:
            self._recorder.close()

    def abandon(self) -> None:
        """Stop recording without touching the file: called in a forked child, which shares it."""
        if self._recorder is not None:
            self._recorder.abandon()

    def __getstate__(self) -> dict[str, Any]:
        """A copy does not record: the file belongs to the original."""
        return {**self.__dict__, "_recorder": None, "_frames": None, "_render": self.env.render}
