"""Random numbers by key and counter: known values, uniformity, and orders that have every number once."""

import numpy as np
import pytest

from gym_h5record.training import counter_random
from gym_h5record.training.counter_random import Shuffle, key_of, uniforms, words


def test_words_are_those_of_splitmix64():
    # The first numbers of the reference implementation (Vigna, splitmix64.c) with the state 1234567.
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    assert words(np.uint64(1234567), np.arange(4)).tolist() == expected


def test_a_number_does_not_depend_on_those_before_it():
    key = key_of(1, 2)
    assert (words(key, np.arange(100))[[70, 3]] == words(key, np.array([70, 3]))).all()


def test_keys_differ_with_every_number():
    assert len({int(key_of(*each)) for each in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (2**80, 0, 0)]}) == 5


def test_uniforms_are_uniform():
    found = uniforms(key_of(3), np.arange(100_000))
    assert found.min() >= 0
    assert found.max() < 1
    counts = np.bincount((found * 50).astype(int), minlength=50)
    assert ((counts - 2000) ** 2 / 2000).sum() < 100  # 49 degrees of freedom: above in 1 of 40,000 keys


@pytest.mark.parametrize("most_sorted", [0, 1 << 20], ids=["network", "sorted"])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 16, 17, 255, 256, 257, 10_007])
def test_a_shuffle_has_every_number_once(monkeypatch, size, most_sorted):
    monkeypatch.setattr(counter_random, "_MOST_SORTED", most_sorted)
    found = Shuffle(key_of(size), size).at(np.arange(size))
    assert found.dtype == np.int64
    assert sorted(found.tolist()) == list(range(size))


@pytest.mark.long
@pytest.mark.parametrize("most_sorted", [0, 1 << 20], ids=["network", "sorted"])
def test_each_number_is_as_likely_at_each_place_of_a_shuffle(monkeypatch, most_sorted):
    monkeypatch.setattr(counter_random, "_MOST_SORTED", most_sorted)
    size, tries = 11, 4000
    counts = np.zeros((size, size))
    for seed in range(tries):
        counts[np.arange(size), Shuffle(key_of(seed), size).at(np.arange(size))] += 1
    expected = tries / size
    assert ((counts - expected) ** 2 / expected).sum() < 170  # 100 degrees of freedom: above in 1 of 60,000 tries


def test_a_large_shuffle_keeps_no_array():
    shuffle = Shuffle(key_of(1), 10**12)
    found = shuffle.at(np.arange(1000))
    assert len(set(found.tolist())) == 1000
    assert found.max() < 10**12
    assert shuffle._sorted is None
