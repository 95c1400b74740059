"""One pass over the steps of some episodes, block by block, for their statistics."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gym_h5record.display import counted
from gym_h5record.format import names as fmt
from gym_h5record.reading.episode_index import EpisodeIndex
from gym_h5record.reading.step_leaves import LeafSource, StepLeaf, StepLeaves
from gym_h5record.reading.tables import MAX_ELEMENTS
from gym_h5record.training.leaf_statistics import LeafStatistics, MomentStatistics
from gym_h5record.training.moments import BYTES_PER_ELEMENT, combined, moments_of_runs, no_moments, pooled
from gym_h5record.training.row_sample import RowSample, row_keys
from gym_h5record.training.statistics import EpisodeStatistics, Statistics
from gym_h5record.training.success import success_of_rows

__all__ = ["OnProgress", "read_statistics"]

OnProgress = Callable[[int, int], None]
"""Called with the number of steps that have been read, and of all."""

_BLOCK_STEPS = 1 << 16
"""Steps whose type codes are read at a time: one byte for each step and node."""

_BLOCK_BYTES = 4 << 20
"""Values of one leaf that are read at a time, as they are computed with: as float64, or bytes as integers of two bytes.
Computing takes four times as much memory."""

_MAX_ELEMENTS = 1 << 23
"""Elements of one value of all leaves together, of 48 bytes each. A picture of 1920x1080 has 6 million."""

_MAX_EPISODE_BYTES = 256 << 20
"""Statistics per episode of all leaves together."""

_MAX_DIFFERENT = 1 << 12
"""Different values of a histogram."""


def read_statistics(
    source: LeafSource,
    index: EpisodeIndex,
    numbers: np.ndarray,
    file: str,
    *,
    per_episode: bool = True,
    on_progress: OnProgress | None = None,
) -> Statistics:
    """Read the statistics of some episodes.

    Args:
        source: What the steps are read from. Steps behind those of the episodes belong to a running episode.
        index: All episodes of the recording.
        numbers: Which episodes, ``(n,)`` int64, in the order of the source.
        file: What tells the file from others, for the random samples.
        per_episode: Whether to make statistics of the leaves in each episode.
        on_progress: Called after every 65,536 steps.

    Raises:
        CorruptRecordingError: If a column cannot be read, or a step has no value where it needs one.
    """
    starts, lengths = (each[numbers] for each in index.spans)
    leaves = StepLeaves(source)
    ends = np.cumsum(lengths, dtype=np.int64)
    skipped = dict(leaves.skipped)
    accumulators = _accumulators(leaves.leaves, len(numbers) if per_episode else None, skipped)
    num_texts = dict.fromkeys((fmt.INFOS, fmt.EXTRAS), 0)
    for first in range(0, source.spans.num_steps, _BLOCK_STEPS):
        steps = np.arange(first, min(first + _BLOCK_STEPS, source.spans.num_steps))
        rows = source.spans.rows(steps)
        codes, keys = leaves.codes(rows), row_keys(file, rows)
        places = np.searchsorted(ends, steps, "right")  # of their episodes; a running episode has the last place
        for accumulator in accumulators:
            accumulator.read(leaves, rows, codes, keys, places)
        for group in num_texts:
            num_texts[group] += int(leaves.has_text(group, rows).sum())
        if on_progress is not None:
            on_progress(first + len(steps), source.spans.num_steps)
    skipped.update(_left_out(source, accumulators, num_texts))
    complete = index.column("complete")[numbers].astype(np.bool_)
    success = np.where(complete, success_of_rows(source, leaves, starts + lengths), np.nan)
    of_episodes = {each.leaf.name: each.episodes for each in accumulators if each.episodes is not None}
    episodes = EpisodeStatistics(numbers, index.column("returns")[numbers], lengths, complete, success, of_episodes)
    return Statistics({each.leaf.name: each.whole for each in accumulators}, episodes, source.spans.num_steps, skipped)


def _accumulators(leaves: list[StepLeaf], num_episodes: int | None, skipped: dict[str, str]) -> list[_Accumulator]:
    """What takes the values of each leaf. Memory is bounded: a small file may claim large arrays and many episodes.

    Args:
        leaves: The leaves.
        num_episodes: How many episodes there are; None if they get no statistics of their own.
        skipped: Gets the leaves that are too large, with the reason.
    """
    found: list[_Accumulator] = []
    elements_left, bytes_left = _MAX_ELEMENTS, _MAX_EPISODE_BYTES
    for leaf in leaves:
        if leaf.num_elements > elements_left:
            limit = counted(_MAX_ELEMENTS, "element")
            skipped[leaf.name] = f"arrays {leaf.shape}: with the leaves before it, more than {limit}"
            continue
        elements_left -= leaf.num_elements
        needed = 0 if num_episodes is None else (num_episodes + 1) * leaf.num_elements * BYTES_PER_ELEMENT
        is_per_episode = num_episodes is not None and leaf.num_elements <= MAX_ELEMENTS and needed <= bytes_left
        bytes_left -= needed if is_per_episode else 0
        found.append(_Accumulator(leaf, num_episodes if is_per_episode else None))
    return found


def _left_out(source: LeafSource, accumulators: list[_Accumulator], num_texts: dict[str, int]) -> dict[str, str]:
    """What turned out not to be in the statistics, and why."""
    skipped: dict[str, str] = {}
    for each in accumulators:
        if each.num_misfits:
            skipped[each.leaf.name] = f"{counted(each.num_misfits, 'value')} of another type or shape"
    for group, count in num_texts.items():
        if count:
            skipped[group] = f"values without a column, in {counted(count, 'step')}"
    if source.decoder.schema.frame is not None:
        skipped[fmt.FRAMES] = "frames are not read"
    return skipped


class _Accumulator:
    """The statistics of one leaf so far.

    Args:
        leaf: The leaf.
        num_episodes: How many episodes get statistics of their own; None if none do.

    Attributes:
        num_misfits: How many steps have a value of another type or shape.
    """

    def __init__(self, leaf: StepLeaf, num_episodes: int | None) -> None:
        self.leaf = leaf
        self.num_misfits = 0
        self._num_missing = 0
        dtype = leaf.node.dtype.newbyteorder("=")
        self._block_steps = max(_BLOCK_BYTES // (leaf.num_elements * (2 if dtype.itemsize == 1 else 8)), 1)
        self._moments = no_moments(leaf.shape)
        self._sample = RowSample(dtype, leaf.shape)
        is_counted = leaf.name == fmt.ACTIONS or leaf.name.startswith(f"{fmt.ACTIONS}/")
        is_counted = is_counted and leaf.shape == () and dtype.kind in "biu"
        self._histogram: dict[int, int] | None = {} if is_counted else None
        self._of_episodes = None
        if num_episodes is not None:
            self._of_episodes = no_moments((num_episodes + 1, *leaf.shape))  # the last one for a running episode

    def read(
        self, leaves: StepLeaves, rows: np.ndarray, codes: np.ndarray, keys: np.ndarray, places: np.ndarray
    ) -> None:
        """Read the values of these rows, and add them.

        Args:
            leaves: Reads them.
            rows: The rows, ``(n,)`` int64.
            codes: Their type codes, ``(n, nodes)``.
            keys: Their keys for the sample, ``(n,)`` uint64.
            places: The places of their episodes, ``(n,)`` int64, in ascending order.
        """
        known, num_misfits = leaves.known(self.leaf, rows, codes)
        self.num_misfits += num_misfits
        self._num_missing += len(rows) - int(known.sum())
        rows, keys, places = rows[known], keys[known], places[known]
        for start in range(0, len(rows), self._block_steps):
            part = slice(start, start + self._block_steps)
            self._add(leaves.values(self.leaf, rows[part]), keys[part], places[part])

    def _add(self, values: np.ndarray, keys: np.ndarray, places: np.ndarray) -> None:
        self._sample.add(keys, values)
        if self._histogram is not None:
            self._histogram = _counts(self._histogram, values)
        if self._of_episodes is None:
            moments = moments_of_runs(values, np.zeros(1, np.int64))
        else:
            begins = np.flatnonzero(np.diff(places, prepend=-1))
            moments = moments_of_runs(values, begins)
            where = places[begins]
            self._of_episodes[where] = combined(self._of_episodes[where], moments)
        self._moments = combined(self._moments, pooled(moments))

    @property
    def whole(self) -> LeafStatistics:
        """The statistics of all values."""
        histogram = None if self._histogram is None else dict(sorted(self._histogram.items()))
        return LeafStatistics(self.leaf.name, self._moments, self._sample, self._num_missing, histogram)

    @property
    def episodes(self) -> MomentStatistics | None:
        """The statistics of the values of each episode."""
        return None if self._of_episodes is None else MomentStatistics(self._of_episodes[:-1])


def _counts(histogram: dict[int, int], values: np.ndarray) -> dict[int, int] | None:
    """A histogram with more values; None if there are too many different ones."""
    different, counts = np.unique(values, return_counts=True)
    if len(different) > _MAX_DIFFERENT:
        return None
    for value, count in zip(different.tolist(), counts.tolist(), strict=True):
        histogram[int(value)] = histogram.get(int(value), 0) + count
    return histogram if len(histogram) <= _MAX_DIFFERENT else None
