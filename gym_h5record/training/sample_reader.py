"""From places of samples to batches: the rows of every column, their values, n-step rewards and masks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gym_h5record.format import names as fmt
from gym_h5record.format.nodes import DictOf, Node, Scalar, Stack, TupleOf
from gym_h5record.format.schema import Schema
from gym_h5record.training.gathering import LeafValues, SlidingStacks, find_values
from gym_h5record.training.item_store import ItemStore, Memory
from gym_h5record.training.sampled_columns import EPISODES, NEXT_OBSERVATIONS, STEPS, Leaf, SampledColumn, leaves
from gym_h5record.training.small_items import FieldValues, Records
from gym_h5record.training.step_source import StepSource
from gym_h5record.training.windows import Window

__all__ = ["DISCOUNTS", "LENGTHS", "MASK", "FoundSamples", "Recipe", "SampleReader"]

DISCOUNTS = "discounts"
LENGTHS = "lengths"
MASK = "mask"

_FLAGS = (fmt.TERMINATIONS, fmt.TRUNCATIONS, fmt.DONES)
_TERMINATIONS = "/terminated"  # read for the discounts, and no name of a column
_PLACE_BYTES = 16
"""Where an item is: its row, and its position among the decoded ones."""


@dataclass(frozen=True)
class Recipe:
    """What a sample consists of.

    Attributes:
        columns: The columns to read.
        counted: Which of ``"episodes"`` and ``"steps"`` a batch has.
        window: The offsets of columns that have some.
        n_step: Steps whose rewards are summed.
        gamma: Discount of a step.
        pad: What stands for steps that an episode does not have.
        episode_steps: If a sample is a whole episode, the steps of the longest one, else None.
        has_views: Whether stacks of observations and of next observations may be views of the same frames.
    """

    columns: Sequence[SampledColumn]
    counted: frozenset[str]
    window: Window
    n_step: int = 1
    gamma: float = 0.99
    pad: str = "repeat"
    episode_steps: int | None = None
    has_views: bool = True

    @property
    def has_discounts(self) -> bool:
        """Whether a batch has ``"discounts"``."""
        return self.n_step > 1

    def read_columns(self, schema: Schema) -> list[SampledColumn]:
        """All columns that are read: those of the batch, and what the discounts depend on."""
        return [*self.columns, _terminated(schema)] if self.has_discounts else list(self.columns)

    def bytes_per_sample(self) -> tuple[int, int]:
        """Bytes of the decoded items of a sample, with their places, and bytes of its part of a batch, at most."""
        decoded, copied = _PLACE_BYTES, _PLACE_BYTES
        for column in self.columns:
            length = self._most_steps(column)
            for leaf in leaves(column.tree):
                elements = math.prod(() if isinstance(leaf, Scalar) else leaf.shape)
                copied += length * elements * leaf.dtype.itemsize
                if isinstance(leaf, Stack):
                    frames = (length + leaf.shape[0] - 1) * (not column.is_next) + self.n_step * column.is_next
                    decoded += frames * leaf.newest.item_bytes + length * leaf.shape[0] * _PLACE_BYTES
                else:
                    decoded += length * (elements * leaf.dtype.itemsize + _PLACE_BYTES)
        return decoded, copied

    def _most_steps(self, column: SampledColumn) -> int:
        """Values of a column that are read for a sample, at most."""
        if self.episode_steps is not None:
            return self.episode_steps + column.of_rows
        return self.n_step if self.is_summed(column) else self.window.length(column.kind)

    def is_summed(self, column: SampledColumn) -> bool:
        """Whether the batch has discounted sums of this column."""
        return column.name == fmt.REWARDS and self.n_step > 1

    @property
    def before(self) -> int:
        """First steps of an episode without a whole window; 0 unless such steps are dropped."""
        if self.pad != "drop":
            return 0
        return max([0, *(-low for _, (low, _) in self.windows)])

    @property
    def behind(self) -> int:
        """Last steps of an episode without a whole window; 0 unless such steps are dropped."""
        if self.pad != "drop":
            return 0
        lost = [
            high - 1 - column.of_rows + self.n_step * column.is_next for column, (_, high) in self.windows if high > 1
        ]
        return max([0, *lost])

    @property
    def windows(self) -> list[tuple[SampledColumn, tuple[int, int]]]:
        """The columns with a window, and their offsets."""
        found = ((column, self.window.offsets(column.kind)) for column in self.columns)
        return [(column, offsets) for column, offsets in found if offsets is not None]


class SampleReader:
    """Reads samples by their places.

    Args:
        source: The episodes.
        recipe: What a sample consists of.
        store: Gives items.
    """

    def __init__(self, source: StepSource, recipe: Recipe, store: ItemStore) -> None:
        self._source = source
        self._recipe = recipe
        self._store = store

    def find(
        self,
        episodes: np.ndarray,
        steps: np.ndarray,
        further: Mapping[str, np.ndarray],
        memory: Memory | None = None,
    ) -> FoundSamples:
        """Decode what the samples at these places consist of.

        Args:
            episodes: Positions of their episodes, ``(n,)`` int64.
            steps: Their steps within the episodes, ``(n,)`` int64.
            further: What else a batch has, ``(n,)`` each, by its name.
            memory: Where decoded items go, as of ``ItemStore.find``.
        """
        recipe, source = self._recipe, self._source
        starts, lengths = source.starts[episodes], source.lengths[episodes]
        spans = np.minimum(recipe.n_step, lengths - steps)  # steps whose rewards are summed
        rows: dict[str, np.ndarray] = {}
        masks: dict[str, np.ndarray] = {}
        own = starts + steps
        for column in recipe.columns:
            at, mask = self._steps_of(column, steps, lengths, spans)
            # The very same array for all columns that have the sample's own step: ``_values`` finds each array once.
            rows[column.name] = own if at is steps else at + starts.reshape(-1, *[1] * (at.ndim - 1))
            if mask is not None:
                masks[column.name] = mask
        readers = [(column, leaf) for column in recipe.columns for leaf in leaves(column.tree)]
        if recipe.has_discounts:
            rows[_TERMINATIONS] = starts + steps + spans - 1
            column = _terminated(source.schema)
            readers += [(column, leaf) for leaf in leaves(column.tree)]
        counts = {EPISODES: source.numbers[episodes], STEPS: steps}
        counts = {name: each for name, each in counts.items() if name in recipe.counted}
        if recipe.episode_steps is not None:
            counts[LENGTHS] = lengths
        values = self._values(readers, rows, memory)
        return FoundSamples(recipe, values, masks, spans, {**counts, **further}, self._sliding(values, readers))

    def _sliding(
        self, values: Mapping[tuple[str, str], LeafValues | FieldValues], readers: Sequence[tuple[SampledColumn, Leaf]]
    ) -> dict[str, SlidingStacks]:
        """The stacks of observations and next observations that may be copied together, by the name of the leaf."""
        recipe = self._recipe
        has_steps = recipe.episode_steps is not None or recipe.window.observations is not None
        if not recipe.has_views or has_steps or recipe.n_step > 1:
            return {}
        found = {}
        for column, leaf in readers:
            if column.is_next and isinstance(leaf, Stack) and (fmt.OBSERVATIONS, leaf.name) in values:
                stacks, following = values[fmt.OBSERVATIONS, leaf.name], values[column.name, leaf.name]
                if isinstance(stacks, LeafValues) and isinstance(following, LeafValues):  # frames are in no record
                    found[leaf.name] = SlidingStacks(stacks, following)
        return found

    def _steps_of(
        self, column: SampledColumn, steps: np.ndarray, lengths: np.ndarray, spans: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """The steps of a column that belong to samples, and which of a window are in the episode."""
        recipe = self._recipe
        last = lengths if column.of_rows else lengths - 1
        if recipe.episode_steps is not None:
            wanted = np.arange(int(column.is_next), int(last.max(initial=0)) + 1)
            return np.minimum(wanted, last[:, None]), wanted <= last[:, None]
        if column.is_next:
            steps = steps + spans
        offsets = recipe.window.offsets(column.kind)
        if offsets is None and column.kind in _FLAGS and recipe.n_step > 1:
            steps = steps + spans - 1
        if recipe.is_summed(column):
            return np.minimum(steps[:, None] + np.arange(recipe.n_step), last[:, None]), None
        if offsets is None:
            return steps, None
        wanted = steps[:, None] + np.arange(*offsets)
        within = np.clip(wanted, 0, last[:, None])
        return within, within == wanted

    def _values(
        self,
        readers: Sequence[tuple[SampledColumn, Leaf]],
        rows: Mapping[str, np.ndarray],
        memory: Memory | None,
    ) -> dict[tuple[str, str], LeafValues | FieldValues]:
        """The values of each leaf of each column. Those of a leaf in several columns are decoded once."""
        columns: dict[str, list[str]] = {}
        nodes: dict[str, Leaf] = {}
        for column, leaf in readers:
            columns.setdefault(leaf.name, []).append(column.name)
            nodes[leaf.name] = leaf
        records: dict[int, Records] = {}
        found: dict[tuple[str, str], LeafValues | FieldValues] = {}
        for name, some in columns.items():
            at = [rows[column] for column in some]
            values = self._in_records(name, at, records) or find_values(self._store, nodes[name], at, memory)
            found.update({(column, name): each for column, each in zip(some, values, strict=True)})
        return found

    def _in_records(
        self, name: str, rows: Sequence[np.ndarray], records: dict[int, Records]
    ) -> list[LeafValues | FieldValues]:
        """The values of a leaf that is kept in records, which are found once for all leaves; else nothing."""
        small = self._store.small
        if small is None or name not in small:
            return []
        for each in rows:
            if id(each) not in records:
                records[id(each)] = small.at(each)
        return [small.values(name, records[id(each)]) for each in rows]


@dataclass(frozen=True)
class FoundSamples:
    """Samples whose items are decoded, in their order. ``batch`` copies some of them.

    Attributes:
        recipe: What a sample consists of.
        values: The values of each leaf, by the names of column and leaf.
        masks: For the columns with several steps, which of them are in the episode, ``(samples, steps)`` bool.
        spans: Steps whose rewards are summed, ``(samples,)`` int64.
        places: What a batch has beside its columns, such as the numbers of the episodes, ``(samples,)`` each.
        sliding: Stacks of which those of two columns are copied together, by the name of the leaf.
    """

    recipe: Recipe
    values: Mapping[tuple[str, str], LeafValues | FieldValues]
    masks: Mapping[str, np.ndarray]
    spans: np.ndarray
    places: Mapping[str, np.ndarray]
    sliding: Mapping[str, SlidingStacks]

    def batch(self, start: int, stop: int) -> dict[str, Any]:
        """Samples ``start`` to ``stop`` as a batch."""
        recipe = self.recipe
        batch: dict[str, Any] = {}
        pairs = {leaf: stacks.batch(start, stop) for leaf, stacks in self.sliding.items()}
        views = {
            (name, leaf): pair[at]
            for leaf, pair in pairs.items()
            if pair is not None
            for at, name in enumerate((fmt.OBSERVATIONS, NEXT_OBSERVATIONS))
        }
        for column in recipe.columns:
            zeros = None
            if recipe.pad == "zero" and column.name in self.masks:
                zeros = ~self.masks[column.name][start:stop]
            batch[column.name] = _tree(column.tree, self._leaf_reader(column, start, stop, zeros, views))
        batch |= {name: each[start:stop].copy() for name, each in self.places.items()}
        if self.masks:
            batch[MASK] = {name: mask[start:stop].copy() for name, mask in self.masks.items()}
        if recipe.has_discounts:
            spans = self.spans[start:stop]
            if fmt.REWARDS in batch:
                batch[fmt.REWARDS] = _discounted(batch[fmt.REWARDS], spans, recipe.gamma)
            is_end = self.values[_TERMINATIONS, fmt.TERMINATIONS].batch(start, stop)
            batch[DISCOUNTS] = np.where(is_end, 0.0, recipe.gamma**spans)
        return batch

    def _leaf_reader(
        self,
        column: SampledColumn,
        start: int,
        stop: int,
        zeros: np.ndarray | None,
        views: Mapping[tuple[str, str], np.ndarray],
    ) -> Callable[[Leaf], np.ndarray]:
        def read(leaf: Leaf) -> np.ndarray:
            if (column.name, leaf.name) in views:
                return views[column.name, leaf.name]
            values = self.values[column.name, leaf.name].batch(start, stop)
            if zeros is not None:
                values[zeros] = 0
            return values

        return read


def _terminated(schema: Schema) -> SampledColumn:
    return SampledColumn(_TERMINATIONS, schema.node(fmt.TERMINATIONS), fmt.TERMINATIONS, of_rows=False)


def _tree(node: Node, read: Callable[[Any], np.ndarray]) -> Any:
    if isinstance(node, DictOf):
        return {key: _tree(child, read) for key, child in node.items}
    if isinstance(node, TupleOf):
        return tuple(_tree(child, read) for child in node.items)
    return read(node)


def _discounted(rewards: np.ndarray, spans: np.ndarray, gamma: float) -> np.ndarray:
    """The sum of the rewards of ``spans`` steps, each discounted by its distance.

    Args:
        rewards: ``(samples, n_step, *shape)``.
        spans: ``(samples,)`` int64, from 1 to ``n_step``.
        gamma: Discount of a step.
    """
    total = np.zeros((len(rewards), *rewards.shape[2:]))
    axes = [1] * (total.ndim - 1)
    for step in reversed(range(rewards.shape[1])):
        total = np.where((step < spans).reshape(-1, *axes), rewards[:, step] + gamma * total, total)
    return total
