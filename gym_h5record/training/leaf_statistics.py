"""The statistics of one leaf: of all its values, or of those of each episode."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gym_h5record.display import counted
from gym_h5record.errors import OptionError
from gym_h5record.training.moments import Moments, combined, moments_of_runs, no_moments, pooled
from gym_h5record.training.row_sample import RowSample

__all__ = ["LeafStatistics", "MomentStatistics", "of_array"]

_QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


class MomentStatistics:
    """Mean, variance, minimum and maximum of finite values, elementwise, float64. Of no value they are NaN.

    Integers beyond 2**53 are rounded to float64. Where sums of squares exceed float64, the variance is infinite.

    Args:
        moments: The moments that they are made from.
    """

    def __init__(self, moments: Moments) -> None:
        self._moments = moments

    @property
    def moments(self) -> Moments:
        """The moments that they are made from."""
        return self._moments

    @property
    def num_finite(self) -> np.ndarray:
        """How many values are finite, int64. Mean, variance, minimum and maximum are those of these values."""
        return self._moments.count

    @property
    def num_nonfinite(self) -> np.ndarray:
        """How many values are NaN or infinite, int64."""
        return self._moments.num_nonfinite

    @property
    def mean(self) -> np.ndarray:
        """The mean."""
        return self._known(self._moments.mean)

    @property
    def variance(self) -> np.ndarray:
        """The mean squared difference from the mean, as ``numpy.var`` has it."""
        return self._known(self._moments.squares / np.maximum(self._moments.count, 1))

    @property
    def std(self) -> np.ndarray:
        """The root of the variance."""
        std: np.ndarray = np.sqrt(self.variance)
        return std

    @property
    def min(self) -> np.ndarray:
        """The smallest value."""
        return self._known(self._moments.minimum)

    @property
    def max(self) -> np.ndarray:
        """The largest value."""
        return self._known(self._moments.maximum)

    def followed_by(self, other: MomentStatistics) -> MomentStatistics:
        """The entries of both, one after the other along the first axis."""
        pairs = zip(self._moments.arrays(), other._moments.arrays(), strict=True)
        return MomentStatistics(Moments(*(np.concatenate(pair) for pair in pairs)))

    def _known(self, values: np.ndarray) -> np.ndarray:
        known: np.ndarray = np.where(self._moments.count > 0, values, np.nan)[()]  # a number, if values are numbers
        return known


class LeafStatistics(MomentStatistics):
    """The statistics of all values of a leaf. Arrays have the shape of one value.

    Args:
        name: The name of the leaf.
        moments: Its moments, ``(*shape)``.
        sample: A sample of its values.
        num_missing: How many steps have no value.
        histogram: How often each value occurs; None unless values are single integers, and few different ones.

    Attributes:
        name: The name of the leaf.
        num_missing: How many steps have no value.
        histogram: How often each value occurs, in the order of the values; None unless values are single integers or
            booleans, of at most 4,096 different ones, and those of an action.
    """

    def __init__(
        self,
        name: str,
        moments: Moments,
        sample: RowSample,
        num_missing: int = 0,
        histogram: dict[int, int] | None = None,
    ) -> None:
        super().__init__(moments)
        self.name = name
        self.num_missing = num_missing
        self.histogram = histogram
        self._sample = sample

    @property
    def sample(self) -> RowSample:
        """The sample of its values that quantiles are those of."""
        return self._sample

    @property
    def count(self) -> int:
        """How many steps have a value."""
        return self._sample.num_seen

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one value."""
        shape: tuple[int, ...] = self._moments.mean.shape
        return shape

    @property
    def dtype(self) -> np.dtype:
        """The dtype of the recorded values."""
        return self._sample.values.dtype

    # Quantiles ------------------------------------------------------------------------------------

    @property
    def quantile_error(self) -> float:
        """How far the rank of a quantile may be off, as a fraction of ``count``; 0 if quantiles are exact.

        Quantiles are exact where there are at most 65,536 values of at most 4 MiB together. Otherwise they are those of
        a random sample of this size, the same one every time. With a probability of 95%, all quantiles of an element
        have at most this error, by the inequality of Dvoretzky, Kiefer and Wolfowitz. It is 0.0053 for 65,536 values:
        the quantile 0.5 then lies between the true quantiles 0.4947 and 0.5053. It is 0.112 for stacks of four 84x84
        pictures, of which 4 MiB hold 148.
        """
        return self._sample.quantile_error

    @property
    def quantiles(self) -> dict[float, np.ndarray]:
        """The quantiles 0.01, 0.05, 0.25, 0.5, 0.75, 0.95 and 0.99."""
        return dict(zip(_QUANTILES, self.quantile(_QUANTILES), strict=True))

    def quantile(self, q: float | Sequence[float]) -> np.ndarray:
        """Quantiles of the finite values, with linear interpolation, as ``numpy.quantile`` has them.

        Args:
            q: A number between 0 and 1, or several.

        Returns:
            ``(*shape)`` for a number, ``(len(q), *shape)`` for several.

        Raises:
            OptionError: If a number is not between 0 and 1.
        """
        fractions = np.asarray(q, np.float64)
        if fractions.ndim > 1 or not ((fractions >= 0) & (fractions <= 1)).all():
            raise OptionError(f"q: expected numbers from 0 to 1, got {q!r:.80}")
        return _quantiles(self._sample.values, fractions)

    # Pictures -------------------------------------------------------------------------------------

    def per_channel(self, axis: int = -1) -> MomentStatistics:
        """The statistics of each channel of a picture: of all pixels of all steps.

        Args:
            axis: The axis of the channels in one value: -1 for ``(height, width, 3)``, 0 for a stack of frames.

        Returns:
            Statistics of arrays ``(channels,)``. ``num_finite`` counts pixels.

        Raises:
            OptionError: If a value has no such axis.

        Example:
            >>> pictures = of_array("frames", np.arange(24).reshape(2, 2, 2, 3))
            >>> pictures.per_channel().mean.tolist(), pictures.per_channel().num_finite.tolist()
            ([10.5, 11.5, 12.5], [8, 8, 8])
        """
        rank = len(self.shape)
        if not -rank <= axis < rank:
            raise OptionError(f"axis: {self.name} has values of shape {self.shape}, which have no axis {axis!r:.80}")
        parts = (np.moveaxis(each, axis, -1).reshape(-1, self.shape[axis]) for each in self._moments.arrays())
        return MomentStatistics(pooled(Moments(*parts)))

    # Several files --------------------------------------------------------------------------------

    def merge(self, other: LeafStatistics) -> LeafStatistics:
        """The statistics of the values of both.

        Raises:
            OptionError: If the shapes differ.
        """
        if self.shape != other.shape:
            raise OptionError(f"{self.name} has values of shape {self.shape} and of shape {other.shape}: not one leaf")
        histogram: dict[int, int] | None = None
        if self.histogram is not None and other.histogram is not None:
            values = sorted({*self.histogram, *other.histogram})
            histogram = {each: self.histogram.get(each, 0) + other.histogram.get(each, 0) for each in values}
        moments, sample = combined(self._moments, other._moments), self._sample.merged(other._sample)
        return LeafStatistics(self.name, moments, sample, self.num_missing + other.num_missing, histogram)

    def without_values(self, num_steps: int) -> LeafStatistics:
        """The same statistics, with so many more steps that have no value."""
        return LeafStatistics(self.name, self._moments, self._sample, self.num_missing + num_steps, self.histogram)

    def __repr__(self) -> str:
        texts = [f"{self.name}: {counted(self.count, 'value')} of shape {self.shape}"]
        if self.num_missing:
            texts.append(f"{counted(self.num_missing, 'step')} without")
        if self.num_nonfinite.any():
            texts.append(f"{counted(int(self.num_nonfinite.sum()), 'element')} not finite")
        return f"<LeafStatistics {', '.join(texts)}>"


