"""``verify``: its verdicts, the place of a divergence, and the reasons it gives."""

from __future__ import annotations

import os
from collections import OrderedDict, deque
from enum import Enum, IntEnum
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import pytest

import gym_h5record as h5r
from gym_h5record import errors
from tests.paintings import FRAMES, Painter, record_paintings
from tests.recorder.snapshots.nested_envs import FOUND, Concealed, MakesItsGame, Replacing
from tests.replay.recordings import LENGTHS, play, record, tamper


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.h5"


@pytest.fixture
def acrobot(path: Path) -> Path:
    return record(gym.make("Acrobot-v1"), path)


class Wanderer(gym.Env[Any, Any]):
    """Keeps its place across resets, so that every episode depends on those before it."""

    observation_space = gym.spaces.Box(-np.inf, np.inf, (1,), np.float64)
    action_space = gym.spaces.Discrete(3)
    place = 0.0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        return np.array([self.place]), {}

    def step(self, action: Any) -> Any:
        self.place += float(action) + self.np_random.random()
        return np.array([self.place]), self.place, False, False, {}


class Drifting(gym.Env[Any, Any]):
    """A simulator that is not exact: each instance has another error."""

    observation_space = gym.spaces.Box(-np.inf, np.inf, (1,), np.float64)
    action_space = gym.spaces.Discrete(3)
    instances = 0

    def __init__(self) -> None:
        type(self).instances += 1
        self.error = 1e-9 * self.instances

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        return np.array([self.error]), {}

    def step(self, action: Any) -> Any:
        return np.array([float(action) + self.error]), 1.0, False, False, {}


class TwoPartError(Exception):
    """An error that cannot be unpickled."""

    def __init__(self, one: Any, other: Any) -> None:
        super().__init__(f"{one} {other}")


class Raising(Wanderer):
    """Raises at every reset if ``is_broken``."""

    def __init__(self, *, is_broken: bool = True) -> None:
        self.is_broken = is_broken

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        if self.is_broken:
            raise TwoPartError(1, 2)
        return super().reset(seed=seed)


def end_the_process() -> gym.Env[Any, Any]:
    os._exit(3)


# Exact --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [7, None], ids=["seeded", "never seeded"])
def test_every_episode_is_exact_on_its_own(seed: int | None, path: Path) -> None:
    report = h5r.verify(record(gym.make("Acrobot-v1"), path, seed))
    assert report.ok
    assert [each.verdict for each in report.episodes] == [h5r.Verdict.EXACT] * 3
    assert all(each.independent for each in report.episodes)
    assert report.num_steps == sum(LENGTHS)
    assert report.first_divergence is None
    assert report.differences == ()


def test_frames_are_compared_where_they_were_rendered(path: Path) -> None:
    record(gym.make("CartPole-v1", render_mode="rgb_array"), path, compression=None)
    assert h5r.verify(path).ok
    tamper(path, "frames", 1, 3, lambda frame: frame ^ (np.arange(frame.size).reshape(frame.shape) == 600))
    found = h5r.verify(path).first_divergence
    assert found is not None
    assert (found.episode, found.step, found.leaf[:6]) == (1, 3, "frames")


def test_a_picture_that_is_not_rendered_any_more_is_a_difference(path: Path) -> None:
    class Blind(gym.Wrapper[Any, Any, Any, Any]):
        def render(self) -> Any:
            return None

    record(gym.make("CartPole-v1", render_mode="rgb_array"), path)
    found = h5r.verify(path, env=lambda: Blind(gym.make("CartPole-v1", render_mode="rgb_array"))).first_divergence
    assert found is not None
    assert (found.step, found.leaf, found.found) == (0, "frames", None)


@pytest.mark.parametrize("kind", sorted(FRAMES.keys() - {"cameras"}))
def test_frames_of_every_kind_are_rendered_again_and_compared(kind: str, path: Path) -> None:
    record_paintings(path, (5,), **FRAMES[kind])
    report = h5r.verify(path)
    assert (report.ok, report.num_steps, report.not_compared) == (True, 5, ())
    env: gym.Env[Any, Any] = Painter(kind.removesuffix("_list"), length=5, repaints=4)
    env = gym.wrappers.RenderCollection(env) if kind.endswith("_list") else env
    found = h5r.verify(path, env=env).first_divergence
    assert found is not None
    assert (found.step, found.leaf.partition("[")[0]) == (4, "frames")


