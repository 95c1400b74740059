"""``cache``: columns of the sampled episodes that are decoded once and kept in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from gym_h5record.display import printable
from gym_h5record.errors import CorruptRecordingError, OptionError
from gym_h5record.format.nodes import Array, Stack
from gym_h5record.training.item_store import ItemStore
from gym_h5record.training.runs import Runs, runs_of
from gym_h5record.training.sampled_columns import Leaf, SampledColumn, leaves
from gym_h5record.training.step_source import StepSource

__all__ = ["CACHES", "COMPRESSED", "keep_columns"]

COMPRESSED = "compressed"
CACHES = (None, "low_dim", COMPRESSED, "all")
"""What is kept: small items only, items of less than 1 KiB, chunks as they are in the file, or everything."""

_LOW_DIM_BYTES = 1 << 10

_SMALL_BYTES = 256
"""Larger than most observations that are vectors: a million steps of HalfCheetah take 170 MB. With its observations of
136 bytes decoded anew, a batch took 2.3 times as long as one of Stable-Baselines3. Kept, they take half as long."""

_RECORD_BYTES = 16
"""Items that are kept in records. Larger ones take several lines of the processor's cache in any case."""

_SHARE_OF_SMALL = 8
"""They take an eighth of the memory at most."""


def keep_columns(
    store: ItemStore, source: StepSource, columns: Sequence[SampledColumn], cache: str | None, memory_bytes: int
) -> int:
    """Decode columns and keep them. Without ``"low_dim"`` and ``"all"``, keep the smallest when they are needed.

    Args:
        store: Keeps them. Compressed chunks are kept by what it reads from.
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
    sizes: dict[str, tuple[int, Runs]] = {}
    found = {leaf.name: leaf for column in columns for leaf in leaves(column.tree)}
    stacks = [leaf for leaf in found.values() if isinstance(leaf, Stack)]
    runs = runs_of(source.starts, source.lengths)
    for leaf in found.values():
        sizes.update(_sizes(source, leaf, runs))
    if cache not in ("low_dim", "all"):
        return _keep_smallest(store, sizes, runs, memory_bytes // _SHARE_OF_SMALL)
    if cache == "low_dim":
        sizes = {name: each for name, each in sizes.items() if each[0] < _LOW_DIM_BYTES}
    total = sum(size * len(rows) for size, rows in sizes.values())
    _check(total, cache, memory_bytes, sizes)
    small = [name for name, (size, rows) in sizes.items() if rows is runs and size <= _RECORD_BYTES]
    store.keep_small(small, runs, at_once=True)
    for name, (_, rows) in sizes.items():
        if name not in small:
            store.keep(name, rows)
    if cache == "all":
        earlier = {leaf.earlier.item.name: _earlier(store, leaf, sizes[leaf.earlier.ends][1]) for leaf in stacks}
        by_name = {leaf.earlier.item.name: leaf.newest.item_bytes for leaf in stacks}
        total += sum(by_name[name] * len(rows) for name, rows in earlier.items())
        _check(total, cache, memory_bytes, sizes)
        for name, rows in earlier.items():
            store.keep(name, rows)
    return total


def _keep_smallest(store: ItemStore, sizes: Mapping[str, tuple[int, Runs]], runs: Runs, memory_bytes: int) -> int:
    """Keep columns of small items when they are needed, the smallest first, as many as fit. Returns their bytes."""
    total, small = 0, []
    for name, (size, rows) in sorted(sizes.items(), key=lambda each: each[1][0]):
        if size > _SMALL_BYTES or total + size * len(rows) > memory_bytes:
            continue
        total += size * len(rows)
        if rows is runs and size <= _RECORD_BYTES:
            small.append(name)
        else:
            store.keep_when_needed(name, rows)
    store.keep_small(small, runs, at_once=False)
    return total


def _sizes(source: StepSource, leaf: Leaf, runs: Runs) -> dict[str, tuple[int, Runs]]:
    """The datasets of a leaf with an item per row: the bytes of an item, and the rows to keep, ``runs`` if possible."""
    if isinstance(leaf, Stack):  # a stack has frames of the rows before it; their ends begin one row earlier
        longer = runs_of(source.starts, source.lengths, before=leaf.shape[0])
        return {leaf.newest.name: (leaf.newest.item_bytes, longer), leaf.earlier.ends: (8, longer)}
    if isinstance(leaf, Array) and 0 in leaf.shape:
        return {}
    size = leaf.dtype.itemsize * (int(np.prod(leaf.shape)) if isinstance(leaf, Array) else 1)
    return {leaf.name: (size, runs)}


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
