"""The statistics of leaves as JSON values, every bit kept, and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from gym_h5record.training.array_json import ArrayReader, array_to_json
from gym_h5record.training.leaf_statistics import LeafStatistics
from gym_h5record.training.moments import Moments
from gym_h5record.training.row_sample import RowSample

__all__ = ["leaf_from_json", "leaf_to_json", "moments_from_json", "moments_to_json"]

_MOMENTS = {
    "count": np.int64,
    "num_nonfinite": np.int64,
    "mean": np.float64,
    "squares": np.float64,
    "minimum": np.float64,
    "maximum": np.float64,
}
"""In the order in which ``Moments`` takes them."""


def moments_to_json(moments: Moments) -> dict[str, Any]:
    """Moments as JSON values."""
    return {name: array_to_json(each) for name, each in zip(_MOMENTS, moments.arrays(), strict=True)}


def moments_from_json(content: Any, arrays: ArrayReader) -> Moments:
    """The moments of ``moments_to_json``.

    Raises:
        ValueError: If they are none; also what ``ArrayReader.read`` raises.
    """
    found = [arrays.read(content[name], dtype) for name, dtype in _MOMENTS.items()]
    if len({each.shape for each in found}) > 1:
        raise ValueError("moments of several shapes")
    return Moments(*found)


def leaf_to_json(leaf: LeafStatistics) -> dict[str, Any]:
    """The statistics of a leaf as JSON values."""
    sample = leaf.sample
    return {
        "moments": moments_to_json(leaf.moments),
        "num_missing": leaf.num_missing,
        "histogram": None if leaf.histogram is None else [*leaf.histogram.items()],
        "sample": {
            "keys": array_to_json(sample.keys),
            "values": array_to_json(sample.values),
            "num_seen": sample.num_seen,
            "max_rows": sample.max_rows,
        },
    }


def leaf_from_json(name: str, content: Any, arrays: ArrayReader) -> LeafStatistics:
    """The statistics of ``leaf_to_json``.

    Args:
        name: The name of the leaf.
        content: The JSON values.
        arrays: Reads arrays.

    Raises:
        ValueError: If they are none; also what ``ArrayReader.read`` raises.
    """
    moments, sample = moments_from_json(content["moments"], arrays), content["sample"]
    keys, values = arrays.read(sample["keys"], np.uint64), arrays.read(sample["values"])
    num_seen, max_rows = _count(sample["num_seen"]), _count(sample["max_rows"])
    if keys.ndim != 1 or values.ndim < 1 or len(values) != len(keys) or values.shape[1:] != moments.mean.shape:
        raise ValueError(f"{name}: a sample of shape {values.shape} with keys of shape {keys.shape}")
    if len(keys) != min(num_seen, max_rows) or max_rows < 1 or (keys[1:] < keys[:-1]).any():
        raise ValueError(
            f"{name}: a sample of {len(keys)} rows of {num_seen}, with at most {max_rows}, or not in order"
        )
    histogram = content["histogram"]
    if histogram is not None:
        histogram = {_whole(value): _count(count) for value, count in histogram}
    kept = RowSample.kept(keys, values, num_seen, max_rows)
    return LeafStatistics(name, moments, kept, _count(content["num_missing"]), histogram)


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise ValueError(f"expected an integer, got {value!r:.80}")
    return value


def _count(value: Any) -> int:
    if _whole(value) < 0:
        raise ValueError(f"expected a count, got {value!r:.80}")
    return int(value)
