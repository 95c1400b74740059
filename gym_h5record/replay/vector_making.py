"""Makes the vector environment of a recording again: from the spec in the file, or from the user's ``env``."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import gymnasium as gym
from gymnasium.vector import VectorEnv, VectorWrapper
from gymnasium.wrappers.vector import RecordEpisodeStatistics

from gym_h5record.errors import EnvMismatchError, UnbuildableEnvError, UnsupportedEnvError
from gym_h5record.reading.env_making import check_spaces
from gym_h5record.reading.recording import Recording
from gym_h5record.recorder.vector_facts import autoreset_mode
from gym_h5record.recorder.vector_wrapper import RecordToHDF5
from gym_h5record.replay.vector_description import (
    STATISTICS,
    VectorDescription,
    described_vector,
    is_stepped_together,
)
from gym_h5record.values.spec_json import resolve, spec_from_json, without_onlookers

__all__ = ["VECTOR_ADVICE", "VectorEnvFactory", "VectorEnvMaker", "build_vector_env", "vector_env_maker"]

VectorEnvFactory = VectorEnv[Any, Any, Any] | Callable[[], VectorEnv[Any, Any, Any]]
"""A vector environment, or a function that makes one."""

VECTOR_ADVICE = "pass what makes it, env=lambda: gymnasium.make_vec(...)."
"""The end of the message of ``UnbuildableEnvError`` for vector environments."""


class VectorEnvMaker:
    """Makes the vector environment of a recording whenever one is needed.

    Args:
        recording: The recording.
        described: What it says about its vector environment.
        env: The vector environment, a function that makes one, or None to make it from the file.
    """

    def __init__(self, recording: Recording, described: VectorDescription, env: VectorEnvFactory | None) -> None:
        self.described = described
        self._recording, self._env = recording, env

    @contextmanager
    def opened(self) -> Iterator[VectorEnv[Any, Any, Any]]:
        """A vector environment, closed afterwards unless it is the user's; errors as of ``build_vector_env``."""
        env = build_vector_env(self._recording, self.described, self._env)
        try:
            yield env
        finally:
            if not isinstance(self._env, VectorEnv):
                env.close()


def vector_env_maker(recording: Recording, env: Any) -> VectorEnvMaker | None:
    """What makes the vector environment that all lanes are run in; None if each lane is run by itself.

    Args:
        recording: The recording.
        env: What the user has given: None, an environment or a function that makes one. The function is called to see
            what it makes.
    """
    described = described_vector(recording)
    if described is None or not (is_stepped_together(recording) or _is_of_lanes(env)):
        return None
    return VectorEnvMaker(recording, described, env)


def build_vector_env(
    recording: Recording, described: VectorDescription, env: VectorEnvFactory | None = None
) -> VectorEnv[Any, Any, Any]:
    """Make the vector environment of a recording, from the file or from the user's ``env``.

    If ``env`` contains a ``vector.RecordToHDF5``, only the environment inside the recorder is used.

    Raises:
        UnbuildableEnvError: If the spec is missing, names something that is not installed, or lacks wrappers.
        EnvMismatchError: If spaces, number of environments or autoreset mode are not the recorded ones.
        UnsupportedEnvError: If ``env`` is neither a ``VectorEnv`` nor a function that makes one.
    """
    built = _from_file(recording, described) if env is None else _from_user(env, described)
    inner = _without_recorders(built)
    try:
        _check_same(recording, described, inner)
    except BaseException:
        if built is not env:
            built.close()
        raise
    return inner


def _from_file(recording: Recording, described: VectorDescription) -> VectorEnv[Any, Any, Any]:
    unknown = [each for each in described.wrappers if each != STATISTICS]
    if unknown:
        raise _unbuildable(recording, described, f"the arguments of its wrapper {unknown[0]:.200} are not in the file")
    if described.spec is None:
        raise _unbuildable(recording, described, "the file has no spec of it: it was not made by gymnasium.make_vec")
    spec = without_onlookers(spec_from_json(described.spec))
    if spec.kwargs.get("render_mode") == "human":
        renders = recording.metadata.get("frames") == "render"
        spec = dataclasses.replace(spec, kwargs={**spec.kwargs, "render_mode": "rgb_array" if renders else None})
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they were shown when the environment was made for recording
            env: VectorEnv[Any, Any, Any] = gym.make_vec(resolve(spec))
            return RecordEpisodeStatistics(env) if STATISTICS in described.wrappers else env
    except Exception as error:  # the modules and constructors of the environment may raise any
        raise _unbuildable(recording, described, f"{type(error).__name__}: {error!s:.500}") from error


def _from_user(env: VectorEnvFactory, described: VectorDescription) -> VectorEnv[Any, Any, Any]:
    built: Any = env if isinstance(env, VectorEnv) or not callable(env) else env()
    if not isinstance(built, VectorEnv):
        kind = f"{type(built).__module__}.{type(built).__qualname__}"
        raise UnsupportedEnvError(
            f"{described.name} steps its environments together: expected a gymnasium.vector.VectorEnv or a function "
            f"that makes one, got {kind}"
        )
    return built


def _is_of_lanes(env: Any) -> bool:
    if isinstance(env, (VectorEnv, gym.Env)) or not callable(env):
        return isinstance(env, VectorEnv)
    made = env()
    if isinstance(made, (VectorEnv, gym.Env)):
        made.close()
    return isinstance(made, VectorEnv)


def _without_recorders(env: VectorEnv[Any, Any, Any]) -> VectorEnv[Any, Any, Any]:
    """The environment inside the innermost ``RecordToHDF5``, or the environment itself."""
    inside = env
    while isinstance(env, VectorWrapper):
        if isinstance(env, RecordToHDF5):
            inside = env.env
        env = env.env
    return inside


def _check_same(recording: Recording, described: VectorDescription, env: VectorEnv[Any, Any, Any]) -> None:
    if env.num_envs != described.num_envs:
        raise EnvMismatchError(
            f"{recording.path}: this vector environment has {env.num_envs} environments, {described.num_envs} were "
            "recorded"
        )
    mode = autoreset_mode(env)
    if mode is not described.mode:
        raise EnvMismatchError(
            f"{recording.path}: this vector environment has the autoreset mode {mode.name}, {described.mode.name} "
            "when recorded"
        )
    one: Any = SimpleNamespace(observation_space=env.single_observation_space, action_space=env.single_action_space)
    check_spaces(recording, one)


def _unbuildable(recording: Recording, described: VectorDescription, reason: str) -> UnbuildableEnvError:
    return UnbuildableEnvError(
        f"{recording.path}: {described.name} cannot be made again: {reason.rstrip('.')}; {VECTOR_ADVICE}"
    )
