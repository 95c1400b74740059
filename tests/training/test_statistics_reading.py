"""``recording.stats()`` against NumPy on the whole arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import gym_h5record as h5r
from gym_h5record.errors import RecordingWarning
from gym_h5record.storage.column_reader import ColumnReader
from gym_h5record.training import row_sample, statistics_reading
from gym_h5record.training.statistics import Statistics
from tests.reading import Reads, record
from tests.stacking import START, record_stacks
from tests.writing import Pen, make_schema, pair
from tests.zoo import ZooEnv

LENGTHS = (20, 1, 33, 7)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of 7 steps, and of 5 values of two floats: episodes begin and end inside of blocks."""
    monkeypatch.setattr(statistics_reading, "_BLOCK_STEPS", 7)
    monkeypatch.setattr(statistics_reading, "_BLOCK_BYTES", 80)


def write(path: Path, lengths: tuple[int, ...] = LENGTHS, *, mean: float = 1e9, seed: int = 0) -> Path:
    """Episodes of random numbers around a mean; the last one is unfinished."""
    random = np.random.default_rng(seed)
    space = spaces.Dict(arm=spaces.Dict(pos=spaces.Box(-np.inf, np.inf, (2,), np.float64)), gear=spaces.Discrete(5))
    with h5r.Writer(path, observation_space=space, action_space=spaces.Discrete(4, start=-1)) as writer:
        for number, length in enumerate(lengths):
            is_last = np.arange(length) == length - 1
            writer.append_episode(
                observations={
                    "arm": {"pos": mean + random.normal(size=(length + 1, 2))},
                    "gear": random.integers(0, 5, length + 1),
                },
                actions=random.integers(-1, 3, length),
                rewards=random.normal(size=length),
                terminations=is_last & (number % 2 == 0) & (number < len(lengths) - 1),
                truncations=is_last & (number % 2 == 1) & (number < len(lengths) - 1),
                extras={"value": random.normal(size=(length, 3)).astype(np.float32)},
            )
    return path


def columns(steps: Any) -> dict[str, np.ndarray]:
    """The whole arrays of the leaves that ``write`` writes."""
    observations = steps.observations[:]
    return {
        "observations/arm/pos": observations["arm"]["pos"],
        "observations/gear": observations["gear"],
        "actions": steps.actions[:],
        "rewards": steps.rewards[:],
        "extras/value": steps.extras["value"][:],
    }


