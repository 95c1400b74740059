"""The kinds of random generators that a snapshot keeps: how the state of each is taken and restored."""

from __future__ import annotations

import json
import random
import sys
from typing import Any

import numpy as np

from gym_h5record.errors import SnapshotError

__all__ = ["BY_TYPE", "KINDS", "jax_kind", "kind_of"]

_PCG64 = '{"bit_generator":"PCG64","state":{"state":%d,"inc":%d},"has_uint32":%d,"uinteger":%d,"seed_seq":%s}'
_IS_NUMPY_1 = np.__version__.startswith("1.")  # its bit generators cannot change their seed sequence in place


class _NumpyGenerator:
    """State: that of the bit generator, and the seed sequence from which it spawns children."""

    @staticmethod
    def take(generator: np.random.Generator) -> str:
        """The state as JSON."""
        bits = generator.bit_generator
        state, seeds = bits.state, bits.seed_seq
        spawns = _spawns(seeds) if type(seeds) is np.random.SeedSequence else "null"
        if state["bit_generator"] == "PCG64":  # of default_rng; this is three times as fast as json.dumps
            words = state["state"]
            return _PCG64 % (words["state"], words["inc"], state["has_uint32"], state["uinteger"], spawns)
        return f'{json.dumps(_plain(state))[:-1]},"seed_seq":{spawns}}}'

    @staticmethod
    def restored(present: Any, content: Any) -> Any:
        """A generator in a recorded state: the present one if it can be put into that state, otherwise a new one."""
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


KINDS: dict[str, Any] = {
    "numpy": _NumpyGenerator,
    "numpy-legacy": _NumpyRandomState,
    "python": _PythonRandom,
    "jax": _JaxKey,
}
"""Each kind has ``take(generator)``, its state as JSON, and ``restored(present, state)``."""

BY_TYPE: dict[type, str] = {
    np.random.Generator: "numpy",
    np.random.RandomState: "numpy-legacy",
    random.Random: "python",
}


def kind_of(value: Any) -> str | None:
    """The kind of a generator, None for every other value."""
    return BY_TYPE.get(type(value)) or jax_kind(value)


def jax_kind(value: Any) -> str | None:
    """``"jax"`` for a key of JAX that has a value, None for every other value."""
    jax = sys.modules.get("jax")
    if jax is None or not isinstance(value, jax.Array) or isinstance(value, jax.core.Tracer) or value.is_deleted():
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
