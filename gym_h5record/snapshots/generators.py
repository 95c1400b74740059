"""Random generators that are attributes of an environment or of its wrappers.

Gymnasium's ``_np_random`` is one of them. Global generators, and those that a
simulator hides in a library, are not found here.
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

__all__ = ["GeneratorProvider"]

_DICT_AND_CLASS = 2
_PCG64 = '{"bit_generator":"PCG64","state":{"state":%d,"inc":%d},"has_uint32":%d,"uinteger":%d}'
_MISFITS = (LookupError, TypeError, ValueError, AttributeError, ImportError, RecursionError, OverflowError)


class GeneratorProvider:
    """NumPy's generators, ``random.Random`` and JAX keys, wherever an attribute holds one.

    The state is JSON: a list of ``[layer, attribute, kind, state]``; layer 0 is the
    environment itself, its wrappers follow from the inside.
    """

    name = "generators"

    def take(self, env: gym.Env[Any, Any]) -> bytes | None:
        """See ``SnapshotProvider``."""
        _create_generator(env.unwrapped)
        found = [
            f'[{depth},{_quoted(name)},"{kind}",{_KINDS[kind].take(value)}]'
            for depth, layer in enumerate(_layers(env))
            for name, value, kind in _generators(layer)
        ]
        return f"[{','.join(found)}]".encode()

    def restore(self, env: gym.Env[Any, Any], state: bytes) -> None:
        """See ``SnapshotProvider``."""
        layers = _layers(env)
        try:
            for depth, name, kind, content in json.loads(state):
                layer = layers[depth]
                setattr(layer, name, _KINDS[kind].restored(getattr(layer, name, None), content))
        except _MISFITS as error:
            raise SnapshotError(f"the generators of this episode do not fit this environment: {error!r}") from error


def _create_generator(env: gym.Env[Any, Any]) -> None:
    """Have Gymnasium's generator made now if the first reset would: then it is known."""
    if getattr(env, "_np_random", env) is None and type(env).np_random is gym.Env.np_random:
        _ = env.np_random  # reading the property makes it


def _generators(layer: Any) -> list[tuple[str, Any, str]]:
    """The attributes of a layer that are generators: name, value, kind.

    ``__dict__`` is not asked for unless it has to be: an object whose ``__dict__`` has been seen is
    slower from then on, in every step (CPython 3.11 and 3.12 keep attributes elsewhere until then).
    """
    held = gc.get_referents(layer)
    if len(held) > _DICT_AND_CLASS:  # else it has been seen already
        with_jax = "jax" in sys.modules
        found = [each for each in held if type(each) in _BY_TYPE or (with_jax and _jax_kind(each))]
        if not found:
            return []
        if len(found) == 1 and type(found[0]) in _BY_TYPE and getattr(layer, "_np_random", None) is found[0]:
            return [("_np_random", found[0], _BY_TYPE[type(found[0])])]
    attributes = getattr(layer, "__dict__", {})
    return [(name, value, kind) for name, value in attributes.items() if (kind := _kind(value))]


def _layers(env: Any) -> list[Any]:
    """An environment and its wrappers, from the inside."""
    layers = [env]
    while isinstance(layers[-1], gym.Wrapper):
        layers.append(layers[-1].env)
    return layers[::-1]


# Kinds ----------------------------------------------------------------------------------------------


class _NumpyGenerator:
    """State: that of its bit generator."""

    @staticmethod
    def take(generator: np.random.Generator) -> str:
        state = generator.bit_generator.state
        if state["bit_generator"] == "PCG64":  # of nearly everybody: this is three times as fast as JSON
            words = state["state"]
            return _PCG64 % (words["state"], words["inc"], state["has_uint32"], state["uinteger"])
        return json.dumps(_plain(state))

    @staticmethod
    def restored(present: Any, state: Any) -> Any:
        bits = getattr(np.random, str(state["bit_generator"]))
        if not (isinstance(bits, type) and issubclass(bits, np.random.BitGenerator)):
            raise SnapshotError(f"{state['bit_generator']!r} is no bit generator of NumPy")
        # In place where that can be: others may hold the same generator.
        keep = type(present) is np.random.Generator and type(present.bit_generator) is bits
        generator = present if keep else np.random.Generator(bits())
        generator.bit_generator.state = _arrays(state)
        return generator


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
    """State: the words of the key, and whether it is one of JAX's typed keys."""

    @staticmethod
    def take(key: Any) -> str:
        jax = sys.modules["jax"]
        typed = bool(jax.dtypes.issubdtype(key.dtype, jax.dtypes.prng_key))
        words = np.asarray(jax.random.key_data(key) if typed else key)
        return json.dumps([typed, str(jax.random.key_impl(key)) if typed else "", words.dtype.str, words.tolist()])

    @staticmethod
    def restored(present: Any, state: Any) -> Any:
        import jax  # type: ignore[import-not-found,unused-ignore]  # only if the environment has it

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


def _kind(value: Any) -> str | None:
    return _BY_TYPE.get(type(value)) or _jax_kind(value)


def _jax_kind(value: Any) -> str | None:
    jax = sys.modules.get("jax")
    if jax is None or not isinstance(value, jax.Array):
        return None
    is_typed = bool(jax.dtypes.issubdtype(value.dtype, jax.dtypes.prng_key))
    return "jax" if is_typed or (value.dtype == np.uint32 and value.shape[-1:] == (2,)) else None


def _plain(state: Any) -> Any:
    """A state without arrays."""
    if isinstance(state, dict):
        return {name: _plain(part) for name, part in state.items()}
    return state.tolist() if isinstance(state, (np.ndarray, np.generic)) else state


def _arrays(state: Any) -> Any:
    """The same with arrays where there were some: lists of whole numbers are words of a generator."""
    if isinstance(state, dict):
        return {name: _arrays(part) for name, part in state.items()}
    return np.array(state, np.uint64) if isinstance(state, list) else state
