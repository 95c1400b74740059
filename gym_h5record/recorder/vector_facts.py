"""The facts about a vector environment that its recording needs: its lanes, its autoreset mode, its environments."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv

from gym_h5record.errors import OptionError, SpecError, UnsupportedEnvError
from gym_h5record.format.lanes import MAX_LANES
from gym_h5record.recorder.provenance import describe_arrays, describe_environment, frames_per_second, user_metadata
from gym_h5record.recorder.recorded_env import RecordedEnv
from gym_h5record.values.spec_json import spec_to_json

__all__ = ["autoreset_mode", "check_lanes", "check_vector_env", "describe_vector", "single_envs"]

_PICKLABLE = frozenset(
    (
        *("PassiveEnvChecker", "OrderEnforcing", "TimeLimit", "Autoreset", "RecordEpisodeStatistics"),
        *("AtariPreprocessing", "MaxAndSkipObservation", "FrameStackObservation", "TimeAwareObservation"),
        *("GrayscaleObservation", "ResizeObservation", "ReshapeObservation", "FlattenObservation", "DtypeObservation"),
        *("FilterObservation", "DelayObservation", "NormalizeObservation", "RescaleObservation"),
        *("DiscretizeObservation", "DiscretizeAction", "ClipAction", "RescaleAction", "StickyAction"),
        *("ClipReward", "NormalizeReward", "AddRenderObservation"),
    )
)
"""Gymnasium's wrappers that take no function. With a lambda in it, a spec cannot be pickled."""


def check_vector_env(env: object) -> None:
    """Make sure that an environment can be recorded as lanes.

    Raises:
        UnsupportedEnvError: If it is no vector environment, or gives batches of some environments only.
    """
    if not isinstance(env, VectorEnv):
        inner, what = (env.unwrapped, "a single") if isinstance(env, gym.Env) else (env, "no")
        raise UnsupportedEnvError(
            f"{type(inner).__name__} is {what} environment: gym_h5record.vector.RecordToHDF5 records a gymnasium "
            "VectorEnv. Record a single environment with gym_h5record.RecordToHDF5."
        )
    batch_size = getattr(env.unwrapped, "batch_size", env.num_envs)
    if isinstance(batch_size, int) and batch_size not in (0, env.num_envs):
        raise UnsupportedEnvError(
            f"{type(env.unwrapped).__name__} gives batches of {batch_size} of its {env.num_envs} environments, in "
            f"varying order: make it with batch_size={env.num_envs}, or none"
        )


def check_lanes(lanes: Sequence[int] | None, num_envs: int) -> list[int]:
    """The environments that are recorded.

    Raises:
        OptionError: If one of them does not exist or is named twice, or there are none or too many.
    """
    chosen = list(range(num_envs)) if lanes is None else [*lanes] if isinstance(lanes, Iterable) else []
    is_right = all(type(lane) is not bool and isinstance(lane, (int, np.integer)) for lane in chosen)
    if not (is_right and all(0 <= lane < num_envs for lane in chosen) and 1 <= len({*chosen}) == len(chosen)):
        raise OptionError(f"lanes: expected a list of different numbers from 0 to {num_envs - 1}, got {lanes!r:.200}")
    if len(chosen) > MAX_LANES:
        raise OptionError(f"lanes: at most {MAX_LANES} can be recorded, got {len(chosen)}")
    return [int(lane) for lane in chosen]


def autoreset_mode(env: VectorEnv[Any, Any, Any]) -> AutoresetMode:
    """How a vector environment resets its environments.

    Its attribute is asked first: ale-py's ``AtariVectorEnv`` writes into the metadata that all its instances share.

    Raises:
        UnsupportedEnvError: If it does not say.
    """
    mode = getattr(env.unwrapped, "autoreset_mode", None) or env.metadata.get("autoreset_mode")
    try:
        return AutoresetMode(mode)
    except ValueError:
        raise UnsupportedEnvError(
            f'{type(env.unwrapped).__name__} does not say how it resets: set metadata["autoreset_mode"] to a member of '
            f"gymnasium.vector.AutoresetMode; it is {mode!r}"
        ) from None


def single_envs(env: VectorEnv[Any, Any, Any]) -> list[gym.Env[Any, Any]] | None:
    """The environments of a ``SyncVectorEnv``, with their wrappers; None if they are not in this process."""
    inner = env.unwrapped
    return list(inner.envs) if isinstance(inner, SyncVectorEnv) else None


