"""The loop that steps an environment up to its limits."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

from gym_h5record.cli import rollout
from gym_h5record.cli.interrupts import Interrupts
from gym_h5record.cli.rollout import Limits, RolloutStats, roll_out
from tests.treasures import ACTIONS, RETURNS, DeepSea


def test_the_counts_are_right_when_the_policy_raises() -> None:
    stats = RolloutStats()
    actions = iter([0, 1, 0])
    with pytest.raises(StopIteration):
        roll_out(gym.make("CartPole-v1"), lambda _: next(actions), Limits(3), stats, seed=0, stop=Interrupts())
    assert (stats.steps, stats.returns, stats.incomplete) == (3, [3.0], 1)


def test_a_request_to_stop_is_seen_before_the_first_reset() -> None:
    stop, stats = Interrupts(), RolloutStats()
    stop.requested = True
    roll_out(gym.make("CartPole-v1"), lambda _: 0, Limits(3), stats, seed=0, stop=stop)
    assert stats == RolloutStats()


def test_a_request_to_stop_ends_the_loop_after_the_step() -> None:
    stop, stats = Interrupts(), RolloutStats()

    def act(observation: object) -> int:
        stop.requested = stats.steps == 4
        return stats.steps % 2

    roll_out(gym.make("CartPole-v1"), act, Limits(3), stats, seed=0, stop=stop)
    assert (stats.steps, stats.ended) == (5, 0)


def test_on_step_is_called_after_every_step_with_its_counts() -> None:
    seen: list[tuple[int, int]] = []
    stats = RolloutStats()
    env = gym.make("CartPole-v1", max_episode_steps=3)
    roll_out(
        env,
        lambda _: 0,
        Limits(episodes=2),
        stats,
        seed=0,
        stop=Interrupts(),
        on_step=lambda stats: seen.append((stats.steps, stats.ended)),
    )
    assert seen == [(1, 0), (2, 0), (3, 1), (4, 1), (5, 1), (6, 2)]


@pytest.mark.parametrize(
    ("limits", "fraction"),
    [(Limits(4, None), 0.5), (Limits(None, 40), 0.25), (Limits(4, 40), 0.5), (Limits(1, None), 1.0), (Limits(), 0.0)],
)
def test_the_fraction_done_is_that_of_the_nearest_limit(limits: Limits, fraction: float) -> None:
    assert limits.fraction(RolloutStats(steps=10, ended=2)) == fraction


def test_the_speed_is_that_of_the_steps_behind_the_first_one(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([10.0, 10.5, 11.0, 14.0])  # when steps return
    monkeypatch.setattr(rollout, "monotonic", lambda: next(clock))
    seen: list[tuple[float, float | None]] = []
    roll_out(
        gym.make("CartPole-v1"),
        lambda _: 0,
        Limits(steps=4),
        RolloutStats(),
        seed=0,
        stop=Interrupts(),
        on_step=lambda stats: seen.append((stats.seconds, stats.steps_per_second)),
    )
    assert seen == [(0, None), (0.5, 2), (1, 2), (4, 0.75)]


def test_returns_are_arrays_if_rewards_are() -> None:
    stats = RolloutStats()
    actions = iter([*ACTIONS, *ACTIONS])
    roll_out(DeepSea(), lambda _: next(actions), Limits(steps=8), stats, seed=0, stop=Interrupts())
    assert [each.tolist() for each in stats.returns] == [pytest.approx(each) for each in RETURNS[:2]]


def test_a_reward_that_is_no_number_makes_the_return_nan() -> None:
    env = gym.wrappers.TransformReward(DeepSea(), lambda _: "much")  # type: ignore[arg-type,return-value]
    stats = RolloutStats()
    roll_out(env, lambda _: 0, Limits(steps=2), stats, seed=0, stop=Interrupts())
    assert np.isnan(stats.returns).all()
