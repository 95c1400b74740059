"""Orders: every sample once, shares that do not overlap, and draws as often as they should be."""

import math
from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_h5record.training.orders import ChunkOrder, DrawnOrder, ShuffledOrder, WeightedOrder, block_and_pool
from tests.properties.strategies import PROFILE

SEED = 5


def shares(make, world_size, epoch=0):
    """The samples of every rank."""
    orders = [make(rank, world_size) for rank in range(world_size)]
    assert {each.least_size for each in orders} == {min(each.size for each in orders)}
    return [order.samples(epoch, np.arange(order.size)).tolist() for order in orders]


@given(st.integers(1, 200), st.integers(1, 5), st.integers(0, 3))
@PROFILE
def test_ranks_share_every_sample_out(num_samples, world_size, epoch):
    found = shares(lambda rank, size: ShuffledOrder(num_samples, SEED, rank, size), world_size, epoch)
    assert sorted(chain.from_iterable(found)) == list(range(num_samples))
    assert max(map(len, found)) - min(map(len, found)) <= 1


@given(st.integers(1, 200), st.integers(1, 5), st.integers(0, 3), st.integers(1, 20), st.integers(1, 4))
@PROFILE
def test_ranks_share_every_block_out(num_samples, world_size, epoch, block_size, blocks_of_pool):
    pool_size = block_size * blocks_of_pool
    found = shares(
        lambda rank, size: ChunkOrder(num_samples, SEED, rank, size, block_size=block_size, pool_size=pool_size),
        world_size,
        epoch,
    )
    assert sorted(chain.from_iterable(found)) == list(range(num_samples))


@pytest.mark.parametrize("kind", ["shuffled", "chunk", "drawn", "weighted"])
def test_a_sample_depends_on_its_position_only(kind):
    make = {
        "shuffled": lambda: ShuffledOrder(1000, SEED, 1, 2),
        "chunk": lambda: ChunkOrder(1000, SEED, 1, 2, block_size=10, pool_size=40),
        "drawn": lambda: DrawnOrder(1000, SEED, 1, 2),
        "weighted": lambda: WeightedOrder(np.arange(10.0), np.full(10, 100), SEED, 1, 2),
    }[kind]
    order, other = make(), make()
    expected = {epoch: order.samples(epoch, np.arange(400)) for epoch in (0, 1)}
    assert (expected[0] != expected[1]).any()
    for epoch in (1, 0, 1):
        some = np.array([399, 0, 57, 58])
        assert (other.samples(epoch, some) == expected[epoch][some]).all()


def test_blocks_stay_together_within_a_pool():
    order = ChunkOrder(1000, SEED, 0, 1, block_size=10, pool_size=50)
    for pool in range(20):
        found = np.sort(order.samples(0, np.arange(50 * pool, 50 * pool + 50)))
        assert np.count_nonzero(np.diff(found) != 1) <= 5  # five blocks, one of which may go around the end


def test_blocks_begin_elsewhere_in_every_epoch():
    order = ChunkOrder(1000, SEED, 0, 1, block_size=100, pool_size=100)
    assert len({int(order.samples(epoch, np.arange(100)).min()) % 100 for epoch in range(5)}) > 2


def test_draws_are_uniform():
    counts = np.bincount(DrawnOrder(50, SEED, 0, 1).samples(0, np.arange(100_000)), minlength=50)
    assert ((counts - 2000) ** 2 / 2000).sum() < 100  # 49 degrees of freedom: above in 1 of 40,000 seeds


def test_ranks_draw_different_samples():
    drawn = [DrawnOrder(1000, SEED, rank, 2).samples(0, np.arange(100)) for rank in (0, 1)]
    assert (drawn[0] != drawn[1]).mean() > 0.9


def test_draws_follow_the_weights_of_groups_and_are_uniform_within_them():
    weights, counts = np.array([0.0, 1.0, 3.0, 2.0, 0.0]), np.array([3, 4, 2, 0, 5])
    samples = WeightedOrder(weights, counts, SEED, 0, 1).samples(0, np.arange(100_000))
    found = np.bincount(samples, minlength=14)
    shares = np.repeat(weights, counts)
    expected = 100_000 * shares / shares.sum()
    assert (found[shares == 0] == 0).all()
    some = shares > 0
    assert ((found[some] - expected[some]) ** 2 / expected[some]).sum() < 30  # 5 degrees of freedom: 1 of 60,000


@given(st.integers(1, 300), st.integers(1, 100), st.integers(1, 5000))
@PROFILE
def test_a_pool_has_whole_batches_and_whole_blocks(batch_size, chunk_rows, most_samples):
    block, pool = block_and_pool(batch_size, chunk_rows, most_samples)
    assert block >= 4 * chunk_rows
    assert pool % block == pool % batch_size == 0
    assert pool <= max(most_samples, math.lcm(block, batch_size))
