"""Statistics as the JSON object that ``stats --json`` prints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gym_h5record.training.leaf_statistics import LeafStatistics
from gym_h5record.training.statistics import Statistics

__all__ = ["MAX_ELEMENTS", "pooled_numbers", "statistics_json"]

MAX_ELEMENTS = 64
"""Arrays with more elements are told as a whole: the mean of all elements, the lowest of all, and so on."""


def statistics_json(statistics: Statistics) -> dict[str, Any]:
    """All statistics, under the names that ``--json`` prints."""
    episodes = statistics.episodes
    rows = zip(
        episodes.numbers.tolist(),
        episodes.returns.tolist(),
        episodes.lengths.tolist(),
        episodes.complete.tolist(),
        episodes.success.tolist(),
        strict=True,
    )
    names = ("episode", "return", "length", "complete", "success")
    listed: list[dict[str, Any]] = [dict(zip(names, row, strict=True)) for row in rows]
    for name, leaf in episodes.leaves.items():
        for episode, mean in zip(listed, leaf.mean.tolist(), strict=True):
            episode.setdefault("means", {})[name] = mean
    return {
        "steps": statistics.num_steps,
        "num_episodes": statistics.num_episodes,
        "incomplete_episodes": statistics.num_incomplete,
        "success_rate": statistics.success_rate,
        "returns": _leaf_json(statistics.returns),
        "lengths": _leaf_json(statistics.lengths),
        "leaves": {name: _leaf_json(leaf) for name, leaf in statistics.items()},
        "skipped": statistics.skipped,
        "episodes": listed,
    }


def pooled_numbers(leaf: LeafStatistics) -> dict[str, float]:
    """Mean, standard deviation, minimum and maximum of all elements of a leaf together; NaN if none is finite.

    Example:
        >>> import numpy as np
        >>> from gym_h5record.training.leaf_statistics import of_array
        >>> pooled_numbers(of_array("x", np.array([[0.0, 2.0], [4.0, 2.0]])))
        {'mean': 2.0, 'std': 1.4142135623730951, 'min': 0.0, 'max': 4.0}
    """
    counts = np.ravel(leaf.num_finite)
    known = counts > 0
    if not known.any():
        return dict.fromkeys(("mean", "std", "min", "max"), np.nan)
    counts, means, variances = counts[known], np.ravel(leaf.mean)[known], np.ravel(leaf.variance)[known]
    with np.errstate(all="ignore"):
        mean = np.average(means, weights=counts)
        variance = np.average(variances + (means - mean) ** 2, weights=counts)
    low, high = np.ravel(leaf.min)[known].min(), np.ravel(leaf.max)[known].max()
    return {"mean": float(mean), "std": float(np.sqrt(variance)), "min": float(low), "max": float(high)}


def _leaf_json(leaf: LeafStatistics) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "shape": leaf.shape,
        "dtype": str(leaf.dtype),
        "count": leaf.count,
        "missing": leaf.num_missing,
        "nonfinite": int(np.sum(leaf.num_nonfinite)),
    }
    if np.prod(leaf.shape) > MAX_ELEMENTS:
        return {**facts, "pooled": True, **pooled_numbers(leaf)}
    numbers: Mapping[str, Any] = {"mean": leaf.mean, "std": leaf.std, "min": leaf.min, "max": leaf.max}
    quantiles = {f"{fraction:g}": value for fraction, value in leaf.quantiles.items()}
    histogram = {} if leaf.histogram is None else {"histogram": leaf.histogram}
    return {**facts, "pooled": False, **numbers, "quantiles": quantiles, **histogram}
