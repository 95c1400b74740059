"""Snapshots of random generators that are attributes of an environment, its wrappers or its spaces.

Gymnasium's ``_np_random`` is one of them. Global generators, and generators inside a compiled simulator, are not found.
"""

from __future__ import annotations

import gc
import json
import random
import sys
from functools import lru_cache
from typing import Any

import gymnasium as gym
import numpy as np

from gym_h5record.errors import SnapshotError
from gym_h5record.recorder.snapshots.generator_places import holder_of, layers, parts_of_spaces

__all__ = ["GeneratorProvider"]

_DICT_AND_CLASS = 2
_PCG64 = '{"bit_generator":"PCG64","state":{"state":%d,"inc":%d},"has_uint32":%d,"uinteger":%d,"seed_seq":%s}'
_IS_NUMPY_1 = np.__version__.startswith("1.")  # its bit generators cannot change their seed sequence in place
_MISFITS = (LookupError, TypeError, ValueError, AttributeError, ImportError, RecursionError, OverflowError)


class GeneratorProvider:
    """NumPy's generators, ``random.Random`` and JAX keys in attributes.

    The state is JSON: a list of ``[layer, path, kind, state]``. Layer 0 is the environment without wrappers, layer 1
    its innermost wrapper, and so on. Two attributes may hold the same generator: the second entry has the kind
    ``same``, and the number of the first entry as its state.
    """

    name = "generators"

    def take(self, env: gym.Env[Any, Any]) -> bytes | None:
        """See ``SnapshotProvider``."""
        found = _Found()
        every_layer = layers(env)
        for depth, layer in enumerate(every_layer):
            for name, value, kind in _generators(layer):
                found.add(depth, name, value, kind)
        for path, part in parts_of_spaces(every_layer[0]):
            generator = part._np_random  # noqa: SLF001  # the property np_random would create one
            if type(generator) is np.random.Generator:
                found.add(0, path, generator, "numpy")
        found.add_seed(every_layer[0])
        return found.text()

    def complete(self, env: gym.Env[Any, Any], state: bytes) -> bytes:
        """After a reset, add the initial states of the generators that Gymnasium created during the reset.

        Gymnasium creates a generator at its first use. ``take`` creates none: an environment may do something else if
        it has no generator yet.
        """
        inner = layers(env)[0]
        found, has = _Found(state), state.decode()
        for path, part in (("_np_random", inner), *parts_of_spaces(inner)):
            generator = getattr(part, "_np_random", None)
            if type(generator) is np.random.Generator and f'"{path}"' not in has:
                found.add_newborn(path, generator)
        if '"_np_random"' not in has:
            found.add_seed(inner)
        return found.text()

    def restore(self, env: gym.Env[Any, Any], state: bytes) -> None:
        """See ``SnapshotProvider``."""
        every_layer = layers(env)
        restored: list[Any] = []
        used: set[int] = set()  # ids of the generators that have been restored
        try:
            for depth, path, kind, content in json.loads(state):
                holder, name = holder_of(every_layer[depth], path)
                present = getattr(holder, name, None)
                if kind in ("same", "seed"):
                    value = restored[content] if kind == "same" else int(content)
                else:  # a new object if the present one has been restored already: they were two when recorded
                    value = _KINDS[kind].restored(None if id(present) in used else present, content)
                    used.add(id(value))
                setattr(holder, name, value)
                restored.append(value)
        except _MISFITS as error:
            raise SnapshotError(
                f"the generators of this episode do not fit this environment: {error!r:.200}"
            ) from error


class _Found:
    """The entries of a state, and the number of the entry of each generator.

    Args:
        state: A state with the first entries.
    """

    def __init__(self, state: bytes = b"[]") -> None:
        self._entries = [state[1:-1].decode()] if len(state) > len("[]") else []
        self._numbers: dict[int, int] = {}

    def add(self, depth: int, path: str, value: Any, kind: str) -> None:
        number = self._numbers.setdefault(id(value), len(self._entries))
        known = number < len(self._entries)
        content = f'"same",{number}' if known else f'"{kind}",{_KINDS[kind].take(value)}'
        self._entries.append(f"[{depth},{_quoted(path)},{content}]")

    def add_newborn(self, path: str, generator: np.random.Generator) -> None:
        """Add the initial state of a generator that may have been drawn from."""
        bits = generator.bit_generator
        seeds = bits.seed_seq
        if type(seeds) is np.random.SeedSequence:
            newborn = np.random.Generator(type(bits)(np.random.SeedSequence(seeds.entropy, spawn_key=seeds.spawn_key)))
            self._entries.append(f'[0,{_quoted(path)},"numpy",{_NumpyGenerator.take(newborn)}]')

    def add_seed(self, env: Any) -> None:
        """Add the seed, so that the property ``np_random_seed`` does not create another generator when it is read."""
        seed = getattr(env, "_np_random_seed", None)
        if type(seed) is int:
            self._entries.append(f'[0,"_np_random_seed","seed",{seed}]')

    def text(self) -> bytes:
        return f"[{','.join(self._entries)}]".encode()


def _generators(layer: Any) -> list[tuple[str, Any, str]]:
    """Name, value and kind of each attribute of a layer that is a generator.

    This reads ``__dict__`` only if the layer holds a generator other than Gymnasium's: CPython 3.11 and 3.12 keep
    attributes outside of a dict until ``__dict__`` is first read, and every later access to an attribute is slower.
    """
    held = gc.get_referents(layer)
    if len(held) > _DICT_AND_CLASS:  # the attributes are not in a __dict__ yet
        with_jax = "jax" in sys.modules
        found = [each for each in held if type(each) in _BY_TYPE or (with_jax and _jax_kind(each))]
        if not found:
            return []
        if len(found) == 1 and type(found[0]) in _BY_TYPE and getattr(layer, "_np_random", None) is found[0]:
            return [("_np_random", found[0], _BY_TYPE[type(found[0])])]
    attributes = getattr(layer, "__dict__", {})
    kinds = ((name, value, _BY_TYPE.get(type(value)) or _jax_kind(value)) for name, value in attributes.items())
    return [(name, value, kind) for name, value, kind in kinds if kind]