def test_pictures_of_cameras_are_not_compared_and_the_report_says_so(path: Path) -> None:
    record_paintings(path, (5,), **FRAMES["cameras"])
    report = h5r.verify(path, env=Painter(length=5, repaints=4))
    assert (report.ok, report.num_steps) == (True, 5)
    assert report.not_compared == ("frames are not compared: the file does not hold the cameras that took them",)
    assert h5r.verify(path).ok  # with the environment that the file names


def test_an_environment_that_does_not_render_the_recorded_frames_is_a_sentence(path: Path) -> None:
    record_paintings(path, (5,), render_mode="ansi")
    with pytest.raises(errors.RenderModeError, match=r"its render_mode is None\. Make it with .*ansi"):
        h5r.verify(path, env=Painter(length=5))


def test_steps_after_the_end_go_on_from_there(path: Path) -> None:
    env = h5r.RecordToHDF5(gym.make("FrozenLake-v1"), path, writer="inline")
    env.action_space.seed(3)
    env.reset(seed=3)
    for _ in range(30):
        env.step(env.action_space.sample())
    env.close()
    with h5r.Recording(path) as recording:
        assert len(recording.episodes) > 1
    report = h5r.verify(path)
    assert report.ok, report
    assert [each.independent for each in report.episodes] == [True] + [False] * (len(report.episodes) - 1)


def test_episodes_without_resets_between_them_are_run_in_one_pass(path: Path) -> None:
    steps = []

    class Counted(gym.Wrapper[Any, Any, Any, Any]):
        def step(self, action: Any) -> Any:
            steps.append(action)
            return super().step(action)

    def make() -> Any:
        return Counted(gym.wrappers.Autoreset(gym.make("CartPole-v1")))

    env = h5r.RecordToHDF5(make(), path, writer="inline")
    env.action_space.seed(3)
    env.reset(seed=3)
    for _ in range(200):
        env.step(env.action_space.sample())
    env.close()
    with h5r.Recording(path) as recording:
        assert len(recording.episodes) > 3
    steps.clear()
    assert h5r.verify(path, env=make).ok
    assert len(steps) == 200
    steps.clear()
    report = h5r.verify(path, env=make, episodes=[3, 1])
    assert [(each.episode, each.verdict) for each in report.episodes] == [(n, h5r.Verdict.EXACT) for n in (3, 1)]
    assert len(steps) < 200
    tamper(path, "rewards", 1, 0, lambda reward: reward + 1)
    found = [each.ok for each in h5r.verify(path, env=make).episodes]
    assert found == [number != 1 for number in range(len(found))]


def test_in_many_processes_it_is_the_same(acrobot: Path) -> None:
    calls: list[tuple[int, int]] = []
    report = h5r.verify(acrobot, workers=2, on_progress=lambda done, total: calls.append((done, total)))
    assert report.ok
    assert [each.episode for each in report.episodes] == [0, 1, 2]
    assert calls[-1] == (3, 3)


def test_an_environment_that_is_passed_is_used_and_not_closed(acrobot: Path) -> None:
    env = gym.make("Acrobot-v1")
    closed = []
    env.unwrapped.close = lambda: closed.append(True)  # type: ignore[method-assign]
    assert h5r.verify(acrobot, env=env).ok
    assert not closed
    assert h5r.verify(acrobot, env=lambda: env).ok
    assert closed


def test_chosen_episodes_in_their_order(acrobot: Path) -> None:
    report = h5r.verify(acrobot, episodes=[-1, 0])
    assert [each.episode for each in report.episodes] == [2, 0]
    with pytest.raises(errors.OptionError, match=r"has 3 episodes, there is no \[3\]"):
        h5r.verify(acrobot, episodes=[3])
    with pytest.raises(errors.OptionError, match=r"has 3 episodes, there is no \[3, 4, 5, 6, ...\]"):
        h5r.verify(acrobot, episodes=range(100_000))


# Not exact ----------------------------------------------------------------------------------------


