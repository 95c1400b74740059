"""The loop and its progress bar."""

from __future__ import annotations

import io
from pathlib import Path
from time import monotonic

import gymnasium as gym
import pytest
from rich.console import Console

from gym_h5record.cli.progress import NoProgress, ProgressBar
from gym_h5record.cli.rollout import Limits, RolloutStats, rollout


class Stop:
    requested = False


class Counter:
    """Counts how often it is asked to show something."""

    def __init__(self, interval_s: float) -> None:
        self.due_s, self.shown, self._interval_s = monotonic(), 0, interval_s

    def show(self, tally: RolloutStats) -> None:
        self.shown += 1
        self.due_s = monotonic() + self._interval_s


def test_the_bar_tells_speed_episodes_last_return_and_bytes(tmp_path: Path) -> None:
    path = tmp_path / "run[red]\x1b.h5"
    path.write_bytes(bytes(2_500))
    stream = io.StringIO()
    tally = RolloutStats(steps=50, ended=2, returns=[1.0, 20.0, 3.0], start_s=monotonic() - 10)
    with ProgressBar(Console(file=stream, force_terminal=True, width=100), path, Limits(episodes=10)) as bar:
        bar.show(tally)
    drawn = stream.getvalue()
    for fact in (r"run[red]\x1b.h5", "5 steps/s", "episode 3/10", "return 20", "2.50 kB"):
        assert fact in drawn


def test_the_bar_is_not_drawn_more_often_than_needed() -> None:
    watch = Counter(interval_s=60)
    rollout(gym.make("CartPole-v1"), lambda _: 0, Limits(steps=500), RolloutStats(), seed=0, stop=Stop(), watch=watch)
    assert watch.shown == 1


def test_without_a_bar_nothing_is_ever_due() -> None:
    with NoProgress() as watch:
        assert watch.due_s == float("inf")


def test_the_tally_is_right_when_the_policy_raises() -> None:
    tally = RolloutStats()
    actions = iter([0, 1, 0])
    with pytest.raises(StopIteration):
        rollout(
            gym.make("CartPole-v1"), lambda _: next(actions), Limits(3), tally, seed=0, stop=Stop(), watch=NoProgress()
        )
    assert (tally.steps, tally.returns, tally.incomplete) == (3, [3.0], 1)


def test_a_wish_to_stop_is_heard_before_the_first_reset() -> None:
    stop, tally = Stop(), RolloutStats()
    stop.requested = True
    rollout(gym.make("CartPole-v1"), lambda _: 0, Limits(3), tally, seed=0, stop=stop, watch=NoProgress())
    assert tally == RolloutStats()


@pytest.mark.parametrize(
    ("limits", "fraction"),
    [(Limits(4, None), 0.5), (Limits(None, 40), 0.25), (Limits(4, 40), 0.5), (Limits(1, None), 1.0), (Limits(), 0.0)],
)
def test_how_much_is_done(limits: Limits, fraction: float) -> None:
    assert limits.fraction(RolloutStats(steps=10, ended=2)) == fraction
