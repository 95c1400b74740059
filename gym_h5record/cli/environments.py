"""Makes the environment that ``record`` records, from its id, its arguments and the wrappers' options.

An id, an argument or a wrapper that does not fit becomes a ``CommandError``. Errors of
the running environment pass through ``record`` unchanged.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym
from gymnasium import wrappers

from gym_h5record.cli.program import CommandError
from gym_h5record.errors import MissingDependencyError

__all__ = ["default_path", "make_environment", "quieten_atari"]

_MISFITS = (gym.error.Error, ImportError, TypeError, ValueError, KeyError)
"""Raised by ``gymnasium.make`` and by constructors if the id or an argument does not fit."""


def default_path(env_id: str) -> Path:
    """The file that ``record`` makes if no other is named.

    Example:
        >>> default_path("ALE/Breakout-v5").name
        'Breakout-v5.h5'
    """
    return Path(f"{re.split('[/:]', env_id)[-1]}.h5")


def make_environment(
    env_id: str,
    kwargs: Mapping[str, Any],
    *,
    render_mode: str | None = None,
    atari_preprocessing: bool = False,
    frame_stack: int | None = None,
) -> gym.Env[Any, Any]:
    """Make and wrap an environment; ``module:Name-v0`` imports the module, as in ``gymnasium.make``.

    Raises:
        MissingDependencyError: If ale-py or OpenCV is needed and not installed.
        CommandError: If the environment does not exist, or does not take the arguments.
    """
    _register_atari(env_id)
    arguments = {"frameskip": 1, **kwargs} if atari_preprocessing else dict(kwargs)
    if render_mode is not None:
        arguments["render_mode"] = render_mode
    try:
        env: gym.Env[Any, Any] = gym.make(env_id, **arguments)
    except _MISFITS as error:
        hint = " (--atari-preprocessing needs an Atari game that takes frameskip=1)" if atari_preprocessing else ""
        is_clear = isinstance(error, gym.error.Error)  # Gymnasium's own errors explain themselves
        reason = str(error) if is_clear else f"{type(error).__name__}: {error}"
        raise CommandError(f"cannot make {env_id}: {reason}{hint}") from error
    try:
        if atari_preprocessing:
            env = _preprocess(env, env_id)
        return env if frame_stack is None else wrappers.FrameStackObservation(env, frame_stack)
    except BaseException:
        env.close()
        raise


def _register_atari(env_id: str) -> None:
    """Register the Atari games with Gymnasium if the id may be one of them: importing ale-py costs 60 ms."""
    is_ale = env_id.startswith("ALE/")
    if not is_ale and (env_id in gym.registry or ":" in env_id or importlib.util.find_spec("ale_py") is None):
        return
    try:
        import ale_py  # the extra "atari"
    except ImportError as error:
        raise MissingDependencyError(
            f'{env_id} needs ale-py, which is not installed: pip install "gym_h5record[atari]"'
        ) from error
    gym.register_envs(ale_py)
    quieten_atari()


def quieten_atari() -> None:
    """Let ALE print errors only: otherwise every game prints a banner, which tears a progress bar."""
    if importlib.util.find_spec("ale_py") is not None:
        import ale_py

        ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)


def _preprocess(env: gym.Env[Any, Any], env_id: str) -> gym.Env[Any, Any]:
    if not hasattr(env.unwrapped, "ale"):
        raise CommandError(
            f"--atari-preprocessing needs an Atari game, with an id such as ALE/Breakout-v5; {env_id} is no Atari game."
        )
    try:
        return wrappers.AtariPreprocessing(env)
    except gym.error.DependencyNotInstalled as error:
        raise MissingDependencyError(
            '--atari-preprocessing needs OpenCV, which is not installed: pip install "gym_h5record[preprocessing]"'
        ) from error
    except ValueError as error:
        raise CommandError(f"--atari-preprocessing does not fit {env_id}: {error}") from error
