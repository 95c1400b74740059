"""Rewards that are arrays, such as those of mo-gymnasium, through everything that a recording is for."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import gymnasium as gym
import h5py
import numpy as np
import pytest

import gym_h5record as h5r
from gym_h5record.errors import OptionError, RecordingWarning
from gym_h5record.maintenance.repairs.salvaging import salvage
from tests.treasures import ACTIONS, RETURNS, DeepSea, record_treasures
from tests.writing import run_script
from tests.zoo import check_identical, check_recorded, play


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three episodes, of which the second one is incomplete; do not change it."""
    return record_treasures(tmp_path_factory.mktemp("treasures") / "run.h5")


@pytest.fixture
def treasures(pristine: Path, tmp_path: Path) -> Path:
    """A copy of ``pristine``."""
    return Path(shutil.copy(pristine, tmp_path / "run.h5"))


# Recorded and read ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int16])
def test_rewards_come_back_exactly(dtype: Any, tmp_path: Path) -> None:
    recorder = h5r.RecordToHDF5(DeepSea(dtype), tmp_path / "run.h5", writer="inline")
    episodes = play(recorder, (5, 3, 0, 5), actions=[*ACTIONS, *ACTIONS[:3], *ACTIONS])
    recorder.close()
    with h5r.Recording(tmp_path / "run.h5") as recording:
        check_recorded(recording, episodes)
        assert (recording.rows.rewards.shape, recording.rows.rewards.dtype) == ((17, 2), dtype)
        assert recording.returns.shape == (4, 2)
        for number, played in enumerate(episodes):
            total = sum(played.rewards, np.zeros(2))
            check_identical(recording.episodes[number].total_reward, total, f"return of episode {number}")
            check_identical(recording.returns[number], total, f"returns[{number}]")


def test_returns_are_the_sums_of_each_element(treasures: Path) -> None:
    with h5r.Recording(treasures) as recording:
        assert recording.returns.tolist() == pytest.approx(np.array(RETURNS))
        assert repr(recording.episodes[0]) == "<Episode 0: 5 steps, total reward [9.5, -0.5], terminated>"


class Broken(DeepSea):
    """Its third reward is no array."""

    def step(self, action: int) -> Any:
        observation, reward, *rest = super().step(action)
        return (observation, 1.0 if self._place[1] == 1 else reward, *rest)


def test_a_reward_that_is_no_such_array_makes_the_return_nan(tmp_path: Path) -> None:
    recorder = h5r.RecordToHDF5(Broken(), tmp_path / "run.h5", writer="inline")
    with pytest.warns(RecordingWarning, match="/rewards: got 1.0 of type float"):
        episodes = play(recorder, [5], actions=ACTIONS)
        recorder.close()
    with h5r.Recording(tmp_path / "run.h5") as recording:
        check_recorded(recording, episodes)
        assert np.isnan(recording.returns).all()
    assert h5r.validate(tmp_path / "run.h5", deep=True) == []


class Odd(DeepSea):
    """Its third reward is another value."""

    def __init__(self, dtype: Any, odd: Any) -> None:
        super().__init__(dtype)
        self._odd = odd

    def step(self, action: int) -> Any:
        observation, reward, *rest = super().step(action)
        return (observation, self._odd if self._place.tolist() == [2, 1] else reward, *rest)


class Flushing(gym.Wrapper[Any, Any, Any, Any]):
    """Commits every step at once."""

    def step(self, action: Any) -> Any:
        result = super().step(action)
        self.env.flush()
        return result


