"""The episode index: every episode has an entry, with the seed, options, rewards and flags it had."""

from __future__ import annotations

import math
import struct
import warnings
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import gym_h5record as h5r
from gym_h5record.errors import RecordingWarning
from gym_h5record.storage.hdf5.superblock import clear_write_flags
from gym_h5record.storage.paths import journal_path
from gym_h5record.storage.recording_file import RecordingFile
from gym_h5record.values.exact import add_up, identical
from gym_h5record.writing.index_writer import close_open_episode
from gym_h5record.writing.recovery import open_drain
from gym_h5record.writing.session import Session
from tests.writing import Pen, check_pairs, each_writer, elsewhere, make_schema, pair, small_journal, write_pairs

AWKWARD = {
    "tenths": [0.1] * 37,
    "cancelling": [1e16, 1.0, -1e16, 1.0] * 9,
    "shrinking": [10.0**-k for k in range(30)],
    "growing": [10.0**k for k in range(-15, 15)],
    "subnormal": [5e-324, -5e-324, 5e-324] * 10,
    "infinite": [1.0, float("inf"), 2.0],
    "opposite-infinities": [float("inf"), float("-inf"), 1.0],
    "nan": [1.0, float("nan"), 1.0],
    "overflowing": [1e308, 1e308, -1e308],
    "zeros": [-0.0, -0.0],
    "noise": np.random.default_rng(0).normal(size=60).tolist(),
}


def play_rewards(path: Path, episodes: list[list[Any]], flush_every: int, writer: str = "inline") -> None:
    with Pen(path, writer=writer) as pen, warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordingWarning)
        step = 0
        for rewards in episodes:
            pen.begin(pair(0))
            for reward in rewards:
                pen.step(pair(0), reward=reward)
                step += 1
                if step % flush_every == 0:
                    pen.flush()


def returns(path: Path) -> list[float]:
    with h5py.File(path) as file:
        found: list[float] = file["episodes/returns"][: file["commit"][1]].tolist()
    return found


def check_returns(path: Path, episodes: list[list[Any]]) -> None:
    """Fail unless every return is what ``sum`` gives, to the last bit."""
    for found, rewards in zip(returns(path), episodes, strict=True):
        expected = sum(rewards, 0.0)
        assert struct.pack("d", found) == struct.pack("d", expected) or (math.isnan(found) and math.isnan(expected))


@pytest.mark.sampled(7)
@pytest.mark.parametrize("flush_every", [1, 7, 10**6], ids=lambda each: f"flushed-every-{each}")
@pytest.mark.parametrize("rewards", AWKWARD.values(), ids=AWKWARD.keys())
def test_returns_are_the_sums_of_the_rewards_to_the_last_bit(
    rewards: list[float], flush_every: int, tmp_path: Path
) -> None:
    episodes = [rewards, [], rewards[:1], rewards[::-1]]
    play_rewards(tmp_path / "run.h5", episodes, flush_every)
    check_returns(tmp_path / "run.h5", episodes)


