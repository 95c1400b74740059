"""Which steps of lanes are recorded, where things go wrong: errors, odd environments, triggers, ``keep``."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

import gym_h5record as h5r
from gym_h5record.errors import RecordingWarning
from gym_h5record.values.exact import identical
from gym_h5record.writing.lane_row_writer import LaneRowWriter
from tests.scripted import NEVER, Scripted, actions_at, drive, functions
from tests.writing import small_journal

NEXT, SAME, DISABLED = AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP, AutoresetMode.DISABLED


class Own(VectorEnv[Any, Any, Any]):
    """Two environments whose values a test decides; observations tell the lane and the number of the call."""

    metadata: dict[str, Any] = {"autoreset_mode": DISABLED}  # noqa: RUF012  # Gymnasium's interface

    def __init__(self, space: Any = None) -> None:
        self.num_envs, self.calls = 2, 0
        self.single_observation_space = spaces.Box(-1e9, 1e9, (2,), np.float64) if space is None else space
        self.single_action_space = spaces.Discrete(100)
        self.observe: Callable[[np.ndarray], Any] = lambda batch: batch
        self.infos: Any = {}
        self.ended = [False, False]

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        return self._observed(), self.infos

    def step(self, actions: Any) -> Any:
        ended = np.array(self.ended)
        return self._observed(), np.ones(2), ended, np.zeros(2, np.bool_), self.infos

    def _observed(self) -> Any:
        self.calls += 1
        return self.observe(np.stack([np.full(2, 100.0 * lane + self.calls) for lane in (0, 1)]))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lanes.h5"


def recorder(path: Path, env: Any, **options: Any) -> Any:
    return h5r.vector.RecordToHDF5(env, path, writer="inline", **options)


def scripted(path: Path, lengths: Any, mode: AutoresetMode = NEXT, **options: Any) -> Any:
    return recorder(path, SyncVectorEnv(functions("box", lengths), autoreset_mode=mode), **options)


def steps_of(path: Path) -> list[tuple[int, list[list[float]]]]:
    """Lane, and episode and step of each row, of every episode."""
    with h5r.Recording(path) as recording:
        return [(each.env, each.observations[:][:, 1:].tolist()) for each in recording]


def first_numbers(path: Path, lane: int) -> list[list[float]]:
    with h5r.Recording(path) as recording:
        return [[row[0] for row in each.observations] for each in recording.lane(lane)]


ZEROS = np.zeros(2, np.int64)


# Odd environments ----------------------------------------------------------------------------------


def test_an_environment_that_is_stepped_on_after_its_end_is_recorded_up_to_its_end(path: Path) -> None:
    env = Own()
    envs = recorder(path, env)
    envs.reset()
    for call in range(5):
        env.ended = [call == 1, False]
        envs.step(ZEROS)
    envs.reset(options={"reset_mask": np.array([True, False])})
    envs.step(ZEROS)
    envs.close()
    assert first_numbers(path, 0) == [[1, 2, 3], [7, 8]]
    assert first_numbers(path, 1) == [[101, 102, 103, 104, 105, 106, 108]]


def test_infos_that_hold_for_the_batch_as_a_whole_are_those_of_every_lane(path: Path) -> None:
    env = Own()
    env.infos = {"time": 0.5, "name": "ab", "pair": [1, 2], "three": np.arange(3)}
    envs = recorder(path, env)
    envs.reset()
    envs.step(ZEROS)
    envs.close()
    with h5r.Recording(path) as recording:
        for lane in (0, 1):
            for info in recording.lane(lane)[0].infos:
                expected = {"time": 0.5, "name": "ab", "pair": lane + 1, "three": np.arange(3)}
                assert identical(dict(sorted(info.items())), dict(sorted(expected.items())))


@pytest.mark.parametrize("more", [{}, {"new": np.array([5, 6])}], ids=["ordered", "a new key"])
def test_observations_in_an_odd_dict_are_recorded_as_they_are(more: dict[str, Any], path: Path) -> None:
    env = Own(spaces.Dict({"at": spaces.Box(-1e9, 1e9, (2,), np.float64)}))
    env.observe = lambda batch: {"at": batch}
    envs = recorder(path, env)
    envs.reset()
    envs.step(ZEROS)
    env.observe = lambda batch: OrderedDict(at=batch, **more)
    if more:
        with pytest.warns(RecordingWarning, match="/observations: got"):
            envs.step(ZEROS)
    else:
        envs.step(ZEROS)
    envs.close()
    with h5r.Recording(path) as recording:
        found = recording.lane(1)[0].observations[2]
    assert identical(found, {"at": np.full(2, 103.0), **({"new": np.int64(6)} if more else {})})


def test_some_lanes_of_batches_of_other_containers_are_the_right_ones(path: Path) -> None:
    env = Own()
    env.observe = list
    env.infos = {"n": (5, 6)}
    envs = recorder(path, env, lanes=[1])
    envs.reset()
    envs.step([3, 4])
    envs.close()
    with h5r.Recording(path) as recording:
        (episode,) = recording
        assert [row[0] for row in episode.observations] == [101, 102]
        assert list(episode.actions) == [4]
        assert [info["n"] for info in episode.infos] == [6, 6]


def test_a_reset_whose_mask_has_no_recorded_environment_begins_nothing(path: Path) -> None:
    envs = recorder(path, Own(), lanes=[1])
    envs.reset()
    envs.reset(options={"reset_mask": np.array([True, False])})
    envs.step(ZEROS)
    envs.close()
    assert first_numbers(path, 0) == [[101, 103]]


# Errors --------------------------------------------------------------------------------------------


def test_a_step_that_raised_may_be_taken_again(path: Path) -> None:
    class Raising(Scripted):
        def step(self, action: Any) -> Any:
            if action == "odd":
                raise ValueError("no such action")
            return super().step(action)

    class Passing(SyncVectorEnv):
        def step(self, actions: Any) -> Any:
            return super().step(actions) if isinstance(actions, np.ndarray) else self.envs[0].step(actions[0])

    envs = recorder(path, Passing([lambda lane=lane: Raising("box", lane, (NEVER,)) for lane in (0, 1)]))  # type: ignore[misc]
    envs.reset()
    envs.step(np.array([1, 2]))
    with pytest.warns(RecordingWarning, match="/actions: got 'odd'"), pytest.raises(ValueError, match="no such action"):
        envs.step(["odd", 3])
    envs.step(np.array([3, 4]))
    envs.close()
    with h5r.Recording(path) as recording:
        assert [list(each.actions) for each in recording] == [[1, 3], [2, 4]]


def test_after_an_interrupt_lanes_are_recorded_from_their_next_reset_on_and_do_not_wait_for_the_others(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    small_journal(monkeypatch, 16)
    envs = scripted(path, [(3,), (NEVER,)])
    drive(envs, NEXT, 5)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(LaneRowWriter, "put_step", interrupted)
        drive(envs, NEXT, 1, start=5)
    drive(envs, NEXT, 60, start=6)
    envs.close()
    found = steps_of(path)
    assert [len(rows) for lane, rows in found if lane == 1] == [6]
    assert found[0] == (0, [[0, 0], [0, 1], [0, 2], [0, 3]])
    assert found[-1][0] == 0
    assert found[-2] == (0, [[15, 0], [15, 1], [15, 2], [15, 3]])


def test_a_discarded_episode_behind_a_reset_without_a_step_does_not_stop_the_ring(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_journal(monkeypatch, 16)
    envs = scripted(path, [(NEVER,), (NEVER,)])
    envs.reset()
    drive(envs, NEXT, 4)
    envs.discard_episode(lanes=[0])
    drive(envs, NEXT, 60, start=4)
    envs.close()
    assert [(lane, len(rows)) for lane, rows in steps_of(path)] == [(0, 1), (1, 1), (1, 65)]


# Triggers and keep -----------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(7))
def test_a_step_trigger_counts_the_steps_of_the_environment_and_not_its_resets(number: int, path: Path) -> None:
    """By hand: episodes of two steps; the row to which step n leads, and the rest of that episode."""
    envs = scripted(path, [(2,)], step_trigger=lambda step: step == number)
    drive(envs, NEXT, 12)
    envs.close()
    episode, step = divmod(number, 2)
    assert steps_of(path) == [(0, [[episode, row] for row in range(step + 1, 3)])]


def test_keep_gets_the_info_of_the_reset_of_an_episode_without_steps(path: Path) -> None:
    asked: list[Any] = []
    envs = scripted(path, [(3,), (2,)], SAME, keep=lambda summary: bool(asked.append(summary)) or True)
    drive(envs, SAME, 4)
    envs.close()
    assert [each.length for each in asked] == [2, 3, 2, 1, 0]
    assert asked[-1].last_info["place"].tolist() == [1, 2, 0]


def test_extras_that_no_step_follows_are_told(path: Path) -> None:
    envs = scripted(path, [(3,), (2,)])
    envs.reset()
    envs.add_extras(value=np.zeros(2))
    with pytest.warns(RecordingWarning, match="the last extras belong to"):
        envs.reset()
    envs.close()


def test_a_step_before_the_first_reset_is_not_recorded(path: Path) -> None:
    env = Own()
    envs = recorder(path, env)
    with pytest.warns(RecordingWarning, match="before the first reset"):
        envs.step(ZEROS)
    envs.reset()
    envs.step(ZEROS)
    envs.close()
    assert first_numbers(path, 0) == [[2, 3]]


def test_discarding_before_the_first_reset_is_told(path: Path) -> None:
    envs = scripted(path, [(NEVER,), (NEVER,)])
    with pytest.warns(RecordingWarning, match="found no recorded episode to forget"):
        envs.discard_episode()
    envs.close()


def test_discarding_an_episode_a_second_time_is_told(path: Path) -> None:
    envs = scripted(path, [(NEVER,), (NEVER,)])
    drive(envs, NEXT, 2)
    envs.discard_episode(lanes=[1])
    with pytest.warns(RecordingWarning, match="found no recorded episode to forget"):
        envs.discard_episode(lanes=[1])
    envs.close()
    assert [lane for lane, _ in steps_of(path)] == [0]


def test_after_closing_the_environments_go_on_without_being_recorded(path: Path) -> None:
    envs = scripted(path, [(NEVER,), (NEVER,)])
    drive(envs, NEXT, 2)
    envs._recorder.close()
    envs.step(actions_at(2, 2))
    with pytest.warns(RecordingWarning, match="the recorder has been closed"):
        envs.reset()
    envs.close()
    assert [len(rows) for _, rows in steps_of(path)] == [3, 3]
