"""evaluate in a closed loop: the policy acts where recorded episodes began, and returns are compared."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import ale_py
import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

import gym_h5record as h5r
from gym_h5record import errors
from tests.replay.evaluation.policies import Counter, Replayer, record_actions
from tests.replay.recordings import record, tamper

gym.register_envs(ale_py)


def record_whole(env: gym.Env[Any, Any], path: Path, episodes: int = 3, **options: Any) -> Path:
    """Episodes that the environment ends; only the first one is seeded."""
    recorder = h5r.RecordToHDF5(env, path, writer="inline", **options)
    recorder.action_space.seed(3)
    for number in range(episodes):
        recorder.reset(seed=None if number else 7)
        done = False
        while not done:
            _, _, terminated, truncated, _ = recorder.step(recorder.action_space.sample())
            done = terminated or truncated
    recorder.close()
    return path


def check_replays(path: Path, **options: Any) -> h5r.EvaluationReport:
    """Fail unless the recorded actions earn exactly what they earned."""
    report = h5r.evaluate(Replayer(path), path, closed_loop=True, **options)
    for each in report.episodes:
        assert not each.reason
        assert (each.live.total_reward, each.live.num_steps) == (each.total_reward, each.num_steps)
        assert each.difference == 0.0
    assert report.difference.mean == report.difference.low == report.difference.high == 0.0
    assert report.recorded_return == report.live_return
    assert report.unpaired == ()
    return report


@pytest.mark.parametrize("name", ["CartPole-v1", "Acrobot-v1", "Pendulum-v1", "FrozenLake-v1"])
def test_the_recorded_actions_earn_exactly_the_recorded_returns(name: str, tmp_path: Path) -> None:
    assert check_replays(record_whole(gym.make(name), tmp_path / "run.h5")).recorded_return.count == 3


def test_the_recorded_actions_of_a_game_earn_exactly_the_recorded_returns(tmp_path: Path) -> None:
    env = gym.make("ALE/Breakout-v5", obs_type="ram", max_num_frames_per_episode=300)
    report = check_replays(record_whole(env, tmp_path / "run.h5", 2))
    assert report.recorded_return.count == 2


def test_a_live_policy_plays_a_game_to_its_end(tmp_path: Path) -> None:
    env = gym.make("ALE/Breakout-v5", obs_type="ram", max_num_frames_per_episode=300)
    path = record_whole(env, tmp_path / "run.h5", 2)
    first, again = (h5r.evaluate(lambda observation: 1, path, closed_loop=True) for _ in range(2))
    assert first == again
    assert all(each.live.complete and each.live.num_steps > 0 for each in first.episodes)


def test_a_wrapper_that_outlives_resets_is_put_where_it_was(tmp_path: Path) -> None:
    env = gym.wrappers.NormalizeObservation(gym.make("CartPole-v1"))
    check_replays(record_whole(env, tmp_path / "run.h5"))


def test_pictures_are_rendered_as_when_recorded(tmp_path: Path) -> None:
    env = gym.make("CartPole-v1", render_mode="rgb_array")
    check_replays(record_whole(env, tmp_path / "run.h5", 2, frames="render"))


def test_differences_are_of_pairs_and_their_interval_is_that_of_the_pairs(tmp_path: Path) -> None:
    path = record_whole(gym.make("CartPole-v1"), tmp_path / "run.h5", 8)
    report = h5r.evaluate(lambda observation: 1, path, closed_loop=True, seed=4)
    differences = [each.live.total_reward - each.total_reward for each in report.episodes]
    assert [each.difference for each in report.episodes] == differences
    assert report.difference.mean == pytest.approx(np.mean(differences))
    assert report.difference.mean == pytest.approx(report.live_return.mean - report.recorded_return.mean)
    assert report.difference.low <= report.difference.mean <= report.difference.high
    assert report.difference.high < 0  # always the same way is worse than by chance
    resampled = np.random.default_rng(4).integers(0, 8, (10_000, 8))
    expected = np.quantile(np.array(differences)[resampled].mean(axis=1), [0.025, 0.975])
    assert (report.difference.low, report.difference.high) == pytest.approx(tuple(expected))
    assert report != h5r.evaluate(lambda observation: 0, path, closed_loop=True, seed=4)


def test_incomplete_episodes_are_played_but_left_out_of_the_means(tmp_path: Path) -> None:
    path = record(gym.make("CartPole-v1"), tmp_path / "run.h5")  # 12 steps of the second one
    with h5r.Recording(path) as recording:
        complete = [each.complete for each in recording.episodes]
    assert False in complete
    report = h5r.evaluate(lambda observation: 1, path, closed_loop=True)
    assert report.incomplete == report.unpaired == tuple(np.flatnonzero(np.logical_not(complete)))
    for each in report.episodes:
        assert each.live.complete
        assert (each.difference is None) == (not each.complete)
    assert getattr(report.difference, "count", 0) == sum(complete)


def counter_recording(tmp_path: Path) -> Path:
    return record_actions(tmp_path / "run.h5", spaces.Discrete(2), [[0, 1, 0, 1], [1, 1, 1, 1]])


def test_an_episode_that_max_steps_cuts_is_left_out_of_the_means(tmp_path: Path) -> None:
    path, make = counter_recording(tmp_path), partial(Counter, spaces.Discrete(2), length=None)
    report = h5r.evaluate(lambda _: 0, path, closed_loop=True, env=make, max_steps=7)
    assert [(each.live.num_steps, each.live.complete, each.live.total_reward) for each in report.episodes] == [
        (7, False, 3.5)
    ] * 2
    assert (report.unpaired, report.incomplete, report.difference) == ((0, 1), (), None)


def test_an_environment_that_is_passed_is_not_closed_and_made_ones_are(tmp_path: Path) -> None:
    path, closed = counter_recording(tmp_path), []

    class Closing(Counter):
        def close(self) -> None:
            closed.append(self)

    env = Closing(spaces.Discrete(2))
    h5r.evaluate(lambda _: 0, path, closed_loop=True, env=env)
    assert closed == []
    h5r.evaluate(lambda _: 0, path, closed_loop=True, env=lambda: Closing(spaces.Discrete(2)))
    assert len(closed) == len(set(closed)) == 2


def test_an_episode_that_begins_elsewhere_is_not_played(tmp_path: Path) -> None:
    env = gym.make("CartPole-v1")
    path = record_whole(env, tmp_path / "run.h5", compression=None)
    tamper(path, "observations", 1, 0, lambda observation: observation + 1)
    report = h5r.evaluate(lambda observation: 1, path, closed_loop=True)
    assert [bool(each.reason) for each in report.episodes] == [False, True, False]
    assert report.episodes[1].live is None
    assert "not where the recording was" in report.episodes[1].reason
    assert (report.unpaired, report.difference.count) == ((1,), 2)


def test_an_episode_whose_beginning_is_not_known_is_not_played(tmp_path: Path) -> None:
    path = record(gym.make("CartPole-v1"), tmp_path / "run.h5", None, snapshots=False)
    report = h5r.evaluate(lambda observation: 1, path, closed_loop=True)
    assert all("neither a seed nor a snapshot" in each.reason for each in report.episodes)
    assert report.difference is None


def test_another_environment_is_refused(tmp_path: Path) -> None:
    path = counter_recording(tmp_path)
    with pytest.raises(errors.EnvMismatchError):
        h5r.evaluate(lambda _: 0, path, closed_loop=True, env=partial(Counter, spaces.Discrete(3)))
    with pytest.raises(errors.UnbuildableEnvError):
        h5r.evaluate(lambda _: 0, record_actions(tmp_path / "b.h5", spaces.Text(3), [["a"]]), closed_loop=True)


@pytest.mark.parametrize(("broken", "who"), [("policy", "the policy"), ("env", "the environment")])
def test_what_is_raised_says_where_by_whom_and_closes_the_environment(broken: str, who: str, tmp_path: Path) -> None:
    path, closed = counter_recording(tmp_path), []

    class Failing(Counter):
        def step(self, action: Any) -> Any:
            if broken == "env" and self._steps == 2:
                raise ZeroDivisionError
            return super().step(action)

        def close(self) -> None:
            closed.append(self)

    def policy(observation: int) -> int:
        if broken == "policy" and observation == 2:
            raise ZeroDivisionError
        return 0

    with pytest.raises(ZeroDivisionError) as caught:
        h5r.evaluate(policy, path, [1], closed_loop=True, env=lambda: Failing(spaces.Discrete(2)))
    expected = [f"raised by {who}, in episode 1 at step 2 of a closed loop"]
    assert getattr(caught.value, "__notes__", expected) == expected
    assert len(closed) == 1


def test_an_episode_that_branches_off_another_recording_begins_there(tmp_path: Path) -> None:
    parent = record_whole(gym.make("CartPole-v1"), tmp_path / "parent.h5")
    live, _, _ = h5r.branch(parent, 1, 4)
    path = record_whole_from(live, tmp_path / "child.h5")
    check = h5r.evaluate(Replayer(path), path, closed_loop=True)
    assert [each.difference for each in check.episodes] == [0.0]
    with h5r.Recording(path) as child, h5r.Recording(parent) as origin:
        assert np.array_equal(child.episodes[0].observations[0], origin.episodes[1].observations[4])


def record_whole_from(live: gym.Env[Any, Any], path: Path) -> Path:
    """One episode from where an environment stands, without a seed."""
    recorder, done = h5r.RecordToHDF5(live, path, writer="inline"), False
    recorder.reset()
    while not done:
        _, _, terminated, truncated, _ = recorder.step(1)
        done = terminated or truncated
    recorder.close()
    return path


def test_an_episode_that_goes_on_after_an_end_begins_behind_it(tmp_path: Path) -> None:
    recorder = h5r.RecordToHDF5(Counter(spaces.Discrete(2)), tmp_path / "run.h5", writer="inline")
    recorder.reset(seed=0)
    for _ in range(6):  # two behind the end
        recorder.step(0)
    recorder.close()
    seen: list[int] = []
    report = h5r.evaluate(
        lambda observation: seen.append(observation) or 0,
        tmp_path / "run.h5",
        [1],
        closed_loop=True,
        env=partial(Counter, spaces.Discrete(2)),
        max_steps=2,
    )
    assert (report.incomplete, report.episodes[0].reason, seen) == ((1,), "", [4, 5])
