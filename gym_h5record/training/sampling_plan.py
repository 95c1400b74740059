"""From the options of a sampler to what it does: columns, order, what is kept in memory and what is decoded at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gym_h5record.display import counted
from gym_h5record.errors import OptionError
from gym_h5record.format import names as fmt
from gym_h5record.format.nodes import Field, Scalar, Stack
from gym_h5record.training.item_store import SHARE_OF_SPARE, ItemStore
from gym_h5record.training.kept_columns import COMPRESSED, keep_columns
from gym_h5record.training.orders import (
    ChunkOrder,
    DrawnOrder,
    Order,
    ShuffledOrder,
    WeightedOrder,
    block_and_pool,
)
from gym_h5record.training.priorities import PriorityOrder
from gym_h5record.training.sample_reader import MASK, Recipe, SampleReader
from gym_h5record.training.sample_stream import SampleStream
from gym_h5record.training.sampled_columns import (
    STEPS,
    USUAL,
    USUAL_OF_EPISODES,
    SampledColumn,
    choose_columns,
    leaf_names,
    leaves,
)
from gym_h5record.training.sampler_options import SamplerOptions
from gym_h5record.training.step_source import StepSource, Transitions
from gym_h5record.training.transforms import LeafForm, Transforms
from gym_h5record.training.value_check import check_values
from gym_h5record.training.windows import Window

__all__ = ["SamplingPlan", "plan_samples"]

_AHEAD_BYTES = 256 << 20
"""Of decoded items: what is decoded at once for several batches."""

_COPIES_OF_TRANSFORMS = 8
"""Noise takes six arrays of 8-byte numbers for a moment, for a leaf that may have 4-byte ones."""

_MOST_AHEAD = 1 << 16
"""Samples that are decoded at once. Their places take a few hundred bytes each while they are found."""


@dataclass(frozen=True)
class SamplingPlan:
    """What a sampler does.

    Attributes:
        stream: Reads the samples.
        order: The order of the samples.
        num_samples: Steps, or whole episodes, that can be sampled: those of all ranks together.
    """

    stream: SampleStream
    order: Order
    num_samples: int


def plan_samples(source: StepSource, options: SamplerOptions) -> SamplingPlan:
    """Check the options against the recording, decode what is kept in memory, and prepare everything else.

    Args:
        source: The episodes.
        options: The options.

    Raises:
        OptionError: If an option does not fit the recording.
        UnsupportedSpaceError: If values of a column cannot be in an array.
    """
    recipe = _recipe(source, options)
    _check_window(source, recipe)
    transforms = _transforms(recipe, options)
    lengths = np.minimum(source.lengths, 1) if options.whole_episodes else source.lengths  # an episode is one sample
    transitions = Transitions(lengths, recipe.before, recipe.behind)
    num_samples = transitions.size
    _check_count(source, options, transitions)
    check_values(source, recipe.read_columns(source.schema))
    store = ItemStore(source.storage)
    kept_bytes = keep_columns(store, source, recipe.read_columns(source.schema), options.cache, options.most_bytes)
    most_samples, left_bytes = _most_samples(recipe, options, kept_bytes)
    if options.cache == COMPRESSED:
        store.read_from(source.storage.keeping_stored(left_bytes))
    order = _order(source, options, recipe, transitions, most_samples)
    reader = SampleReader(source, recipe, store)
    if isinstance(order, PriorityOrder):  # which numbers all steps
        transitions = Transitions(source.lengths)
    if _chunk_rows(source, recipe.columns) == 1:  # more samples that are decoded at once would share nothing
        most_samples = options.batch_size
    stream = SampleStream(source, transitions, order, reader, most_samples, transforms)
    return SamplingPlan(stream, order, num_samples)


def _recipe(source: StepSource, options: SamplerOptions) -> Recipe:
    usual = USUAL_OF_EPISODES if options.whole_episodes else USUAL
    columns, counted_names = choose_columns(source.schema, options.columns, usual)
    if options.whole_episodes and STEPS in counted_names:
        raise OptionError('columns: whole episodes have no "steps". How many steps each has is in batch["lengths"]')
    return Recipe(
        columns,
        counted_names,
        options.window or Window(),
        options.n_step,
        options.gamma,
        options.pad,
        int(source.lengths.max(initial=0)) if options.whole_episodes else None,
        has_views=not options.transforms,  # which change one of them
    )


def _transforms(recipe: Recipe, options: SamplerOptions) -> Transforms | None:
    """The transforms, each of which has seen what the leaves of a batch are like."""
    if not options.transforms:
        return None
    forms: dict[str, LeafForm] = {}
    names = {column.name: leaf_names(column) for column in recipe.columns}
    for column in recipe.columns:
        has_window = recipe.window.offsets(column.kind) is not None
        of_sample: Any = "episode" if options.whole_episodes else "window" if has_window else "value"
        for name, leaf in zip(names[column.name], leaves(column.tree), strict=True):
            shape = () if isinstance(leaf, Scalar) else leaf.shape
            dtype = np.dtype(np.float64) if recipe.is_summed(column) else leaf.dtype
            forms[name] = LeafForm(dtype, shape, of_sample)
    known: Mapping[str, LeafForm] = forms
    for transform in options.transforms:
        known = transform.fit(known)
    with_steps = [
        column.name for column in recipe.columns if options.whole_episodes or recipe.window.offsets(column.kind)
    ]
    return Transforms(options.transforms, {**names, MASK: [f"{MASK}/{name}" for name in with_steps]}, options.seed)


def _check_window(source: StepSource, recipe: Recipe) -> None:
    """Raise an ``OptionError`` if a window cannot be filled, or is that of a column which is not sampled."""
    longest = int(source.lengths.max(initial=0))
    read = {column.kind for column in recipe.columns}
    for name in recipe.window.columns():
        if name not in read:
            raise OptionError(f"window: {name} has a window, but is none of the columns of the batch")
    for column, (low, high) in recipe.windows:
        if longest and high - low > longest + column.of_rows:
            raise OptionError(
                f"window: that of {column.kind} has {high - low} steps, more than the longest episode, which has "
                f"{longest + column.of_rows}"
            )


def _check_count(source: StepSource, options: SamplerOptions, transitions: Transitions) -> None:
    """Raise an ``OptionError`` if there are not enough samples."""
    if not transitions.size:
        what = (
            'no episode is as long as the window: with pad="drop" nothing is left' if source.num_steps else "no steps"
        )
        raise OptionError(f"there is nothing to sample in {source.path}: {what}")
    fewest = transitions.size // options.world_size
    what = "episode" if options.whole_episodes else "step"
    if not options.is_drawn and options.batch_size > fewest:
        share = f" for each of {options.world_size} ranks" if options.world_size > 1 else ""
        raise OptionError(
            f"batch_size: {options.batch_size} is more than there is to sample, {counted(fewest, what)}{share}: "
            "make it smaller, or draw with replace=True"
        )


def _order(
    source: StepSource, options: SamplerOptions, recipe: Recipe, transitions: Transitions, most_samples: int
) -> Order:
    key = (options.seed, options.rank, options.world_size)
    if options.weights is not None:
        return _weighted_order(source, options, recipe, transitions)
    if options.order == "chunk":
        rows = _chunk_rows(source, recipe.columns)
        block, pool = block_and_pool(options.batch_size, rows, most_samples)
        order = ChunkOrder(transitions.size, *key, block_size=block, pool_size=pool)
        if order.least_size < options.batch_size:
            raise OptionError(
                f'order="chunk" deals out blocks of {counted(block, "step")}, which leaves a rank with '
                f'{counted(order.least_size, "step")}, fewer than batch_size={options.batch_size}: use order="uniform"'
            )
        return order
    kind = DrawnOrder if options.is_drawn else ShuffledOrder
    return kind(transitions.size, *key)


def _weighted_order(source: StepSource, options: SamplerOptions, recipe: Recipe, transitions: Transitions) -> Order:
    """The order by the weights that the caller gives: one for each episode, or one for each step."""
    weights, key = options.weights, (options.seed, options.rank, options.world_size)
    num_episodes, num_steps = len(source.numbers), source.num_steps
    is_of_steps = not options.whole_episodes and weights.shape == (num_steps,)
    if not is_of_steps and weights.shape != (num_episodes,):
        or_steps = "" if options.whole_episodes else f", or for each of {counted(num_steps, 'step')}"
        raise OptionError(
            f"weights: expected one for each of {counted(num_episodes, 'episode')}{or_steps}, got an array of shape "
            f"{weights.shape}"
        )
    if not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise OptionError("weights: expected finite numbers from 0 on")
    if is_of_steps:
        episodes, steps = Transitions(source.lengths).places(np.arange(num_steps))
        can_be_drawn = (steps >= recipe.before) & (steps < source.lengths[episodes] - recipe.behind)
        return PriorityOrder(weights, can_be_drawn, *key)
    if not (weights * transitions.counts).any():
        raise OptionError("weights: all of them are zero")
    return WeightedOrder(weights, transitions.counts, *key)


def _chunk_rows(source: StepSource, columns: Sequence[SampledColumn]) -> int:
    """Rows in a chunk of the dataset with the largest items."""
    fields: list[Field] = []
    for column in columns:
        for leaf in leaves(column.tree):
            fields += [leaf.newest] if isinstance(leaf, Stack) else leaf.fields()
    stored = [each for each in fields if each.name != fmt.DONES]
    return source.storage.chunk_rows(max(stored, key=lambda each: each.item_bytes).name) if stored else 1


def _most_samples(recipe: Recipe, options: SamplerOptions, kept_bytes: int) -> tuple[int, int]:
    """How many samples are decoded at once, and the bytes of memory that are left for compressed chunks."""
    decoded, copied = recipe.bytes_per_sample()
    if options.transforms:
        copied *= _COPIES_OF_TRANSFORMS
    left = options.most_bytes - kept_bytes - options.batch_size * copied
    needed = options.batch_size * (decoded + copied)
    if options.batch_size * decoded > left:
        raise OptionError(
            f"memory_bytes: a batch takes {needed:,} bytes beside the {kept_bytes:,} that are kept, and only "
            f"{max(options.most_bytes - kept_bytes, 0):,} are left: give it more, or make batch_size smaller"
        )
    most = options.batch_size
    if not options.whole_episodes:  # they are padded to the longest of their own batch
        ahead_bytes = left // 2 if options.cache == COMPRESSED else left
        with_spare = decoded + decoded // SHARE_OF_SPARE
        most = min(min(_AHEAD_BYTES, ahead_bytes) // with_spare, _MOST_AHEAD)
        most = max(most - most % options.batch_size, options.batch_size)  # a part of a batch would be decoded twice
    return most, left - most * decoded
