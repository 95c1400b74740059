"""Makes the environment of a recording anew, from the spec in its file.

A spec names modules and callables, and making the environment imports and calls them. So opening a recording makes no
environment: only ``make_env``, ``verify``, ``branch`` and the other functions that run one do.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import gymnasium as gym
from gymnasium import Space, spaces
from gymnasium.envs.registration import EnvSpec

from gym_h5record.errors import EnvMismatchError, SpecError, UnbuildableEnvError
from gym_h5record.values.space_json import same_space
from gym_h5record.values.spec_json import resolve, spec_obstacle, without_onlookers

__all__ = ["Recorded", "check_spaces", "env_from_spec", "make_recorded_env"]

_COLLECTION = "gymnasium.wrappers.rendering:RenderCollection"

_PACKAGES = {
    "ale_py": "ale-py",
    "Box2D": "gymnasium[box2d]",
    "cv2": "opencv-python-headless",
    "mujoco": "gymnasium[mujoco]",
    "pygame": "pygame-ce",
}
"""The package to install for a module. No other module gets a hint: its name may come from an untrusted file."""


_OWN_ADVICE = "make it yourself, with gymnasium.make(...)."


class Recorded(Protocol):
    """What is needed of a recording."""

    @property
    def path(self) -> Path:
        """The file."""

    @property
    def metadata(self) -> dict[str, Any]:
        """The metadata."""

    @property
    def env_spec(self) -> EnvSpec | None:
        """The spec, None if there is none."""

    @property
    def observation_space(self) -> Space[Any]:
        """The observation space."""

    @property
    def action_space(self) -> Space[Any]:
        """The action space."""


def make_recorded_env(recording: Recorded, arguments: Mapping[str, Any]) -> gym.Env[Any, Any]:
    """Make the environment of a recording from its spec. It opens no window, unless the arguments ask for one.

    Args:
        recording: The recording.
        arguments: Arguments of ``gymnasium.make`` in the place of the recorded ones.

    Raises:
        UnbuildableEnvError: If the spec is missing, or names something that is not installed.
        EnvMismatchError: If the spaces of the environment are not the recorded ones.
    """
    env = env_from_spec(recording, arguments)
    try:
        check_spaces(recording, env)
    except BaseException:
        env.close()
        raise
    return env


def env_from_spec(
    recording: Recorded,
    arguments: Mapping[str, Any],
    *,
    advice: str = _OWN_ADVICE,
    explain: Callable[[], list[str]] = list,
) -> gym.Env[Any, Any]:
    """Make the environment of a recording from its spec, without a look at its spaces.

    Args:
        recording: The recording.
        arguments: Arguments of ``gymnasium.make`` in the place of the recorded ones.
        advice: What to do if it cannot be made, the end of the message.
        explain: Called if it cannot be made: what may be the reason.

    Raises:
        UnbuildableEnvError: If the spec is missing, or names something that is not installed.
    """
    spec = recording.env_spec
    if spec is None:
        problem = recording.metadata.get("env_spec_problem", "").partition(" It is: ")[0] or "it was not stored"
        raise _unbuildable(recording, f"the file has no spec of it: {problem}", advice)
    obstacle = spec_obstacle(spec)
    if obstacle:
        raise _unbuildable(recording, obstacle, advice)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they were shown when the environment was made for recording
            headless = _headless(resolve(spec), renders=recording.metadata.get("frames") == "render")
            return gym.make(headless, **arguments)
    except Exception as error:  # the modules and constructors of the environment may raise any
        raise _unbuildable(recording, _reason(error, explain), advice) from error


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


def _unbuildable(recording: Recorded, reason: str, advice: str) -> UnbuildableEnvError:
    name = recording.metadata.get("env_name") or "the environment"
    return UnbuildableEnvError(f"{recording.path}: {name} cannot be made again: {reason.rstrip('.')}; {advice}")


def _reason(error: BaseException, explain: Callable[[], list[str]]) -> str:
    missing = _missing_module(error)
    if missing:
        hint = f' (pip install "{_PACKAGES[missing]}")' if missing in _PACKAGES else ""
        return f"it needs {missing}, which is not installed here{hint}"
    is_clear = isinstance(error, (SpecError, gym.error.DependencyNotInstalled))
    text = str(error) if is_clear else f"{type(error).__name__}: {error!s:.500}"
    causes = explain()
    return f"{text} ({'; '.join(causes)})" if causes else text


def _missing_module(error: BaseException | None) -> str:
    """The missing package that an error, or one of its causes, names; "" if none does."""
    while error is not None:
        if isinstance(error, ModuleNotFoundError) and error.name:
            package = error.name.partition(".")[0]
            is_there = sys.modules.get(package) is not None or importlib.util.find_spec(package) is not None
            return "" if is_there else package  # if only a submodule is missing, the version is another one
        error = error.__cause__
    return ""


# Comparing spaces ---------------------------------------------------------------------------------


def check_spaces(recording: Recorded, env: gym.Env[Any, Any]) -> None:
    """Make sure that an environment has the spaces of a recording.

    Raises:
        EnvMismatchError: If it has others.
    """
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
