"""The spec of an environment with all its wrappers, each where it stands.

Gymnasium's own does not tell where a ``TimeLimit`` stands, nor that there are
several: it becomes ``max_episode_steps``, and is made again below all other
wrappers, where it counts the steps that they skip.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import gymnasium as gym
from gymnasium import wrappers
from gymnasium.envs.registration import EnvSpec, WrapperSpec

__all__ = ["wrapped_spec"]

_FLAGS = (wrappers.OrderEnforcing, wrappers.PassiveEnvChecker)  # they change nothing, wherever they stand
_UNLISTED = (*_FLAGS, wrappers.TimeLimit)


def wrapped_spec(env: gym.Env[Any, Any]) -> EnvSpec | None:
    """The spec that ``gymnasium.make`` makes the same stack of wrappers of.

    It is the environment's own, but that a ``TimeLimit`` which is not the innermost
    wrapper, or of a class of its own, is listed with the others.

    Returns:
        The spec; None if the environment has none.
    """
    spec = env.spec
    if spec is None:
        return None
    listed, steps, is_innermost = list(spec.additional_wrappers), None, True
    inserted: list[tuple[int, WrapperSpec]] = []
    for each in _inside_out(env):
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


def _inside_out(env: gym.Env[Any, Any]) -> list[gym.Wrapper[Any, Any, Any, Any]]:
    found = []
    while isinstance(env, gym.Wrapper):
        found.append(env)
        env = env.env
    return found[::-1]


def _listed(wrapper: gym.Wrapper[Any, Any, Any, Any]) -> WrapperSpec:
    """As ``gymnasium.Wrapper.spec`` lists a wrapper."""
    kind = type(wrapper)
    kwargs = getattr(wrapper, "_saved_kwargs", None)  # of RecordConstructorArgs
    return WrapperSpec(wrapper.class_name(), f"{kind.__module__}:{kind.__name__}", kwargs)
