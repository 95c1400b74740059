"""Lanes with environments of their own are run again one by one, as recordings of single environments are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

import gym_h5record as h5r
from gym_h5record import Verdict
from gym_h5record.values.exact import identical
from tests.replay.shared_lanes import play_lanes, tamper_lane

MODES = list(AutoresetMode)
MODE_IDS = [mode.name for mode in MODES]


def record(path: Path, env_id: str, mode: AutoresetMode, how: str, seed: int | None = 7, **options: Any) -> Path:
    envs = gym.make_vec(env_id, num_envs=2, vectorization_mode=how, vector_kwargs={"autoreset_mode": mode})
    recorded = h5r.vector.RecordToHDF5(envs, path, writer="inline", compression=None, **options)
    play_lanes(recorded, mode, 45, seed)
    recorded.close()
    return path


@pytest.mark.sampled(5)
@pytest.mark.parametrize("env_id", ["CartPole-v1", "FrozenLake-v1"])
@pytest.mark.parametrize("mode", MODES, ids=MODE_IDS)
@pytest.mark.parametrize("how", ["sync", "async"])
def test_every_lane_is_exact(how: str, mode: AutoresetMode, env_id: str, tmp_path: Path) -> None:
    path = record(tmp_path / "a.h5", env_id, mode, how)
    report = h5r.verify(path)
    assert {each.verdict for each in report.episodes} == {Verdict.EXACT}
    assert report.num_episodes > 2
    with h5r.Recording(path) as recording:
        assert report.num_steps == recording.num_steps
        known = [episode.seed is not None or bool(episode.snapshot) for episode in recording]
    assert [each.independent for each in report.episodes] == known
    if how == "sync" and mode is not AutoresetMode.SAME_STEP:  # there the recorder is called before every reset
        assert all(known)


@pytest.mark.parametrize("mode", MODES, ids=MODE_IDS)
@pytest.mark.parametrize("how", ["sync", "async"])
def test_a_branch_is_the_environment_of_the_lane_at_the_step(how: str, mode: AutoresetMode, tmp_path: Path) -> None:
    path = record(tmp_path / "a.h5", "CartPole-v1", mode, how)
    with h5r.Recording(path) as recording:
        episode = next(each for each in recording if each.seed is None and each.env == 1 and each.length > 5)
        env, observation, _ = h5r.branch(path, episode=episode.number, step=3)
        assert np.array_equal(observation, episode.observations[3])
        for step in range(3, episode.length):
            observation, *_ = env.step(episode.actions[step])
            assert np.array_equal(observation, episode.observations[step + 1])
        env.close()


def test_lanes_that_were_never_seeded_are_exact_by_their_snapshots(tmp_path: Path) -> None:
    report = h5r.verify(record(tmp_path / "a.h5", "CartPole-v1", AutoresetMode.NEXT_STEP, "sync", seed=None))
    assert report.ok
    assert all(each.independent for each in report.episodes)


def test_a_lane_alone_is_enough(tmp_path: Path) -> None:
    report = h5r.verify(record(tmp_path / "a.h5", "FrozenLake-v1", AutoresetMode.SAME_STEP, "sync", lanes=[1]))
    assert report.ok
    assert report.num_episodes > 1


def test_a_changed_action_is_found_in_its_lane_only(tmp_path: Path) -> None:
    path = record(tmp_path / "a.h5", "CartPole-v1", AutoresetMode.NEXT_STEP, "sync")
    tamper_lane(path, "actions", 2, 4, lambda action: 1 - action)
    report = h5r.verify(path)
    assert [each.episode for each in report.episodes if not each.ok] == [2]
    found = report.first_divergence
    assert found is not None
    assert (found.step, found.leaf) == (5, "observations[1]")


def test_statistics_around_all_lanes_are_left_out_and_said_to_be(tmp_path: Path) -> None:
    def make() -> Any:
        envs = gym.make_vec("CartPole-v1", num_envs=2, vectorization_mode="sync")
        return gym.wrappers.vector.RecordEpisodeStatistics(envs)

    envs = h5r.vector.RecordToHDF5(make(), tmp_path / "a.h5", writer="inline")
    play_lanes(envs, AutoresetMode.NEXT_STEP, 45, seed=7)
    envs.close()
    alone, together = h5r.verify(tmp_path / "a.h5"), h5r.verify(tmp_path / "a.h5", env=make)
    assert alone.ok
    assert together.ok
    assert all(each.independent for each in alone.episodes)
    assert not any(each.independent for each in together.episodes)
    assert [sentence[:29] for sentence in alone.not_compared] == ["infos/episode is not compared"]
    assert together.not_compared == ()
    env, observation, _ = h5r.branch(tmp_path / "a.h5", episode=2, step=1)
    with h5r.Recording(tmp_path / "a.h5") as recording:
        assert identical(observation, recording[2].observations[1])
    env.close()


def test_each_lane_is_counted_in_the_progress(tmp_path: Path) -> None:
    path = record(tmp_path / "a.h5", "CartPole-v1", AutoresetMode.NEXT_STEP, "sync")
    done: list[tuple[int, int]] = []
    total = h5r.verify(path, on_progress=lambda *counts: done.append(counts)).num_episodes
    assert done == [(number, total) for number in range(1, total + 1)]


def test_workers_share_the_episodes_of_all_lanes(tmp_path: Path) -> None:
    path = record(tmp_path / "a.h5", "CartPole-v1", AutoresetMode.NEXT_STEP, "sync")
    tamper_lane(path, "rewards", 3, 2, lambda reward: reward + 1)
    assert h5r.verify(path, workers=2) == h5r.verify(path)
