"""How far apart numbers are: arrays of one dtype and shape, and Python's own.

Arrays are gone through in pieces: the difference of two pictures as float64 has
eight times their bytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

__all__ = ["are_close", "blocks", "close", "distance", "largest_distance"]


_BLOCK_ELEMENTS = 1 << 20
_NUMERIC_KINDS = "biufc"


def blocks(first: np.ndarray, second: np.ndarray) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Two arrays in flat pieces, each with the number of its first element."""
    flat = [np.asarray(each).reshape(-1) for each in (first, second)]
    for start in range(0, len(flat[0]), _BLOCK_ELEMENTS):
        yield start, flat[0][start : start + _BLOCK_ELEMENTS], flat[1][start : start + _BLOCK_ELEMENTS]


def are_close(first: np.ndarray, second: np.ndarray, atol: float) -> bool:
    """Whether two arrays are of floating numbers, each within ``atol`` of the other's."""
    return first.dtype.kind == "f" and all(close(one, other, atol).all() for _, one, other in blocks(first, second))


def close(first: np.ndarray, second: np.ndarray, atol: float) -> np.ndarray:
    """Which floating numbers are within ``atol`` of the other's; NaN is close to NaN, infinity to itself."""
    one, other = _wide(first), _wide(second)
    with np.errstate(all="ignore"):
        is_close: np.ndarray = (one == other) | (np.isnan(one) & np.isnan(other)) | (np.abs(one - other) <= atol)
        return is_close


def _wide(array: np.ndarray) -> np.ndarray:
    """Floats as at least float64, where the difference of two smaller ones is exact enough not to overflow."""
    return array.astype(np.promote_types(array.dtype, np.float64))


def largest_distance(first: np.ndarray, second: np.ndarray) -> float | None:
    """The largest absolute difference of two arrays of one dtype; where one of two is no number there is none."""
    if first.dtype.kind not in _NUMERIC_KINDS:
        return None
    largest = [each for each in map(_largest_of_block, blocks(first, second)) if each is not None]
    return max(largest, default=None)


def _largest_of_block(block: tuple[int, np.ndarray, np.ndarray]) -> float | None:
    _, first, second = block
    with np.errstate(all="ignore"):
        if first.dtype.kind in "biu":
            high, low = np.maximum(first, second), np.minimum(first, second)
            return float((high.astype(np.uint64) - low.astype(np.uint64)).max())  # modulo 2**64, and so exact
        one, other = _wide(first), _wide(second)
        apart = np.where(one == other, 0.0, np.abs(one - other))
    numbers = apart[~np.isnan(apart)]
    return float(numbers.max()) if len(numbers) else None


def distance(first: Any, second: Any) -> float | None:
    """The same of two Python numbers of one type."""
    if not isinstance(first, (int, complex)):
        return None
    try:
        apart = float(abs(first - second))
    except OverflowError:
        return math.inf
    return None if math.isnan(apart) else apart