@pytest.mark.sampled(5)
@pytest.mark.parametrize("flushes", [False, True], ids=["", "flushed"])
@pytest.mark.parametrize(
    "odd",
    [1, None, np.array([1.5, 0.5]), np.array([1 << 40, 7]), np.zeros(3, np.int16)],
    ids=["number", "none", "floats", "large", "longer"],
)
@pytest.mark.parametrize("dtype", [np.int16, np.int32])
def test_an_exception_among_rewards_of_integers_is_ignored_by_no_total(
    dtype: Any, odd: Any, flushes: bool, tmp_path: Path
) -> None:
    """Integers have no NaN: the column holds another number there."""
    recorder = h5r.RecordToHDF5(Odd(dtype, odd), tmp_path / "run.h5", writer="inline")
    agent = Flushing(recorder) if flushes else recorder
    with pytest.warns(RecordingWarning, match="/rewards: got .*, which its column cannot hold"):
        episodes = play(agent, [5, 2, 5], actions=[*ACTIONS, 0, 1, *ACTIONS])
        recorder.close()
    with h5r.Recording(tmp_path / "run.h5") as recording:
        check_recorded(recording, episodes)
        assert np.isnan(recording.returns).tolist() == [[True, True], [False, False], [True, True]]
        assert recording.returns[1].tolist() == sum(episodes[1].rewards, np.zeros(2)).tolist()
    assert h5r.validate(tmp_path / "run.h5", deep=True) == []
    with h5py.File(tmp_path / "run.h5", "r+") as file:
        file["episodes/returns"][0] = 0.0
    assert [each.code for each in h5r.validate(tmp_path / "run.h5", deep=True)] == ["episode-return"]


def test_such_an_exception_is_in_the_total_of_an_episode_that_was_cut_short(tmp_path: Path) -> None:
    source = """
        import os, signal, sys, warnings
        import numpy as np
        import gym_h5record as h5r
        from tests.test_vector_rewards import ACTIONS, Odd
        warnings.simplefilter("ignore")
        env = h5r.RecordToHDF5(Odd(np.int16, None), sys.argv[1], writer="inline")
        env.reset()
        for number, action in enumerate(ACTIONS[:4]):
            env.step(action)
            if number == int(sys.argv[2]):
                env.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    """
    for flushed_after in (1, 3):
        path = tmp_path / f"{flushed_after}.h5"
        run_script(source, path, flushed_after, check=False)
        h5r.repair(path)
        with h5r.Recording(path) as recording:
            assert recording.lengths.tolist() == [4]
            assert np.isnan(recording.returns).all()


# Played again --------------------------------------------------------------------------------------


def test_an_episode_is_played_from_the_file_alone(treasures: Path) -> None:
    with h5r.ReplayFromHDF5(treasures, on_mismatch="raise") as env, h5r.Recording(treasures) as recording:
        env.reset()
        rewards = [env.step(action)[1] for action in ACTIONS]
        for step, reward in enumerate(rewards):
            check_identical(reward, recording.episodes[0].rewards[step], f"reward {step}")
        rewards[0][:] = 7  # does not change what the file gives next
        env.reset(seed=1)
        check_identical(env.step(ACTIONS[0])[1], recording.episodes[0].rewards[0], "reward 0 again")


def test_verify_proves_every_element(treasures: Path) -> None:
    report = h5r.verify(treasures, env=DeepSea)
    assert report.ok
    assert report.num_steps == 13


class Dearer(DeepSea):
    """Takes more time for the third step."""

    def step(self, action: int) -> Any:
        observation, reward, *rest = super().step(action)
        reward[1] -= 0.5 if self._place.tolist() == [2, 1] else 0
        return (observation, reward, *rest)


def test_verify_names_the_element_that_differs(treasures: Path) -> None:
    divergence = h5r.verify(treasures, env=Dearer).first_divergence
    assert divergence is not None
    assert (divergence.step, divergence.leaf) == (2, "rewards[1]")
    assert divergence.largest == 0.5


def test_a_branch_goes_on_with_such_rewards(treasures: Path) -> None:
    env, observation, _ = h5r.branch(treasures, 0, 3, env=DeepSea)
    assert observation.tolist() == [2, 1]
    rewards = [env.step(action)[1].tolist() for action in ACTIONS[3:]]
    assert rewards == [[0.0, -0.1], [9.5, -0.1]]


def test_actions_are_compared_in_an_open_loop(treasures: Path) -> None:
    report = h5r.evaluate(lambda observation: 1, treasures)
    assert report.agreement is not None
    assert report.agreement.equal == 7
    assert [each.total_reward for each in report.episodes] == [pytest.approx(each) for each in RETURNS]