def test_a_changed_reward_is_found_at_its_step(acrobot: Path) -> None:
    tamper(acrobot, "rewards", 1, 5, lambda reward: reward + 0.25)
    report = h5r.verify(acrobot)
    assert not report.ok
    assert [each.ok for each in report.episodes] == [True, False, True]
    found = report.first_divergence
    assert found is not None
    assert (found.episode, found.step, found.leaf) == (1, 5, "rewards")
    assert (found.recorded, found.found, found.largest) == (-0.75, -1.0, 0.25)
    assert "episode 1, step 5" in str(found)


def test_a_changed_observation_is_found_at_its_row_and_element(path: Path) -> None:
    record(gym.make("Acrobot-v1"), path, compression=None)
    tamper(path, "observations", 2, 9, lambda row: row + np.eye(6, dtype=np.float32)[4])
    found = h5r.verify(path).first_divergence
    assert found is not None
    assert (found.episode, found.step, found.leaf) == (2, 9, "observations[4]")


def test_a_changed_action_is_found_in_what_it_leads_to(acrobot: Path) -> None:
    tamper(acrobot, "actions", 1, 4, lambda action: (action + 1) % 3)
    found = h5r.verify(acrobot).first_divergence
    assert found is not None
    assert (found.episode, found.step, found.leaf[:12]) == (1, 5, "observations")  # what action 4 gave


def test_an_action_that_the_environment_refuses_is_a_divergence(path: Path) -> None:
    record(gym.make("CartPole-v1"), path)
    tamper(path, "actions", 0, 2, lambda _: 17)
    found = h5r.verify(path).first_divergence
    assert found is not None
    assert (found.step, found.leaf, found.recorded) == (2, "actions", 17)
    assert "the environment raised AssertionError" in found.message
    assert found.found.startswith("AssertionError")


def test_an_error_of_any_kind_comes_back_from_a_worker_as_text(path: Path) -> None:
    record(Raising(is_broken=False), path)
    for workers in (1, 2):
        report = h5r.verify(path, env=Raising, workers=workers)
        assert [each.divergence.found for each in report.episodes if each.divergence] == ["TwoPartError('1 2')"] * 3


def test_what_no_other_process_can_be_given_is_a_sentence(acrobot: Path) -> None:
    with pytest.raises(errors.OptionError, match=r"workers=2: .* cannot be sent to other processes: .*<lambda>"):
        h5r.verify(acrobot, env=lambda: gym.make("Acrobot-v1"), workers=2)


def test_a_worker_that_ends_early_is_a_sentence(acrobot: Path) -> None:
    with pytest.raises(errors.RecordingError, match=r"workers=2: a process that ran episodes has ended"):
        h5r.verify(acrobot, env=end_the_process, workers=2)


def test_another_environment_is_found_out_at_its_first_difference(acrobot: Path) -> None:
    class Heavy(gym.Wrapper[Any, Any, Any, Any]):
        def step(self, action: Any) -> Any:
            observation, reward, terminated, truncated, info = super().step(action)
            return observation, reward - 1, terminated, truncated, info

    report = h5r.verify(acrobot, env=lambda: Heavy(gym.make("Acrobot-v1")))
    assert [each.divergence.step for each in report.episodes if each.divergence] == [0, 0, 0]


def test_a_simulator_that_is_not_exact_is_within_its_tolerance(path: Path) -> None:
    record(Drifting(), path)
    assert not h5r.verify(path, env=Drifting).ok
    report = h5r.verify(path, env=Drifting, atol=1e-6)
    assert report.ok
    assert {each.verdict for each in report.episodes} == {h5r.Verdict.CLOSE}
    assert report.atol == 1e-6


@pytest.mark.parametrize("atol", [-1.0, float("nan"), "x", None])
def test_a_tolerance_is_a_number_from_0_on(atol: Any, acrobot: Path) -> None:
    with pytest.raises(errors.OptionError, match=r"atol: expected a number from 0 on"):
        h5r.verify(acrobot, atol=atol)


# After others, or not at all ----------------------------------------------------------------------


def test_what_depends_on_its_past_is_exact_after_it_and_says_so(path: Path) -> None:
    record(Wanderer(), path)
    report = h5r.verify(path, env=Wanderer)
    assert report.ok
    assert [each.independent for each in report.episodes] == [True, False, False]
    assert "the environment keeps state across resets" in report.episodes[1].reason


