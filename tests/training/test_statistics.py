"""``Statistics`` as a mapping, and what is merged."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record.errors import OptionError
from gym_h5record.training.array_json import array_to_json
from gym_h5record.training.leaf_statistics import LeafStatistics, of_array
from gym_h5record.training.statistics import EpisodeStatistics, Statistics


def episodes(count: int, shape: tuple[int, ...] = ()) -> EpisodeStatistics:
    """Episodes of one step; every other one is complete, and the first of these a success."""
    numbers = np.arange(count)
    success = np.where(numbers == 0, 1.0, np.where(numbers % 2, np.nan, 0.0))
    returns = np.ones((count, *shape)) * numbers.reshape(-1, *(1 for _ in shape))
    return EpisodeStatistics(numbers, returns, np.ones(count, np.int64), numbers % 2 == 0, success)


def statistics(leaves: dict[str, list[float]], count: int, skipped: dict[str, str] | None = None) -> Statistics:
    """Statistics of leaves with these values."""
    made: dict[str, LeafStatistics] = {name: of_array(name, np.array(values)) for name, values in leaves.items()}
    return Statistics(made, episodes(count), count, skipped or {})


def test_statistics_are_a_mapping_of_leaves() -> None:
    stats = statistics({"actions": [1.0], "rewards": [2.0, 4.0]}, 2)
    assert [*stats] == ["actions", "rewards"]
    assert (len(stats), "rewards" in stats, "frames" in stats, stats["rewards"].mean) == (2, True, False, 3.0)
    assert stats.get("frames") is None
    assert repr(stats) == "<Statistics: 2 leaves, 2 episodes, 2 steps>"
    assert repr(stats.episodes) == "<EpisodeStatistics of 2 episodes>"


def test_an_unknown_leaf_is_an_error_that_names_the_others() -> None:
    with pytest.raises(KeyError, match="no statistics of 'action': there are actions, rewards"):
        statistics({"actions": [1.0], "rewards": [2.0]}, 1)["action"]


def test_returns_lengths_and_success_leave_unfinished_episodes_out() -> None:
    stats = statistics({}, 5)
    assert (stats.num_episodes, stats.num_incomplete) == (5, 2)
    assert (stats.returns.mean, stats.returns.count, stats.lengths.count) == (2.0, 3, 3)
    assert stats.success_rate == pytest.approx(1 / 3)
    assert statistics({}, 0).success_rate is None


def test_a_leaf_that_only_one_has_is_missing_in_the_steps_of_the_other() -> None:
    first, second = statistics({"x": [1.0, 3.0], "y": [7.0, 7.0]}, 2), statistics({"x": [5.0], "z": [9.0]}, 1)
    merged = first.merge(second)
    assert {name: (leaf.count, leaf.num_missing, float(leaf.mean)) for name, leaf in merged.items()} == {
        "x": (3, 0, 3.0),
        "y": (2, 1, 7.0),
        "z": (1, 2, 9.0),
    }
    assert (merged.num_steps, merged.num_episodes) == (3, 3)


def test_what_either_skipped_is_skipped() -> None:
    merged = statistics({}, 1, {"a": "first", "b": "first"}).merge(statistics({}, 1, {"b": "second", "c": "second"}))
    assert merged.skipped == {"b": "first", "c": "second", "a": "first"}


def test_nothing_cannot_be_merged() -> None:
    with pytest.raises(OptionError, match="statistics of no recording"):
        Statistics.merged([])


def test_returns_of_other_shapes_are_not_merged() -> None:
    with pytest.raises(OptionError, match=r"returns of shapes \(\) and \(2,\)"):
        episodes(1).merge(episodes(1, (2,)))


def test_a_merge_changes_neither_side() -> None:
    first, second = statistics({"x": [1.0]}, 1, {"a": "b"}), statistics({"x": [2.0]}, 1)
    first.merge(second)
    assert (first["x"].count, first.num_steps, first.num_episodes, second.skipped) == (1, 1, 1, {})


def test_statistics_come_back_from_text(tmp_path: Path) -> None:
    box = spaces.Box(-np.inf, np.inf, (80,), np.float32)
    random = np.random.default_rng(0)
    with h5r.Writer(tmp_path / "a.h5", observation_space=box, action_space=spaces.Discrete(3)) as writer:
        for length in (4, 6):
            values = random.normal(size=(length + 1, 80)).astype(np.float32)
            values[1, 2] = np.nan
            writer.append_episode(observations=values, actions=random.integers(0, 3, length), rewards=np.ones(length))
    with h5r.Recording(tmp_path / "a.h5") as recording:
        parts = [recording[[0]].stats(), recording[[1]].stats()]
    again = [Statistics.from_json(each.to_json()) for each in parts]
    merged, expected = Statistics.merged(again), Statistics.merged(parts)
    assert merged.to_json() == expected.to_json()
    assert repr(merged) == repr(expected)
    assert (merged["actions"].histogram, merged.skipped) == (expected["actions"].histogram, expected.skipped)
    np.testing.assert_array_equal(merged["observations"].quantile(0.3), expected["observations"].quantile(0.3))
    np.testing.assert_array_equal(merged.episodes.leaves["rewards"].mean, expected.episodes.leaves["rewards"].mean)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda tree: tree.update(statistics=2), "it has version 2, this package knows 1"),
        (lambda tree: tree.update(num_steps=-1), "num_steps is -1"),
        (lambda tree: tree.update(leaves=[]), "this is not the JSON text of Statistics"),
        (lambda tree: tree.pop("episodes"), "KeyError"),
        (
            lambda tree: tree["episodes"].update(lengths=array_to_json(np.arange(1))),
            "columns of episodes with the shapes",
        ),
        (
            lambda tree: tree["episodes"].update(complete=array_to_json(np.arange(2))),
            "int64 in the place of one of bool",
        ),
    ],
    ids=["version", "steps", "leaves", "no episodes", "lengths", "dtype"],
)
def test_text_that_contradicts_itself_is_refused(damage: Callable[[dict[str, Any]], None], message: str) -> None:
    tree = statistics({"rewards": [1.0, 2.0]}, 2).to_tree()
    damage(tree)
    with pytest.raises(OptionError, match=message):
        Statistics.from_json(json.dumps(tree))


@pytest.mark.parametrize(
    "text", ["", "{", "[" * 100_000, "null", "3"], ids=["empty", "open", "nested", "null", "number"]
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(OptionError, match="JSON text"):
        Statistics.from_json(text)
