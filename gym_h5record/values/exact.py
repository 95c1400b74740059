"""Exact equality of values, and plain values in place of those of other classes.

"Exact" is what recording promises: the same types, dtypes and shapes, and the
same bits in every number, NaN payloads and signs of zero included. Rewards are
added in the order and with the rounding of Gymnasium.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["add_up", "base_value", "foreign_array", "identical", "reward_number", "storable"]


def identical(first: Any, second: Any) -> bool:
    """Whether two values are the same in type, structure and every bit.

    Dicts may list their keys in different orders. Objects of unknown classes are
    compared with ``==``.

    Example:
        >>> identical((1, float("nan")), (1, float("nan"))), identical(1, np.int64(1))
        (True, False)
    """
    if type(first) is not type(second):
        return False
    if isinstance(first, np.ndarray):
        return _identical_arrays(first, second)
    if isinstance(first, np.generic):
        return bool(first.dtype == second.dtype) and first.tobytes() == second.tobytes()
    if isinstance(first, float):
        return struct.pack("d", first) == struct.pack("d", second)
    if isinstance(first, complex):
        return identical((first.real, first.imag), (second.real, second.imag))
    if isinstance(first, dict):
        twins = {key: key for key in second}  # 1, True and 1.0 are the same key to a dict
        return first.keys() == second.keys() and all(
            identical(key, twins[key]) and identical(first[key], second[key]) for key in first
        )
    if isinstance(first, (list, tuple)):
        return len(first) == len(second) and all(map(identical, first, second))
    if isinstance(first, (set, frozenset)):
        twins = {each: each for each in second}
        return first == second and all(identical(each, twins[each]) for each in first)
    return bool(first == second)


def foreign_array(value: Any) -> np.ndarray | None:
    """The NumPy array of another library's array (JAX, PyTorch on the CPU ...).

    Returns:
        None for anything else, also for masked arrays: a plain array would lose the mask.
    """
    if isinstance(value, (np.generic, np.ma.MaskedArray, type)) or type(value) is np.ndarray:
        return None
    if not hasattr(value, "__array__"):
        return None
    try:
        array = np.array(np.asarray(value), subok=False)  # in one step, NumPy 2.4 warns of torch tensors
    except (TypeError, ValueError, RuntimeError):  # on another device, or part of a gradient
        return None
    return None if array.dtype.hasobject else array


def base_value(value: Any) -> Any:
    """The value of a derived class as one of Python's own class, such as the int of an ``IntEnum`` member.

    The methods of Python's own class are called, not those that the derived class overrides.

    Returns:
        None for anything else.
    """
    if type(value) in _PLAIN or isinstance(value, (bool, np.generic)):
        return None
    return next((plain(value) for base, plain in _PLAIN.items() if isinstance(value, base)), None)


_PLAIN: dict[type, Callable[[Any], Any]] = {
    dict: lambda value: dict(dict.items(value)),
    list: lambda value: list(list.__iter__(value)),
    tuple: lambda value: tuple(tuple.__iter__(value)),
    str: str.__str__,
    bytes: lambda value: memoryview(value).tobytes(),
    int: int.__int__,
    float: float.__float__,
    complex: lambda value: complex(complex.real.__get__(value), complex.imag.__get__(value)),
    set: lambda value: set(set.__iter__(value)),
    frozenset: lambda value: frozenset(frozenset.__iter__(value)),
}


def _identical_arrays(first: np.ndarray, second: np.ndarray) -> bool:
    if first.dtype != second.dtype or first.shape != second.shape:
        return False
    if first.dtype.hasobject:
        return all(map(identical, first.ravel().tolist(), second.ravel().tolist()))
    return first.tobytes() == second.tobytes()


_STORABLE_KINDS = "biuf"
_MAX_ITEMSIZE_BYTES = 8  # long double has no portable HDF5 form


def storable(dtype: np.dtype) -> bool:
    """Whether HDF5 has this dtype on every platform, so that its arrays are stored unchanged."""
    return dtype.kind in _STORABLE_KINDS and dtype.itemsize <= _MAX_ITEMSIZE_BYTES


def reward_number(reward: Any) -> float:
    """The number that a reward adds to the return: NaN if it is no number, as in the returns of a recording."""
    if isinstance(reward, (str, bytes, bytearray)) or getattr(reward, "ndim", False):
        return math.nan
    try:
        return float(reward)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def add_up(total: Any, rewards: np.ndarray) -> Any:
    """Add rewards to a total one by one, as ``sum`` and RecordEpisodeStatistics do; ``np.sum`` rounds differently.

    Args:
        total: A number, or an array ``(*shape)`` of totals.
        rewards: ``(steps, *shape)``.

    Returns:
        The new total: a ``float``, or an array of float64.
    """
    terms = np.concatenate([np.asarray(total, np.float64)[None], rewards])
    with np.errstate(over="ignore", invalid="ignore"):  # the sum is then infinity or NaN
        sums = np.add.accumulate(terms, axis=0)[-1]
    return float(sums) if sums.ndim == 0 else sums