@pytest.mark.long
@settings(max_examples=25, database=None, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    episodes=st.lists(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=9), min_size=1, max_size=5),
    flush_every=st.integers(1, 12),
)
def test_returns_of_any_rewards_drained_at_any_moments(
    tmp_path: Path, episodes: list[list[float]], flush_every: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        small_journal(patch, 16)
        (tmp_path / "run.h5").unlink(missing_ok=True)
        play_rewards(tmp_path / "run.h5", episodes, flush_every)
    check_returns(tmp_path / "run.h5", episodes)


@pytest.mark.sampled(5)
@pytest.mark.parametrize("flush_every", [1, 7, 10**6], ids=lambda each: f"flushed-every-{each}")
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int8], ids=lambda dtype: dtype.__name__)
def test_returns_of_arrays_are_the_sums_of_each_component(
    dtype: type, flush_every: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_journal(monkeypatch, 16)
    rewards = (np.random.default_rng(3).normal(size=(60, 2, 3)) * 100).astype(dtype)
    episodes = [[*rewards], [], [*rewards[:1]], [*rewards[::-1]]]
    with Pen(tmp_path / "run.h5", make_schema(reward=rewards[0])) as pen:
        step = 0
        for given_rewards in episodes:
            pen.begin(pair(0))
            for reward in given_rewards:
                pen.step(pair(0), reward=reward)
                step += 1
                if step % flush_every == 0:
                    pen.flush()
    with h5r.Recording(tmp_path / "run.h5") as recording:
        assert recording.returns.shape == (4, 2, 3)
        for number, given_rewards in enumerate(episodes):
            assert identical(recording.returns[number], sum(given_rewards, np.zeros((2, 3))))
            assert identical(recording.episodes[number].rewards[:], np.array(given_rewards, dtype).reshape(-1, 2, 3))


def test_rewards_are_added_one_by_one(tmp_path: Path) -> None:
    rewards = np.random.default_rng(1).normal(size=10_000)
    assert add_up(0.0, rewards) == sum(rewards.tolist())
    assert add_up(0.0, rewards) != float(np.sum(rewards))  # which adds pairwise
    assert add_up(1.5, rewards[:0]) == 1.5
    halves = add_up(add_up(0.0, rewards[:4321]), rewards[4321:])
    assert halves == sum(rewards.tolist())


@each_writer
def test_a_return_continues_over_many_turns_of_the_ring(
    writer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_journal(monkeypatch, 8)
    rewards = np.random.default_rng(2).normal(size=700).tolist()
    play_rewards(tmp_path / "run.h5", [rewards], 10**6, writer)
    check_returns(tmp_path / "run.h5", [rewards])


@pytest.mark.parametrize(
    "reward",
    [
        pytest.param(2**53 + 1, id="large-int"),
        pytest.param(np.array(1.5), id="array-of-rank-0"),
        pytest.param(np.longdouble(1.5), id="long-double"),
        pytest.param(np.uint64(2**63 + 5), id="large-uint64"),
    ],
)
def test_rewards_that_the_column_cannot_hold_are_in_the_return_as_nearly_as_it_can(reward: Any, tmp_path: Path) -> None:
    play_rewards(tmp_path / "run.h5", [[1.0, reward, 1.0]], 10**6)
    assert returns(tmp_path / "run.h5") == [pytest.approx(float(reward) + 2, rel=1e-15)]
    assert identical(h5r.Recording(tmp_path / "run.h5").episodes[0].rewards[1], reward)


# Episodes of any length --------------------------------------------------------------------------


@pytest.mark.parametrize(("flush_every", "writer"), [(1, "inline"), (3, "inline"), (10**6, "inline"), (3, "process")])
def test_episodes_of_no_step_are_counted(flush_every: int, writer: str, tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5", writer=writer) as pen:
        for number in range(10):
            pen.begin(pair(number), seed=number)
            if number % flush_every == 0:
                pen.flush()
    check_pairs(tmp_path / "run.h5", [0] * 10)
    with h5py.File(tmp_path / "run.h5") as file:
        assert not file["episodes/complete"][:10].any()


def test_ten_thousand_episodes_of_one_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Session, "tick", lambda self: None)
    count = 10_000
    with Pen(tmp_path / "run.h5") as pen:
        write_pairs(pen, [1] * count)
    with h5py.File(tmp_path / "run.h5") as file:
        assert file["commit"][:2].tolist() == [2 * count, count]
        assert np.array_equal(file["episodes/starts"][:count], np.arange(count) * 2)
        assert (file["episodes/lengths"][:count] == 1).all()
        assert np.array_equal(file["episodes/returns"][:count], np.arange(count) * 2.0)
        assert np.array_equal(file["episodes/seeds"][:count], np.arange(count) * 2)
        assert np.array_equal(file["episodes/ids"][:count], np.arange(count))
        assert file["episodes/complete"][:count].all()
        assert np.array_equal(file["observations"][: 2 * count, 0], np.arange(2 * count))


def test_an_episode_that_is_running_is_not_counted_yet(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5") as pen:
        write_pairs(pen, [3])
        pen.begin(pair(4))
        pen.step(pair(5))
        pen.flush()
        file = RecordingFile(tmp_path / "run.h5")
        assert (file.rows, file.episodes) == (6, 1)
        file.close()


# What an episode began with ----------------------------------------------------------------------

SEEDS = [None, 0, 5, 2**63 - 1, 2**63, 2**64, 10**50, -1, -2, np.int64(7), np.uint64(2**64 - 1)]
OPTIONS = [
    None,
    {},
    {"difficulty": 3, "nested": {"a": (1, 2.5, None)}},
    {"array": np.arange(4, dtype=np.int16), 5: "key", "text": "ключ\ud800"},
    {"large": "x" * 10_000},
]


@pytest.mark.parametrize(("flush", "writer"), [(False, "inline"), (True, "inline"), (True, "process")])
def test_seeds_and_options_come_back_exactly(flush: bool, writer: str, tmp_path: Path) -> None:
    begun = [(seed, options) for seed in SEEDS for options in OPTIONS]
    with Pen(tmp_path / "run.h5", writer=writer) as pen:
        for seed, options in begun:
            pen.begin(pair(0), seed=seed, options=options)
            pen.step(pair(1), terminated=True)
            if flush:
                pen.flush()
    episodes = h5r.Recording(tmp_path / "run.h5").episodes
    assert len(episodes) == len(begun)
    for number, (seed, options) in enumerate(begun):
        assert episodes[number].seed == seed
        assert identical(episodes[number].options, options)
        assert episodes[number].episode_id == number


def test_seeds_without_options_take_no_room(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5") as pen:
        write_pairs(pen, [1] * 100)
    with h5py.File(tmp_path / "run.h5") as file:
        assert file["episodes/json/ends"][99] == 100 * len("{}")


# Discarded episodes -------------------------------------------------------------------------------


@pytest.mark.parametrize("flush_every", [1, 7, 10**6], ids=lambda each: f"flushed-every-{each}")
def test_a_discarded_episode_leaves_no_reward_flag_seed_or_options_behind(
    flush_every: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_journal(monkeypatch, 16)
    episodes = [AWKWARD["noise"], AWKWARD["infinite"], [], AWKWARD["tenths"], AWKWARD["nan"], AWKWARD["zeros"]]
    kept = [AWKWARD["noise"], AWKWARD["tenths"], AWKWARD["zeros"]]
    with Pen(tmp_path / "run.h5") as pen:
        steps = 0
        for number, rewards in enumerate(episodes):
            is_discarded = rewards not in kept
            pen.begin(pair(0), seed=2**70 + number, options={"number": number})
            for step, reward in enumerate(rewards):
                ends = step == len(rewards) - 1
                pen.step(pair(0), reward=reward, terminated=ends and is_discarded, truncated=ends and not is_discarded)
                steps += 1
                if steps % flush_every == 0:
                    pen.flush()
            if is_discarded:
                pen.rows.discard_episode()
    check_returns(tmp_path / "run.h5", kept)
    for episode, number in zip(h5r.Recording(tmp_path / "run.h5").episodes, (0, 3, 5), strict=True):
        assert (episode.seed, episode.options, episode.episode_id) == (2**70 + number, {"number": number}, number)
        assert (episode.terminated, episode.truncated, episode.complete) == (False, True, True)


def test_an_episode_that_is_discarded_at_the_end_is_not_closed_as_an_open_one(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5") as pen:
        write_pairs(pen, [3])
        pen.begin(pair(4))
        pen.step(pair(5))
        pen.flush()
        pen.rows.discard_episode()
    check_pairs(tmp_path / "run.h5", [3])


def test_an_episode_without_an_end_follows_upon_a_discarded_one(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5") as pen:
        write_pairs(pen, [3])
        write_pairs(pen, [5])
        pen.rows.discard_episode()
        pen.flush()
        pen.begin(pair(4), seed=4)
        pen.step(pair(5), action=0, reward=4.0)
    check_pairs(tmp_path / "run.h5", [3, 1], complete=False)


# Continuing where another drain stopped ----------------------------------------------------------


def test_a_total_is_continued_by_the_next_drain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Session, "tick", lambda self: None)
    rewards = np.random.default_rng(3).normal(size=50).tolist()
    with Pen(tmp_path / "run.h5") as pen:
        pen.begin(pair(0))
        for number, reward in enumerate(rewards):
            pen.step(pair(0), reward=reward)
            if number % 10 == 9:  # another index writer each time
                drain, file = open_drain(tmp_path / "run.h5", pen.session.journal)
                drain.run()
                file.close()
    assert returns(tmp_path / "run.h5") == [sum(rewards, 0.0)]


def test_an_episode_that_was_running_is_closed_as_incomplete_once(tmp_path: Path) -> None:
    pen = Pen(tmp_path / "run.h5")
    write_pairs(pen, [3])
    pen.begin(pair(4), seed=4)
    pen.step(pair(5), reward=0.5)
    pen.flush()
    path = elsewhere(tmp_path / "run.h5")
    pen.close()
    journal_path(path).unlink()
    clear_write_flags(path)
    file = RecordingFile(path)
    for _ in range(2):
        close_open_episode(file)
        assert (file.rows, file.episodes) == (6, 2)
    file.close()
    last = h5r.Recording(path).episodes[-1]
    assert (last.length, last.total_reward, last.seed, last.complete) == (1, 0.5, 4, False)


def test_nothing_is_closed_where_nothing_is_open(tmp_path: Path) -> None:
    with Pen(tmp_path / "run.h5") as pen:
        write_pairs(pen, [3, 2])
    file = RecordingFile(tmp_path / "run.h5")
    close_open_episode(file)
    assert (file.rows, file.episodes) == (7, 2)
    file.close()
