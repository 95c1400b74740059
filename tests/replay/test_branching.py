"""``branch``: the environment at a recorded step goes on exactly as the recording did."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import ale_py
import gymnasium as gym
import numpy as np
import pytest
from gymnasium import wrappers

import gym_h5record as h5r
from gym_h5record import errors
from gym_h5record.format.nodes import Stack
from gym_h5record.values.exact import identical
from tests.recorder.snapshots.nested_envs import FOUND, Concealed, Replacing
from tests.replay.recordings import play, record, tamper

gym.register_envs(ale_py)

GAMES = ("Breakout", "Pong", "Qbert", "SpaceInvaders", "MsPacman")


@pytest.fixture
def acrobot(tmp_path: Path) -> Path:
    return record(gym.make("Acrobot-v1"), tmp_path / "run.h5", None)


def check_goes_on(env: Any, observation: Any, info: Any, episode: h5r.Episode, step: int) -> None:
    """Fail unless an environment at a step of an episode goes on as the episode did."""
    assert identical(observation, episode.observations[step])
    assert episode.infos is not None
    assert identical(info, episode.infos[step])
    for at in range(step, episode.length):
        observation, reward, terminated, truncated, info = env.step(episode.actions[at])
        assert identical(observation, episode.observations[at + 1])
        assert identical(
            (reward, terminated, truncated), (episode.rewards[at], episode.terminations[at], episode.truncations[at])
        )
        assert identical(info, episode.infos[at + 1])


@pytest.mark.sampled(2)
@pytest.mark.parametrize("game", GAMES)
def test_at_random_steps_of_a_game_it_goes_on_as_the_recording_did(game: str, tmp_path: Path) -> None:
    path = record(gym.make(f"ALE/{game}-v5", obs_type="ram"), tmp_path / "run.h5", None)
    rng = np.random.default_rng(4)
    with h5r.Recording(path) as recording:
        for _ in range(2):
            episode = recording.episodes[int(rng.integers(3))]
            step = int(rng.integers(episode.length + 1))
            env, observation, info = h5r.branch(path, episode.number, step)
            check_goes_on(env, observation, info, episode, step)
            env.close()


def test_stacked_pictures_go_on_as_the_recording_did_and_are_verified(tmp_path: Path) -> None:
    def make() -> gym.Env[Any, Any]:
        env = wrappers.AtariPreprocessing(gym.make("ALE/Breakout-v5", frameskip=1), noop_max=30)
        return wrappers.FrameStackObservation(env, 4)

    path = record(make(), tmp_path / "run.h5", None)
    with h5r.Recording(path) as recording:
        assert isinstance(recording.schema.observation, Stack)
        for number, step in ((0, 2), (2, 11)):
            episode = recording.episodes[number]
            env, observation, info = h5r.branch(path, number, step)
            branched = h5r.RecordToHDF5(env, tmp_path / f"branch{number}.h5", writer="inline")
            check_goes_on(env, observation, info, episode, step)
            branched.close()
    assert h5r.verify(path).ok


@pytest.mark.parametrize("step", [0, 7, 25])
def test_from_the_first_to_the_last_step(step: int, acrobot: Path) -> None:
    with h5r.Recording(acrobot) as recording:
        env, observation, info = h5r.branch(acrobot, -1, step)
        check_goes_on(env, observation, info, recording.episodes[-1], step)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Box2D does not survive one that is an error
def test_where_the_past_matters_it_goes_there_through_all_of_it(tmp_path: Path) -> None:
    path = record(gym.make("BipedalWalker-v3"), tmp_path / "run.h5")
    with h5r.Recording(path) as recording:
        env, observation, info = h5r.branch(path, 2, 9)
        check_goes_on(env, observation, info, recording.episodes[2], 9)


def test_two_branches_may_go_different_ways(acrobot: Path) -> None:
    left, observation, _ = h5r.branch(acrobot, 1, 5)
    right, same, _ = h5r.branch(acrobot, 1, 5)
    assert identical(observation, same)
    assert not identical(left.step(0)[0], right.step(2)[0])


def test_time_limits_count_the_steps_that_are_behind(tmp_path: Path) -> None:
    path = record(gym.make("MountainCar-v0", max_episode_steps=20), tmp_path / "run.h5")
    env, _, _ = h5r.branch(path, 0, 18)
    assert [env.step(0)[3] for _ in range(2)] == [False, True]


def test_what_is_recorded_from_there_says_where_it_comes_from(acrobot: Path, tmp_path: Path) -> None:
    env, observation, info = h5r.branch(acrobot, 1, 5)
    child = tmp_path / "child.h5"
    recorder = h5r.RecordToHDF5(env, child, writer="inline")
    assert identical(recorder.reset(), (observation, info))
    recorder.step(1)
    recorder.reset(seed=3)
    recorder.step(1)
    recorder.close()
    with h5r.Recording(acrobot) as parent, h5r.Recording(child) as recording:
        assert recording.metadata["recording_parent"] == {
            "path": str(acrobot),
            "run_id": parent.metadata["run_id"],
            "episode": 1,
            "step": 5,
        }
        assert identical(recording.episodes[0].observations[0], parent.episodes[1].observations[5])
        assert recording.env_spec == parent.env_spec
        assert recording.episodes[0].snapshot == {}
        assert recording.episodes[1].snapshot
    assert h5r.validate(child, deep=True) == []


def test_a_branch_of_a_branch_is_verified_through_both(acrobot: Path, tmp_path: Path) -> None:
    parent = acrobot
    for generation in range(2):
        env, _, _ = h5r.branch(parent, 0, 4)
        parent = tmp_path / f"{generation}.h5"
        recorder = h5r.RecordToHDF5(env, parent, writer="inline")
        play(recorder, (10, 5), seed=None)
        recorder.close()
    assert h5r.verify(parent).ok


def test_a_seed_asks_for_a_reset_and_gets_one(acrobot: Path) -> None:
    env, observation, _ = h5r.branch(acrobot, 1, 5)
    assert not identical(env.reset(seed=1)[0], observation)


@pytest.mark.parametrize(("episode", "step"), [(3, 0), (-4, 0), (1, 13), (1, -1)])
def test_a_step_that_there_is_not_is_an_error(episode: int, step: int, acrobot: Path) -> None:
    with pytest.raises(errors.OptionError, match=r"run\.h5 has 3 episodes|episode 1 has 12 steps"):
        h5r.branch(acrobot, episode, step)


def test_an_environment_that_goes_elsewhere_is_an_error_that_says_where(acrobot: Path) -> None:
    tamper(acrobot, "actions", 1, 4, lambda action: (action + 1) % 3)
    with pytest.raises(errors.DivergedError, match=r"not where .* was: episode 1, step 5, observations"):
        h5r.branch(acrobot, 1, 6)
    env, _, _ = h5r.branch(acrobot, 1, 4, lookahead_steps=0)
    env.close()


def test_an_environment_that_is_passed_is_used_and_left_open(acrobot: Path) -> None:
    mine = gym.make("Acrobot-v1")
    env, _, _ = h5r.branch(acrobot, 0, 3, env=mine)
    assert env.unwrapped is mine.unwrapped
    with pytest.raises(errors.EnvMismatchError):
        h5r.branch(acrobot, 0, 3, env=gym.make("CartPole-v1"))


def test_without_snapshots_it_goes_there_from_the_seed(tmp_path: Path) -> None:
    path = record(gym.make("Acrobot-v1"), tmp_path / "run.h5", snapshots=False)
    with h5r.Recording(path) as recording:
        env, observation, info = h5r.branch(path, 2, 4)
        check_goes_on(env, observation, info, recording.episodes[2], 4)
    unseeded = record(gym.make("Acrobot-v1"), tmp_path / "unseeded.h5", None, snapshots=False)
    with pytest.raises(errors.NotReplayableError, match="neither a seed nor a snapshot"):
        h5r.branch(unseeded, 1, 4)


def test_another_recording_in_the_place_of_the_parent_is_noticed(acrobot: Path, tmp_path: Path) -> None:
    env, _, _ = h5r.branch(acrobot, 1, 5)
    recorder = h5r.RecordToHDF5(env, tmp_path / "child.h5", writer="inline")
    play(recorder, (5,), seed=None)
    recorder.close()
    record(gym.make("Acrobot-v1"), acrobot, mode="w")
    report = h5r.verify(tmp_path / "child.h5")
    assert report.episodes[0].verdict is h5r.Verdict.NOT_REPLAYABLE
    assert "or has been replaced by another recording" in report.episodes[0].reason


def test_what_shows_in_rewards_only_leads_through_all_episodes_before(tmp_path: Path) -> None:
    path = record(wrappers.NormalizeReward(gym.make("Pendulum-v1")), tmp_path / "run.h5")
    with h5r.Recording(path) as recording:
        for step in (0, 10):
            env, observation, info = h5r.branch(path, 2, step)
            check_goes_on(env, observation, info, recording.episodes[2], step)


class Drifting(gym.Wrapper[Any, Any, Any, Any]):
    """Rewards grow with the number of all steps so far, over all episodes; no info shows it."""

    steps = 0

    def step(self, action: Any) -> Any:
        self.steps += 1
        observation, reward, *rest = self.env.step(action)
        return observation, float(reward) + self.steps, *rest


def test_a_difference_on_the_way_leads_through_all_episodes_before(tmp_path: Path) -> None:
    path = record(Drifting(gym.make("Pendulum-v1")), tmp_path / "run.h5")
    with h5r.Recording(path) as recording:
        env, observation, info = h5r.branch(path, 2, 10, env=lambda: Drifting(gym.make("Pendulum-v1")))
        check_goes_on(env, observation, info, recording.episodes[2], 10)


class Clock(gym.Wrapper[Any, Any, Any, Any]):
    """Tells the time of day."""

    def step(self, action: Any) -> Any:
        *rest, info = self.env.step(action)
        return *rest, {**info, "time": time.perf_counter()}


def test_what_tells_the_time_can_be_left_out(tmp_path: Path) -> None:
    path = record(Clock(gym.make("Pendulum-v1")), tmp_path / "run.h5")

    def make() -> gym.Env[Any, Any]:
        return Clock(gym.make("Pendulum-v1"))

    with pytest.raises(errors.DivergedError, match="infos/time"):
        h5r.branch(path, 1, 5, env=make)
    h5r.branch(path, 1, 5, env=make, ignore=["time"])[0].close()
    env = h5r.ResetFromRecording(make(), path, ignore=["time"])
    env.reset(seed=1)
    env.close()
    report = h5r.evaluate(lambda _: np.zeros(1), path, closed_loop=True, env=make, ignore=["time"], max_steps=3)
    assert [each.reason for each in report.episodes] == ["", "", ""]


@pytest.mark.parametrize("first", ["step", "seeded reset", "reset with options", "reset that is not recorded"])
def test_a_recording_that_begins_after_a_branch_has_been_moved_on_is_no_continuation(
    first: str, acrobot: Path, tmp_path: Path
) -> None:
    env = h5r.branch(acrobot, 1, np.int64(2))[0]
    if first == "step":
        env.step(0)
    path = tmp_path / "more.h5"
    trigger = (lambda number: number > 0) if first == "reset that is not recorded" else None
    recorder = h5r.RecordToHDF5(env, path, writer="inline", episode_trigger=trigger)
    options: Any = {"seeded reset": {"seed": 3}, "reset with options": {"options": {}}}.get(first, {})
    recorder.reset(**options)
    play(recorder, seed=None)
    recorder.close()
    report = h5r.verify(path)
    assert report.ok, report
    assert all(each.independent for each in report.episodes)


class Dice(gym.Env[Any, Any]):
    """Keeps its state in an attribute that only DiceProvider knows."""

    observation_space = gym.spaces.Discrete(1 << 40)
    action_space = gym.spaces.Discrete(2)
    thrown = 1

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        self.thrown = self.thrown * 48271 % 2147483647
        return np.int64(self.thrown), {"time": time.perf_counter()}

    def step(self, action: Any) -> Any:
        return np.int64(self.thrown), 1.0, False, False, {}


class DiceProvider:
    name = "dice"

    def take(self, env: gym.Env[Any, Any]) -> bytes | None:
        return str(env.unwrapped.thrown).encode() if isinstance(env.unwrapped, Dice) else None

    def restore(self, env: gym.Env[Any, Any], state: bytes) -> None:
        env.unwrapped.thrown = int(state)  # type: ignore[attr-defined]


def test_a_branch_of_a_branch_is_reached_with_the_users_provider_and_what_he_leaves_out(tmp_path: Path) -> None:
    means: Any = {"snapshots": [DiceProvider()], "ignore": "time"}
    path = record(Dice(), tmp_path / "run.h5", snapshots=[DiceProvider()])
    child = tmp_path / "child.h5"
    with h5r.RecordToHDF5(h5r.branch(path, 2, 3, env=Dice, **means)[0], child, writer="inline") as recorder:
        observation, _ = recorder.reset()
        recorder.step(0)
        recorder.step(1)
    env, there, _ = h5r.branch(child, 0, 1, env=Dice, **means)
    assert there == observation
    env.close()
    assert h5r.verify(child, env=Dice, **means).ok


# After the step -------------------------------------------------------------------------------------


@pytest.mark.sampled(5)
@pytest.mark.parametrize("seed", [7, None], ids=["seeded first", "never seeded"])
@pytest.mark.parametrize("make_env", FOUND)
def test_generators_inside_objects_go_on_as_the_recording_did(make_env: Any, seed: int | None, tmp_path: Path) -> None:
    path = record(make_env(), tmp_path / "run.h5", seed)
    with h5r.Recording(path) as recording:
        for number, step in ((1, 3), (2, 7)):
            env, observation, info = h5r.branch(path, number, step, env=make_env)
            check_goes_on(env, observation, info, recording.episodes[number], step)
            assert "in_sequence" not in env.recording_parent


def test_hidden_state_that_shows_only_after_the_step_leads_through_all_episodes_before(tmp_path: Path) -> None:
    path = record(Concealed(), tmp_path / "run.h5")
    env, observation, info = h5r.branch(path, 1, 3, env=Concealed)
    with h5r.Recording(path) as recording:
        check_goes_on(env, observation, info, recording.episodes[1], 3)
    assert env.recording_parent is not None
    assert env.recording_parent["in_sequence"] is True


def test_a_branch_through_all_episodes_before_is_verified_through_them_again(tmp_path: Path) -> None:
    path = record(Concealed(), tmp_path / "run.h5")
    child = tmp_path / "child.h5"
    with h5r.RecordToHDF5(h5r.branch(path, 1, 3, env=Concealed)[0], child, writer="inline") as recorder:
        play(recorder, (7, 10), seed=None)
    report = h5r.verify(child, [0], env=Concealed)
    assert report.ok, report


@pytest.mark.parametrize("lookahead_steps", [1_000, 3, None])
def test_a_branch_that_would_not_go_on_as_recorded_is_an_error_that_says_where_and_what_to_do(
    lookahead_steps: int | None, tmp_path: Path
) -> None:
    path = record(Concealed(), tmp_path / "run.h5", None)
    with pytest.raises(
        errors.DivergedError,
        match=r"taken to step 3 of episode 1, but .* was recorded: episode 1, step 6, observations.*"
        r"SnapshotProvider, snapshots=\[\.\.\.\].*ignore=.*lookahead_steps=0",
    ):
        h5r.branch(path, 1, 3, env=Concealed, lookahead_steps=lookahead_steps)


@pytest.mark.parametrize(
    ("make_env", "step", "lookahead_steps", "envs"),
    [(Concealed, 3, 0, 1), (Concealed, 3, 2, 2), (Replacing, 3, None, 2), (Replacing, 10, None, 1)],
    ids=["none wanted", "two wanted", "all wanted", "none behind the end"],
)
def test_no_more_steps_are_compared_than_are_wanted(
    make_env: Any, step: int, lookahead_steps: int | None, envs: int, tmp_path: Path
) -> None:
    path = record(make_env(), tmp_path / "run.h5", None)
    made = []

    def make() -> gym.Env[Any, Any]:
        made.append(make_env())
        return made[-1]

    env, _, _ = h5r.branch(path, 0, step, env=make, lookahead_steps=lookahead_steps)
    assert len(made) == envs
    assert env.unwrapped is made[-1]
    assert made[-1].steps == step


def test_an_environment_that_is_passed_is_stepped_no_further(tmp_path: Path) -> None:
    path = record(Concealed(), tmp_path / "run.h5", None)
    mine = Concealed()
    assert h5r.branch(path, 1, 3, env=mine)[0].unwrapped is mine
    assert mine.steps == 3


def test_the_places_that_an_environment_lacks_are_named(tmp_path: Path) -> None:
    path = record(Replacing(), tmp_path / "run.h5", None)
    with pytest.raises(errors.DivergedError, match=r"no place for recorded generators: game\.rng\. "):
        h5r.branch(path, 0, 3, env=Concealed)


def test_an_action_after_the_step_that_cannot_be_taken_again_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    with (
        h5r.RecordToHDF5(Replacing(), path, writer="inline") as env,
        pytest.warns(errors.RecordingWarning, match="actions"),
    ):
        env.reset()
        env.step(0)
        env.step(object())
        env.step(0)
    h5r.branch(path, 0, 1, env=Replacing)[0].close()
    with pytest.raises(errors.NotReplayableError, match="an action without an exact form"):
        h5r.branch(path, 0, 2, env=Replacing)


def test_a_number_of_steps_below_zero_is_an_error(acrobot: Path) -> None:
    with pytest.raises(errors.OptionError, match="lookahead_steps=-1: expected 0 or more, or None"):
        h5r.branch(acrobot, 0, 3, lookahead_steps=-1)
