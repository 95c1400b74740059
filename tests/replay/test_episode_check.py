"""Running one episode again: all of its values are compared, in order, and no others."""

from __future__ import annotations

from collections import deque
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import gym_h5record as h5r
from gym_h5record import errors
from gym_h5record.recorder.snapshots.snapshot_set import make_snapshot_set
from gym_h5record.replay.episode_check import check_episode, go_to
from gym_h5record.replay.lineage import since_first_known, since_known_reset
from gym_h5record.replay.outcome_comparison import IGNORED_INFOS, ComparisonRules, error_text, make_comparison_rules
from gym_h5record.replay.rerun import Rerun
from gym_h5record.values.exact import identical
from tests.replay.recordings import record, tamper

EXACT = ComparisonRules(0.0, IGNORED_INFOS)


class Scripted(gym.Env[Any, Any]):
    """Gives the values of a test at its second step."""

    observation_space = gym.spaces.Dict({"x": gym.spaces.Box(-9, 9, (2,), np.float32), "n": gym.spaces.Discrete(9)})
    action_space = gym.spaces.Discrete(2)

    def __init__(self, **changes: Any) -> None:
        self.changes = changes
        self.steps = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.steps = 0
        return {"x": np.zeros(2, np.float32), "n": np.int64(1)}, {"lives": 3}

    def step(self, action: Any) -> Any:
        self.steps += 1
        given = {
            "x": np.full(2, self.steps, np.float32),
            "n": np.int64(2),
            "reward": 1.0,
            "terminated": False,
            "truncated": False,
            "info": {"lives": 3},
        }
        if self.steps == 2:
            given |= self.changes
        observation = {"x": given["x"], "n": given["n"]}
        return observation, given["reward"], given["terminated"], given["truncated"], given["info"]


@pytest.mark.parametrize(
    ("changes", "step", "leaf"),
    [
        ({"x": np.array([2, 3], np.float32)}, 2, "observations/x[1]"),
        ({"x": np.full(2, 2, np.float64)}, 2, "observations/x"),
        ({"n": 2}, 2, "observations/n"),
        ({"reward": 1.0000000001}, 1, "rewards"),
        ({"reward": 1}, 1, "rewards"),
        ({"terminated": True}, 1, "terminations"),
        ({"truncated": True}, 1, "truncations"),
        ({"info": {"lives": 2}}, 2, "infos/lives"),
        ({"info": {"lives": 3, "more": 1}}, 2, "infos/more"),
        ({"info": {}}, 2, "infos/lives"),
    ],
    ids=str,
)
def test_each_difference_is_found_at_its_place(changes: dict[str, Any], step: int, leaf: str, tmp_path: Path) -> None:
    path = record(Scripted(), tmp_path / "run.h5")
    with h5r.Recording(path) as recording:
        rerun = Rerun(recording, Scripted(**changes), make_snapshot_set(()))
        _, found, _ = check_episode(rerun, recording.episodes[0], EXACT, restore=True)
        assert found is not None
        assert (found.step, found.leaf) == (step, leaf)
        same = Rerun(recording, Scripted(), make_snapshot_set(()))
        assert check_episode(same, recording.episodes[0], EXACT, restore=True) == (
            recording.episodes[0].length,
            None,
            (),
        )


def test_within_a_tolerance_small_differences_of_numbers_are_none(tmp_path: Path) -> None:
    path = record(Scripted(), tmp_path / "run.h5")
    with h5r.Recording(path) as recording:
        env = Scripted(reward=1.0000000001, x=np.full(2, 2 + 2**-20, np.float32))
        rerun = Rerun(recording, env, make_snapshot_set(()))
        _, found, _ = check_episode(rerun, recording.episodes[0], ComparisonRules(1e-5, ()), restore=True)
        assert found is None
        rerun = Rerun(recording, Scripted(reward=1), make_snapshot_set(()))
        _, found, _ = check_episode(rerun, recording.episodes[0], ComparisonRules(1e-5, ()), restore=True)
        assert found is not None  # another type is no small difference


def test_rules_take_one_path_or_several_beside_those_that_are_always_ignored() -> None:
    assert make_comparison_rules() == EXACT
    for ignore in ("a/b", ["a/b"], ("a/b",)):
        assert make_comparison_rules(1e-3, ignore) == ComparisonRules(1e-3, (*IGNORED_INFOS, "a/b"))
    with pytest.raises(errors.OptionError, match="atol: expected a number from 0 on, got -1"):
        make_comparison_rules(-1)


def test_parts_of_infos_can_be_left_out_at_any_depth(tmp_path: Path) -> None:
    path = record(Scripted(info={"lives": 3, "time": {"now": 1, "zone": "UTC"}}), tmp_path / "run.h5")
    changed = Scripted(info={"lives": 3, "time": {"now": 2, "zone": "UTC"}})
    with h5r.Recording(path) as recording:
        for ignore, is_found in (((), True), (("time/now",), False), (("time",), False), (("time/zone",), True)):
            rerun = Rerun(recording, changed, make_snapshot_set(()))
            _, found, _ = check_episode(rerun, recording.episodes[0], ComparisonRules(0.0, ignore), restore=True)
            assert (found is not None) == is_found


