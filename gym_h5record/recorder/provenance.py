"""Where a recording comes from: the environment, its spec, the machine, and the user's metadata.

The wrapper collects these once; they become text attributes of ``/metadata``. Nothing here reads a generator or
renders, so the environment does the same as without recording.
"""

from __future__ import annotations

import dataclasses
import enum
import json
import uuid
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import Space, wrappers
from gymnasium.envs.registration import EnvSpec, WrapperSpec
from gymnasium.vector import VectorEnv

from gym_h5record.errors import MetadataError, SpecError
from gym_h5record.limits import MAX_TEXT_BYTES
from gym_h5record.recorder.platform_facts import library_versions, platform_names, rom_md5
from gym_h5record.values.exact import base_value
from gym_h5record.values.space_json import space_to_json
from gym_h5record.values.spec_json import spec_obstacle, spec_to_json, without_onlookers
from gym_h5record.values.tagged_json import dumps

__all__ = ["describe_arrays", "describe_environment", "frames_per_second", "user_metadata", "wrapped_spec"]

_ALE_CLASS = "ale_py.env:AtariEnv"


def describe_environment(env: gym.Env[Any, Any]) -> dict[str, str]:
    """The attributes of ``/metadata`` that describe an environment and this machine."""
    inner = env.unwrapped
    spec, problem = _spec_json(env)
    attributes = {
        "env_name": env.spec.id if env.spec is not None else type(inner).__qualname__,
        "env_class": f"{type(inner).__module__}:{type(inner).__qualname__}",
        "env_spec": spec,
        "env_spec_problem": problem,
        "env_wrappers": json.dumps(_wrapper_names(env)),
        "render_mode": str(env.render_mode or ""),
        "observation_space": json.dumps(space_to_json(env.observation_space)),
        "action_space": json.dumps(space_to_json(env.action_space)),
        "versions": json.dumps(library_versions(_packages(env))),
        "platform": json.dumps(platform_names()),
    }
    game = getattr(inner, "_game", None)
    rom = rom_md5(game) if attributes["env_class"] == _ALE_CLASS and isinstance(game, str) else None
    parents = [getattr(each, "recording_parent", None) for each in _wrappers(env)]  # of gym_h5record.branch
    parent = next((each for each in parents if isinstance(each, dict)), None)
    attributes |= {} if rom is None else {"rom_md5": rom}
    return attributes | ({} if parent is None else {"recording_parent": json.dumps(parent)})


def describe_arrays(name: str, observation_space: Space[Any], action_space: Space[Any]) -> dict[str, str]:
    """The same attributes where there is no environment. ``name`` is what the data is of."""
    return {
        **dict.fromkeys(("env_class", "env_spec", "render_mode"), ""),
        "env_name": name,
        "env_spec_problem": "it was written by gym_h5record.Writer, without an environment",
        "env_wrappers": "[]",
        "observation_space": json.dumps(space_to_json(observation_space)),
        "action_space": json.dumps(space_to_json(action_space)),
        "versions": json.dumps(library_versions()),
        "platform": json.dumps(platform_names()),
    }


def frames_per_second(env: gym.Env[Any, Any] | VectorEnv[Any, Any, Any]) -> float:
    """The environment's ``render_fps``, NaN if it has none."""
    fps = env.metadata.get("render_fps")
    return float(fps) if isinstance(fps, (int, float, np.number)) else float("nan")


def _packages(env: gym.Env[Any, Any]) -> list[str]:
    """Top-level modules of the environment and its wrappers; most distributions have the name of their module."""
    modules = [type(env.unwrapped).__module__, *_wrapper_names(env)]
    return sorted({each.partition(":")[0].partition(".")[0] for each in modules})


def _wrapper_names(env: gym.Env[Any, Any]) -> list[str]:
    return [f"{type(each).__module__}:{type(each).__qualname__}" for each in _wrappers(env)]


def _wrappers(env: gym.Env[Any, Any]) -> list[gym.Wrapper[Any, Any, Any, Any]]:
    """The wrappers of an environment, the outermost first."""
    found = []
    while isinstance(env, gym.Wrapper):
        found.append(env)
        env = env.env
    return found


# The spec -----------------------------------------------------------------------------------------


_FLAGS = (wrappers.OrderEnforcing, wrappers.PassiveEnvChecker)  # gymnasium.make adds them by its own flags
_UNLISTED = (*_FLAGS, wrappers.TimeLimit)  # gymnasium.Wrapper.spec does not list them
_MAX_SHOWN = 100_000  # characters of a spec that cannot be stored; its arguments may hold a data set


