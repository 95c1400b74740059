"""A random sample of the rows of a leaf, for quantiles: of bounded size, the same in every pass, and mergeable.

Every row gets a pseudo-random key, and the rows with the smallest keys are kept: a bottom-k sample (E. Cohen and
H. Kaplan, "Summarizing Data Using Bottom-k Sketches", PODC 2007), which is a uniform sample without replacement. The
key is a function of the file and the number of the row. So the sample of two parts together is that of the whole, in
whatever order and blocks the rows were read.
"""

from __future__ import annotations

import math
from hashlib import blake2b

import numpy as np

from gym_h5record.training.counter_random import words

__all__ = ["RowSample", "row_keys", "sample_rows"]

_MAX_ROWS = 1 << 16
_MAX_BYTES = 4 << 20
_CONFIDENCE = 0.95


def sample_rows(item_bytes: int) -> int:
    """How many rows of so many bytes a sample has at most: 65,536, or as many as 4 MiB hold, but at least one."""
    return min(_MAX_ROWS, max(_MAX_BYTES // max(item_bytes, 1), 1))


def row_keys(file: str, rows: np.ndarray) -> np.ndarray:
    """A pseudo-random key for each row, ``(n,)`` uint64.

    Args:
        file: What tells the file from others.
        rows: Numbers of rows, ``(n,)`` int64.
    """
    salt = np.uint64(int.from_bytes(blake2b(file.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little"))
    return words(salt, rows - 1)  # ``words`` counts from 1


class RowSample:
    """The rows with the smallest keys.

    Args:
        dtype: Type of the values.
        shape: Shape of the value of a row.
        max_rows: How many rows are kept; by default ``sample_rows`` says it.

    Attributes:
        num_seen: How many rows have been added.
    """

    def __init__(self, dtype: np.dtype, shape: tuple[int, ...], max_rows: int | None = None) -> None:
        item_bytes = math.prod(shape) * dtype.itemsize
        self._max_rows = sample_rows(item_bytes) if max_rows is None else max_rows
        self._parts = [(np.empty(0, np.uint64), np.empty((0, *shape), dtype))]
        self._num_kept = 0
        self._limit = np.uint64(np.iinfo(np.uint64).max)
        self.num_seen = 0

    @classmethod
    def kept(cls, keys: np.ndarray, values: np.ndarray, num_seen: int, max_rows: int) -> RowSample:
        """A sample that was kept: what ``keys``, ``values``, ``num_seen`` and ``max_rows`` of it were."""
        sample = cls(values.dtype, values.shape[1:], max_rows)
        sample.add(keys, values)
        sample._prune()
        sample.num_seen = num_seen
        return sample

    @property
    def max_rows(self) -> int:
        """How many rows are kept at most."""
        return self._max_rows

    @property
    def keys(self) -> np.ndarray:
        """The keys of the rows of the sample, ``(n,)`` uint64, in ascending order; callers must not change them."""
        return self._pruned()[0]

    @property
    def values(self) -> np.ndarray:
        """The rows of the sample, ``(n, *shape)``, in the order of their keys; callers must not change them."""
        self._prune()
        return self._parts[0][1]

    @property
    def is_whole(self) -> bool:
        """Whether the sample has every row, so that its quantiles are those of all rows."""
        return self.num_seen <= self._max_rows

    @property
    def quantile_error(self) -> float:
        """How far the rank of a quantile may be off, as a fraction of all rows; 0 if the sample has every row.

        With a probability of 95%, all quantiles of an element are that close at the same time: the inequality of
        Dvoretzky, Kiefer and Wolfowitz, with the constant of P. Massart (Annals of Probability 18, 1990).
        """
        return 0.0 if self.is_whole else min(math.sqrt(math.log(2 / (1 - _CONFIDENCE)) / (2 * self._max_rows)), 1.0)

    def add(self, keys: np.ndarray, values: np.ndarray) -> None:
        """Add rows.

        Args:
            keys: From ``row_keys``.
            values: ``(n, *shape)``.
        """
        self.num_seen += len(keys)
        chosen = np.flatnonzero(keys <= self._limit)
        if len(chosen):
            self._parts.append((keys[chosen], values[chosen]))
            self._num_kept += len(chosen)
        if self._num_kept > 2 * self._max_rows:  # rarely: after n rows, k * log(n / k) have been chosen
            self._prune()

    def merged(self, other: RowSample) -> RowSample:
        """The sample of the rows of both."""
        (keys, values), (more_keys, more_values) = self._pruned(), other._pruned()
        dtype = np.result_type(values, more_values)
        sample = RowSample(dtype, values.shape[1:], min(self._max_rows, other._max_rows))
        sample.add(keys, values.astype(dtype, copy=False))
        sample.add(more_keys, more_values.astype(dtype, copy=False))
        sample.num_seen = self.num_seen + other.num_seen
        return sample

    def _pruned(self) -> tuple[np.ndarray, np.ndarray]:
        self._prune()
        return self._parts[0]

    def _prune(self) -> None:
        """Keep the rows with the smallest keys, and no others."""
        if len(self._parts) == 1:
            return
        keys = np.concatenate([part[0] for part in self._parts])
        order = np.argsort(keys, kind="stable")[: self._max_rows]
        values = np.concatenate([part[1] for part in self._parts])[order]
        self._parts = [(keys[order], values)]
        self._num_kept = len(order)
        if self._num_kept == self._max_rows:
            self._limit = self._parts[0][0][-1]