def test_running_statistics_are_named_as_what_outlives_a_reset(path: Path) -> None:
    record(gym.wrappers.NormalizeObservation(gym.make("Pendulum-v1")), path)
    report = h5r.verify(path)
    assert report.ok
    assert [each.independent for each in report.episodes] == [True, False, False]
    assert "running statistics of NormalizeObservation" in report.episodes[1].reason


def test_each_session_of_a_recording_is_a_life_of_its_own(path: Path) -> None:
    record(Wanderer(), path)
    record(Wanderer(), path, 8, mode="a")
    report = h5r.verify(path, env=Wanderer)
    assert report.ok
    assert [each.independent for each in report.episodes] == [True, False, False] * 2


def test_a_step_trigger_does_not_keep_those_before_it_from_being_exact(path: Path) -> None:
    record(Wanderer(), path, step_trigger=[LENGTHS[0] + LENGTHS[1] + 3].__contains__, episode_trigger=lambda _: True)
    report = h5r.verify(path, env=Wanderer)
    assert [each.ok for each in report.episodes] == [True, True, True, False]
    assert report.episodes[3].verdict is h5r.Verdict.NOT_REPLAYABLE


def test_what_is_missing_on_the_way_is_the_reason(path: Path) -> None:
    record(Wanderer(), path, episode_trigger=lambda number: number != 1)
    episode = h5r.verify(path, env=Wanderer).episodes[1]
    assert episode.verdict is h5r.Verdict.DIVERGED
    assert episode.reason == "the recording lacks 1 reset before episode 1"


def test_one_environment_cannot_be_fresh_and_the_report_says_so(path: Path) -> None:
    record(Wanderer(), path)
    for episode in h5r.verify(path, env=Wanderer()).episodes[1:]:
        assert episode.verdict is h5r.Verdict.DIVERGED
        assert "pass a function that makes it" in episode.reason


def test_episodes_in_any_order_are_run_last_one_first(path: Path) -> None:
    record(Wanderer(), path)
    report = h5r.verify(path, env=Wanderer, episodes=[2, 1, 0])
    assert report.ok
    assert [each.independent for each in report.episodes] == [False, False, True]


def test_a_change_in_an_early_episode_does_not_accuse_later_ones(path: Path) -> None:
    record(Wanderer(), path)
    tamper(path, "rewards", 0, 5, lambda reward: reward + 1)
    assert [each.ok for each in h5r.verify(path, env=Wanderer).episodes] == [False, True, True]


def test_recording_that_began_in_the_middle_is_not_replayable_and_says_so(path: Path) -> None:
    env = h5r.RecordToHDF5(gym.make("CartPole-v1"), path, writer="inline", step_trigger=lambda step: step == 5)
    env.reset(seed=1)
    for _ in range(8):
        env.step(0)
    env.close()
    report = h5r.verify(path)
    assert not report.ok
    (episode,) = report.episodes
    assert (episode.verdict, episode.divergence) == (h5r.Verdict.NOT_REPLAYABLE, None)
    assert "in the middle of an episode" in episode.reason


def test_without_snapshots_only_what_was_seeded_or_follows_it_can_be_run(path: Path) -> None:
    record(gym.make("Acrobot-v1"), path, snapshots=False)
    report = h5r.verify(path)
    assert report.ok
    assert [each.independent for each in report.episodes] == [True, False, False]
    unseeded = record(gym.make("Acrobot-v1"), path.with_name("unseeded.h5"), None, snapshots=False)
    report = h5r.verify(unseeded)
    assert {each.verdict for each in report.episodes} == {h5r.Verdict.NOT_REPLAYABLE}
    assert "neither a seed nor a snapshot" in report.episodes[0].reason


def test_episodes_that_were_not_recorded_do_not_matter_where_each_is_exact_alone(path: Path) -> None:
    record(gym.make("Acrobot-v1"), path, episode_trigger=lambda episode: episode != 1)
    report = h5r.verify(path)
    assert report.ok
    assert len(report.episodes) == 2


def test_an_environment_that_cannot_be_made_is_a_sentence_that_says_what_to_pass(path: Path) -> None:
    record(Wanderer(), path)
    with pytest.raises(
        errors.UnbuildableEnvError, match=r"Wanderer cannot be made again.*pass what makes it, env=lambda"
    ):
        h5r.verify(path)


# Infos --------------------------------------------------------------------------------------------