def of_array(name: str, values: np.ndarray) -> LeafStatistics:
    """The statistics of an array of values, ``(n, *shape)``. Quantiles are those of all values."""
    count, shape = len(values), values.shape[1:]
    sample = RowSample(values.dtype, shape, max(count, 1))
    sample.add(np.arange(count, dtype=np.uint64), values)
    moments = moments_of_runs(values, np.zeros(1, np.int64)) if count else no_moments((1, *shape))
    return LeafStatistics(name, pooled(moments), sample)


def _quantiles(values: np.ndarray, fractions: np.ndarray) -> np.ndarray:
    """Quantiles of the finite values, ``(*fractions.shape, *shape)``; NaN where there is none."""
    ordered: Any = values
    counts = np.full(values.shape[1:], len(values))
    if values.dtype.kind == "f":
        finite = np.isfinite(values)
        ordered, counts = np.where(finite, values, np.inf), finite.sum(axis=0)
    if not len(values):
        return np.full((*fractions.shape, *values.shape[1:]), np.nan)
    ordered = np.sort(ordered, axis=0)
    places = fractions.reshape((*fractions.shape, *(1 for _ in values.shape[1:]))) * np.maximum(counts - 1, 0)
    below = np.floor(places).astype(np.int64)
    above = np.minimum(below + 1, np.maximum(counts - 1, 0))
    flat = (each.reshape(-1, *values.shape[1:]) for each in (below, above))
    low, high = (np.take_along_axis(ordered, each, axis=0).astype(np.float64).reshape(places.shape) for each in flat)
    with np.errstate(over="ignore", invalid="ignore"):
        found = low + (high - low) * (places - below)
    quantiles: np.ndarray = np.where(counts > 0, found, np.nan)[()]
    return quantiles
