"""evaluate in an open loop: the policy sees what was recorded, and its actions are compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record import errors
from tests.replay.evaluation.policies import Replayer, record_actions
from tests.replay.recordings import record
from tests.zoo import SPACES_BY_ID

DISCRETE = [[0, 1, 2, 1], [1, 1], [2, 2, 2, 0]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return record_actions(tmp_path / "run.h5", spaces.Discrete(3), DISCRETE)


def test_a_policy_that_replays_agrees_in_every_step(path: Path) -> None:
    policy = Replayer(path)
    report = h5r.evaluate(policy, path)
    assert (report.agreement.rate, report.agreement.num_steps) == (1.0, 10)
    assert [each.agreement.rate for each in report.episodes] == [1.0, 1.0, 1.0]
    assert policy.seen == [[0, 1, 2, 3], [0, 1], [0, 1, 2, 3]]


def test_a_constant_policy_has_the_known_confusion_matrix(path: Path) -> None:
    report = h5r.evaluate(lambda observation: 1, path)
    assert report.agreement.confusion.actions == (0, 1, 2)
    assert report.agreement.confusion.counts == ((0, 2, 0), (0, 4, 0), (0, 4, 0))
    assert [(each.recall, each.precision) for each in report.agreement.confusion.scores] == [
        (0.0, None),
        (1.0, 0.4),
        (0.0, None),
    ]
    assert [each.agreement.rate for each in report.episodes] == [0.5, 1.0, 0.0]
    assert [each.agreement.equal for each in report.episodes] == [2, 2, 0]


def test_incomplete_episodes_are_compared_and_flagged(path: Path) -> None:
    report = h5r.evaluate(lambda observation: 1, path)
    assert report.incomplete == (1,)
    assert [each.complete for each in report.episodes] == [True, False, True]
    assert report.episodes[1].agreement.num_steps == 2


def test_returns_are_not_compared(path: Path) -> None:
    report = h5r.evaluate(lambda observation: 1, path)
    assert not report.closed_loop
    assert (report.recorded_return, report.live_return, report.difference) == (None, None, None)
    assert [each.live for each in report.episodes] == [None] * 3


def test_episodes_are_chosen_and_progress_is_told(path: Path) -> None:
    told: list[tuple[int, int]] = []
    report = h5r.evaluate(lambda _: 1, path, [-1, 0, 2], on_progress=lambda *done: told.append(done))
    assert [each.episode for each in report.episodes] == [2, 0]
    assert told == [(1, 2), (2, 2)]
    assert h5r.evaluate(lambda _: 1, path, []).agreement.rate is None


def test_a_continuous_policy_has_its_errors(tmp_path: Path) -> None:
    path = record(gym.make("Pendulum-v1"), tmp_path / "run.h5")
    report = h5r.evaluate(lambda _: np.array([0.5], np.float32), path)
    with h5r.Recording(path) as recording:
        apart = np.concatenate([np.abs(np.asarray(each.actions, np.float64) - 0.5) for each in recording.episodes])
    error = report.agreement.error
    assert error.mean_absolute == pytest.approx(apart.mean())
    assert error.root_mean_square == pytest.approx(np.sqrt((apart**2).mean()))
    assert error.maximum == apart.max()
    assert len(error.dimensions) == 1
    assert h5r.evaluate(Replayer(path), path).agreement.error.maximum == 0.0


@pytest.mark.sampled(7)
@pytest.mark.parametrize("name", [*SPACES_BY_ID][::3])  # every one of which is replayed elsewhere
def test_a_replaying_policy_agrees_in_any_space(name: str, tmp_path: Path) -> None:
    space = SPACES_BY_ID[name]
    space.seed(0)
    path = record_actions(tmp_path / "run.h5", space, [[space.sample() for _ in range(4)]])
    assert h5r.evaluate(Replayer(path), path).agreement.rate == 1.0


@pytest.mark.parametrize("memory", [None, 7])
def test_a_reset_that_is_no_method_is_not_called(path: Path, memory: Any) -> None:
    def policy(observation: Any) -> int:
        return 1

    policy.reset = memory
    assert h5r.evaluate(policy, path).agreement.num_steps == 10


def test_what_the_policy_raises_says_where(path: Path) -> None:
    def policy(observation: Any) -> int:
        return 1 // (3 - observation)

    with pytest.raises(ZeroDivisionError) as caught:
        h5r.evaluate(policy, path, [2])
    assert getattr(caught.value, "__notes__", NOTE) == NOTE


NOTE = ["raised by the policy, in episode 2 at step 3"]


def test_what_its_reset_raises_says_where(path: Path) -> None:
    policy = Replayer(path, [0])
    with pytest.raises(IndexError) as caught:
        h5r.evaluate(policy, path)
    expected = ["raised by the policy's reset before episode 1"]
    assert getattr(caught.value, "__notes__", expected) == expected


@pytest.mark.parametrize(
    "options",
    [
        {"episodes": [3]},
        {"episodes": [-4]},
        {"seed": -1},
        {"max_steps": 5},
        {"env": gym.Env},
        {"closed_loop": True, "max_steps": 0},
    ],
)
def test_options_that_do_not_fit_are_refused_before_anything_is_done(options: dict[str, Any], path: Path) -> None:
    with pytest.raises(errors.OptionError):
        h5r.evaluate(lambda _: pytest.fail("was asked"), path, **options)
