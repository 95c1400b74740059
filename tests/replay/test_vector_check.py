"""Lanes that share generators or a simulator are run again together, and a difference is found at its place."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv, VectorWrapper

import gym_h5record as h5r
from gym_h5record import Verdict
from gym_h5record.errors import EnvMismatchError, NotReplayableError, UnbuildableEnvError
from tests.replay.shared_lanes import SharedLanes, play_lanes, record_shared, tamper_lane

MODES = list(AutoresetMode)
MODE_IDS = [mode.name for mode in MODES]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lanes.h5"


def cartpoles(num_envs: int = 3, **options: Any) -> VectorEnv[Any, Any, Any]:
    return gym.make_vec("CartPole-v1", num_envs=num_envs, vectorization_mode="vector_entry_point", **options)


def record(envs: VectorEnv[Any, Any, Any], path: Path, num_steps: int = 60, seed: Any = 7, **options: Any) -> Path:
    recorded = h5r.vector.RecordToHDF5(envs, path, writer="inline", compression=None, **options)
    play_lanes(recorded, AutoresetMode.NEXT_STEP, num_steps, seed)
    recorded.close()
    return path


def reasons(report: Any) -> set[str]:
    assert all(each.verdict is Verdict.NOT_REPLAYABLE for each in report.episodes)
    return {each.reason for each in report.episodes}


# Exact --------------------------------------------------------------------------------------------


def check_all_exact(path: Path, env: Any = None) -> None:
    report = h5r.verify(path, env=env)
    with h5r.Recording(path) as recording:
        assert recording.num_episodes == report.num_episodes > recording.num_envs
        assert report.num_steps == recording.num_steps
    assert {each.verdict for each in report.episodes} == {Verdict.EXACT}
    assert not any(each.independent for each in report.episodes)
    assert report.first_divergence is None


def test_carts_that_share_a_generator_are_exact_from_the_file_alone(path: Path) -> None:
    check_all_exact(record(cartpoles(max_episode_steps=20), path))


@pytest.mark.parametrize("mode", MODES, ids=MODE_IDS)
def test_lanes_that_share_a_generator_are_exact_in_every_mode(mode: AutoresetMode, path: Path) -> None:
    check_all_exact(record_shared(path, mode), lambda: SharedLanes(mode))


@pytest.mark.parametrize("mode", MODES[:2], ids=MODE_IDS[:2])
def test_atari_games_that_share_a_simulator_are_exact(mode: AutoresetMode, path: Path) -> None:
    pytest.importorskip("ale_py")
    games = gym.make_vec("ALE/Breakout-v5", num_envs=2, autoreset_mode=mode, max_num_frames_per_episode=60)
    check_all_exact(record(games, path, num_steps=40))


def test_seeds_that_do_not_count_up_are_given_as_they_were(path: Path) -> None:
    pytest.importorskip("ale_py")
    games = gym.make_vec("ALE/Breakout-v5", num_envs=2)
    record(games, path, num_steps=20, seed=np.array([9, 4]))
    check_all_exact(path)
    with h5r.Recording(path) as recording:
        assert [recording[0].seed, recording[1].seed] == [9, 4]


def test_frames_are_compared_where_they_were_rendered(path: Path) -> None:
    record(cartpoles(2, render_mode="rgb_array"), path, num_steps=6)
    assert h5r.verify(path).ok
    tamper_lane(path, "frames", 1, 3, lambda frame: frame ^ 1)
    found = h5r.verify(path).first_divergence
    assert found is not None
    assert (found.episode, found.step, found.leaf[:6]) == (1, 3, "frames")


def test_lanes_of_their_own_are_run_together_in_a_vector_environment_of_the_user(path: Path) -> None:
    make = partial(SyncVectorEnv, [lambda: gym.make("CartPole-v1")] * 2)
    envs = h5r.vector.RecordToHDF5(make(), path, writer="inline")
    play_lanes(envs, AutoresetMode.NEXT_STEP, 40, seed=7)
    envs.close()
    check_all_exact(path, make)
    assert all(each.independent for each in h5r.verify(path, env=lambda: gym.make("CartPole-v1")).episodes)


def test_lanes_below_a_wrapper_that_joins_them_are_run_together(path: Path) -> None:
    normalize = gym.wrappers.vector.NormalizeObservation
    record(normalize(gym.make_vec("CartPole-v1", num_envs=2)), path)
    check_all_exact(path, lambda: normalize(gym.make_vec("CartPole-v1", num_envs=2)))
    with pytest.raises(UnbuildableEnvError, match="the arguments of its wrapper .*NormalizeObservation are not in"):
        h5r.verify(path)


def test_each_recorder_that_appended_is_run_by_itself(path: Path) -> None:
    record_shared(path, AutoresetMode.NEXT_STEP)
    envs = h5r.vector.RecordToHDF5(SharedLanes(AutoresetMode.NEXT_STEP), path, writer="inline", mode="a")
    play_lanes(envs, AutoresetMode.NEXT_STEP, 20, seed=9)
    envs.close()
    made = []
    check_all_exact(path, lambda: made.append(1) or SharedLanes(AutoresetMode.NEXT_STEP))
    assert len(made) == 2


def test_only_the_chosen_episodes_are_reported_and_counted(path: Path) -> None:
    record(cartpoles(), path)
    done: list[tuple[int, int]] = []
    report = h5r.verify(path, episodes=[4, 1], on_progress=lambda *counts: done.append(counts))
    assert [(each.episode, each.verdict) for each in report.episodes] == [(4, Verdict.EXACT), (1, Verdict.EXACT)]
    assert done == [(1, 2), (2, 2)]


def test_a_vector_environment_of_the_user_stays_open(path: Path) -> None:
    record_shared(path, AutoresetMode.NEXT_STEP)
    envs = SharedLanes(AutoresetMode.NEXT_STEP)
    assert h5r.verify(path, env=envs).ok
    assert not envs.closed


# Differences --------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES, ids=MODE_IDS)
def test_a_changed_observation_is_found_at_its_place_and_nowhere_else(mode: AutoresetMode, path: Path) -> None:
    record_shared(path, mode)
    tamper_lane(path, "observations", 4, 2, lambda values: values + np.array([0.25, 0.0]))
    report = h5r.verify(path, env=lambda: SharedLanes(mode))
    assert [each.episode for each in report.episodes if not each.ok] == [4]
    found = report.first_divergence
    assert found is not None
    assert (found.episode, found.step, found.leaf, found.largest) == (4, 2, "observations[0]", 0.25)
    assert report.episodes[4].num_steps == 2
    assert not report.episodes[4].independent


@pytest.mark.parametrize("name", ["rewards", "infos/moved"], ids=["reward", "info"])
def test_a_changed_reward_or_info_is_found(name: str, path: Path) -> None:
    record_shared(path, AutoresetMode.SAME_STEP)
    with h5r.Recording(path) as recording:
        row = recording[2].length - (name == "rewards")  # of the step that ends the episode
    tamper_lane(path, name, 2, row, lambda value: value + 1)
    report = h5r.verify(path, env=lambda: SharedLanes(AutoresetMode.SAME_STEP))
    assert [each.episode for each in report.episodes if not each.ok] == [2]
    found = report.first_divergence
    assert found is not None
    assert (found.step, found.leaf) == (row, name)


def test_a_changed_action_is_found_and_the_other_lanes_go_on(path: Path) -> None:
    record(cartpoles(), path)
    tamper_lane(path, "actions", 1, 5, lambda action: 1 - action)
    report = h5r.verify(path)
    found = report.first_divergence
    assert found is not None
    assert (found.episode, found.step, found.leaf) == (1, 6, "observations[1]")  # the speed, one step later
    assert report.episodes[0].ok


def test_a_tolerance_is_given_to_all_lanes(path: Path) -> None:
    record_shared(path, AutoresetMode.NEXT_STEP)
    tamper_lane(path, "observations", 0, 1, lambda values: values + 1e-9)
    report = h5r.verify(path, env=lambda: SharedLanes(AutoresetMode.NEXT_STEP), atol=1e-6)
    assert {each.verdict for each in report.episodes} == {Verdict.CLOSE}


class Broken(SharedLanes):
    """Raises an error at a step."""

    steps_left = 12

    def step(self, actions: Any) -> Any:
        self.steps_left -= 1
        if not self.steps_left:
            raise RuntimeError("it broke")
        return super().step(actions)


def test_an_error_of_the_environment_is_a_difference_of_the_running_episodes(path: Path) -> None:
    record_shared(path, AutoresetMode.NEXT_STEP)
    report = h5r.verify(path, env=lambda: Broken(AutoresetMode.NEXT_STEP))
    diverged = [each for each in report.episodes if each.verdict is Verdict.DIVERGED]
    assert {each.divergence and each.divergence.message for each in diverged} == {
        "actions: the environment raised RuntimeError('it broke')"
    }
    assert 1 <= len(diverged) <= 3
    after = report.episodes[-1]
    assert after.verdict is Verdict.NOT_REPLAYABLE
    assert after.reason == "the vector environment raised RuntimeError('it broke') before it"


class Closed(SharedLanes):
    """Raises an error at every reset."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        raise RuntimeError("closed")


