"""Count, mean, variance, minimum and maximum of values that come in parts: the parts are computed apart and combined.

Each part is computed in two passes with a correction, and parts are combined with the formula of T. F. Chan,
G. H. Golub and R. J. LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample Variances", Stanford
CS-TR-79-773, 1979. The sum of squares minus the square of the sum, which needs one pass, loses all digits of the
variance where the mean is 1e9 and the standard deviation 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["BYTES_PER_ELEMENT", "Moments", "combined", "moments_of_runs", "no_moments", "pooled"]

BYTES_PER_ELEMENT = 48
"""Of ``Moments``: six numbers."""

_MAX_BYTES_SUMMED = 1 << 16
"""Integers of one byte whose squares have a sum below 2**32."""


@dataclass(frozen=True, eq=False)
class Moments:
    """The moments of finite values, elementwise: all arrays have one shape.

    Attributes:
        count: How many values are finite, int64.
        num_nonfinite: How many values are NaN or infinite, int64. The others leave them out.
        mean: Their mean, float64; 0 of no value.
        squares: Sum of the squared differences from the mean, float64.
        minimum: Smallest value, float64; infinity of no value.
        maximum: Largest value, float64; minus infinity of no value.
    """

    count: np.ndarray
    num_nonfinite: np.ndarray
    mean: np.ndarray
    squares: np.ndarray
    minimum: np.ndarray
    maximum: np.ndarray

    def arrays(self) -> tuple[np.ndarray, ...]:
        """All of them, in the order in which ``Moments`` takes them."""
        return (self.count, self.num_nonfinite, self.mean, self.squares, self.minimum, self.maximum)

    def __getitem__(self, index: slice | np.ndarray) -> Moments:
        """Those of some entries of the first axis."""
        count, num_nonfinite, *numbers = (each[index] for each in self.arrays())
        return Moments(count, num_nonfinite, *numbers)

    def __setitem__(self, index: slice | np.ndarray, moments: Moments) -> None:
        """Replace those of some entries of the first axis."""
        for mine, theirs in zip(self.arrays(), moments.arrays(), strict=True):
            mine[index] = theirs


def no_moments(shape: tuple[int, ...]) -> Moments:
    """The moments of no value."""
    count, num_nonfinite = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    mean, squares = np.zeros(shape), np.zeros(shape)
    return Moments(count, num_nonfinite, mean, squares, np.full(shape, np.inf), np.full(shape, -np.inf))


def moments_of_runs(values: np.ndarray, begins: np.ndarray) -> Moments:
    """The moments of runs of values that follow each other, ``(runs, *shape)``.

    Args:
        values: ``(n, *shape)`` with n at least 1: booleans, integers or floats.
        begins: Where each run begins, ``(runs,)`` int64: first 0, then ever larger numbers below n.
    """
    if values.dtype.itemsize == 1 and len(values) <= _MAX_BYTES_SUMMED:
        return _moments_of_bytes(values.view(np.uint8) if values.dtype.kind == "b" else values, begins)
    floats = values.astype(np.float64)
    finite = np.isfinite(floats)
    if finite.all():
        return _moments_of_finite(floats, begins)
    floats[~finite] = 0.0
    return _moments_of_some(floats, finite, begins)


def combined(first: Moments, second: Moments) -> Moments:
    """The moments of the values of both, elementwise."""
    pairs = zip(first.arrays(), second.arrays(), strict=True)
    return pooled(Moments(*(np.stack(np.broadcast_arrays(*pair)) for pair in pairs)))


def pooled(moments: Moments) -> Moments:
    """The moments of the values of all entries of the first axis together."""
    count, has_values = moments.count.sum(axis=0), moments.count > 0
    weights = moments.count / np.maximum(count, 1)
    with np.errstate(over="ignore", invalid="ignore"):
        rough = (weights * moments.mean).sum(axis=0)
        mean = rough + _finite_or_0((weights * (moments.mean - rough)).sum(axis=0))
        differences = np.where(has_values, moments.mean - mean, 0.0)
        squares = (moments.squares + moments.count * differences**2).sum(axis=0)
    minimum, maximum = moments.minimum.min(axis=0), moments.maximum.max(axis=0)
    return _with_exact_constants(count, moments.num_nonfinite.sum(axis=0), mean, squares, minimum, maximum)


def _moments_of_bytes(values: np.ndarray, begins: np.ndarray) -> Moments:
    """The moments of integers of one byte. Their sums are exact, and for pictures ten times as fast as floats."""
    count = _counts(values, begins)
    total = _of_runs(np.add, values, begins, np.int32).astype(np.int64)
    products = np.multiply(values, values, dtype=np.int16 if values.dtype.kind == "i" else np.uint16)
    squared = _of_runs(np.add, products.view(np.uint16), begins, np.uint32).astype(np.int64)
    squares = (count * squared - total * total) / count
    minimum, maximum = _of_runs(np.minimum, values, begins), _of_runs(np.maximum, values, begins)
    ends = (each.astype(np.float64) for each in (minimum, maximum))
    return Moments(count, np.zeros_like(count), total / count, squares, *ends)


def _moments_of_finite(floats: np.ndarray, begins: np.ndarray) -> Moments:
    count = _counts(floats, begins)
    mean, squares = _mean_and_squares(floats, None, count, begins)
    minimum, maximum = _of_runs(np.minimum, floats, begins), _of_runs(np.maximum, floats, begins)
    return _with_exact_constants(count, np.zeros_like(count), mean, squares, minimum, maximum)


def _moments_of_some(floats: np.ndarray, finite: np.ndarray, begins: np.ndarray) -> Moments:
    """The moments of those values that are finite; the others are 0 in ``floats``."""
    count = _of_runs(np.add, finite, begins, np.int64)
    num_nonfinite = _counts(floats, begins) - count
    mean, squares = _mean_and_squares(floats, finite, count, begins)
    minimum = _of_runs(np.minimum, np.where(finite, floats, np.inf), begins)
    maximum = _of_runs(np.maximum, np.where(finite, floats, -np.inf), begins)
    return _with_exact_constants(count, num_nonfinite, mean, squares, minimum, maximum)


def _with_exact_constants(
    count: np.ndarray,
    num_nonfinite: np.ndarray,
    mean: np.ndarray,
    squares: np.ndarray,
    minimum: np.ndarray,
    maximum: np.ndarray,
) -> Moments:
    """The moments, without rounding errors where all values are equal: seven times 0.1 is not 0.7."""
    is_constant = minimum == maximum
    mean, squares = np.where(is_constant, minimum, mean), np.where(is_constant, 0.0, squares)
    return Moments(count, num_nonfinite, mean, squares, minimum, maximum)


def _counts(values: np.ndarray, begins: np.ndarray) -> np.ndarray:
    """How many values each run has, for every element."""
    lengths = np.diff(begins, append=len(values)).reshape(-1, *(1 for _ in values.shape[1:]))
    return np.broadcast_to(lengths, (len(begins), *values.shape[1:])).copy()


def _mean_and_squares(
    floats: np.ndarray, finite: np.ndarray | None, count: np.ndarray, begins: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    some = np.maximum(count, 1)
    with np.errstate(over="ignore", invalid="ignore"):  # near the largest float64, sums are infinite
        rough = _of_runs(np.add, floats, begins) / some
        if not np.isfinite(rough).all():
            rough = _of_runs(np.add, floats / _for_every_value(some, begins, len(floats)), begins)
        differences = floats - _for_every_value(rough, begins, len(floats))
        if finite is not None:
            differences[~finite] = 0.0
        correction = _finite_or_0(_of_runs(np.add, differences, begins) / some)
        squares = _of_runs(np.add, differences * differences, begins) - count * correction**2
    return rough + correction, np.maximum(np.where(np.isnan(squares), np.inf, squares), 0.0)


def _finite_or_0(correction: np.ndarray) -> np.ndarray:
    """A correction of a mean, 0 where it is beyond float64."""
    return np.where(np.isfinite(correction), correction, 0.0)


def _for_every_value(of_runs: np.ndarray, begins: np.ndarray, count: int) -> np.ndarray:
    """What each value has of its run: an array that broadcasts to ``(count, *shape)``."""
    return of_runs if len(begins) == 1 else np.repeat(of_runs, np.diff(begins, append=count), axis=0)


def _of_runs(function: np.ufunc, values: np.ndarray, begins: np.ndarray, dtype: Any = None) -> np.ndarray:
    """Each run reduced to one entry. For a single run of pictures, ``reduceat`` takes five times as long."""
    found: np.ndarray
    if len(begins) == 1:
        found = function.reduce(values, axis=0, dtype=dtype, keepdims=True)
    else:
        found = function.reduceat(values, begins, axis=0, dtype=dtype)
    return found
