"""Making the environment that is recorded: its id, its arguments, its wrappers.

Whatever is wrong with them becomes one line with what to do about it; errors of
a running environment are not touched here.
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

__all__ = ["default_path", "make_environment"]


# What ids, arguments and wrappers that do not fit raise, gymnasium.make and constructors alike.
_MISFITS = (gym.error.Error, ImportError, TypeError, ValueError, KeyError)


def default_path(env_id: str) -> Path:
    """The recording's name if none is given: that of the environment.

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
    """Make and wrap an environment.

    Args:
        env_id: As ``gymnasium.make`` takes it, ``module:Name-v0`` included.
        kwargs: Arguments of the environment.
        render_mode: How it renders, None for not at all.
        atari_preprocessing: Whether to put ``AtariPreprocessing`` around it.
        frame_stack: How many observations to stack, None for none.

    Raises:
        MissingDependencyError: If a library is needed that is not installed.
        CommandError: If there is no such environment, or its arguments are wrong.
    """
    _register_atari(env_id)
    arguments = {"frameskip": 1, **kwargs} if atari_preprocessing else dict(kwargs)
    if render_mode is not None:
        arguments["render_mode"] = render_mode
    try:
        env: gym.Env[Any, Any] = gym.make(env_id, **arguments)
    except _MISFITS as error:
        hint = " (--atari-preprocessing needs an Atari game that takes frameskip=1)" if atari_preprocessing else ""
        raise CommandError(f"cannot make {env_id}: {_reason(error)}{hint}") from error
    try:
        if atari_preprocessing:
            env = _preprocess(env, env_id)
        return env if frame_stack is None else wrappers.FrameStackObservation(env, frame_stack)
    except BaseException:
        env.close()
        raise


def _register_atari(env_id: str) -> None:
    """Let Gymnasium know the Atari games, if the id may be one of them."""
    is_ale = env_id.startswith("ALE/")
    if not is_ale and (env_id in gym.registry or ":" in env_id or importlib.util.find_spec("ale_py") is None):
        return
    try:
        import ale_py  # an extra; costs a moment even where it is installed
    except ImportError as error:
        raise MissingDependencyError(
            f'{env_id} needs ale-py, which is not installed: pip install "gym_h5record[atari]"'
        ) from error
    gym.register_envs(ale_py)
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)  # no banner


def _preprocess(env: gym.Env[Any, Any], env_id: str) -> gym.Env[Any, Any]:
    if not hasattr(env.unwrapped, "ale"):
        raise CommandError(f"--atari-preprocessing is for Atari games, ids like ALE/Breakout-v5; {env_id} is none.")
    try:
        return wrappers.AtariPreprocessing(env)
    except gym.error.DependencyNotInstalled as error:
        raise MissingDependencyError(
            '--atari-preprocessing needs OpenCV, which is not installed: pip install "gym_h5record[preprocessing]"'
        ) from error
    except ValueError as error:
        raise CommandError(f"--atari-preprocessing does not fit {env_id}: {error}") from error


def _reason(error: BaseException) -> str:
    """What an error says; Gymnasium's own say enough without their names."""
    return str(error) if isinstance(error, gym.error.Error) else f"{type(error).__name__}: {error}"
