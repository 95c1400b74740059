"""``cache``: columns of the sampled episodes that are decoded once and kept in memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gym_h5record.display import printable
from gym_h5record.errors import CorruptRecordingError, OptionError
from gym_h5record.format.nodes import Array, Stack
from gym_h5record.training.item_store import ItemStore, Runs, runs_of
from gym_h5record.training.sampled_columns import Leaf, SampledColumn, leaves
from gym_h5record.training.step_source import StepSource

__all__ = ["CACHES", "keep_columns"]

CACHES = (None, "low_dim", "all")
"""What is kept: nothing, items of less than 1 KiB, or everything."""

_LOW_DIM_BYTES = 1 << 10


def keep_columns(
    store: ItemStore, source: StepSource, columns: Sequence[SampledColumn], cache: str | None, memory_bytes: int
) -> int:
    """Decode columns and keep them.

    Args:
        store: Keeps them.
        source: The episodes.
        columns: The columns.
        cache: One of ``CACHES``.
        memory_bytes: The most that they may take.

    Returns:
        How many bytes they take.

    Raises:
        OptionError: If they take more.
        CorruptRecordingError: If one cannot be read.
    """
    if cache is None:
        return 0
    sizes: dict[str, tuple[int, Runs]] = {}
    found = {leaf.name: leaf for column in columns for leaf in leaves(column.tree)}
    stacks = [leaf for leaf in found.values() if isinstance(leaf, Stack)]
    for leaf in found.values():
        sizes.update(_sizes(source, leaf))
    if cache == "low_dim":
        sizes = {name: each for name, each in sizes.items() if each[0] < _LOW_DIM_BYTES}
    total = sum(size * len(runs) for size, runs in sizes.values())
    _check(total, cache, memory_bytes, sizes)
    for name, (_, runs) in sizes.items():
        store.keep(name, runs)
    if cache == "all":
        earlier = {leaf.earlier.item.name: _earlier(store, leaf, sizes[leaf.earlier.ends][1]) for leaf in stacks}
        by_name = {leaf.earlier.item.name: leaf.newest.item_bytes for leaf in stacks}
        total += sum(by_name[name] * len(runs) for name, runs in earlier.items())
        _check(total, cache, memory_bytes, sizes)
        for name, runs in earlier.items():
            store.keep(name, runs)
    return total


def _sizes(source: StepSource, leaf: Leaf) -> dict[str, tuple[int, Runs]]:
    """The datasets of a leaf with an item per row: the bytes of an item, and the rows to keep."""
    if isinstance(leaf, Stack):  # a stack has frames of the rows before it; their ends begin one row earlier
        runs = runs_of(source.starts, source.lengths, before=leaf.shape[0])
        return {leaf.newest.name: (leaf.newest.item_bytes, runs), leaf.earlier.ends: (8, runs)}
    if isinstance(leaf, Array) and 0 in leaf.shape:
        return {}
    size = leaf.dtype.itemsize * (int(np.prod(leaf.shape)) if isinstance(leaf, Array) else 1)
    return {leaf.name: (size, runs_of(source.starts, source.lengths))}


def _earlier(store: ItemStore, leaf: Stack, runs: Runs) -> Runs:
    """The earlier frames of the stacks in some rows, but for the first row of each run of rows unless it is row 0.

    Raises:
        CorruptRecordingError: If the rows have lists of other lengths than stacks have.
    """
    bounds = []
    for start, stop in zip(runs.starts.tolist(), runs.stops.tolist(), strict=True):
        ends = store.take(leaf.earlier.ends, np.arange(start, stop))
        ends = ends if start else np.append(0, ends)
        bounds.append((ends[0], ends[-1]))
        if not np.isin(np.diff(ends), (0, leaf.shape[0] - 1)).all():
            raise CorruptRecordingError(f"/{leaf.earlier.ends} has wrong ends in rows {start} to {stop}")
    starts, stops = np.array(bounds, np.int64).T
    if (starts[1:] < stops[:-1]).any():
        raise CorruptRecordingError(f"/{leaf.earlier.ends} has ends that are less than those before them")
    return Runs(starts, stops)


def _check(total: int, cache: str, memory_bytes: int, names: Sequence[str] | dict[str, tuple[int, Runs]]) -> None:
    if total > memory_bytes:
        raise OptionError(
            f"cache={cache!r} takes {total:,} bytes, more than memory_bytes={memory_bytes:,}: "
            f"give it more, or name fewer columns than {', '.join(f'/{printable(each)}' for each in names)}"
        )
