"""Snapshots of random generators of an environment, its wrappers, its spaces, and the objects that they have.

Gymnasium's ``_np_random`` is one of them. Global generators, and generators inside a compiled simulator, are not found.
"""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import gymnasium as gym
import numpy as np

from gym_h5record.errors import SnapshotError
from gym_h5record.recorder.snapshots.deep_generators import DeepGenerators
from gym_h5record.recorder.snapshots.generator_kinds import BY_TYPE, KINDS, jax_kind, kind_of
from gym_h5record.recorder.snapshots.generator_places import holder_of, layers, parts_of_spaces
from gym_h5record.recorder.snapshots.object_paths import follow, named_parts, path_text, put

__all__ = ["GeneratorProvider"]

_DICT_AND_CLASS = 2
_MISFITS = (LookupError, TypeError, ValueError, AttributeError, ImportError, RecursionError, OverflowError)


class GeneratorProvider:
    """NumPy's generators, ``random.Random`` and JAX keys, in attributes and in the objects inside an environment.

    The state is JSON: a list of ``[layer, path, kind, state]``. Layer 0 is the environment without wrappers, layer 1
    its innermost wrapper, and so on. The path is a text (see ``generator_places``) or, into an object, a list (see
    ``object_paths``). Two places may hold the same generator: the second entry has the kind ``same``, and the number of
    the first entry as its state.
    """

    name = "generators"

    def __init__(self) -> None:
        self._deep = DeepGenerators()

    def take(self, env: gym.Env[Any, Any]) -> bytes | None:
        """See ``SnapshotProvider``."""
        found = _Found()
        every_layer = layers(env)
        for depth, layer in enumerate(every_layer):
            for name, value, kind in _generators(layer):
                found.add(depth, _quoted(name), value, kind)
        parts = list(parts_of_spaces(every_layer[0]))
        for path, part in parts:
            generator = part._np_random  # noqa: SLF001  # the property np_random would create one
            if type(generator) is np.random.Generator:
                found.add(0, _quoted(path), generator, "numpy")
        for deep in self._deep.take(every_layer, [part for _, part in parts]):
            found.add(*deep)
        found.add_seed(every_layer[0])
        return found.text()

    def complete(self, env: gym.Env[Any, Any], state: bytes, *, is_bare: bool = False) -> bytes:
        """After a reset, add the initial states of the generators that were created during the reset.

        Gymnasium creates a generator at its first use. ``take`` creates none: an environment may do something else if
        it has no generator yet. Inside objects, only the first reset is completed, and only if it ``is_bare``, without
        seed and options: with a seed it creates the same generators again.
        """
        every_layer = layers(env)
        inner, has = every_layer[0], state.decode()
        parts = list(parts_of_spaces(inner))
        created = [
            (0, _quoted(path), part._np_random)  # noqa: SLF001
            for path, part in (("_np_random", inner), *parts)
            if type(getattr(part, "_np_random", None)) is np.random.Generator and f'[0,"{path}",' not in has
        ]
        if is_bare and self._deep.is_after_first_reset:
            others = [value for layer in every_layer for _, value, _ in _generators(layer)]
            others += [part._np_random for _, part in parts]  # noqa: SLF001
            deep = self._deep.created([part for _, part in parts], others)
            created += [(each.layer, each.path, each.generator) for each in deep]
        knows_seed = '[0,"_np_random",' in has
        if knows_seed and not created:
            return state
        found = _Found(state, len(json.loads(state)))
        for each in created:
            found.add_created(*each)
        if not knows_seed:
            found.add_seed(inner)
        return found.text()

    def missing(self, env: gym.Env[Any, Any], state: bytes) -> list[str]:
        """The places inside objects that this environment does not have, or not yet. ``restore`` leaves them out."""
        with _misfits_explained():
            every_layer = layers(env)
            deep = ((every_layer[entry[0]], entry[1]) for entry in json.loads(state) if type(entry[1]) is list)
            return [path_text(path) for layer, path in deep if not _is_place(follow(layer, path))]

    def restore(self, env: gym.Env[Any, Any], state: bytes) -> None:
        """See ``SnapshotProvider``."""
        every_layer = layers(env)
        restored: list[Any] = []
        used: set[int] = set()  # ids of the generators that have been restored
        with _misfits_explained():
            for number, path, kind, content in json.loads(state):
                layer = every_layer[number]
                present = _read(layer, path)
                if kind in ("same", "seed"):
                    value = restored[content] if kind == "same" else int(content)
                else:  # a new object if the present one has been restored already: they were two when recorded
                    value = KINDS[kind].restored(None if id(present) in used else present, content)
                    used.add(id(value))
                _write(layer, path, present, value)
                restored.append(value)


