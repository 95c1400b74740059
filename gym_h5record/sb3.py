"""Stable-Baselines3: a replay buffer that is a recording, for off-policy runs with more steps than memory holds.

Every step is recorded, and samples are read from the file. The newest steps are also kept in memory: they may not be
committed yet, and reading them takes less time. The batches are those of the buffer of Stable-Baselines3, bit for bit:
both draw the same random numbers.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces

from gym_h5record.display import counted
from gym_h5record.errors import MissingDependencyError, OptionError, SchemaMismatchError, UnsupportedSpaceError
from gym_h5record.notices import warn
from gym_h5record.recorder.writer import Writer
from gym_h5record.storage.paths import given_path
from gym_h5record.training.followed_steps import FollowedSteps, in_order
from gym_h5record.training.newest_steps import NewestSteps

try:
    import torch
    from stable_baselines3.common import buffers
    from stable_baselines3.common.type_aliases import DictReplayBufferSamples, ReplayBufferSamples
    from stable_baselines3.common.vec_env import VecNormalize
except ImportError as error:
    raise MissingDependencyError(
        'gym_h5record.sb3 needs stable-baselines3, which is not installed: pip install "gym_h5record[sb3]"'
    ) from error

__all__ = ["ReplayBuffer"]

_MEMORY_BYTES = 256 << 20

_TRUNCATED = "TimeLimit.truncated"
_ELSEWHERE = ("terminal_observation", _TRUNCATED)
"""Keys of infos that the file has in its columns: the final observation of an episode, and its truncation."""

_Parts = dict[str, np.ndarray]
"""An observation: its arrays by key; those of a space other than Dict have the key "" only."""


class ReplayBuffer(buffers.ReplayBuffer):
    """A replay buffer whose ``add`` records into a file, and whose ``sample`` reads from it.

    ``DQN(..., replay_buffer_class=ReplayBuffer, replay_buffer_kwargs={"path": "run.h5"})`` uses it. It takes the place
    of ``ReplayBuffer`` and of ``DictReplayBuffer``. Samples come from the newest ``buffer_size`` steps; the file keeps
    all. For the same seed, a run with this buffer is the same as one without it.

    The file is made by the first ``add``, and complete after ``close`` or at the end of the program. It is a recording
    as any other one. Its observations are those that the policy saw, behind the wrappers of the environment, and its
    actions those that Stable-Baselines3 keeps. Actions of a Box are scaled to -1 ... 1: that is the action space of the
    file, and its metadata have the bounds of the environment as ``action_low`` and ``action_high``.

    ``model.save_replay_buffer`` keeps where the file is and how many steps it had, and no steps.
    ``model.load_replay_buffer`` goes on with this file, and warns if it has more steps now.

    Args:
        buffer_size: From how many of the newest steps samples come.
        observation_space: The space of the observations: one of arrays, or a Dict of these.
        action_space: The space of the actions.
        device: Where samples go.
        n_envs: 1: a file has the steps of one environment for now.
        optimize_memory_usage: False: the file has each observation once in any case.
        handle_timeout_termination: Whether ``dones`` of a sample is 0 where an episode was truncated.
        path: The file.
        memory_bytes: How much memory the newest steps may take.
        infos: Whether to record infos.
        **options: Options of ``gym_h5record.Writer``, such as ``compression`` and ``mode``. With ``mode="a"``, the
            buffer begins with the steps that the file has.

    Raises:
        OptionError: If an argument is wrong, or ``n_envs`` is not 1.
        UnsupportedSpaceError: If an observation has Dict spaces within Dict spaces.
        SchemaMismatchError: If the file of ``mode="a"`` has other spaces.
        RecordingError: If the file cannot be read or written, as of ``Recording`` and ``Writer``.
    """

    def __init__(
        self,
        buffer_size: int,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        device: torch.device | str = "auto",
        n_envs: int = 1,
        optimize_memory_usage: bool = False,  # noqa: FBT001, FBT002  # positional in Stable-Baselines3
        handle_timeout_termination: bool = True,  # noqa: FBT001, FBT002
        *,
        path: str | os.PathLike[str],
        memory_bytes: int = _MEMORY_BYTES,
        infos: bool = True,
        **options: Any,
    ) -> None:
        if n_envs != 1:
            raise OptionError(
                f"n_envs: expected 1, got {n_envs!r:.80}: a file has the steps of one environment for now. Use one "
                "environment, or the buffer of Stable-Baselines3"
            )
        if optimize_memory_usage:
            raise OptionError("optimize_memory_usage: expected False: the file has each observation once in any case")
        for name, value in (("buffer_size", buffer_size), ("memory_bytes", memory_bytes)):
            if type(value) is bool or not isinstance(value, (int, np.integer)) or value < 1:
                raise OptionError(f"{name}: expected a positive integer, got {value!r:.80}")
        # Not that of ReplayBuffer, which makes arrays for all steps.
        super(buffers.ReplayBuffer, self).__init__(int(buffer_size), observation_space, action_space, device, n_envs)
        self.optimize_memory_usage = False
        self.handle_timeout_termination = handle_timeout_termination
        self.path = Path(os.path.abspath(given_path(path)))
        self._layout = _layout(observation_space, self.obs_shape)
        self._action_dtype = np.dtype(self._maybe_cast_dtype(action_space.dtype))
        self._infos, self._memory_bytes, self._options = infos, memory_bytes, options
        self._mode = options.pop("mode", "x")
        self._followed: FollowedSteps | None = None
        self._writer: Writer | None = None  # made by ``add``: ``DQN.load`` makes a buffer too, which may get no steps
        self._num_steps = 0  # of the file, those of the running episode included
        self._first = 0  # the first one that is in the buffer
        self._last: _Parts | None = None  # the newest observation of the running episode
        if self._mode == "a" and self.path.exists():
            self._adopt()
        self._newest = self._no_steps()

    # What Stable-Baselines3 calls -----------------------------------------------------------------

    def add(
        self,
        obs: np.ndarray | dict[str, np.ndarray],
        next_obs: np.ndarray | dict[str, np.ndarray],
        action: np.ndarray,
        reward: np.ndarray,
        done: np.ndarray,
        infos: list[dict[str, Any]],
    ) -> None:
        """Record a step. Arguments have an axis of one environment in front, as Stable-Baselines3 gives them.

        An episode that was not done ends as incomplete where ``obs`` is not the ``next_obs`` of the step before.
        """
        before, after = self._parts(obs), self._parts(next_obs)
        taken = np.array(action, self._action_dtype).reshape(self.action_dim)
        gain, is_done = np.asarray(reward).reshape(()), bool(np.asarray(done).reshape(()))
        is_cut = is_done and bool(infos[0].get(_TRUNCATED, False))
        info = {key: each for key, each in infos[0].items() if key not in _ELSEWHERE} if self._infos else None
        writer = self._writer or self._open()
        if self._last is None or any(before[key].tobytes() != each.tobytes() for key, each in self._last.items()):
            writer.begin_episode(self._recorded(before))
        recorded = taken.reshape(self.action_space.shape or ())[()]
        is_ended = is_done and not is_cut
        writer.append(recorded, self._recorded(after), float(gain), is_ended, is_cut, info)
        self._newest.put([*before.values(), *after.values(), taken, gain, is_ended, is_cut])
        self._last = None if is_done else after
        self._num_steps += 1
        self._place()

    def reset(self) -> None:
        """Sample none of the steps so far. The file keeps them."""
        self._first, self._last = self._num_steps, None
        self._place()

    def close(self) -> None:
        """Complete the file. ``sample`` reads from it as before, and ``add`` opens it again."""
        if self._writer is not None:
            self._writer.close()
            self._writer, self._last, self._mode = None, None, "a"

    def _get_samples(self, batch_inds: np.ndarray, env: VecNormalize | None = None) -> Any:
        """The steps at these places of a ring of ``buffer_size`` places."""
        np.random.randint(0, high=self.n_envs, size=(len(batch_inds),))  # as Stable-Baselines3 draws
        oldest = self._num_steps - self.size()
        numbers = oldest + (batch_inds - self.pos * self.full) % self.buffer_size
        before, after, actions, rewards, ended, cut = self._steps(numbers)
        observations, following = (self._normalize_obs(self._given(each), env) for each in (before, after))
        ends = ended if self.handle_timeout_termination else ended | cut
        rewards = self._normalize_reward(rewards.astype(np.float32).reshape(-1, 1), env)
        kind = DictReplayBufferSamples if isinstance(observations, dict) else ReplayBufferSamples
        return kind(
            observations=self._tensors(observations),
            actions=self._tensors(actions),
            next_observations=self._tensors(following),
            dones=self._tensors(ends.astype(np.float32).reshape(-1, 1)),
            rewards=self._tensors(rewards),
        )

    # The steps ------------------------------------------------------------------------------------

    def _steps(self, numbers: np.ndarray) -> tuple[Any, ...]:
        """The steps of these numbers: both observations, actions, rewards, terminations and truncations."""
        is_newest = numbers >= self._newest.first
        if is_newest.all():
            return self._joined(self._newest.get(numbers))
        found = self._from_file(numbers[~is_newest])
        if is_newest.any():
            newest = self._newest.get(numbers[is_newest])
            found = [in_order(*pair, ~is_newest) for pair in zip(found, newest, strict=True)]
        return self._joined(found)

    def _from_file(self, numbers: np.ndarray) -> list[np.ndarray]:
        """The arrays of these steps, in the order of ``NewestSteps``."""
        batch = self._read_up_to(int(numbers.max()) + 1).take(numbers)
        found: list[np.ndarray] = []
        for name in ("observations", "next_observations"):
            values = batch[name] if isinstance(batch[name], dict) else {"": batch[name]}
            found += [values[key].reshape(-1, *shape) for key, (shape, _) in self._layout.items()]
        actions = np.asarray(batch["actions"], self._action_dtype).reshape(-1, self.action_dim)
        return [*found, actions, batch["rewards"], batch["terminations"], batch["truncations"]]

    def _read_up_to(self, num_steps: int) -> FollowedSteps:
        """The steps of the file: so many at least."""
        if self._followed is None:
            self._flush()
            self._followed = FollowedSteps(self.path)
        if self._followed.num_steps < num_steps:
            self._followed.refresh()  # the writer commits every second
        if self._followed.num_steps < num_steps:
            self._flush()
            self._followed.refresh()
        return self._followed

    def _joined(self, arrays: list[np.ndarray]) -> tuple[Any, ...]:
        count = len(self._layout)
        before, after = (dict(zip(self._layout, each, strict=True)) for each in (arrays[:count], arrays[count:-4]))
        return (before, after, *arrays[-4:])

    def _no_steps(self) -> NewestSteps:
        """Room in memory for the newest steps."""
        observation = [*self._layout.values()]
        flags = [((), np.dtype(np.float64)), ((), np.dtype(np.bool_)), ((), np.dtype(np.bool_))]
        layout = [*observation, *observation, ((self.action_dim,), self._action_dtype), *flags]
        return NewestSteps(layout, self.buffer_size, self._memory_bytes, self._num_steps)

    # Values ---------------------------------------------------------------------------------------

    def _parts(self, observation: Any) -> _Parts:
        """A copy of an observation, without the axis of the environments."""
        values = observation if isinstance(observation, dict) else {"": observation}
        return {key: np.array(values[key], dtype).reshape(shape) for key, (shape, dtype) in self._layout.items()}

    def _recorded(self, parts: _Parts) -> Any:
        """An observation as a value of its space."""
        space = self.observation_space
        if isinstance(space, spaces.Dict):
            return {key: each.reshape(space[key].shape or ())[()] for key, each in parts.items()}
        return parts[""].reshape(space.shape or ())[()]

    def _given(self, batch: _Parts) -> Any:
        """Observations as Stable-Baselines3 takes them."""
        return batch if isinstance(self.observation_space, spaces.Dict) else batch[""]

    def _tensors(self, values: Any) -> Any:
        if isinstance(values, dict):
            return {key: self.to_torch(each, copy=False) for key, each in values.items()}
        return self.to_torch(values, copy=False)

    # The file -------------------------------------------------------------------------------------

    def _open(self) -> Writer:
        """Open the file for writing."""
        if self._followed is not None:  # it shows a complete file, which never grows
            self._followed.close()
            self._followed = None
        action_space, about = self.action_space, {}
        if isinstance(action_space, spaces.Box):
            about = {"action_low": action_space.low.tolist(), "action_high": action_space.high.tolist()}
            action_space = spaces.Box(-1, 1, action_space.shape, self._action_dtype.type)
        options = {**self._options, "metadata": {**about, **(self._options.get("metadata") or {})}}
        self._writer = Writer(
            self.path,
            observation_space=self.observation_space,
            action_space=action_space,
            mode=self._mode,
            **options,
        )
        return self._writer

    def _flush(self) -> None:
        """Let every step be in the file."""
        if self._writer is not None:
            self._writer.flush()

    def _adopt(self) -> FollowedSteps:
        """Begin with the steps that the file has."""
        self._followed = FollowedSteps(self.path)
        found = self._followed.recording.observation_space
        if found != self.observation_space:
            raise SchemaMismatchError(f"{self.path} has observations of {found}, not of {self.observation_space}")
        self._num_steps = self._followed.num_steps
        self._place()
        return self._followed

    def _place(self) -> None:
        """Say where the next step goes in the ring of places that Stable-Baselines3 draws from."""
        count = self._num_steps - self._first
        self.pos, self.full = count % self.buffer_size, count >= self.buffer_size

    def __getstate__(self) -> dict[str, Any]:
        kept = {**self.__dict__, "_followed": None, "_writer": None, "_last": None, "_newest": None}
        return {**kept, "_file": self._read_up_to(self._num_steps).identity if self._num_steps else None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        expected, count = state.pop("_file"), state["_num_steps"]
        self.__dict__.update(state)
        if count:
            self._mode = "a"
            followed = self._adopt()
            has = f"{self.path} has {counted(self._num_steps, 'step')}, and the buffer had {count:,} when it was saved"
            if self._num_steps < count or followed.identity != expected:
                raise OptionError(f"{has}: it is another file")
            if self._num_steps > count:
                warn(f"{has}: it now has the later ones too")
        self._newest = self._no_steps()


def _layout(space: spaces.Space[Any], shapes: Any) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """Shape and dtype of each array of an observation."""
    if not isinstance(space, spaces.Dict):
        return {"": (shapes, np.dtype(space.dtype))}
    nested = [key for key, shape in shapes.items() if isinstance(shape, Mapping)]
    if nested:
        raise UnsupportedSpaceError(f"observations: {nested[0]!r} is a Dict in a Dict: flatten it with a wrapper")
    return {key: (shape, np.dtype(space[key].dtype)) for key, shape in shapes.items()}