def test_the_time_that_statistics_tell_is_not_compared(path: Path) -> None:
    env = gym.wrappers.RecordEpisodeStatistics(gym.make("FrozenLake-v1"))
    assert h5r.verify(record(env, path)).ok


def test_more_of_infos_can_be_left_out(path: Path) -> None:
    class Clock(gym.Wrapper[Any, Any, Any, Any]):
        number = 0

        def step(self, action: Any) -> Any:
            type(self).number += 1
            *rest, _ = super().step(action)
            return (*rest, {"timing": {"now": self.number, "fixed": 1}})

    def make() -> Any:
        return Clock(gym.make("Acrobot-v1"))

    record(make(), path)
    found = h5r.verify(path, env=make).first_divergence
    assert found is not None
    assert found.leaf == "infos/timing/now"
    assert h5r.verify(path, env=make, ignore=["timing/now"]).ok
    assert h5r.verify(path, env=make, ignore="timing/now").ok


# Branches -----------------------------------------------------------------------------------------


def test_a_recording_that_branches_off_another_is_verified_through_it(acrobot: Path, tmp_path: Path) -> None:
    env, _, _ = h5r.branch(acrobot, 1, 5)
    child = tmp_path / "child.h5"
    recorder = h5r.RecordToHDF5(env, child, writer="inline")
    play(recorder, (10, 10), seed=None)
    recorder.close()
    report = h5r.verify(child)
    assert report.ok, report
    acrobot.unlink()
    report = h5r.verify(child)
    assert [each.verdict for each in report.episodes] == [h5r.Verdict.NOT_REPLAYABLE, h5r.Verdict.EXACT]
    assert "branches off" in report.episodes[0].reason


def test_what_outlives_a_reset_of_a_branch_comes_from_the_other_recording(path: Path, tmp_path: Path) -> None:
    record(Wanderer(), path)
    env, _, _ = h5r.branch(path, 0, 5, env=Wanderer)
    recorder = h5r.RecordToHDF5(env, tmp_path / "child.h5", writer="inline")
    play(recorder, (10, 10), seed=None)
    recorder.close()
    report = h5r.verify(tmp_path / "child.h5", env=Wanderer)
    assert report.ok, report
    assert [each.independent for each in report.episodes] == [True, False]


# Values without a form of their own ---------------------------------------------------------------


class Posture(NamedTuple):
    arm: float
    picture: np.ndarray


class Move(IntEnum):
    LEFT = 0
    RIGHT = 1


class Task(Enum):
    HARD = 1


class Robot(gym.Env[Any, Any]):
    """Gives what ``make`` makes of its number; is asked for moves and tasks."""

    observation_space = gym.spaces.Discrete(1 << 40)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, make: Any, moved: int = 0) -> None:
        self._make = make
        self._moved = moved

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        return np.int64(0), {"state": self._make(self.np_random.random(4000), self._moved)}

    def step(self, action: Any) -> Any:
        return np.int64(action), 1.0, False, False, {"state": self._make(self.np_random.random(4000), self._moved)}


def put(numbers: np.ndarray, moved: int) -> np.ndarray:
    """Numbers, one of them changed where no repr shows it."""
    numbers[2000] += moved
    return numbers


DERIVED = {
    "ordered dict": lambda numbers, moved: OrderedDict(a=put(numbers, moved)),
    "named tuple": lambda numbers, moved: Posture(1.0, put(numbers, moved)),
    "masked array": lambda numbers, moved: np.ma.masked_array(numbers, np.arange(4000) == 2000 + moved),
}
AS_TEXT = {
    "deque": lambda numbers, moved: deque([put(numbers, moved)]),
    "namespace": lambda numbers, moved: SimpleNamespace(numbers=put(numbers, moved)),
}


@pytest.mark.parametrize("make", DERIVED.values(), ids=DERIVED)
@pytest.mark.filterwarnings("ignore::gym_h5record.errors.RecordingWarning")
def test_values_of_derived_classes_are_compared_bit_for_bit(make: Any, path: Path) -> None:
    record(Robot(make), path, None)
    assert [each.verdict for each in h5r.verify(path, env=lambda: Robot(make)).episodes] == [h5r.Verdict.EXACT] * 3
    other = h5r.verify(path, env=lambda: Robot(make, moved=1))
    assert [each.verdict for each in other.episodes] == [h5r.Verdict.DIVERGED] * 3


