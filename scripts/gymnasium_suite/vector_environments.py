"""Lets every vector environment that the tests make be recorded: by its class, or by ``gymnasium.make_vec``."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gymnasium as gym
from gymnasium.envs import registration
from gymnasium.vector import VectorEnv, VectorWrapper

from gym_h5record.errors import UnsupportedEnvError
from gym_h5record.vector import RecordToHDF5

__all__ = ["record_vector", "record_vector_envs"]

_SPACES = ("single_observation_space", "single_action_space")


class _Transparent(RecordToHDF5):
    """A recorder that passes on all attributes, as the tests ask the outermost wrapper. ``VectorWrapper`` does not."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._is_made = True

    def __getattr__(self, name: str) -> Any:
        if name in ("env", "_is_made"):  # not yet
            raise AttributeError(name)
        return getattr(self.env, name)

    def __setattr__(self, name: str, value: Any) -> None:
        is_own = "_is_made" not in vars(self) or name in vars(self) or hasattr(type(self), name)
        if is_own or not hasattr(self.env, name):
            super().__setattr__(name, value)
        else:
            setattr(self.env, name, value)


def record_vector(path: Path, writer: str, env: Any) -> Any:
    """A recorder around a vector environment. One that tests of errors make, and no recorder takes, stays as it is."""
    if not all(isinstance(getattr(env, name, None), gym.Space) for name in _SPACES):
        return env
    try:
        return _Transparent(env, path, writer=writer)
    except UnsupportedEnvError:  # it does not say how it resets
        return env


def record_vector_envs(record: Callable[[Any], Any], *, outermost: bool) -> None:
    """Let the classes of vector environments give recorders around their instances.

    Args:
        record: Makes a recorder around a vector environment, or returns the environment.
        outermost: Whether the recorder is above the vector wrappers, or below them.
    """
    constructors = _Constructors(record, outermost)
    VectorEnv.__new__ = constructors.new  # type: ignore[assignment]
    if outermost:  # a recorder around what make_vec returns knows its spec
        _record_what_make_vec_gives(record, constructors)


class _Constructors:
    """Calls of the classes."""

    def __init__(self, record: Callable[[Any], Any], outermost: bool) -> None:
        self._record, self._outermost = record, outermost
        self._is_paused = False

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let the classes give plain instances meanwhile."""
        before, self._is_paused = self._is_paused, True
        try:
            yield
        finally:
            self._is_paused = before

    def new(self, cls: type[Any], /, *args: Any, **kwargs: Any) -> Any:
        """What ``cls(...)`` gives: Python returns a recorder as it is, and initializes an instance of ``cls``."""
        is_wrapper = issubclass(cls, VectorWrapper)
        is_base = cls in (VectorEnv, VectorWrapper) or issubclass(cls, RecordToHDF5)
        is_bare = is_wrapper and not (self._outermost and (args or kwargs))  # without arguments, a test calls __new__
        if self._is_paused or is_base or is_bare:
            return object.__new__(cls)
        env = object.__new__(cls)
        env.__init__(*args, **kwargs)
        if is_wrapper and isinstance(env.env, RecordToHDF5):
            env.env = env.env.env  # the recorder goes above the wrapper
        recorded = self._record(env)
        return object.__new__(cls) if recorded is env else recorded


def _record_what_make_vec_gives(record: Callable[[Any], Any], constructors: _Constructors) -> None:
    make_vec = registration.make_vec

    @functools.wraps(make_vec)
    def make_vec_recorded(*args: Any, **kwargs: Any) -> Any:
        with constructors.paused():
            env = make_vec(*args, **kwargs)
        return record(env)

    for module in (gym, gym.envs, registration):
        module.make_vec = make_vec_recorded
