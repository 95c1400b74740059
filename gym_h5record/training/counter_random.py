"""Random numbers as a function of a key and a counter: the millionth one needs none of those before it.

The numbers are those of SplitMix64 (G. L. Steele, D. Lea and C. H. Flood, "Fast Splittable Pseudorandom Number
Generators", OOPSLA 2014). They depend on nothing but the key and the counter. What NumPy's ``Generator`` makes of a
seed may change with its version (NEP 19), and a sampler that resumes must not.
"""

from __future__ import annotations

import numpy as np

__all__ = ["Shuffle", "key_of", "uniforms", "words"]

_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_ROUNDS = 8  # an even number: the halves of a number then have their widths again

_MOST_SORTED = 1 << 20
"""Up to this size, a shuffle is an array of 8 MiB. To sort it takes a tenth of a second."""


def key_of(*numbers: int) -> np.uint64:
    """A key that depends on all of these numbers, which are not negative."""
    found: np.uint64 = np.random.SeedSequence(list(numbers)).generate_state(1, np.uint64)[0]
    return found


def words(key: np.uint64 | np.ndarray, counters: np.ndarray) -> np.ndarray:
    """The random numbers of these counters, ``(n,)`` uint64. With keys ``(m, 1)``, those of each key, ``(m, n)``."""
    return _mixed((counters.astype(np.uint64) + np.uint64(1)) * _STEP + key)


def uniforms(key: np.uint64, counters: np.ndarray) -> np.ndarray:
    """Random numbers from 0 to 1, without 1, ``(n,)`` float64."""
    found: np.ndarray = (words(key, counters) >> np.uint64(11)) * 2.0**-53
    return found


def _mixed(numbers: np.ndarray) -> np.ndarray:
    numbers = (numbers ^ (numbers >> np.uint64(30))) * _FIRST
    numbers = (numbers ^ (numbers >> np.uint64(27))) * _SECOND
    mixed: np.ndarray = numbers ^ (numbers >> np.uint64(31))
    return mixed


class Shuffle:
    """The numbers from 0 to ``size`` in a random order.

    A large shuffle takes no memory: a Feistel network maps the numbers of the next power of two onto each other, and
    is applied again to what lies beyond ``size``.

    Args:
        key: Determines the order.
        size: How many numbers.
    """

    def __init__(self, key: np.uint64, size: int) -> None:
        self._key = key
        self._size = size
        self._sorted = np.argsort(words(key, np.arange(size)), kind="stable") if size <= _MOST_SORTED else None

    def at(self, positions: np.ndarray) -> np.ndarray:
        """The numbers at these positions, ``(n,)`` int64, each from 0 to ``size``."""
        if self._sorted is not None:
            found: np.ndarray = self._sorted[positions]
            return found
        numbers = self._network(positions.astype(np.uint64))
        beyond = np.flatnonzero(numbers >= self._size)
        while len(beyond):
            numbers[beyond] = self._network(numbers[beyond])
            beyond = beyond[numbers[beyond] >= self._size]
        return numbers.astype(np.int64)

    def _network(self, numbers: np.ndarray) -> np.ndarray:
        bits = (self._size - 1).bit_length()
        low_bits = bits // 2
        masks = [np.uint64((1 << (bits - low_bits)) - 1), np.uint64((1 << low_bits) - 1)]
        high, low = numbers >> np.uint64(low_bits), numbers & masks[1]
        for each in range(_ROUNDS):
            key = self._key ^ np.uint64(each + 1)
            high, low = low, high ^ (_mixed((low + np.uint64(1)) * _STEP + key) & masks[each % 2])
        joined: np.ndarray = (high << np.uint64(low_bits)) | low
        return joined