def wrapped_spec(env: gym.Env[Any, Any]) -> EnvSpec | None:
    """The spec from which ``gymnasium.make`` makes the same stack of wrappers; None if the environment has none.

    ``env.spec`` has only ``max_episode_steps`` for a ``TimeLimit``, which ``gymnasium.make`` puts innermost. So a
    ``TimeLimit`` around other wrappers, and one of a derived class, is listed with the other wrappers here.
    """
    spec = env.spec
    if spec is None:
        return None
    listed, steps, is_innermost = list(spec.additional_wrappers), None, True
    inserted: list[tuple[int, WrapperSpec]] = []
    for each in reversed(_wrappers(env)):
        if type(each) in _FLAGS:
            continue
        if type(each) is wrappers.TimeLimit and is_innermost:
            steps = None if each.spec is None else each.spec.max_episode_steps
        elif isinstance(each, _UNLISTED) and each.spec is not None:
            inserted.append((len(each.spec.additional_wrappers), _listed(each)))
        is_innermost = False
    if not inserted:
        return spec
    for index, wrapper in reversed(inserted):
        listed.insert(index, wrapper)
    return dataclasses.replace(spec, max_episode_steps=steps, additional_wrappers=tuple(listed))


def _listed(wrapper: gym.Wrapper[Any, Any, Any, Any]) -> WrapperSpec:
    """The entry of a wrapper, as ``gymnasium.Wrapper.spec`` makes it."""
    kind = type(wrapper)
    kwargs = getattr(wrapper, "_saved_kwargs", None)  # of RecordConstructorArgs
    return WrapperSpec(wrapper.class_name(), f"{kind.__module__}:{kind.__name__}", kwargs)


def _spec_json(env: gym.Env[Any, Any]) -> tuple[str, str]:
    """The spec as text, and why there is none or why no environment can be made from it."""
    spec = wrapped_spec(env)
    if spec is None:
        if env.unwrapped.spec is None:
            return "", "the environment was not made by gymnasium.make and has no spec"
        return "", "a wrapper of the environment has arguments that cannot be copied, so that it has no spec"
    try:
        try:
            return spec_to_json(spec), spec_obstacle(spec)
        except SpecError:
            spec = without_onlookers(spec)  # the trigger of a RecordVideo may be a lambda; a rerun needs no video
            return spec_to_json(spec), spec_obstacle(spec)
    except SpecError as error:
        return "", f"{error}. It is: {spec!r:.{_MAX_SHOWN}}"


# The user's own -----------------------------------------------------------------------------------


def user_metadata(metadata: Mapping[str, Any] | None) -> dict[str, str]:
    """The user's metadata as attributes.

    ``run_id`` and ``agent_id`` become attributes of their own; the rest is JSON in ``user``. A missing ``run_id`` is a
    random UUID. Paths become text, members of enums their value, dataclasses dicts of their fields. Any other value
    without a JSON form, or a key that is not a string, raises ``MetadataError``.
    """
    try:
        given: dict[Any, Any] = _plain(dict(metadata or {}))
    except RecursionError as error:
        raise MetadataError("metadata: it is nested too deep, or contains itself.") from error
    problems = [f"the key {key!r} is not a string" for key in given if not isinstance(key, str)]
    try:
        dumps(given, on_repr=lambda part: problems.append(f"{part!r} is of type {type(part).__qualname__}"))
    except ValueError as error:
        problems.append(str(error))
    ids = {name: given.pop(name, None) for name in ("run_id", "agent_id")}
    ids["run_id"] = uuid.uuid4() if ids["run_id"] is None else ids["run_id"]
    texts = {name: "" if value is None else str(value) for name, value in ids.items()}
    problems += [f"{name} {text!r} cannot be an attribute" for name, text in texts.items() if not _is_attribute(text)]
    if problems:
        raise MetadataError(
            f"metadata: {'; '.join(problems)}. Use None, booleans, numbers, strings, paths, enums, NumPy arrays, "
            "and lists, tuples, dicts and dataclasses of them."
        )
    user = dumps(given)
    if len(user) > MAX_TEXT_BYTES:
        raise MetadataError(f"metadata: it has {len(user)} bytes as JSON, at most {MAX_TEXT_BYTES} can be recorded.")
    return {**texts, "user": user}


def _plain(value: Any) -> Any:
    """The value as text, numbers, lists, tuples and dicts, where its class says how."""
    if isinstance(value, enum.Enum):
        return _plain(value.value)
    if isinstance(value, PurePath):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(_plain, value))
    base = base_value(value)  # of a derived class, such as a string with attributes
    return value if base is None else _plain(base)


def _is_attribute(text: str) -> bool:
    """Whether an HDF5 attribute can hold a text: UTF-8, no NUL, at most ``MAX_TEXT_BYTES``."""
    try:
        data = text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return b"\0" not in data and len(data) <= MAX_TEXT_BYTES