def test_an_error_at_the_reset_is_a_difference_of_the_first_episodes(path: Path) -> None:
    record_shared(path, AutoresetMode.NEXT_STEP)
    report = h5r.verify(path, env=lambda: Closed(AutoresetMode.NEXT_STEP))
    assert report.count(Verdict.DIVERGED) == 3
    assert report.first_divergence is not None
    assert report.first_divergence.leaf == "reset"


class Boxed(VectorWrapper[Any, Any, Any, Any, Any]):
    """Adds an object that has no exact form to the infos."""

    def step(self, actions: Any) -> Any:
        *outcome, infos = self.env.step(actions)
        boxes = np.empty(self.num_envs, object)
        boxes[:] = [frozenset([Path("a")])] * self.num_envs
        return *outcome, {**infos, "box": boxes}


@pytest.mark.filterwarnings("ignore::gym_h5record.errors.RecordingWarning")
def test_values_that_are_only_text_prove_nothing(path: Path) -> None:
    def make() -> Any:
        return Boxed(SharedLanes(AutoresetMode.NEXT_STEP))

    record_shared(path, AutoresetMode.NEXT_STEP, 6, make=lambda mode: make())
    report = h5r.verify(path, env=make)
    assert report.count(Verdict.UNPROVEN) >= 3
    assert "only text of infos/box" in report.episodes[0].reason
    assert h5r.verify(path, env=make, ignore="box").ok


