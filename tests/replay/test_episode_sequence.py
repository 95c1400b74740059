"""Episodes that follow each other in one environment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

import gym_h5record as h5r
from gym_h5record.recorder.snapshots.snapshot_set import make_snapshot_set
from gym_h5record.replay.episode_sequence import check_sequence
from gym_h5record.replay.outcome_comparison import IGNORED_INFOS, ComparisonRules
from gym_h5record.replay.rerun import Rerun
from tests.replay.recordings import record, tamper


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return record(gym.make("CartPole-v1"), tmp_path / "run.h5")


def reports(path: Path, *wanted: int) -> list[h5r.EpisodeReport]:
    """The reports of a run through the first three episodes."""
    with h5r.Recording(path) as recording, gym.make("CartPole-v1") as env:
        rerun = Rerun(recording, env, make_snapshot_set(()))
        episodes = [recording.episodes[number] for number in range(3)]
        return list(check_sequence(rerun, episodes, wanted, ComparisonRules(0.0, IGNORED_INFOS)))


def test_only_those_that_are_wanted_are_reported_on(path: Path) -> None:
    found = reports(path, 2, 0)
    assert [(each.episode, each.verdict) for each in found] == [(0, h5r.Verdict.EXACT), (2, h5r.Verdict.EXACT)]
    assert [each.independent for each in found] == [True, False]


def test_after_a_divergence_the_sequence_goes_on(path: Path) -> None:
    tamper(path, "rewards", 0, 2, lambda reward: reward + 1)
    assert [each.ok for each in reports(path, 0, 1, 2)] == [False, True, True]


def test_behind_an_action_that_is_refused_nothing_can_be_run(path: Path) -> None:
    tamper(path, "actions", 1, 2, lambda _: 17)
    assert [each.verdict for each in reports(path, 0, 1, 2)] == [
        h5r.Verdict.EXACT,
        h5r.Verdict.DIVERGED,
        h5r.Verdict.NOT_REPLAYABLE,
    ]
    (last,) = reports(path, 2)
    assert last.reason.startswith("the environment raised AssertionError")
    assert last.reason.endswith("in episode 1, which is before it")


def test_behind_a_reset_that_is_refused_nothing_can_be_run(path: Path) -> None:
    class Closed(gym.Wrapper[Any, Any, Any, Any]):
        def reset(self, **_: Any) -> Any:
            raise RuntimeError("closed")

    with h5r.Recording(path) as recording, Closed(gym.make("CartPole-v1")) as env:
        rerun = Rerun(recording, env, make_snapshot_set(()))
        first, second = check_sequence(rerun, recording.episodes[:2], (0, 1), ComparisonRules(0.0, ()))
    assert (first.verdict, first.num_steps) == (h5r.Verdict.DIVERGED, 0)
    assert second.reason == "the environment raised RuntimeError('closed') in episode 0, which is before it"
