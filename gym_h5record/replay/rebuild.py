"""Makes the environment of a recording again: from the spec in the file, or from the user's ``env``.

A spec names modules and callables, and making the environment imports and calls them. So opening a recording makes no
environment; only ``verify``, ``branch`` and the other functions that run one call ``build_env``.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import sys
import warnings
from collections.abc import Callable
from typing import Any

import gymnasium as gym
from gymnasium import Space, spaces
from gymnasium.envs.registration import EnvSpec

from gym_h5record.errors import EnvMismatchError, SpecError, UnbuildableEnvError, UnsupportedEnvError
from gym_h5record.reading.recording import Recording
from gym_h5record.recorder.platform_facts import library_versions, platform_names, rom_md5
from gym_h5record.recorder.wrapper import RecordToHDF5
from gym_h5record.values.space_json import same_space
from gym_h5record.values.spec_json import resolve, spec_obstacle, without_onlookers

__all__ = ["ADVICE", "EnvFactory", "build_env", "close_if_built", "version_differences"]

EnvFactory = gym.Env[Any, Any] | Callable[[], gym.Env[Any, Any]]
"""An environment, or a function that makes one."""

ADVICE = "pass what makes it, env=lambda: gymnasium.make(...)."
"""The end of the message of ``UnbuildableEnvError``, for programs; the command line has an option in its place."""

_COLLECTION = "gymnasium.wrappers.rendering:RenderCollection"

_PACKAGES = {
    "ale_py": "ale-py",
    "Box2D": "gymnasium[box2d]",
    "cv2": "opencv-python-headless",
    "mujoco": "gymnasium[mujoco]",
    "pygame": "pygame-ce",
}
"""The package to install for a module. No other module gets a hint: its name may come from an untrusted file."""

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
        _check_spaces(recording, inner)
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
    spec = recording.env_spec
    if spec is None:
        problem = recording.metadata.get("env_spec_problem", "").partition(" It is: ")[0] or "it was not stored"
        raise _unbuildable(recording, f"the file has no spec of it: {problem}")
    obstacle = spec_obstacle(spec)
    if obstacle:
        raise _unbuildable(recording, obstacle)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they were shown when the environment was made for recording
            return gym.make(_headless(resolve(spec), renders=recording.metadata.get("frames") == "render"))
    except Exception as error:  # the modules and constructors of the environment may raise any
        raise _unbuildable(recording, _reason(recording, error)) from error


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


def _headless(spec: EnvSpec, *, renders: bool) -> EnvSpec:
    """A spec of the same environment that opens no window and writes no file; it renders if the recorder did."""
    kwargs = dict(spec.kwargs)
    if kwargs.get("render_mode") == "human":
        kwargs["render_mode"] = "rgb_array" if renders else None
    spec = dataclasses.replace(without_onlookers(spec), kwargs=kwargs)
    if not renders:  # RenderCollection would keep every frame in memory
        spec.additional_wrappers = tuple(each for each in spec.additional_wrappers if each.entry_point != _COLLECTION)
    return spec


# Why it cannot be made ----------------------------------------------------------------------------


def _unbuildable(recording: Recording, reason: str) -> UnbuildableEnvError:
    name = recording.metadata.get("env_name") or "the environment"
    return UnbuildableEnvError(f"{recording.path}: {name} cannot be made again: {reason.rstrip('.')}; {ADVICE}")


def _reason(recording: Recording, error: BaseException) -> str:
    missing = _missing_module(error)
    if missing:
        hint = f' (pip install "{_PACKAGES[missing]}")' if missing in _PACKAGES else ""
        return f"it needs {missing}, which is not installed here{hint}"
    is_clear = isinstance(error, (SpecError, gym.error.DependencyNotInstalled))
    text = str(error) if is_clear else f"{type(error).__name__}: {error!s:.500}"
    differences = version_differences(recording)
    return f"{text} ({'; '.join(differences)})" if differences else text


def _missing_module(error: BaseException | None) -> str:
    """The missing package that an error, or one of its causes, names; "" if none does."""
    while error is not None:
        if isinstance(error, ModuleNotFoundError) and error.name:
            package = error.name.partition(".")[0]
            is_there = sys.modules.get(package) is not None or importlib.util.find_spec(package) is not None
            return "" if is_there else package  # if only a submodule is missing, the version is another one
        error = error.__cause__
    return ""


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


# Comparing spaces ---------------------------------------------------------------------------------


def _check_spaces(recording: Recording, env: gym.Env[Any, Any]) -> None:
    for name in ("observation_space", "action_space"):
        difference = _difference(getattr(recording, name), getattr(env, name))
        if difference:
            raise EnvMismatchError(
                f"{recording.path}: this is not the recorded environment, "
                f"{recording.metadata.get('env_name')}: its {name}{difference}."
            )


def _difference(then: Space[Any], now: Space[Any]) -> str:
    """The first difference of two spaces, as the end of a sentence; "" if they are equal."""
    if same_space(then, now):
        return ""
    for where, *pair in _parts(then, now):
        difference = _difference(*pair)
        if difference:
            return f"[{where!r:.80}]{difference}"
    return f" is {now!r:.300}, {then!r:.300} when recorded"


def _parts(then: Space[Any], now: Space[Any]) -> list[tuple[Any, Space[Any], Space[Any]]]:
    """Key and the two parts for each key of two spaces with the same keys."""
    if type(then) is type(now) is spaces.Dict and list(then) == list(now):
        return [(key, then[key], now[key]) for key in then]
    if type(then) is type(now) is spaces.Tuple and len(then) == len(now):
        return list(zip(range(len(then)), then, now, strict=True))
    return []