# Kinds ----------------------------------------------------------------------------------------------


class _NumpyGenerator:
    """State: that of the bit generator, and the seed sequence from which it spawns children."""

    @staticmethod
    def take(generator: np.random.Generator) -> str:
        bits = generator.bit_generator
        state, seeds = bits.state, bits.seed_seq
        spawns = _spawns(seeds) if type(seeds) is np.random.SeedSequence else "null"
        if state["bit_generator"] == "PCG64":  # of default_rng; this is three times as fast as json.dumps
            words = state["state"]
            return _PCG64 % (words["state"], words["inc"], state["has_uint32"], state["uinteger"], spawns)
        return f'{json.dumps(_plain(state))[:-1]},"seed_seq":{spawns}}}'

    @staticmethod
    def restored(present: Any, content: Any) -> Any:
        state, seeds = dict(content), None
        spawns = state.pop("seed_seq", None)
        if spawns is not None:  # None: of another kind, or not recorded by an earlier version
            entropy, spawn_key, children = spawns
            seeds = np.random.SeedSequence(entropy, spawn_key=tuple(spawn_key), n_children_spawned=children)
        kind = getattr(np.random, str(state["bit_generator"]))
        if not (isinstance(kind, type) and issubclass(kind, np.random.BitGenerator)):
            raise SnapshotError(f"NumPy has no bit generator {state['bit_generator']!r}")
        if type(present) is not np.random.Generator or type(present.bit_generator) is not kind:
            present = None
        if present is None or (seeds is not None and _IS_NUMPY_1):
            present = np.random.Generator(kind(seeds))
        elif seeds is not None:  # in place: the environment may have passed this generator to other objects
            present.bit_generator.__setstate__((_arrays(state), seeds))
        present.bit_generator.state = _arrays(state)
        return present


def _spawns(seeds: np.random.SeedSequence) -> str:
    entropy = seeds.entropy
    if type(entropy) is int and not seeds.spawn_key:
        return f"[{entropy},[],{seeds.n_children_spawned}]"
    return json.dumps([_plain(entropy), [int(each) for each in seeds.spawn_key], seeds.n_children_spawned])


class _NumpyRandomState:
    @staticmethod
    def take(generator: np.random.RandomState) -> str:
        return json.dumps(_plain(generator.get_state(legacy=False)))

    @staticmethod
    def restored(present: Any, state: Any) -> Any:
        generator = present if isinstance(present, np.random.RandomState) else np.random.RandomState()
        generator.set_state(_arrays(state))
        return generator


class _PythonRandom:
    @staticmethod
    def take(generator: random.Random) -> str:
        return json.dumps(generator.getstate())

    @staticmethod
    def restored(present: Any, state: Any) -> Any:
        generator = present if isinstance(present, random.Random) else random.Random()  # noqa: S311  # a simulator's
        version, numbers, gauss = state
        generator.setstate((version, tuple(numbers), gauss))
        return generator


class _JaxKey:
    """State: whether it is a typed key of JAX, its implementation, dtype and words."""

    @staticmethod
    def take(key: Any) -> str:
        jax = sys.modules["jax"]
        typed = bool(jax.dtypes.issubdtype(key.dtype, jax.dtypes.prng_key))
        words = np.asarray(jax.random.key_data(key) if typed else key)
        return json.dumps([typed, str(jax.random.key_impl(key)) if typed else "", words.dtype.str, words.tolist()])

    @staticmethod
    def restored(present: Any, state: Any) -> Any:
        import jax  # type: ignore[import-not-found,unused-ignore]  # only environments with a JAX key get here

        typed, name, dtype, words = state
        array = jax.numpy.asarray(np.array(words, np.dtype(dtype)))
        return jax.random.wrap_key_data(array, impl=name) if typed else array


_KINDS: dict[str, Any] = {
    "numpy": _NumpyGenerator,
    "numpy-legacy": _NumpyRandomState,
    "python": _PythonRandom,
    "jax": _JaxKey,
}
_BY_TYPE: dict[type, str] = {
    np.random.Generator: "numpy",
    np.random.RandomState: "numpy-legacy",
    random.Random: "python",
}


@lru_cache(maxsize=256)
def _quoted(name: str) -> str:
    return json.dumps(name)


def _jax_kind(value: Any) -> str | None:
    jax = sys.modules.get("jax")
    if jax is None or not isinstance(value, jax.Array):
        return None
    is_typed = bool(jax.dtypes.issubdtype(value.dtype, jax.dtypes.prng_key))
    return "jax" if is_typed or (value.dtype == np.uint32 and value.shape[-1:] == (2,)) else None


def _plain(state: Any) -> Any:
    """A state with lists in place of arrays."""
    if isinstance(state, dict):
        return {name: _plain(part) for name, part in state.items()}
    return state.tolist() if isinstance(state, (np.ndarray, np.generic)) else state


def _arrays(state: Any) -> Any:
    """A state with arrays in place of lists: every list of a state holds the words of a generator."""
    if isinstance(state, dict):
        return {name: _arrays(part) for name, part in state.items()}
    return np.array(state, np.uint64) if isinstance(state, list) else state
