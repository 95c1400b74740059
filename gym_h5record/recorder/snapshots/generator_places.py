"""The objects that may hold a random generator: an environment, its wrappers, and the parts of its spaces."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gymnasium as gym
from gymnasium import Space, spaces

__all__ = ["holder_of", "layers", "parts_of_spaces"]

_OWN = "_np_random"
_SPACES = {name: f"{name}/0/{_OWN}" for name in ("observation_space", "action_space")}
_SIMPLE = {spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary, spaces.Text}


def layers(env: Any) -> list[Any]:
    """An environment and its wrappers, the innermost first."""
    found = [env]
    while isinstance(found[-1], gym.Wrapper):
        found.append(found[-1].env)
    return found[::-1]


def parts_of_spaces(env: Any) -> Iterator[tuple[str, Any]]:
    """The spaces of an environment without wrappers, and the spaces inside them, each with the path of its generator.

    An environment may return ``space.sample()``, which draws from the generator of each part of the space.
    A path is ``space/number/attribute``, such as ``"action_space/0/_np_random"``; parts are numbered breadth first.
    """
    for name, path in _SPACES.items():
        space = getattr(env, name, None)
        if type(space) in _SIMPLE:  # most environments; this runs before every reset
            yield path, space
        elif isinstance(space, Space):
            for number, part in enumerate(_parts(space)):
                yield f"{name}/{number}/{_OWN}", part


def holder_of(layer: Any, path: str) -> tuple[Any, str]:
    """The object and the attribute of it that a path names.

    Raises:
        LookupError: If the space has no part of that number.
    """
    name, _, below = path.partition("/")
    if not below:
        return layer, name
    number, _, attribute = below.partition("/")
    return _parts(getattr(layer, name))[int(number)], attribute


def _parts(space: Space[Any]) -> list[Space[Any]]:
    found = [space]
    for each in found:  # the loop appends to this list
        if isinstance(each, spaces.Dict):
            found += each.spaces.values()
        elif isinstance(each, (spaces.Tuple, spaces.OneOf)):
            found += each.spaces
        elif isinstance(each, spaces.Sequence):
            found.append(each.feature_space)
        elif isinstance(each, spaces.Graph):
            found += [part for part in (each.node_space, each.edge_space) if part is not None]
    return found