@pytest.mark.parametrize("make", AS_TEXT.values(), ids=AS_TEXT)
@pytest.mark.filterwarnings("ignore::gym_h5record.errors.RecordingWarning")
def test_what_the_file_has_as_text_only_is_not_proven_to_be_the_same(make: Any, path: Path) -> None:
    record(Robot(make), path, None)
    for moved in (0, 1):
        report = h5r.verify(path, env=lambda moved=moved: Robot(make, moved))  # type: ignore[misc]
        assert not report.ok
        assert report.count(h5r.Verdict.UNPROVEN) == 3
        assert "only text of infos/state" in report.episodes[0].reason
    assert h5r.verify(path, env=lambda: Robot(make), ignore=["state"]).count(h5r.Verdict.EXACT) == 3


def test_moves_of_an_enumeration_are_numbers(path: Path) -> None:
    with h5r.RecordToHDF5(Robot(lambda *_: 0), path, writer="inline") as env:
        env.reset(seed=1)
        with pytest.warns(errors.RecordingWarning, match="values of type Move are recorded as int"):
            env.step(Move.RIGHT)
        env.step(Move.LEFT)
    with h5r.Recording(path) as recording:
        assert [recording.episodes[0].actions[step] for step in range(2)] == [1, 0]
    assert h5r.verify(path, env=lambda: Robot(lambda *_: 0)).ok


def test_an_episode_that_was_asked_for_with_what_is_text_now_is_not_replayable(path: Path) -> None:
    with h5r.RecordToHDF5(Robot(lambda *_: 0), path, writer="inline") as env:
        with pytest.warns(errors.RecordingWarning, match="else its repr"):
            env.reset(seed=1, options={"task": Task.HARD})
        env.step(0)
        env.reset(seed=2)
        env.step(0)
    report = h5r.verify(path, env=lambda: Robot(lambda *_: 0))
    assert [each.verdict for each in report.episodes] == [h5r.Verdict.NOT_REPLAYABLE, h5r.Verdict.EXACT]
    assert "reset options without an exact form" in report.episodes[0].reason
    with pytest.raises(errors.NotReplayableError, match="as text only"):
        h5r.branch(path, 0, 1, env=lambda: Robot(lambda *_: 0))


# Generators inside objects ----------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [7, None], ids=["seeded first", "never seeded"])
@pytest.mark.parametrize("make_env", FOUND)
def test_episodes_with_generators_inside_objects_are_exact_alone(make_env: Any, seed: int | None, path: Path) -> None:
    report = h5r.verify(record(make_env(), path, seed), env=make_env)
    assert report.ok, report
    assert all(each.independent for each in report.episodes)


def test_episodes_with_some_seeds_are_exact_alone(path: Path) -> None:
    for make_env in FOUND:
        with h5r.RecordToHDF5(make_env(), path, mode="w", writer="inline") as env:
            for seed in (1, None, 2, None, None):
                env.reset(seed=seed)
                for _ in range(10):
                    env.step(0)
        report = h5r.verify(path, env=make_env)
        assert report.ok, report
        assert all(each.independent for each in report.episodes)


@pytest.mark.parametrize("seed", [7, None], ids=["seeded first", "never seeded"])
def test_episodes_are_exact_alone_if_the_first_reset_makes_the_objects(seed: int | None, path: Path) -> None:
    record(MakesItsGame(), path, seed)
    for episodes in (None, [0], [1]):
        report = h5r.verify(path, episodes, env=MakesItsGame)
        assert report.ok, report
        assert all(each.independent for each in report.episodes)


def test_a_divergence_has_the_places_that_the_environment_lacks_as_its_reason(path: Path) -> None:
    report = h5r.verify(record(Replacing(), path, None), env=Concealed)
    assert [(each.verdict.value, each.reason) for each in report.episodes] == [
        ("diverged", "the environment has no place for recorded generators: game.rng")
    ] * 3


def test_a_generator_that_no_search_finds_shows_as_a_difference(path: Path) -> None:
    report = h5r.verify(record(Concealed(), path, None), env=Concealed)
    assert [each.verdict.value for each in report.episodes] == ["diverged"] * 3
    seeded = h5r.verify(record(Concealed(), path, mode="w"), env=Concealed)
    assert seeded.ok
    assert [each.independent for each in seeded.episodes] == [True, False, False]
