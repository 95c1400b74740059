"""The order of samples: which sample stands at a position of an epoch, by arithmetic and without any state."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import numpy as np

from gym_h5record.training.counter_random import Shuffle, key_of, uniforms

__all__ = ["TRANSFORMS", "ChunkOrder", "DrawnOrder", "Order", "ShuffledOrder", "WeightedOrder", "block_and_pool"]

_EPOCH, _DRAWS, _BLOCKS, _POOL, TRANSFORMS = range(5)
"""What a key is for: no two kinds of random numbers share one."""

_CHUNKS_OF_BLOCK = 4


class Order(ABC):
    """An order of the samples from 0 to ``num_samples``, for one of several ranks.

    Args:
        num_samples: How many samples there are.
        seed: Determines the order, with the number of the epoch.
        rank: Which share of an epoch this is.
        world_size: How many shares there are.

    Attributes:
        size: Samples of this rank in an epoch.
        least_size: Samples of the rank that has the fewest.
        is_drawn: Whether samples are drawn with replacement.
    """

    is_drawn = True

    def __init__(self, num_samples: int, seed: int, rank: int, world_size: int) -> None:
        self._num_samples = num_samples
        self._seed, self._rank, self._world_size = seed, rank, world_size
        self.size = self._size_of(rank)
        self.least_size = min(self._size_of(each) for each in (0, world_size - 1))

    def _size_of(self, rank: int) -> int:
        return -(-(self._num_samples - rank) // self._world_size)

    def samples(self, epoch: int, positions: np.ndarray) -> np.ndarray:
        """The samples at these positions of an epoch, ``(n,)`` int64."""
        return self._at(epoch, positions)

    def distinct(self, samples: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """Numbers that tell the samples of an epoch apart, ``(n,)`` int64, also one from itself if it is drawn twice.

        Args:
            samples: What ``samples`` returned.
            positions: For these positions.
        """
        return positions * self._world_size + self._rank if self.is_drawn else samples

    def _drawn(self, epoch: int, positions: np.ndarray) -> np.ndarray:
        """Random numbers from 0 to 1, without 1, ``(n,)`` float64, for samples that are drawn with replacement."""
        return uniforms(key_of(_DRAWS, self._seed, epoch, self._rank), positions)

    @abstractmethod
    def _at(self, epoch: int, positions: np.ndarray) -> np.ndarray:
        """What ``samples`` returns."""


class ShuffledOrder(Order):
    """Every sample once in an epoch, in a random order. The ranks take turns."""

    is_drawn = False
    _epoch = -1
    _shuffle: Shuffle

    def _at(self, epoch: int, positions: np.ndarray) -> np.ndarray:
        if epoch != self._epoch:
            self._shuffle = Shuffle(key_of(_EPOCH, self._seed, epoch), self._num_samples)
            self._epoch = epoch
        return self._shuffle.at(positions * self._world_size + self._rank)


class DrawnOrder(Order):
    """Samples drawn with replacement, each as likely as every other one."""

    def _at(self, epoch: int, positions: np.ndarray) -> np.ndarray:
        drawn = self._drawn(epoch, positions) * self._num_samples
        return np.minimum(drawn.astype(np.int64), self._num_samples - 1)  # a product may be rounded up


class WeightedOrder(Order):
    """Samples drawn with replacement, each as often as its weight says.

    Args:
        weights: One for each group of samples, ``(groups,)`` float64, not negative, not all zero.
        counts: How many samples each group has, ``(groups,)`` int64. Each of them has the weight of the group.
        seed: Determines the order, with the number of the epoch.
        rank: Which share of an epoch this is.
        world_size: How many shares there are.
    """

    def __init__(self, weights: np.ndarray, counts: np.ndarray, seed: int, rank: int, world_size: int) -> None:
        super().__init__(int(counts.sum()), seed, rank, world_size)
        self._weights, self._counts = weights, counts
        self._firsts = np.cumsum(counts) - counts
        self._sums = np.cumsum(weights * counts)
        self._last = int(np.flatnonzero(weights * counts)[-1])

    def _at(self, epoch: int, positions: np.ndarray) -> np.ndarray:
        drawn = self._drawn(epoch, positions) * self._sums[-1]
        groups = np.minimum(np.searchsorted(self._sums, drawn, "right"), self._last)  # a product may be rounded up
        before = self._sums[groups] - self._weights[groups] * self._counts[groups]
        within = np.maximum((drawn - before) / self._weights[groups], 0).astype(np.int64)
        samples: np.ndarray = self._firsts[groups] + np.minimum(within, self._counts[groups] - 1)
        return samples


class ChunkOrder(Order):
    """Every sample once in an epoch, in blocks of samples that follow each other in the file.

    The blocks come in a random order, and a rank has whole blocks. Some batches at a time are a pool: their samples are
    shuffled. Where the blocks begin is another row in each epoch.

    Args:
        num_samples: How many samples there are.
        seed: Determines the order, with the number of the epoch.
        rank: Which share of an epoch this is.
        world_size: How many shares there are.
        block_size: Samples in a block; the last one may be smaller.
        pool_size: Samples in a pool, a multiple of ``block_size``; the last one may be smaller.

    Attributes:
        block_size: Samples in a block.
        pool_size: Samples in a pool.
    """

    is_drawn = False

    def __init__(
        self, num_samples: int, seed: int, rank: int, world_size: int, *, block_size: int, pool_size: int
    ) -> None:
        self.block_size, self.pool_size = block_size, pool_size
        self._whole_blocks, self._rest = divmod(num_samples, block_size)
        self._epoch = -1
        super().__init__(num_samples, seed, rank, world_size)
        self.least_size = min(self._size_of(each) for each in range(world_size))

    def _size_of(self, rank: int) -> int:
        whole = -(-(self._whole_blocks - rank) // self._world_size)
        return whole * self.block_size + self._rest * (self._whole_blocks % self._world_size == rank)

    def _at(self, epoch: int, positions: np.ndarray) -> np.ndarray:
        if epoch != self._epoch:
            key = key_of(_BLOCKS, self._seed, epoch)
            self._blocks = Shuffle(key, self._whole_blocks)
            self._shift = int(uniforms(key, np.array([-1]))[0] * self._num_samples)
            self._epoch = epoch
        shuffled = np.empty(len(positions), np.int64)
        pools = positions // self.pool_size
        for pool in np.unique(pools).tolist():
            some = pools == pool
            first = pool * self.pool_size
            key = key_of(_POOL, self._seed, epoch, self._rank, pool)
            order = Shuffle(key, min(self.pool_size, self.size - first))
            shuffled[some] = first + order.at(positions[some] - first)
        blocks, within = np.divmod(shuffled, self.block_size)
        blocks = blocks * self._world_size + self._rank
        whole = blocks < self._whole_blocks
        blocks[whole] = self._blocks.at(blocks[whole])
        return (blocks * self.block_size + within + self._shift) % self._num_samples


def block_and_pool(batch_size: int, chunk_rows: int, most_samples: int) -> tuple[int, int]:
    """How many samples a block and a pool have.

    A block has a few chunks, since the chunks at its ends are decoded again for other blocks. A pool has whole blocks
    and whole batches.

    Args:
        batch_size: Samples of a batch.
        chunk_rows: Rows in a chunk of the column with the largest items.
        most_samples: What fits into memory.
    """
    wanted = _CHUNKS_OF_BLOCK * chunk_rows
    divisors = [each for each in range(1, batch_size + 1) if not batch_size % each and each >= wanted]
    block = divisors[0] if divisors else batch_size * math.ceil(wanted / batch_size)
    unit = math.lcm(block, batch_size)
    return block, unit * max(most_samples // unit, 1)
