"""``Rerun``: an environment is reset and stepped as the recorded agent did."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import gym_h5record as h5r
from gym_h5record import errors
from gym_h5record.recorder.snapshots.snapshot_set import make_snapshot_set
from gym_h5record.replay.rerun import Outcome, Rerun, missing_clause
from gym_h5record.values.differences import ABSENT
from gym_h5record.values.exact import identical
from tests.recorder.snapshots.nested_envs import Holder, MakesItsGame, NestedEnv
from tests.replay.recordings import record


class Mood(Enum):
    CALM = 1


class Watched(gym.Env[Any, Any]):
    """Keeps the arguments of its calls, and changes its actions."""

    observation_space = gym.spaces.Discrete(9)
    action_space = gym.spaces.MultiDiscrete([3, 3])

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.calls.append((seed, options))
        return np.int64(0), {}

    def step(self, action: Any) -> Any:
        self.calls.append(action.tolist())
        action += 1
        return np.int64(1), 0.5, False, len(self.calls) % 3 == 0, {"calls": len(self.calls)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with h5r.RecordToHDF5(Watched(), tmp_path / "run.h5", writer="inline", snapshots=False) as env:
        env.reset(seed=4, options={"level": 2})
        for action in ([0, 1], [1, 0], [1, 1]):  # the episode ends with the second step
            env.step(np.array(action))
        env.reset()
        env.step(np.array([0, 0]))
    return tmp_path / "run.h5"


def test_seeds_options_and_actions_are_given_as_they_were_recorded(path: Path) -> None:
    with h5r.Recording(path) as recording:
        env = Watched()
        rerun = Rerun(recording, env, make_snapshot_set(()))
        episode = recording.episodes[0]
        assert rerun.last is None
        begun = rerun.begin(episode, restore=True)
        assert begun == Outcome(np.int64(0), {}, ABSENT, None)
        outcome = rerun.step(episode.actions[0])
        assert outcome == Outcome(np.int64(1), {"calls": 2}, ABSENT, (0.5, False, False))
        assert rerun.last is outcome
        assert env.calls == [(4, {"level": 2}), [0, 1]]


def test_an_environment_that_changes_its_actions_does_not_change_the_callers(path: Path) -> None:
    with h5r.Recording(path) as recording:
        rerun, action = Rerun(recording, Watched(), make_snapshot_set(())), np.array([1, 1])
        rerun.begin(recording.episodes[0], restore=True)
        rerun.step(action)
        assert action.tolist() == [1, 1]


def test_an_episode_without_a_reset_goes_on_from_the_last_step(path: Path) -> None:
    with h5r.Recording(path) as recording:
        env = Watched()
        rerun = Rerun(recording, env, make_snapshot_set(()))
        rerun.play(recording.episodes[:1], restore_all=False)
        last = rerun.last
        assert rerun.begin(recording.episodes[1], restore=False) is last
        rerun.play(recording.episodes[1:], restore_all=False)
        assert env.calls == [(4, {"level": 2}), [0, 1], [1, 0], [1, 1], (None, None), [0, 0]]


@pytest.mark.parametrize("restore_all", [True, False])
def test_whole_episodes_are_played_with_the_snapshot_of_the_first_or_of_all(restore_all: bool, tmp_path: Path) -> None:
    path = record(gym.make("Acrobot-v1"), tmp_path / "run.h5", None)
    with h5r.Recording(path) as recording:
        rerun = Rerun(recording, gym.make("Acrobot-v1"), make_snapshot_set(()))
        episodes = recording.episodes[0:3:2]  # the generators at the second one are not those at the end of the first
        rerun.play(episodes, restore_all=restore_all)
        assert rerun.last is not None
        assert identical(rerun.last.observation, episodes[1].observations[-1]) == restore_all


class CountingResets(MakesItsGame):
    """Keeps the arguments of its resets."""

    def __init__(self) -> None:
        self.resets: list[Any] = []

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        self.resets.append((seed, options))
        return super().reset(seed=seed, options=options)


def test_a_place_that_an_earlier_reset_had_made_is_made_by_one_more_reset(tmp_path: Path) -> None:
    with h5r.RecordToHDF5(CountingResets(), tmp_path / "run.h5", writer="inline") as env:
        env.reset(seed=3)
        env.reset(options={"level": 2})
    with h5r.Recording(tmp_path / "run.h5") as recording:
        inner = CountingResets()
        rerun = Rerun(recording, inner, make_snapshot_set(()))
        rerun.begin(recording.episodes[1], restore=True)
        assert inner.resets == [(None, {"level": 2})] * 2
        assert rerun.missing == []
        rerun.begin(recording.episodes[1], restore=True)
        assert len(inner.resets) == 3
        rerun.begin(recording.episodes[0], restore=True)
        assert inner.resets[3:] == [(3, None)]


def test_places_that_the_environment_still_lacks_are_named_the_first_three(tmp_path: Path) -> None:
    env: Any = NestedEnv()
    env.games = [Holder(rng=np.random.default_rng(number)) for number in range(4)]
    with h5r.Recording(record(env, tmp_path / "run.h5", None)) as recording:
        rerun = Rerun(recording, NestedEnv(), make_snapshot_set(()))
        assert missing_clause(rerun) == ""
        rerun.begin(recording.episodes[1], restore=True)
        assert sorted(rerun.missing) == [f"games[{number}].rng" for number in range(4)]
        shown = ", ".join(rerun.missing[:3])
        assert missing_clause(rerun) == f"the environment has no place for recorded generators: {shown}, ..."


def test_pictures_are_rendered_if_the_recorder_rendered_them(tmp_path: Path) -> None:
    for frames, is_rendered in (("render", True), (False, False)):
        env = gym.make("CartPole-v1", render_mode="rgb_array")
        path = record(env, tmp_path / f"{frames}.h5", frames=frames)
        with h5r.Recording(path) as recording:
            rerun = Rerun(recording, env, make_snapshot_set(()))
            frame = rerun.begin(recording.episodes[0], restore=True).frame
            assert (frame is not ABSENT) == is_rendered
            if is_rendered:
                assert identical(frame, recording.episodes[0].frames[0])  # type: ignore[index]


def test_options_that_the_file_has_only_as_text_are_not_given_to_a_reset(tmp_path: Path) -> None:
    with h5r.RecordToHDF5(Watched(), tmp_path / "run.h5", writer="inline") as env:
        with pytest.warns(errors.RecordingWarning, match="else its repr"):
            env.reset(seed=1, options={"mood": Mood.CALM})
        env.step(np.array([0, 0]))
    with h5r.Recording(tmp_path / "run.h5") as recording:
        inner = Watched()
        with pytest.raises(errors.NotReplayableError, match="was given reset options without an exact form: .*CALM"):
            Rerun(recording, inner, make_snapshot_set(())).begin(recording.episodes[0], restore=True)
        assert inner.calls == []
