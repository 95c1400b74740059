"""How far apart numbers are: two arrays of one dtype and shape, or two Python numbers.

Arithmetic only, and therefore apart from ``differences``, which searches values of
any type. Arrays are compared in blocks of a million elements: the float64
difference of two pictures would take eight times their bytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

__all__ = ["all_close", "blocks", "distance", "is_close", "largest_distance"]

_BLOCK_ELEMENTS = 1 << 20
_NUMERIC_KINDS = "biufc"


def blocks(first: np.ndarray, second: np.ndarray) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Two arrays as pairs of flat blocks, each pair with the index of its first element."""
    flat = [np.asarray(each).reshape(-1) for each in (first, second)]
    for start in range(0, len(flat[0]), _BLOCK_ELEMENTS):
        yield start, flat[0][start : start + _BLOCK_ELEMENTS], flat[1][start : start + _BLOCK_ELEMENTS]


def all_close(first: np.ndarray, second: np.ndarray, atol: float) -> bool:
    """Whether two arrays hold floats, each within ``atol`` of the other one."""
    return first.dtype.kind == "f" and all(is_close(one, other, atol).all() for _, one, other in blocks(first, second))


def is_close(first: np.ndarray, second: np.ndarray, atol: float) -> np.ndarray:
    """Which floats are within ``atol`` of the other one; NaN is close to NaN, infinity to itself."""
    one, other = _wide(first), _wide(second)
    with np.errstate(all="ignore"):
        within: np.ndarray = (one == other) | (np.isnan(one) & np.isnan(other)) | (np.abs(one - other) <= atol)
        return within


def _wide(array: np.ndarray) -> np.ndarray:
    """Floats as float64 or wider, so that the difference of two float16 does not overflow."""
    return array.astype(np.promote_types(array.dtype, np.float64))


def largest_distance(first: np.ndarray, second: np.ndarray) -> float | None:
    """The largest absolute difference of two arrays of one dtype; pairs with a NaN do not count."""
    if first.dtype.kind not in _NUMERIC_KINDS:
        return None
    largest = [each for each in map(_largest_of_block, blocks(first, second)) if each is not None]
    return max(largest, default=None)


def _largest_of_block(block: tuple[int, np.ndarray, np.ndarray]) -> float | None:
    _, first, second = block
    with np.errstate(all="ignore"):
        if first.dtype.kind in "biu":
            high, low = np.maximum(first, second), np.minimum(first, second)
            return float((high.astype(np.uint64) - low.astype(np.uint64)).max())  # exact: modulo 2**64
        one, other = _wide(first), _wide(second)
        apart = np.where(one == other, 0.0, np.abs(one - other))
    numbers = apart[~np.isnan(apart)]
    return float(numbers.max()) if len(numbers) else None


def distance(first: Any, second: Any) -> float | None:
    """The absolute difference of two Python integers or complex numbers; None for anything else, and for NaN."""
    if not isinstance(first, (int, complex)):
        return None
    try:
        apart = float(abs(first - second))
    except OverflowError:
        return math.inf
    return None if math.isnan(apart) else apart
