"""Makes the environment of a recording again: from the spec in the file, or from the user's ``env``.

A spec names modules and callables, and making the environment imports and calls them. So opening a recording makes no
environment; only ``verify``, ``branch`` and the other functions that run one call ``build_env``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym

from gym_h5record.errors import UnsupportedEnvError
from gym_h5record.reading.env_making import check_spaces, env_from_spec
from gym_h5record.reading.recording import Recording
from gym_h5record.recorder.platform_facts import library_versions, platform_names, rom_md5
from gym_h5record.recorder.wrapper import RecordToHDF5

__all__ = ["ADVICE", "EnvFactory", "build_env", "close_if_built", "version_differences"]

EnvFactory = gym.Env[Any, Any] | Callable[[], gym.Env[Any, Any]]
"""An environment, or a function that makes one."""

ADVICE = "pass what makes it, env=lambda: gymnasium.make(...)."
"""The end of the message of ``UnbuildableEnvError``, for programs; the command line has an option in its place."""

_MAX_LIBRARIES = 100  # an untrusted file may name any number, and each is looked up on disk
_IRRELEVANT = ("gym_h5record", "h5py")  # they do not change what an environment does


def build_env(recording: Recording, env: EnvFactory | None = None) -> gym.Env[Any, Any]:
    """Make the environment of a recording, from the file or from the user's ``env``. It opens no window.

    If ``env`` contains a ``RecordToHDF5``, only the environment inside the recorder is used.

    Raises:
        UnbuildableEnvError: If the spec is missing, or names something that is not installed.
        EnvMismatchError: If the spaces of the environment are not the recorded ones.
        UnsupportedEnvError: If ``env`` is neither a ``gymnasium.Env`` nor a function that makes one.

    Example:
        >>> with Recording(cartpole_path) as recording, build_env(recording) as env:
        ...     env.spec.id
        'CartPole-v1'
    """
    built = _from_file(recording) if env is None else _from_user(env)
    inner = _without_recorders(built)
    try:
        check_spaces(recording, inner)
    except BaseException:
        close_if_built(built, env)
        raise
    return inner


def close_if_built(built: gym.Env[Any, Any], env: EnvFactory | None) -> None:
    """Close an environment that ``build_env(recording, env)`` made; leave one open that the user passed."""
    if not isinstance(env, gym.Env):
        built.close()


def version_differences(recording: Recording) -> list[str]:
    """Versions, platform and ROM that are not those of the recording; an environment may do something else with them.

    Each is a text such as ``"numpy 2.3.1 when recorded, 2.4.0 now"``. Libraries that were not installed when recording
    are left out.
    """
    then = recording.metadata.get("versions", {})
    names = list(then)[:_MAX_LIBRARIES]
    now = library_versions(names)
    compared = [(name, then[name], now.get(name, "not installed")) for name in names if name not in _IRRELEVANT]
    then, now = recording.metadata.get("platform", {}), platform_names()
    compared += [(name, then[name], now[name]) for name in now if name in then]
    found = [f"{name} {before} when recorded, {after} now" for name, before, after in compared if before != after]
    return found + _rom_difference(recording)


# Making it ----------------------------------------------------------------------------------------


def _from_file(recording: Recording) -> gym.Env[Any, Any]:
    return env_from_spec(recording, {}, advice=ADVICE, explain=lambda: version_differences(recording))


def _from_user(env: EnvFactory) -> gym.Env[Any, Any]:
    built: Any = env if isinstance(env, gym.Env) or not callable(env) else env()
    if not isinstance(built, gym.Env):
        kind = f"{type(built).__module__}.{type(built).__qualname__}"
        raise UnsupportedEnvError(f"expected a gymnasium.Env or a function that makes one, got {kind}")
    return built


def _without_recorders(env: gym.Env[Any, Any]) -> gym.Env[Any, Any]:
    """The environment inside the innermost ``RecordToHDF5``, or the environment itself."""
    inside = env
    while isinstance(env, gym.Wrapper):
        if isinstance(env, RecordToHDF5):
            inside = env.env
        env = env.env
    return inside


def _rom_difference(recording: Recording) -> list[str]:
    then, spec = recording.metadata.get("rom_md5"), recording.env_spec
    game = None if spec is None else spec.kwargs.get("game")
    if not then or not isinstance(game, str):
        return []
    try:
        now = rom_md5(game)
    except OSError as error:
        return [f"ROM of {game} {then} when recorded, cannot be read now: {error}"]
    return [] if then == now else [f"ROM of {game} {then} when recorded, {now or 'not installed'} now"]