def test_a_key_with_a_slash_can_be_left_out(tmp_path: Path) -> None:
    path = record(Scripted(info={"time/now": 1, "deep": {"time/now": 1}, "time": {"now": 1}}), tmp_path / "run.h5")
    changed = Scripted(info={"time/now": 2, "deep": {"time/now": 2}, "time": {"now": 2}})
    with h5r.Recording(path) as recording:
        for ignore, leaf in ((("deep/time/now",), "infos/time/now"), (("time/now",), "infos/deep/time/now")):
            rerun = Rerun(recording, changed, make_snapshot_set(()))
            _, found, _ = check_episode(rerun, recording.episodes[0], ComparisonRules(0.0, ignore), restore=True)
            assert found is not None
            assert found.leaf == leaf


def test_an_episode_is_run_as_far_as_a_step_if_one_is_given(tmp_path: Path) -> None:
    path = record(Scripted(), tmp_path / "run.h5")
    with h5r.Recording(path) as recording:
        rerun = Rerun(recording, Scripted(reward=2.0), make_snapshot_set(()))
        assert rerun.last is None
        for num_steps, expected in ((0, None), (1, (1.0, False, False))):
            found = check_episode(rerun, recording.episodes[0], EXACT, restore=True, num_steps=num_steps)
            assert found == (num_steps, None, ())
            assert rerun.last is not None
            assert rerun.last.step == expected
        assert check_episode(rerun, recording.episodes[0], EXACT, restore=True, num_steps=2)[1] is not None


def test_an_error_is_told_in_few_characters_whatever_it_is() -> None:
    class MuteError(Exception):
        def __repr__(self) -> str:
            raise RuntimeError

    assert error_text(ValueError("no", 1)) == "ValueError('no', 1)"
    assert error_text(MuteError()) == "MuteError"
    assert len(error_text(ValueError("\x1b" * 100_000))) < 1000


def test_what_is_the_same_as_text_only_is_said(tmp_path: Path) -> None:
    info = {"lives": 3, "queue": deque([1]), "deep": [{"queue": deque([2])}]}
    with pytest.warns(errors.RecordingWarning, match="else its repr"):
        path = record(Scripted(info=info), tmp_path / "run.h5")
    with h5r.Recording(path) as recording:
        for ignore, texts in (((), ("infos/queue", "infos/deep[0]/queue")), (("queue", "deep"), ())):
            rerun = Rerun(recording, Scripted(info=info), make_snapshot_set(()))
            found = check_episode(rerun, recording.episodes[0], ComparisonRules(0.0, ignore), restore=True)
            assert found == (recording.episodes[0].length, None, texts)
        rerun = Rerun(recording, Scripted(info={**info, "queue": deque([3])}), make_snapshot_set(()))
        divergence = check_episode(rerun, recording.episodes[0], EXACT, restore=True).divergence
        assert divergence is not None
        assert divergence.leaf == "infos/queue"


# Going to a step -----------------------------------------------------------------------------------


@pytest.fixture
def acrobot(tmp_path: Path) -> Path:
    return record(gym.make("Acrobot-v1"), tmp_path / "run.h5")


@pytest.mark.parametrize("restore_all", [True, False])
@pytest.mark.parametrize("step", [0, 7, 25])
def test_the_environment_arrives_where_the_recording_was(step: int, restore_all: bool, acrobot: Path) -> None:
    with h5r.Recording(acrobot) as recording:
        rerun = Rerun(recording, gym.make("Acrobot-v1"), make_snapshot_set(()))
        episodes = since_known_reset(recording, 2) if restore_all else since_first_known(recording, 2)
        outcome = go_to(rerun, episodes, step, make_comparison_rules(), restore_all=restore_all)
        assert outcome is rerun.last
        assert identical(outcome.observation, recording.episodes[2].observations[step])


def test_a_difference_before_the_step_is_found_and_one_behind_it_is_not(acrobot: Path) -> None:
    tamper(acrobot, "rewards", 2, 5, lambda reward: reward + 1)
    tamper(acrobot, "rewards", 1, 0, lambda reward: reward + 1)  # of an episode that only leads there
    with h5r.Recording(acrobot) as recording:
        for step, is_found in ((5, False), (6, True), (20, True)):
            rerun = Rerun(recording, gym.make("Acrobot-v1"), make_snapshot_set(()))
            sentence = r"run\.h5: .* not where the recording was: episode 2, step 5, rewards: .* found\."
            error = pytest.raises(errors.DivergedError, match=sentence) if is_found else nullcontext()
            with error:
                go_to(rerun, since_first_known(recording, 2), step, make_comparison_rules(), restore_all=False)