@contextmanager
def _misfits_explained() -> Iterator[None]:
    try:
        yield
    except _MISFITS as error:
        raise SnapshotError(f"the generators of this episode do not fit this environment: {error!r:.200}") from error


def _read(layer: Any, path: Any) -> Any:
    if type(path) is list:
        return follow(layer, path)
    holder, name = holder_of(layer, path)
    return getattr(holder, name, None)


def _write(layer: Any, path: Any, present: Any, value: Any) -> None:
    if type(path) is not list:
        setattr(*holder_of(layer, path), value)
    elif value is not present and _is_place(present):
        put(layer, path, value)


def _is_place(present: Any) -> bool:
    """Whether a generator belongs where this value is, inside an object."""
    return present is None or kind_of(present) is not None


class _Found:
    """The entries of a state, and the number of the entry of each generator.

    Args:
        state: A state with the first entries.
        number: How many entries it has.
    """

    def __init__(self, state: bytes = b"[]", number: int = 0) -> None:
        self._entries = [state[1:-1].decode()] if number else []
        self._next = number
        self._numbers: dict[int, int] = {}

    def add(self, layer: int, path: str, value: Any, kind: str) -> None:
        """Add a generator; the path is JSON."""
        self._add(layer, path, value, kind, value)

    def add_created(self, layer: int, path: str, generator: np.random.Generator) -> None:
        """Add a generator that may have been drawn from, in its initial state, if its seeds tell it."""
        bits = generator.bit_generator
        seeds = bits.seed_seq
        if type(seeds) is np.random.SeedSequence:
            initial = np.random.Generator(type(bits)(np.random.SeedSequence(seeds.entropy, spawn_key=seeds.spawn_key)))
            self._add(layer, path, generator, "numpy", initial)

    def _add(self, layer: int, path: str, value: Any, kind: str, in_state: Any) -> None:
        number = self._numbers.setdefault(id(value), self._next)
        known = number < self._next
        content = f'"same",{number}' if known else f'"{kind}",{KINDS[kind].take(in_state)}'
        self._entries.append(f"[{layer},{path},{content}]")
        self._next += 1

    def add_seed(self, env: Any) -> None:
        """Add the seed, so that the property ``np_random_seed`` does not create another generator when it is read."""
        seed = getattr(env, "_np_random_seed", None)
        if type(seed) is int:
            self._entries.append(f'[0,"_np_random_seed","seed",{seed}]')
            self._next += 1

    def text(self) -> bytes:
        return f"[{','.join(self._entries)}]".encode()


def _generators(layer: Any) -> list[tuple[str, Any, str]]:
    """Name, value and kind of each attribute of a layer that is a generator.

    This reads ``__dict__`` only if the layer holds a generator other than Gymnasium's: CPython 3.11 and 3.12 keep
    attributes outside of a dict until ``__dict__`` is first read, and every later access to an attribute is slower.
    """
    referents = gc.get_referents(layer)
    held: Iterable[Any] = referents
    if len(referents) == _DICT_AND_CLASS:  # the attributes are in a __dict__
        held = next((each.values() for each in referents if type(each) is dict), referents)
    with_jax = "jax" in sys.modules
    found = [each for each in held if type(each) in BY_TYPE or (with_jax and jax_kind(each))]
    if not found:
        return []
    if len(found) == 1 and type(found[0]) in BY_TYPE and getattr(layer, "_np_random", None) is found[0]:
        return [("_np_random", found[0], BY_TYPE[type(found[0])])]
    kinds = ((name, value, kind_of(value)) for name, value in named_parts(layer))
    return [(name, value, kind) for name, value, kind in kinds if kind]


@lru_cache(maxsize=256)
def _quoted(name: str) -> str:
    return json.dumps(name)