def test_a_closed_loop_refuses_to_compare_arrays(treasures: Path) -> None:
    with pytest.raises(OptionError, match=r"arrays of shape \(2,\).*wrapper that makes one number"):
        h5r.evaluate(lambda observation: 1, treasures, closed_loop=True, env=DeepSea)


def test_a_wrapper_that_makes_one_number_is_the_way_to_a_closed_loop(tmp_path: Path) -> None:
    def make() -> gym.Env[Any, Any]:
        return gym.wrappers.TransformReward(DeepSea(), lambda reward: float(reward @ [1.0, 10.0]))

    env = h5r.RecordToHDF5(make(), tmp_path / "run.h5", writer="inline")
    play(env, [5], actions=ACTIONS)
    env.close()
    actions = iter(ACTIONS)
    report = h5r.evaluate(lambda _: next(actions), tmp_path / "run.h5", closed_loop=True, env=make)
    assert report.difference is not None
    assert report.difference.mean == 0.0


# Looked after --------------------------------------------------------------------------------------


def test_nothing_is_wrong_with_such_recordings(treasures: Path) -> None:
    assert h5r.validate(treasures, deep=True) == []


@pytest.mark.parametrize(
    ("row", "value", "problems"),
    [
        (2, [0.0, -0.2], [("episode-return", "/episodes/returns episode 0")]),
        (5, [0.0, 1.0], [("padding", "/rewards row 5")]),
        (7, [np.nan, -0.1], [("episode-return", "/episodes/returns episode 1"), ("not-finite", "/rewards row 7")]),
    ],
)
def test_planted_errors_are_found(row: int, value: Any, problems: list[tuple[str, str]], treasures: Path) -> None:
    with h5py.File(treasures, "r+") as file:
        file["rewards"][row] = value
    assert [(each.code, each.place) for each in h5r.validate(treasures, deep=True)] == problems


def test_a_return_is_compared_element_by_element(treasures: Path) -> None:
    with h5py.File(treasures, "r+") as file:
        file["episodes/returns"][2, 1] = np.nextafter(file["episodes/returns"][2, 1], 1)
    (problem,) = h5r.validate(treasures, deep=True)
    assert (problem.code, problem.place) == ("episode-return", "/episodes/returns episode 2")
    assert problem.message == "it is [9.5, -0.49999999999999994], the rewards add up to [9.5, -0.5]"


def test_returns_of_another_shape_are_an_error_of_the_structure(treasures: Path) -> None:
    with h5py.File(treasures, "r+") as file:
        del file["episodes/returns"]
        file["episodes"].create_dataset("returns", data=np.zeros(3), chunks=(128,), maxshape=(None,))
    assert [(each.code, each.place) for each in h5r.validate(treasures)] == [("column-type", "/episodes/returns")]


def test_the_element_that_differs_between_two_recordings_is_named(treasures: Path, tmp_path: Path) -> None:
    other = record_treasures.__wrapped__(tmp_path / "other.h5")
    assert h5r.diff(treasures, other).ok
    with h5py.File(other, "r+") as file:
        file["rewards"][8, 1] = -0.2
    report = h5r.diff(treasures, other)
    assert (report.episode, report.step, report.leaf, report.largest) == (1, 2, "rewards[1]", pytest.approx(0.1))


def test_salvaged_rewards_are_what_they_were(treasures: Path, tmp_path: Path) -> None:
    salvage(treasures, tmp_path / "saved.h5")
    with h5r.Recording(treasures) as recording, h5r.Recording(tmp_path / "saved.h5") as saved:
        check_identical(saved.rows.rewards[:], recording.rows.rewards[:], "rewards")
        check_identical(saved.returns, recording.returns, "returns")
    assert h5r.validate(tmp_path / "saved.h5", deep=True) == []


def test_more_episodes_are_appended(treasures: Path) -> None:
    record_treasures(treasures, (5, 3), mode="a")
    with h5r.Recording(treasures) as recording:
        assert recording.returns.tolist() == pytest.approx(np.array([*RETURNS, *RETURNS[:2]]))