def check_numbers(found: Any, values: np.ndarray) -> None:
    """Fail unless the statistics of a leaf are those of NumPy on the whole array, to 1e-6 of each number."""
    exact = values.astype(np.float64)
    np.testing.assert_allclose(found.mean, exact.mean(axis=0), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(found.variance, exact.var(axis=0), rtol=1e-6)
    np.testing.assert_allclose(found.std, exact.std(axis=0), rtol=1e-6)
    assert np.array_equal(found.min, exact.min(axis=0))
    assert np.array_equal(found.max, exact.max(axis=0))


def check_equal(found: Statistics, expected: Statistics) -> None:
    """Fail unless two statistics are the same, but for rounding."""
    assert [*found] == [*expected]
    assert (found.num_steps, found.num_episodes, found.skipped) == (
        expected.num_steps,
        expected.num_episodes,
        expected.skipped,
    )
    for name, leaf in expected.items():
        mine = found[name]
        assert (mine.count, mine.num_missing, mine.histogram) == (leaf.count, leaf.num_missing, leaf.histogram)
        assert (mine.shape, mine.dtype, mine.quantile_error) == (leaf.shape, leaf.dtype, leaf.quantile_error)
        for what in ("mean", "variance", "min", "max", "num_finite", "num_nonfinite"):
            np.testing.assert_allclose(getattr(mine, what), getattr(leaf, what), rtol=1e-6, atol=1e-12)
        assert np.array_equal(mine.quantile([0.1, 0.5]), leaf.quantile([0.1, 0.5]), equal_nan=True)
    for what in ("returns", "lengths", "complete", "success"):
        assert np.array_equal(getattr(found.episodes, what), getattr(expected.episodes, what), equal_nan=True)
    assert found.episodes.leaves.keys() == expected.episodes.leaves.keys()
    for name, each in expected.episodes.leaves.items():
        np.testing.assert_allclose(found.episodes.leaves[name].mean, each.mean, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(found.episodes.leaves[name].variance, each.variance, rtol=1e-6, atol=1e-12)


# Against NumPy ------------------------------------------------------------------------------------


@pytest.mark.parametrize("mean", [0.0, 1e9], ids=str)
@pytest.mark.usefixtures("small_blocks")
def test_every_leaf_has_the_numbers_of_the_whole_array(tmp_path: Path, mean: float) -> None:
    with h5r.Recording(write(tmp_path / "run.h5", mean=mean)) as recording:
        stats = recording.stats()
        assert [*stats] == [*columns(recording.steps)]
        assert stats.skipped == {}
        for name, values in columns(recording.steps).items():
            assert (stats[name].count, stats[name].num_missing) == (len(values), 0) == (sum(LENGTHS), 0)
            assert stats[name].shape == values.shape[1:]
            check_numbers(stats[name], values)
            expected = np.quantile(values.astype(np.float64), [0.01, 0.5, 0.9], axis=0)
            np.testing.assert_allclose(stats[name].quantile([0.01, 0.5, 0.9]), expected, rtol=1e-12)
            assert stats[name].quantile_error == 0.0


@pytest.mark.usefixtures("small_blocks")
def test_every_episode_has_its_own_numbers(tmp_path: Path) -> None:
    with h5r.Recording(write(tmp_path / "run.h5")) as recording:
        stats = recording.stats()
        for number in range(recording.num_episodes):
            for name, recorded in columns(recording[[number]].steps).items():
                leaf, values = stats.episodes.leaves[name], recorded.astype(np.float64)
                np.testing.assert_allclose(leaf.mean[number], values.mean(axis=0), rtol=1e-12, atol=1e-14)
                np.testing.assert_allclose(leaf.std[number], values.std(axis=0), rtol=1e-6)
                assert np.array_equal(leaf.max[number], values.max(axis=0))
        assert recording.stats(per_episode=False).episodes.leaves == {}


def test_large_leaves_have_no_numbers_per_episode(tmp_path: Path) -> None:
    record_stacks(tmp_path / "run.h5", [*START, *["slide"] * 30, "end jump", "reset fill", *["repeat"] * 9])
    with h5r.Recording(tmp_path / "run.h5") as recording:
        stats = recording.stats()
        stacks = recording.steps.observations[:]
        assert stacks[0].size > 64
        check_numbers(stats["observations"], stacks)
        assert "observations" not in stats.episodes.leaves
        assert "rewards" in stats.episodes.leaves


def test_actions_of_a_discrete_space_have_a_histogram_and_nothing_else_has(tmp_path: Path) -> None:
    with h5r.Recording(write(tmp_path / "run.h5")) as recording:
        stats = recording.stats()
        values, counts = np.unique(recording.steps.actions[:], return_counts=True)
    assert stats["actions"].histogram == dict(zip(values.tolist(), counts.tolist(), strict=True))
    assert [name for name in stats if stats[name].histogram is not None] == ["actions"]


def test_a_histogram_of_too_many_values_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics_reading, "_MAX_DIFFERENT", 3)
    with h5r.Recording(write(tmp_path / "run.h5")) as recording:
        assert recording.stats()["actions"].histogram is None


# Episodes -----------------------------------------------------------------------------------------


def test_unfinished_episodes_are_apart(tmp_path: Path) -> None:
    with h5r.Recording(write(tmp_path / "run.h5")) as recording:
        stats, returns = recording.stats(), recording.returns
    assert stats.episodes.complete.tolist() == [True, True, True, False]
    assert stats.episodes.lengths.tolist() == [*LENGTHS]
    assert np.array_equal(stats.episodes.returns, returns)
    assert stats.num_incomplete == 1
    assert (stats.returns.count, stats.lengths.count) == (3, 3)
    np.testing.assert_allclose(stats.returns.mean, returns[:3].mean())
    assert (stats.lengths.max, stats.lengths.quantile(0.5)) == (33, 20)


def test_selections_have_the_statistics_of_their_steps(tmp_path: Path) -> None:
    with h5r.Recording(write(tmp_path / "run.h5")) as recording:
        some = recording[[2, 0, 2]]
        stats = some.stats()
        assert stats.episodes.numbers.tolist() == [2, 0, 2]
        assert stats["rewards"].count == stats.num_steps == 86
        for name, values in columns(some.steps).items():
            check_numbers(stats[name], values)


@pytest.mark.usefixtures("small_blocks")
def test_progress_is_told_after_every_block_up_to_all_steps(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    with h5r.Recording(write(tmp_path / "run.h5", (9, 6))) as recording:
        recording.stats(on_progress=lambda done, total: told.append((done, total)))
    assert told == [(7, 15), (14, 15), (15, 15)]


def test_a_recording_without_steps_has_statistics_of_nothing(tmp_path: Path) -> None:
    with h5r.Recording(write(tmp_path / "run.h5")) as recording:
        stats = recording.select("length > 1000").stats()
    assert (stats.num_steps, stats.num_episodes, stats.success_rate) == (0, 0, None)
    assert np.isnan(stats["rewards"].mean)
    assert stats.returns.count == 0


def test_steps_of_a_running_episode_count_and_their_episode_does_not(tmp_path: Path) -> None:
    with Pen(tmp_path / "live.h5") as pen:
        for number in range(2):
            pen.begin(pair(0))
            for step in range(4):
                pen.step(pair(step), reward=10.0 * number + step, terminated=step == 3 and not number)
        pen.flush()
        with h5r.Recording(tmp_path / "live.h5", live=True) as recording:
            stats = recording.stats()
    assert (stats.num_episodes, stats.num_steps, stats["rewards"].count) == (1, 8, 8)
    assert stats["rewards"].mean == 6.5
    assert stats.episodes.leaves["rewards"].mean.tolist() == [1.5]


# What cannot be counted ---------------------------------------------------------------------------


def test_nan_and_infinity_are_counted_and_the_rest_is_right(tmp_path: Path) -> None:
    rewards = [1.0, np.nan, 3.0, np.inf, -np.inf]
    with Pen(tmp_path / "run.h5") as pen:
        pen.begin(pair(0))
        for reward in rewards:
            pen.step(pair(1), reward=reward)
    with h5r.Recording(tmp_path / "run.h5") as recording:
        leaf = recording.stats()["rewards"]
    assert (leaf.count, leaf.num_finite, leaf.num_nonfinite) == (5, 2, 3)
    assert (leaf.mean, leaf.std, leaf.min, leaf.max) == (2.0, 1.0, 1.0, 3.0)


def test_what_is_not_numeric_is_skipped_with_the_reason(tmp_path: Path) -> None:
    space = spaces.Dict(text=spaces.Text(4), box=spaces.Box(-1, 1, (2,), np.float32), empty=spaces.Box(0, 1, (0,)))
    infos = lambda step: {"lives": step, "name": "a"}  # noqa: E731
    record(tmp_path / "run.h5", ZooEnv(space, spaces.Discrete(3), infos=infos))
    with h5r.Recording(tmp_path / "run.h5") as recording:
        stats = recording.stats()
    assert [*stats] == ["observations/box", "actions", "rewards", "infos/lives"]
    assert stats.skipped == {
        "observations/text": "values that vary in size, or have no column",
        "observations/empty": "arrays (0,) of float32: no element",
        "infos": f"values without a column, in {stats.num_steps} steps",
    }
    with pytest.raises(KeyError, match="no statistics of 'observations/text': values that vary in size"):
        stats["observations/text"]


def test_missing_and_misfit_values_are_counted(tmp_path: Path) -> None:
    schema = make_schema(infos=[{"x": 1.5}])
    with Pen(tmp_path / "run.h5", schema) as pen, pytest.warns(RecordingWarning, match="which its column cannot hold"):
        pen.begin(pair(0), {"x": 1.0})
        for info in ({}, {"x": 3.0}, {"x": "three"}, {"x": 100.0}):
            pen.step(np.zeros((3, 3)) if info.get("x") == 3.0 else pair(2), info=info)
    with h5r.Recording(tmp_path / "run.h5") as recording:
        stats = recording.stats()
    assert (stats["infos/x"].count, stats["infos/x"].num_missing, stats["infos/x"].mean) == (2, 2, 2.0)
    assert (stats["observations"].count, stats["observations"].num_missing) == (3, 1)
    assert stats.skipped["observations"] == "1 value of another type or shape"
    assert "1 step without" in repr(stats["observations"])


def test_frames_are_not_read(paintings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with h5r.Recording(paintings) as recording:
        reads = Reads(monkeypatch)
        stats = recording.stats()
        assert stats.skipped["frames"] == "frames are not read"
        assert "frames" not in reads.take()


# Memory -------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("small_blocks")
def test_no_more_values_are_read_at_a_time_than_a_block_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    take, most = ColumnReader.take, {}

    def watched(storage: ColumnReader, field: str, indices: np.ndarray) -> np.ndarray:
        most[field] = max(most.get(field, 0), len(indices))
        return take(storage, field, indices)

    with h5r.Recording(write(tmp_path / "run.h5", (300, 200))) as recording:
        monkeypatch.setattr(ColumnReader, "take", watched)
        stats = recording.stats()
    assert stats["rewards"].count == 500
    assert most["observations/arm/pos"] == 5
    assert most["extras/value"] == 3
    assert most["types"] == most["rewards"] == 7


def test_a_sample_has_as_many_values_as_it_may(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_sample, "_MAX_BYTES", 320)
    with h5r.Recording(write(tmp_path / "run.h5", (300, 200))) as recording:
        stats = recording.stats()
    for name, rows in (("observations/arm/pos", 20), ("rewards", 40)):
        assert stats[name].quantile_error == pytest.approx(np.sqrt(np.log(40) / 2 / rows))


def test_leaves_that_are_too_large_are_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics_reading, "_MAX_ELEMENTS", 5)
    with h5r.Recording(write(tmp_path / "run.h5")) as recording:
        stats = recording.stats()
    assert [*stats] == ["observations/arm/pos", "observations/gear", "actions", "rewards"]
    assert stats.skipped == {"extras/value": "arrays (3,): with the leaves before it, more than 5 elements"}


def test_statistics_per_episode_are_made_of_the_leaves_that_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statistics_reading, "_MAX_EPISODE_BYTES", 5 * 48 * 3)
    with h5r.Recording(write(tmp_path / "run.h5")) as recording:
        stats = recording.stats()
    assert [*stats.episodes.leaves] == ["observations/arm/pos", "observations/gear"]
    assert len(stats) == 5


# Merging ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine episodes; do not change the file."""
    return write(tmp_path_factory.mktemp("merging") / "run.h5", (3, 20, 1, 0, 11, 2, 9, 30, 4))


@given(st.lists(st.integers(0, 9), max_size=3), st.integers(1, 40))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_parts_merged_equal_the_whole_at_once(written: Path, cuts: list[int], max_rows: int) -> None:
    with pytest.MonkeyPatch.context() as patch, h5r.Recording(written) as recording:
        patch.setattr(row_sample, "_MAX_ROWS", max_rows)
        patch.setattr(statistics_reading, "_BLOCK_STEPS", 10 + max_rows)
        parts = [recording[part].stats() for part in np.split(np.arange(9), sorted(cuts))]
        check_equal(Statistics.merged(parts), recording.stats())


def test_two_files_merged_have_the_numbers_of_both(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{seed}.h5", seed=seed) for seed in range(2)]
    with h5r.Recording(paths[0]) as first, h5r.Recording(paths[1]) as second:
        merged = first.stats().merge(second.stats())
        for name, values in columns(first.steps).items():
            check_numbers(merged[name], np.concatenate([values, columns(second.steps)[name]]))
    assert (merged.num_episodes, merged.num_incomplete, merged.returns.count) == (8, 2, 6)


def test_quantiles_of_a_sample_have_the_error_that_they_claim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_sample, "_MAX_ROWS", 500)
    with h5r.Recording(write(tmp_path / "run.h5", (3000, 2000))) as recording:
        leaf = recording.stats()["observations/arm/pos"]
        values = recording.steps.observations[:]["arm"]["pos"]
    assert leaf.quantile_error == pytest.approx(0.0607, abs=1e-4)
    for fraction in (0.05, 0.25, 0.5, 0.9):
        ranks = (values <= leaf.quantile(fraction)).mean(axis=0)
        assert (abs(ranks - fraction) <= leaf.quantile_error).all()
