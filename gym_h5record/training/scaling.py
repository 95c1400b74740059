"""How the values of one leaf are normalised: an offset and a scale for each element."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gym_h5record.display import counted, short_repr
from gym_h5record.errors import OptionError
from gym_h5record.training.leaf_statistics import LeafStatistics

__all__ = ["MODES", "LeafScale", "leaf_scale"]

MODES = ("mean_std", "min_max", "quantile")

_SMALLEST_SPREAD = 1e-12
"""An element whose values differ by less than this fraction of the largest one counts as constant. Differences of 4,500
units in the last place of float64 remain."""

_SMALLEST_SCALE = 1e-150
"""Below, the square of a difference is 0 in float64, and a quotient may be infinite."""


@dataclass(frozen=True, eq=False)
class LeafScale:
    """``(value - offset) / scale``, and back.

    Attributes:
        name: The name of the leaf.
        offset: ``(*shape)`` float64.
        scale: ``(*shape)`` float64, positive.
        dtype: The dtype of the recorded values, which ``inverse`` gives.
    """

    name: str
    offset: np.ndarray
    scale: np.ndarray
    dtype: np.dtype

    def normalize(self, values: object, dtype: np.dtype) -> np.ndarray:
        """Values ``(..., *shape)``, normalised."""
        normalized: np.ndarray = (self._array(values).astype(np.float64) - self.offset) / self.scale
        return np.asarray(normalized).astype(dtype, copy=False)

    def inverse(self, values: object) -> np.ndarray:
        """Values ``(..., *shape)`` that were normalised, as they were recorded. Integers are rounded to the nearest."""
        found = np.asarray(self._array(values).astype(np.float64) * self.scale + self.offset)
        if self.dtype.kind == "b":
            return np.asarray(found >= 0.5)
        if self.dtype.kind in "iu":
            low, high = (_float_inside(self.dtype, limit) for limit in ("min", "max"))
            found = np.clip(np.rint(found), low, high)
        return found.astype(self.dtype, copy=False)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, LeafScale):
            return NotImplemented
        same = (self.name, self.dtype, self.offset.shape) == (other.name, other.dtype, other.offset.shape)
        return same and np.array_equal(self.offset, other.offset) and np.array_equal(self.scale, other.scale)

    __hash__ = None  # type: ignore[assignment]  # arrays have no hash

    def _array(self, values: object) -> np.ndarray:
        try:
            array = np.asarray(values)
        except ValueError:  # lists of different lengths
            array = np.empty(0, object)
        if array.dtype.kind not in "biuf":
            raise OptionError(f"{self.name}: expected an array of numbers, got {short_repr(values)}")
        shape = self.offset.shape
        if array.ndim < len(shape) or array.shape[array.ndim - len(shape) :] != shape:
            wanted = f"(..., {', '.join(map(str, shape))})"
            raise OptionError(f"{self.name}: expected an array of shape {wanted}, got {array.shape}")
        return array


def leaf_scale(leaf: LeafStatistics, mode: str, quantiles: tuple[float, float]) -> LeafScale:
    """How the values of a leaf are normalised. See ``gym_h5record.Normalizer.from_stats``.

    Args:
        leaf: The statistics of the leaf.
        mode: One of ``MODES``.
        quantiles: The two quantiles that become -1 and 1, for the mode ``"quantile"``.

    Raises:
        OptionError: If an element has no finite value, or its statistics are beyond float64.
    """
    without = int(np.sum(leaf.num_finite == 0))
    if without:
        raise OptionError(f"{leaf.name} cannot be normalised: {counted(without, 'element')} without a finite value")
    low, high = np.asarray(leaf.min), np.asarray(leaf.max)
    smallest = _SMALLEST_SPREAD * np.maximum(np.abs(low), np.abs(high))
    with np.errstate(over="ignore"):
        is_constant = high - low <= smallest
        if mode == "mean_std":
            offset, scale = np.asarray(leaf.mean), np.asarray(leaf.std)
        else:
            if mode == "quantile":
                low, high = leaf.quantile(quantiles)
                is_constant |= high - low <= smallest
            offset, scale = low + (high - low) / 2, (high - low) / 2
    if not (np.isfinite(offset).all() and np.isfinite(scale).all()):
        raise OptionError(f"{leaf.name} cannot be normalised by {mode}: its values are beyond float64")
    is_constant |= scale < _SMALLEST_SCALE
    return LeafScale(leaf.name, np.asarray(offset), np.where(is_constant, 1.0, scale), leaf.dtype)


def _float_inside(dtype: np.dtype, limit: str) -> float:
    """The smallest or largest float64 that integers of a dtype can hold: float64 rounds 2**63 - 1 up."""
    bound = int(getattr(np.iinfo(dtype), limit))
    return float(bound) if abs(int(float(bound))) <= abs(bound) else float(np.nextafter(float(bound), 0.0))
