"""What a recording says about where it comes from.

Collected once, when the recording begins, and stored as text attributes of
``/metadata``. The environment is looked at, never touched: no generator is
read, nothing is rendered.
"""

from __future__ import annotations

import hashlib
import json
import platform
import sys
import uuid
from collections.abc import Mapping
from datetime import datetime, timezone
from importlib import metadata as importlib_metadata
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec

from gym_h5record.errors import MetadataError
from gym_h5record.limits import MAX_TEXT_BYTES
from gym_h5record.spaces import space_to_json
from gym_h5record.tagged import dumps

__all__ = ["describe_environment", "frames_per_second", "user_metadata"]

_LIBRARIES = (
    "gym_h5record",
    "gymnasium",
    "numpy",
    "h5py",
    "ale_py",
    "mujoco",
    "box2d",
    "pygame",
    "opencv-python-headless",
)


def user_metadata(metadata: Mapping[str, Any] | None) -> dict[str, str]:
    """The user's own metadata as attributes.

    ``run_id`` and ``agent_id`` become attributes of their own, the rest is JSON
    in ``user``. Without a ``run_id`` a random one is made.

    Raises:
        MetadataError: If a value has no JSON form, or a key is not a string.
    """
    given: dict[Any, Any] = dict(metadata or {})
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
            f"metadata: {'; '.join(problems)}. Use None, booleans, numbers, strings, NumPy arrays, "
            "and lists, tuples and dicts of them."
        )
    user = dumps(given)
    if len(user) > MAX_TEXT_BYTES:
        raise MetadataError(f"metadata: it has {len(user)} bytes as JSON, at most {MAX_TEXT_BYTES} can be recorded.")
    return {**texts, "user": user}


def _is_attribute(text: str) -> bool:
    """Whether an attribute can hold a text: UTF-8 without NUL, not too long to be read."""
    try:
        data = text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return b"\0" not in data and len(data) <= MAX_TEXT_BYTES


def describe_environment(env: gym.Env[Any, Any]) -> dict[str, str]:
    """Everything worth knowing about an environment, as attributes.

    Args:
        env: The environment that is recorded, without the recorder around it.
    """
    inner = env.unwrapped
    spec, problem = _spec_json(env.spec)
    attributes = {
        "env_name": env.spec.id if env.spec is not None else type(inner).__qualname__,
        "env_class": f"{type(inner).__module__}:{type(inner).__qualname__}",
        "env_spec": spec,
        "env_spec_problem": problem,
        "env_wrappers": json.dumps(_wrapper_names(env)),
        "render_mode": str(env.render_mode or ""),
        "observation_space": json.dumps(space_to_json(env.observation_space)),
        "action_space": json.dumps(space_to_json(env.action_space)),
        "created_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "versions": json.dumps({"python": platform.python_version(), **_versions()}),
        "platform": json.dumps({"system": platform.platform(), "machine": platform.machine()}),
    }
    rom_md5 = _rom_md5(inner)
    return attributes if rom_md5 is None else {**attributes, "rom_md5": rom_md5}


def frames_per_second(env: gym.Env[Any, Any]) -> float:
    """The environment's ``render_fps``, NaN if it has none."""
    fps = env.metadata.get("render_fps")
    return float(fps) if isinstance(fps, (int, float, np.number)) else float("nan")


def _spec_json(spec: EnvSpec | None) -> tuple[str, str]:
    """The spec as JSON, or no JSON and the reason why."""
    if spec is None:
        return "", "the environment was not made by gymnasium.make and has no spec"
    try:
        text = spec.to_json()
        if EnvSpec.from_json(text) == spec:
            return text, ""
        reason = "EnvSpec.to_json changes it"
    except (TypeError, ValueError, AttributeError) as error:
        reason = f"EnvSpec.to_json refuses it: {error}"
    return "", f"{reason}. It is: {spec!r}"


def _wrapper_names(env: gym.Env[Any, Any]) -> list[str]:
    names = []
    while isinstance(env, gym.Wrapper):
        names.append(f"{type(env).__module__}:{type(env).__qualname__}")
        env = env.env
    return names


def _versions() -> dict[str, str]:
    versions = {name: _version(name) for name in _LIBRARIES}
    return {name: version for name, version in versions.items() if version is not None}


def _version(library: str) -> str | None:
    try:
        return importlib_metadata.version(library)
    except importlib_metadata.PackageNotFoundError:
        return None


def _rom_md5(env: gym.Env[Any, Any]) -> str | None:
    """MD5 of the ROM of an ALE environment: the names of ROMs do not tell their version."""
    roms, game = sys.modules.get("ale_py.roms"), getattr(env, "_game", None)
    if roms is None or type(env).__module__ != "ale_py.env" or not isinstance(game, str):
        return None
    rom = Path(roms.get_rom_path(game)).read_bytes()
    return hashlib.md5(rom, usedforsecurity=False).hexdigest()
