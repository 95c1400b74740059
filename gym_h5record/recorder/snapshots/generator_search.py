"""Finds random generators in the objects that an environment or a wrapper has, such as ``env.game.rng``."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator, Sequence
from enum import Enum, auto
from itertools import pairwise
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from gym_h5record.recorder.snapshots.generator_kinds import BY_TYPE, kind_of
from gym_h5record.recorder.snapshots.object_paths import SEQUENCES, named_parts, own_dict

__all__ = ["MAX_PLACES", "FoundPlace", "find_places"]

MAX_PLACES = 100
"""How many generators inside objects a snapshot keeps, at up to 7 kB each."""

_MAX_DEPTH = 4  # objects between a layer and a generator; dicts do not count
_MAX_REFERENCES = 20_000  # of at most 10,000 objects in one search, which then takes 10 to 15 ms
_LENGTHS: dict[type, Callable[[Any], int]] = {  # a derived class may define another __len__
    each: each.__len__ for each in (*SEQUENCES, dict)
}
_HEAP_TYPE = 1 << 9  # the flag of classes that were made by a class statement or by a binding of C++
_WITHOUT_PARTS = (type, ModuleType, np.ndarray, np.generic, set, frozenset)


class FoundPlace(NamedTuple):
    """The number of a layer, and the path from it to a generator, for ``object_paths.follow``."""

    layer: int
    path: list[Any]


def find_places(layers: Sequence[Any], known: Sequence[Any] = ()) -> list[FoundPlace]:
    """The places of generators in objects that the layers hold, the nearest first.

    Attributes of the layers themselves are left out. If there are more than ``MAX_PLACES``, the list is longer than
    that, but not complete.

    This calls nothing of the environment. It looks at the references of each object, as the garbage collector does. It
    reads a ``__dict__`` only on the way to a generator: reading one makes attributes slower (docs/decisions/0008).

    Args:
        layers: An environment and its wrappers.
        known: Objects that are not looked into.
    """
    nodes = [_Node(layer, number, None, 0) for number, layer in enumerate(layers)]
    found: dict[str, FoundPlace] = {}
    for node in _holders(nodes, {id(each) for each in (*layers, *known)}):
        if len(found) > MAX_PLACES:
            break
        chain = _without_own_dicts(node)
        path = _path(chain)
        if path is None or len(chain) == 1:
            continue
        for segment, value in named_parts(chain[-1]):
            if _role(type(value)) is _Role.GENERATOR and _is_known(value):
                place = FoundPlace(node.layer, [*path, segment])
                found[repr(place)] = place  # an object and its __dict__ are two holders
    return list(found.values())


class _Node(NamedTuple):
    thing: Any
    layer: int
    above: _Node | None
    depth: int


class _Role(Enum):
    LEAF = auto()
    HOLDER = auto()
    GENERATOR = auto()


def _holders(nodes: list[_Node], seen: set[int]) -> Iterator[_Node]:
    """Each object that holds a generator, breadth first. ``nodes`` grows; it keeps the objects, so ids stay unique."""
    roles: dict[type, _Role] = {}
    left = _MAX_REFERENCES
    for node in nodes:  # the loop appends to this list
        if _length(node.thing) > left:
            continue
        held = gc.get_referents(node.thing)
        left -= 1 + len(held)
        is_holder = False
        for value in held:
            kind = type(value)
            role = roles.get(kind) or roles.setdefault(kind, _role(kind))
            if role is _Role.GENERATOR:
                is_holder = is_holder or _is_known(value)
            elif role is _Role.HOLDER and id(value) not in seen:
                depth = node.depth + (not issubclass(kind, dict))  # the __dict__ of an object is a dict, too
                if depth <= _MAX_DEPTH:
                    seen.add(id(value))
                    nodes.append(_Node(value, node.layer, node, depth))
        if is_holder:
            yield node


def _role(kind: type) -> _Role:
    module = getattr(kind, "__module__", None)  # some classes of compiled modules have none
    package = module.partition(".")[0] if type(module) is str else ""
    if kind in BY_TYPE or package in ("jax", "jaxlib"):
        return _Role.GENERATOR  # of JAX: perhaps, see _is_known
    if issubclass(kind, _WITHOUT_PARTS):
        return _Role.LEAF
    if issubclass(kind, (*SEQUENCES, dict, SimpleNamespace)):
        return _Role.HOLDER
    is_foreign = package in sys.stdlib_module_names or package in ("gym_h5record", "numpy")
    return _Role.HOLDER if kind.__flags__ & _HEAP_TYPE and not is_foreign else _Role.LEAF


def _is_known(value: Any) -> bool:
    """Whether a snapshot can keep a generator: not if its bit generator is of another library."""
    kind = kind_of(value)
    return kind is not None and (kind != "numpy" or type(value.bit_generator).__module__.startswith("numpy."))


def _length(thing: Any) -> int:
    if type(thing) in _LENGTHS:
        return len(thing)
    return next((length(thing) for kind, length in _LENGTHS.items() if issubclass(type(thing), kind)), 0)


# Naming ---------------------------------------------------------------------------------------------


def _without_own_dicts(node: _Node | None) -> list[Any]:
    """The objects on the way from a layer to a holder. An object and its ``__dict__`` are one."""
    chain = []
    while node is not None:
        chain.append(node.thing)
        node = node.above
    objects: list[Any] = []
    for thing in reversed(chain):
        if not objects or own_dict(objects[-1]) is not thing:
            objects.append(thing)
    return objects


def _path(chain: Sequence[Any]) -> list[Any] | None:
    """The path through the objects, None if one of them cannot be named: a compiled class may hold it."""
    path = []
    for holder, held in pairwise(chain):
        segment = next((segment for segment, value in named_parts(holder) if value is held), None)
        if segment is None:
            return None
        path.append(segment)
    return path