# What cannot be run again -------------------------------------------------------------------------


def test_lanes_that_were_not_recorded_are_missed_by_the_others(path: Path) -> None:
    record(cartpoles(), path, lanes=[0, 2])
    assert reasons(h5r.verify(path)) == {"lane 1, which was stepped together with it, was not recorded"}


def test_without_seeds_the_generators_are_not_known(path: Path) -> None:
    record(cartpoles(), path, seed=None)
    assert reasons(h5r.verify(path)) == {
        "no reset of all lanes up to it was given seeds, so the generators of CartPoleVectorEnv are not known"
    }


def test_a_later_reset_with_seeds_begins_what_can_be_run(path: Path) -> None:
    envs = h5r.vector.RecordToHDF5(cartpoles(), path, writer="inline")
    envs.reset()
    for seed in (5, None):
        for _ in range(4):
            envs.step(envs.action_space.sample())
        envs.reset(seed=seed)
    envs.close()
    verdicts = [each.verdict for each in h5r.verify(path).episodes]
    assert verdicts == [Verdict.NOT_REPLAYABLE] * 3 + [Verdict.EXACT] * 6


class Steady(SharedLanes):
    """Draws its numbers from a generator that no reset changes."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        self._np_random = self._np_random or np.random.default_rng(5)
        return super().reset(options=options)


def test_without_seeds_what_is_the_same_each_time_is_exact(path: Path) -> None:
    record_shared(path, AutoresetMode.NEXT_STEP, make=Steady, seed=None)
    check_all_exact(path, lambda: Steady(AutoresetMode.NEXT_STEP))


def test_without_seeds_an_error_of_the_environment_only_says_that_generators_differ(path: Path) -> None:
    record_shared(path, AutoresetMode.NEXT_STEP, seed=None)
    found = reasons(h5r.verify(path, env=lambda: Closed(AutoresetMode.NEXT_STEP)))
    assert found == {"no reset of all lanes up to it was given seeds, so the generators of SharedLanes are not known"}


def test_without_times_a_difference_may_come_from_the_assumed_places_of_resets(path: Path) -> None:
    record_shared(path, AutoresetMode.DISABLED, 8, times=False)
    assert h5r.verify(path, env=lambda: SharedLanes(AutoresetMode.DISABLED)).ok
    tamper_lane(path, "rewards", 0, 0, lambda reward: reward + 1)
    report = h5r.verify(path, env=lambda: SharedLanes(AutoresetMode.DISABLED))
    assert report.episodes[0].verdict is Verdict.DIVERGED
    assert report.episodes[0].reason.startswith("times were not recorded")


def test_episodes_that_a_trigger_left_out_are_missed_from_there_on(path: Path) -> None:
    record(cartpoles(), path, episode_trigger=lambda episode_id: episode_id != 1)
    report = h5r.verify(path)
    assert [each.verdict for each in report.episodes[:1]] == [Verdict.EXACT]
    left = [each for each in report.episodes if each.verdict is Verdict.NOT_REPLAYABLE]
    assert left
    with h5r.Recording(path) as recording:
        lane = recording[0].env
    assert {each.reason for each in left} == {
        f"the file lacks episodes of lane {lane} after episode 0, which a trigger or a discard has left out"
    }


def test_a_lane_without_episodes_is_missed_by_the_others(path: Path) -> None:
    envs = h5r.vector.RecordToHDF5(cartpoles(2), path, writer="inline")
    envs.reset(seed=1)
    envs.step(np.array([0, 1]))
    envs.discard_episode(lanes=[1])
    envs.close()
    assert reasons(h5r.verify(path)) == {"the file lacks episodes of lane 1, which was run together with it"}


@pytest.mark.filterwarnings("ignore::gym_h5record.errors.RecordingWarning")
def test_reset_options_that_are_only_text_cannot_be_given_again(path: Path) -> None:
    envs = h5r.vector.RecordToHDF5(SharedLanes(AutoresetMode.NEXT_STEP), path, writer="inline")
    envs.reset(seed=1, options={"place": Path("a")})
    envs.step(np.array([0, 1, 2]))
    envs.close()
    found = reasons(h5r.verify(path, env=lambda: SharedLanes(AutoresetMode.NEXT_STEP)))
    assert len(found) == 1
    assert "reset options without an exact form" in found.pop()


def test_a_branch_of_one_lane_is_refused_with_the_reason(path: Path) -> None:
    record(cartpoles(), path)
    with pytest.raises(NotReplayableError, match="a branch is a single environment, but CartPoleVectorEnv steps 3"):
        h5r.branch(path, episode=0, step=1)


def test_another_number_of_environments_is_refused(path: Path) -> None:
    record(cartpoles(), path)
    with pytest.raises(EnvMismatchError, match="has 2 environments, 3 were recorded"):
        h5r.verify(path, env=lambda: cartpoles(2))