def describe_vector(
    env: VectorEnv[Any, Any, Any],
    lanes: Sequence[int],
    frames: str,
    metadata: Mapping[str, Any] | None,
    *,
    infos: bool,
    times: bool,
    cameras: tuple[str, ...] = (),
) -> RecordedEnv:
    """Gather the facts about a vector environment. ``frames`` is the kind of its frame source.

    Spaces are those of a single environment, and so are the spec and the wrappers where they are known.
    """
    vector = {
        "class": f"{type(env.unwrapped).__module__}:{type(env.unwrapped).__qualname__}",
        "wrappers": [f"{type(each).__module__}:{type(each).__qualname__}" for each in _wrappers(env)],
        "autoreset_mode": autoreset_mode(env).name,
        "num_envs": env.num_envs,
        "lanes": list(lanes),
        "spec": _vector_spec(env),
    }
    attributes = {**_environment(env), **user_metadata(metadata), "frames": frames, "vector": json.dumps(vector)}
    return RecordedEnv(
        attributes=attributes,
        spaces=(env.single_observation_space, env.single_action_space),
        fps=frames_per_second(env),
        frames=frames,
        infos=bool(infos),
        times=bool(times),
        has_user_metadata=bool(metadata),
        cameras=cameras,
    )


def _environment(env: VectorEnv[Any, Any, Any]) -> dict[str, str]:
    """The attributes that describe one of the environments and this machine."""
    arrays = describe_arrays("", env.single_observation_space, env.single_action_space)
    envs = single_envs(env)
    if envs is not None:
        described = describe_environment(envs[0])
        return {**described, **{name: arrays[name] for name in ("observation_space", "action_space")}}
    spec, inner = _own_spec(env), type(env.unwrapped)
    found = {
        **arrays,
        "env_name": inner.__qualname__ if spec is None else spec.id,
        "env_class": f"{inner.__module__}:{inner.__qualname__}",
        "env_spec_problem": f"{inner.__qualname__} steps its environments together",
        "render_mode": str(env.render_mode or ""),
    }
    if isinstance(env.unwrapped, AsyncVectorEnv):
        found |= _worker_spec(env.unwrapped)
    return found


def _worker_spec(env: AsyncVectorEnv[Any, Any]) -> dict[str, str]:
    """The spec of an environment in another process."""
    wrappers = _worker_wrappers(env)
    if wrappers is None or not _PICKLABLE.issuperset(wrappers):
        asked = "their text names no wrappers" if wrappers is None else f"they have {', '.join(wrappers)}"
        return {"env_spec_problem": f"the environments in the workers are not asked for their spec: {asked}"}
    spec = env.get_attr("spec")[0]
    try:
        return {"env_spec": spec_to_json(spec), "env_spec_problem": "", "env_name": spec.id}
    except (SpecError, AttributeError) as error:  # it has none, or one that has no JSON form
        return {"env_spec_problem": f"the environments in the workers have no spec that can be stored: {error}"}


def _worker_wrappers(env: AsyncVectorEnv[Any, Any]) -> list[str] | None:
    """The names of the wrappers of an environment in another process; None if it does not show them as Gymnasium does.

    A worker that is asked for what cannot be pickled ends. Text can always be pickled.
    """
    shown = str(env.call("__str__")[0])  # <TimeLimit<OrderEnforcing<CartPoleEnv<CartPole-v1>>>>
    names = re.fullmatch(r"((?:<\w+)+)(?:<[^<>]+>| instance)>+", shown)
    return None if names is None else names[1][1:].split("<")[:-1]


def _vector_spec(env: VectorEnv[Any, Any, Any]) -> str | None:
    """The spec from which ``gymnasium.make_vec`` makes the environment anew, as JSON; None without one."""
    spec = _own_spec(env)
    if spec is None:
        return None
    try:
        return spec_to_json(replace(spec))
    except SpecError:
        return None


def _own_spec(env: VectorEnv[Any, Any, Any]) -> EnvSpec | None:
    """The spec of a vector environment; None without one of Gymnasium's, such as in EnvPool."""
    return env.spec if isinstance(env.spec, EnvSpec) else None


def _wrappers(env: Any) -> list[Any]:
    found = []
    while isinstance(env, gym.vector.VectorWrapper):
        found.append(env)
        env = env.env
    return found
