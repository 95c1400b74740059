"""Lanes of vector environments hold what recordings of single environments would."""

from __future__ import annotations

import copy
import pickle
from functools import partial
from typing import Any

import gymnasium as gym
import h5py
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.envs.classic_control.cartpole import CartPoleVectorEnv
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv

import gym_h5record as h5r
from gym_h5record.errors import (
    EpisodeDataError,
    OptionError,
    RecordingExistsError,
    RecordingWarning,
    SchemaMismatchError,
    SelectionError,
    UnsupportedEnvError,
)
from gym_h5record.values.exact import identical
from tests.scripted import (
    NEVER,
    SPACES,
    Expected,
    Scripted,
    actions_at,
    drive,
    expected_episodes,
    functions,
    info,
    picture,
    reward,
    value,
)

LENGTHS = [(1, 3), (4, 1, 2), (NEVER,), (2,)]
MODES = list(AutoresetMode)
MODE_IDS = [mode.name for mode in MODES]


def made(kind: str, mode: AutoresetMode, lengths: Any = LENGTHS, **options: Any) -> SyncVectorEnv:
    return SyncVectorEnv(functions(kind, lengths, **options), autoreset_mode=mode)


def check_episode(kind: str, episode: Any, expected: Expected) -> None:
    assert (episode.env, episode.length, episode.complete) == (expected.lane, expected.length, expected.is_over)
    rows = expected.places()
    assert all(map(identical, episode.observations, [value(kind, *place) for place in rows]))
    assert all(map(identical, episode.infos, [info(*place) for place in rows]))
    assert list(episode.actions) == expected.actions
    assert list(episode.rewards) == [reward(*place) for place in rows[1:]]
    flags = [(False, False)] * expected.length
    if expected.is_over:
        flags[-1] = (expected.number % 2 == 0, expected.number % 2 == 1)
    assert list(zip(episode.terminations, episode.truncations, strict=True)) == flags
    assert episode.seed == (5 + expected.lane if expected.number == 0 else None)
    assert episode.episode_id == expected.number


def check_recording(path: Any, kind: str, expected: list[Expected]) -> None:
    with h5r.Recording(path) as recording:
        assert recording.num_episodes == len(expected)
        assert recording.num_steps == sum(each.length for each in expected)
        for episode, its in zip(recording, expected, strict=True):
            check_episode(kind, episode, its)
        assert not h5r.validate(path, deep=True)


@pytest.mark.parametrize("kind", SPACES)
@pytest.mark.parametrize("mode", MODES, ids=MODE_IDS)
def test_lanes_hold_the_episodes_of_their_environments(kind: str, mode: AutoresetMode, tmp_path: Any) -> None:
    envs = h5r.vector.RecordToHDF5(made(kind, mode), tmp_path / "lanes.h5", writer="inline")
    drive(envs, mode, 30)
    envs.close()
    check_recording(tmp_path / "lanes.h5", kind, expected_episodes(LENGTHS, mode, 30))


@pytest.mark.sampled(2)
@pytest.mark.parametrize("mode", MODES, ids=MODE_IDS)
@pytest.mark.parametrize("shared_memory", [True, False], ids=["shared", "pipes"])
def test_environments_in_other_processes_are_recorded_alike(
    mode: AutoresetMode, shared_memory: bool, tmp_path: Any
) -> None:
    lengths = LENGTHS[:2]
    envs = AsyncVectorEnv(functions("dict", lengths), autoreset_mode=mode, shared_memory=shared_memory)
    recorded = h5r.vector.RecordToHDF5(envs, tmp_path / "lanes.h5")
    drive(recorded, mode, 12)
    recorded.close()
    check_recording(tmp_path / "lanes.h5", "dict", expected_episodes(lengths, mode, 12))


@pytest.mark.parametrize("mode", MODES, ids=MODE_IDS)
def test_the_agent_gets_the_very_objects_of_the_environment(mode: AutoresetMode, tmp_path: Any) -> None:
    envs = made("tuple", mode)
    results: list[Any] = []
    for name in ("reset", "step"):
        setattr(envs, name, partial(_kept, getattr(envs, name), results))
    recorded = h5r.vector.RecordToHDF5(envs, tmp_path / "lanes.h5", writer="inline")
    assert recorded.reset(seed=5) is results[-1]
    assert recorded.step(actions_at(0, 4)) is results[-1]
    recorded.close()


def _kept(function: Any, results: list[Any], *args: Any, **kwargs: Any) -> Any:
    results.append(function(*args, **kwargs))
    return results[-1]


def test_plain_h5py_finds_an_episode_by_start_length_and_lane(tmp_path: Any) -> None:
    envs = h5r.vector.RecordToHDF5(made("box", AutoresetMode.SAME_STEP), tmp_path / "lanes.h5")
    drive(envs, AutoresetMode.SAME_STEP, 20)
    envs.close()
    with h5py.File(tmp_path / "lanes.h5") as file, h5r.Recording(tmp_path / "lanes.h5") as recording:
        *rows, episodes = file["commit"][:]
        assert episodes == recording.num_episodes
        assert sum(rows) == recording.num_rows
        assert file.attrs["num_envs"] == 4
        table = (file[f"episodes/{name}"][:episodes] for name in ("starts", "lengths", "envs"))
        for number, (start, length, lane) in enumerate(zip(*table, strict=True)):
            found = file["observations"][start : start + length, lane]
            np.testing.assert_array_equal(found, recording[number].observations[:-1])
            np.testing.assert_array_equal(
                file["observations"][start + 1 : start + length + 1, lane], recording[number].next_observations[:]
            )


def test_lanes_are_read_together_and_by_themselves(tmp_path: Any) -> None:
    mode = AutoresetMode.NEXT_STEP
    envs = h5r.vector.RecordToHDF5(made("box", mode), tmp_path / "lanes.h5", writer="inline")
    drive(envs, mode, 25)
    envs.close()
    expected = expected_episodes(LENGTHS, mode, 25)
    with h5r.Recording(tmp_path / "lanes.h5") as recording:
        steps = [(each, step) for each in expected for step in range(each.length)]
        observations = [value("box", each.lane, each.number, step) for each, step in steps]
        np.testing.assert_array_equal(recording.steps.observations[:], observations)
        np.testing.assert_array_equal(recording.steps.steps, [step for _, step in steps])
        its_infos = [info(each.lane, each.number, step) for each, step in steps]
        assert all(map(identical, recording.steps.infos, its_infos))
        batches = list(recording.iter_batches(7))
        np.testing.assert_array_equal(np.concatenate([each["observations"] for each in batches]), observations)
        for lane in range(4):
            mine = [each for each in expected if each.lane == lane]
            assert [each.length for each in recording.lane(lane)] == [each.length for each in mine]
            assert recording.select(f"env == {lane}").numbers.tolist() == recording.lane(lane).numbers.tolist()
        with pytest.raises(SelectionError, match="there is no lane 4"):
            recording.lane(4)
        with pytest.raises(OptionError, match="each with rows of its own"):
            recording.rows  # noqa: B018
        assert recording.num_envs == 4


def test_samples_never_cross_a_lane(tmp_path: Any) -> None:
    envs = h5r.vector.RecordToHDF5(made("box", AutoresetMode.SAME_STEP), tmp_path / "lanes.h5", writer="inline")
    drive(envs, AutoresetMode.SAME_STEP, 40)
    envs.close()
    seen = []
    with h5r.Recording(tmp_path / "lanes.h5") as recording:
        for order in ("uniform", "chunk"):
            sampler = recording.sampler(batch_size=16, seed=0, order=order)
            for batch in (sampler.batch(number) for number in range(len(sampler))):
                lanes, episodes, steps = batch["observations"].T
                following = np.stack([lanes, episodes, steps + 1], 1)
                np.testing.assert_array_equal(batch["next_observations"], following)
                seen += list(zip(lanes, episodes, steps, strict=True))
        assert len(seen) == 2 * recording.num_steps
        assert len(set(seen)) == recording.num_steps


def test_stacks_are_stored_once_per_frame_in_every_lane(tmp_path: Any) -> None:
    lengths = [(5, 2), (NEVER,)]
    makers = [partial(_stacked, lane, each) for lane, each in enumerate(lengths)]
    envs = h5r.vector.RecordToHDF5(SyncVectorEnv(makers), tmp_path / "lanes.h5", writer="inline")
    drive(envs, AutoresetMode.NEXT_STEP, 30)
    envs.close()
    with h5py.File(tmp_path / "lanes.h5") as file:
        assert file["observations/newest"].shape[1:] == (2, 40, 40)
    with h5r.Recording(tmp_path / "lanes.h5") as recording:
        assert recording.num_episodes == len(expected_episodes(lengths, AutoresetMode.NEXT_STEP, 30))
        for episode in recording:
            for step, stack in enumerate(episode.observations):
                levels = [1 + episode.env * 60 + max(step - age, 0) for age in (3, 2, 1, 0)]
                assert [np.unique(frame).tolist() for frame in stack] == [[level] for level in levels]
        np.testing.assert_array_equal(
            recording.steps.observations[:], np.concatenate([each.observations[:-1] for each in recording])
        )


class _Pictures(Scripted):
    def __init__(self, lane: int, lengths: tuple[int, ...]) -> None:
        super().__init__("box", lane, lengths)
        self.observation_space = spaces.Box(0, 255, (40, 40), np.uint8)

    def _observed(self) -> tuple[Any, dict[str, Any]]:
        return np.full((40, 40), 1 + self._lane * 60 + self._step, np.uint8), {}


def _stacked(lane: int, lengths: tuple[int, ...]) -> gym.Env[Any, Any]:
    return gym.wrappers.FrameStackObservation(_Pictures(lane, lengths), 4)


# Options ------------------------------------------------------------------------------------------


def test_some_lanes_are_recorded(tmp_path: Any) -> None:
    mode = AutoresetMode.SAME_STEP
    envs = h5r.vector.RecordToHDF5(made("dict", mode), tmp_path / "lanes.h5", lanes=[3, 0], writer="inline")
    drive(envs, mode, 15)
    envs.close()
    with h5r.Recording(tmp_path / "lanes.h5") as recording:
        assert recording.num_envs == 2
        assert recording.metadata["vector"]["lanes"] == [3, 0]
        for lane, env in enumerate([3, 0]):
            mine = [each for each in expected_episodes(LENGTHS, mode, 15) if each.lane == env]
            found = list(recording.lane(lane))
            assert [each.length for each in found] == [each.length for each in mine]
            for episode, its in zip(found, mine, strict=True):
                assert all(map(identical, episode.observations, [value("dict", *place) for place in its.places()]))
                assert list(episode.actions) == its.actions


@pytest.mark.parametrize("mode", MODES, ids=MODE_IDS)
def test_extras_belong_to_the_steps_of_their_lanes(mode: AutoresetMode, tmp_path: Any) -> None:
    envs = h5r.vector.RecordToHDF5(made("box", mode), tmp_path / "lanes.h5", writer="inline")
    envs.reset(seed=5)
    over = np.zeros(4, np.bool_)
    told: dict[int, list[tuple[Any, Any]]] = {lane: [] for lane in range(4)}
    for step in range(20):
        if mode is AutoresetMode.DISABLED and over.any():
            envs.reset(options={"reset_mask": over})
        values = np.arange(4) + step / 8
        words = [f"{lane} {step}" for lane in range(4)]
        envs.add_extras(value=values, words=words)
        for lane in range(4):
            if not (over[lane] and mode is AutoresetMode.NEXT_STEP):
                told[lane].append((values[lane], words[lane]))
        _, _, terminations, truncations, _ = envs.step(actions_at(step, 4))
        over = terminations | truncations
    envs.close()
    with h5r.Recording(tmp_path / "lanes.h5") as recording:
        for lane in range(4):
            found = [each for episode in recording.lane(lane) for each in episode.extras]
            assert [(each["value"], each["words"]) for each in found] == told[lane]


def test_frames_of_every_lane_are_recorded(tmp_path: Any) -> None:
    mode = AutoresetMode.NEXT_STEP
    envs = h5r.vector.RecordToHDF5(
        made("box", mode, render_mode="rgb_array"), tmp_path / "lanes.h5", writer="inline", frames="render"
    )
    drive(envs, mode, 12)
    np.testing.assert_array_equal(envs.render()[2], picture(2, 0, 12))
    envs.close()
    with h5r.Recording(tmp_path / "lanes.h5") as recording:
        for episode, its in zip(recording, expected_episodes(LENGTHS, mode, 12), strict=True):
            np.testing.assert_array_equal(episode.frames[:], [picture(*place) for place in its.places()])


def test_a_final_observation_that_was_never_rendered_has_no_picture(tmp_path: Any) -> None:
    mode = AutoresetMode.SAME_STEP
    envs = h5r.vector.RecordToHDF5(
        made("box", mode, render_mode="rgb_array"), tmp_path / "lanes.h5", writer="inline", frames="render"
    )
    with pytest.warns(RecordingWarning, match="frame"):
        drive(envs, mode, 12)
    envs.close()
    with h5r.Recording(tmp_path / "lanes.h5") as recording:
        for episode, its in zip(recording, expected_episodes(LENGTHS, mode, 12), strict=True):
            pictures = [picture(*place) for place in its.places()]
            assert all(map(identical, list(episode.frames)[:-1], pictures[:-1]))
            assert (episode.frames[its.length] is None) == its.is_over


def test_cameras_give_a_picture_of_every_lane(tmp_path: Any) -> None:
    def front(envs: Any) -> list[np.ndarray]:
        return [np.full((2, 2, 3), lane, np.uint8) for lane in range(envs.num_envs)]

    mode = AutoresetMode.NEXT_STEP
    envs = h5r.vector.RecordToHDF5(
        made("box", mode), tmp_path / "lanes.h5", writer="inline", frames={"front": front, "wrist": front}
    )
    drive(envs, mode, 5)
    envs.close()
    with h5r.Recording(tmp_path / "lanes.h5") as recording:
        for episode in recording:
            assert (episode.frames[:]["wrist"] == episode.env).all()


@pytest.mark.parametrize("mode", MODES, ids=MODE_IDS)
def test_keep_decides_about_the_episodes_of_each_lane(mode: AutoresetMode, tmp_path: Any) -> None:
    asked = []

    def keep(summary: Any) -> bool:
        asked.append(summary.length)
        return bool(summary.length != 1)

    envs = h5r.vector.RecordToHDF5(made("box", mode), tmp_path / "lanes.h5", writer="inline", keep=keep)
    drive(envs, mode, 30)
    envs.close()
    expected = expected_episodes(LENGTHS, mode, 30)
    assert sorted(asked) == sorted(each.length for each in expected)
    kept = [each for each in expected if each.length != 1]
    with h5r.Recording(tmp_path / "lanes.h5") as recording:
        found = [(each.env, each.length, each.episode_id) for each in recording]
        assert found == [(each.lane, each.length, each.number) for each in kept]
        assert recording.metadata["discarded_episodes"] == len(expected) - len(kept)
        for episode, its in zip(recording, kept, strict=True):
            assert all(map(identical, episode.observations, [value("box", *place) for place in its.places()]))
    assert not h5r.validate(tmp_path / "lanes.h5", deep=True)


def test_running_episodes_of_some_lanes_are_discarded(tmp_path: Any) -> None:
    mode = AutoresetMode.NEXT_STEP
    lengths = [(NEVER,), (6,), (NEVER,)]
    envs = h5r.vector.RecordToHDF5(made("box", mode, lengths), tmp_path / "lanes.h5", writer="inline")
    drive(envs, mode, 3)
    envs.discard_episode(lanes=[1])
    drive(envs, mode, 6, start=3)
    envs.close()
    with h5r.Recording(tmp_path / "lanes.h5") as recording:
        assert [(each.env, each.length, each.episode_id) for each in recording] == [(0, 9, 0), (1, 2, 1), (2, 9, 0)]
        assert recording.metadata["discarded_steps"] == 3


def test_triggers_are_asked_about_every_lane(tmp_path: Any) -> None:
    mode = AutoresetMode.NEXT_STEP
    envs = h5r.vector.RecordToHDF5(
        made("box", mode), tmp_path / "lanes.h5", writer="inline", episode_trigger=lambda number: number % 2 == 1
    )
    drive(envs, mode, 30)
    envs.close()
    with h5r.Recording(tmp_path / "lanes.h5") as recording:
        wanted = [each for each in expected_episodes(LENGTHS, mode, 30) if each.number % 2]
        assert [(each.env, each.length, each.episode_id) for each in recording] == [
            (each.lane, each.length, each.number) for each in wanted
        ]


def test_a_step_trigger_begins_in_the_middle_of_episodes(tmp_path: Any) -> None:
    mode = AutoresetMode.NEXT_STEP
    lengths = [(NEVER,), (NEVER,)]
    envs = h5r.vector.RecordToHDF5(
        made("box", mode, lengths), tmp_path / "lanes.h5", writer="inline", step_trigger=lambda number: number in (2, 5)
    )
    drive(envs, mode, 8)
    envs.close()
    with h5r.Recording(tmp_path / "lanes.h5") as recording:
        found = [(each.env, each.observations[:][:, 2].tolist(), int(each.origin)) for each in recording]
        assert sorted(found) == sorted(
            (lane, rows, 1) for lane in range(2) for rows in ([3.0, 4.0, 5.0, 6.0], [6.0, 7.0, 8.0])
        )


def test_recordings_are_appended_to(tmp_path: Any) -> None:
    mode = AutoresetMode.SAME_STEP
    for way in ("x", "a", "a"):
        envs = h5r.vector.RecordToHDF5(made("tuple", mode), tmp_path / "lanes.h5", mode=way, writer="inline")
        drive(envs, mode, 14)
        envs.close()
    expected = expected_episodes(LENGTHS, mode, 14) * 3
    check_recording(tmp_path / "lanes.h5", "tuple", expected)


def test_a_recording_without_a_step_has_the_first_rows(tmp_path: Any) -> None:
    envs = h5r.vector.RecordToHDF5(made("dict", AutoresetMode.NEXT_STEP), tmp_path / "lanes.h5", writer="inline")
    envs.reset(seed=5)
    envs.close()
    with h5r.Recording(tmp_path / "lanes.h5") as recording:
        assert [(each.env, each.length, each.seed) for each in recording] == [(lane, 0, 5 + lane) for lane in range(4)]
        assert identical(recording[2].observations[0], value("dict", 2, 0, 0))


def test_recordings_of_lanes_are_followed_while_they_are_made(tmp_path: Any) -> None:
    mode = AutoresetMode.SAME_STEP
    envs = h5r.vector.RecordToHDF5(made("box", mode), tmp_path / "lanes.h5", flush_interval_s=100)
    drive(envs, mode, 6)
    envs.flush()
    recording = h5r.Recording(tmp_path / "lanes.h5", live=True)
    expected = expected_episodes(LENGTHS, mode, 6)
    ended = [each for each in expected if each.is_over]
    assert recording.num_episodes == len(ended)
    assert recording.num_steps == sum(each.length for each in expected)
    first = recording[0]
    drive(envs, mode, 6, start=6)
    envs.flush()
    assert recording.refresh()
    expected = expected_episodes(LENGTHS, mode, 12)
    assert recording.num_episodes == sum(each.is_over for each in expected)
    assert recording.num_steps == sum(each.length for each in expected)
    np.testing.assert_array_equal(first.observations[:], recording[0].observations[:])
    envs.close()
    assert not recording.refresh()
    assert recording.num_episodes == len(expected)


def test_a_copy_does_not_record(tmp_path: Any) -> None:
    envs = h5r.vector.RecordToHDF5(made("box", AutoresetMode.NEXT_STEP), tmp_path / "lanes.h5", writer="inline")
    envs.reset(seed=5)
    for other in (copy.deepcopy(envs), pickle.loads(pickle.dumps(envs))):
        other.reset(seed=1)
        other.step(actions_at(0, 4))
        other.close()
    envs.step(actions_at(0, 4))
    envs.close()
    with h5r.Recording(tmp_path / "lanes.h5") as recording:
        assert recording.num_steps == 4


# What is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lanes", "text"),
    [([4], "from 0 to 3"), ([0, 0], "different"), ([], "different"), ([True], "different"), (["1"], "different")],
    ids=["beyond", "twice", "none", "boolean", "text"],
)
def test_lanes_that_do_not_exist_are_refused(lanes: Any, text: str, tmp_path: Any) -> None:
    with pytest.raises(OptionError, match=text):
        h5r.vector.RecordToHDF5(made("box", AutoresetMode.NEXT_STEP), tmp_path / "lanes.h5", lanes=lanes)
    assert not list(tmp_path.iterdir())


def test_a_single_environment_is_refused(tmp_path: Any) -> None:
    with pytest.raises(UnsupportedEnvError, match=r"is a single environment.*gym_h5record\.RecordToHDF5"):
        h5r.vector.RecordToHDF5(gym.make("CartPole-v1"), tmp_path / "lanes.h5")  # type: ignore[arg-type]


def test_a_vector_environment_is_sent_from_the_single_wrapper_to_this_one(tmp_path: Any) -> None:
    with pytest.raises(UnsupportedEnvError, match=r"gym_h5record\.vector\.RecordToHDF5"):
        h5r.RecordToHDF5(made("box", AutoresetMode.NEXT_STEP), tmp_path / "lanes.h5")  # type: ignore[arg-type]


def test_an_existing_file_is_not_overwritten(tmp_path: Any) -> None:
    (tmp_path / "lanes.h5").write_bytes(b"mine")
    with pytest.raises(RecordingExistsError):
        h5r.vector.RecordToHDF5(made("box", AutoresetMode.NEXT_STEP), tmp_path / "lanes.h5")
    assert (tmp_path / "lanes.h5").read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("lengths", "mode", "text"),
    [
        (LENGTHS[:3], AutoresetMode.NEXT_STEP, "num_envs"),
        (LENGTHS, AutoresetMode.SAME_STEP, "autoreset_mode"),
    ],
    ids=["lanes", "mode"],
)
def test_other_lanes_are_not_appended(lengths: Any, mode: AutoresetMode, text: str, tmp_path: Any) -> None:
    path = tmp_path / "lanes.h5"
    envs = h5r.vector.RecordToHDF5(made("box", AutoresetMode.NEXT_STEP), path, writer="inline")
    drive(envs, AutoresetMode.NEXT_STEP, 5)
    envs.close()
    before = path.read_bytes()
    envs = h5r.vector.RecordToHDF5(made("box", mode, lengths), path, mode="a", writer="inline")
    with pytest.raises(SchemaMismatchError, match=text):
        envs.reset(seed=5)
    envs.close()
    assert path.read_bytes() == before


def test_a_single_environment_is_not_appended_to_lanes(tmp_path: Any) -> None:
    path = tmp_path / "lanes.h5"
    envs = h5r.vector.RecordToHDF5(made("box", AutoresetMode.NEXT_STEP), path, writer="inline")
    drive(envs, AutoresetMode.NEXT_STEP, 5)
    envs.close()
    env = h5r.RecordToHDF5(Scripted("box", 0, (3,)), path, mode="a", writer="inline")
    with pytest.raises(SchemaMismatchError, match="num_envs"):
        env.reset()
    env.close()


@pytest.mark.parametrize("mask", [[True] * 4, np.ones(4), np.ones(3, np.bool_)], ids=["list", "floats", "short"])
def test_the_environment_refuses_a_mask_that_is_not_boolean(mask: Any, tmp_path: Any) -> None:
    envs = h5r.vector.RecordToHDF5(made("box", AutoresetMode.DISABLED), tmp_path / "lanes.h5", writer="inline")
    envs.reset(seed=5)
    with pytest.raises((TypeError, ValueError), match=r"`options\['reset_mask'\]` must"):
        envs.reset(options={"reset_mask": mask})
    drive(envs, AutoresetMode.NEXT_STEP, 1, start=1)
    envs.close()
    with h5r.Recording(tmp_path / "lanes.h5") as recording:
        assert [each.length for each in recording] == [1, 1, 1, 1]


def test_the_environment_gets_the_very_options_of_a_reset(tmp_path: Any) -> None:
    envs = h5r.vector.RecordToHDF5(made("box", AutoresetMode.DISABLED), tmp_path / "lanes.h5", writer="inline")
    envs.reset(seed=5)
    options = {"reset_mask": np.array([True, False, True, False]), "level": 3}
    envs.reset(options=options)
    assert sorted(options) == ["level"]  # SyncVectorEnv takes the mask out
    envs.close()
    with h5r.Recording(tmp_path / "lanes.h5") as recording:
        assert [(each.env, each.options) for each in recording] == [
            *((lane, None) for lane in (0, 2)),
            *((lane, {"level": 3} if lane in (0, 2) else None) for lane in range(4)),
        ]


class _TooFew(VectorEnv[Any, Any, Any]):
    metadata: dict[str, Any] = {"autoreset_mode": AutoresetMode.NEXT_STEP}  # noqa: RUF012  # Gymnasium's interface

    def __init__(self) -> None:
        self.num_envs = 3
        self.single_observation_space = spaces.Box(0, 1, (2,))
        self.single_action_space = spaces.Discrete(2)
        self.observation_space = gym.vector.utils.batch_space(self.single_observation_space, 3)
        self.action_space = gym.vector.utils.batch_space(self.single_action_space, 3)
        self.rows = 3

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        return np.zeros((self.rows, 2), np.float32), {}

    def step(self, actions: Any) -> Any:
        flags = np.zeros(self.rows, np.bool_)
        return np.zeros((self.rows, 2), np.float32), np.zeros(self.rows), flags, flags, {}


def test_batches_with_too_few_rows_are_passed_on_and_not_recorded(tmp_path: Any) -> None:
    inner = _TooFew()
    envs = h5r.vector.RecordToHDF5(inner, tmp_path / "lanes.h5", writer="inline")
    envs.reset()
    envs.step(np.zeros(3, np.int64))
    inner.rows = 2
    with pytest.warns(RecordingWarning, match="each with an entry for every environment"):
        assert len(envs.step(np.zeros(3, np.int64))[0]) == 2
    inner.rows = 3
    envs.reset()
    envs.step(np.zeros(3, np.int64))
    envs.close()
    with h5r.Recording(tmp_path / "lanes.h5") as recording:
        assert [(each.env, each.length, each.complete) for each in recording] == [
            (lane, 1, False) for _ in range(2) for lane in range(3)
        ]


def test_a_mask_that_only_the_environment_takes_ends_the_recorded_episodes(tmp_path: Any) -> None:
    envs = h5r.vector.RecordToHDF5(_TooFew(), tmp_path / "lanes.h5", writer="inline")
    envs.reset()
    envs.step(np.zeros(3, np.int64))
    with pytest.warns(RecordingWarning, match=r"reset_mask: expected a boolean array \(3,\).* until the next reset"):
        envs.reset(options={"reset_mask": [1, 0, 1]})
    with pytest.warns(RecordingWarning, match="before the first reset"):
        envs.step(np.zeros(3, np.int64))
    envs.close()
    with h5r.Recording(tmp_path / "lanes.h5") as recording:
        assert [(each.env, each.length) for each in recording] == [(0, 1), (1, 1), (2, 1)]


def test_actions_that_the_environment_refuses_change_nothing(tmp_path: Any) -> None:
    envs = h5r.vector.RecordToHDF5(gym.make_vec("CartPole-v1", 3, "sync"), tmp_path / "lanes.h5", writer="inline")
    envs.reset(seed=1)
    for count in (3, 2, 4, 3):
        if count == 3:
            envs.step(np.zeros(3, np.int64))
        else:
            with pytest.raises(ValueError, match=r"(?i)action|zip"):
                envs.step(np.zeros(count, np.int64))
    envs.close()
    with h5r.Recording(tmp_path / "lanes.h5") as recording:
        assert [(each.env, each.length) for each in recording] == [(0, 2), (1, 2), (2, 2)]


def test_too_few_actions_that_the_environment_takes_end_the_recorded_episodes(tmp_path: Any) -> None:
    envs = h5r.vector.RecordToHDF5(_TooFew(), tmp_path / "lanes.h5", writer="inline")
    envs.reset()
    envs.step(np.zeros(3, np.int64))
    with pytest.warns(RecordingWarning, match="expected an action for each of 3 environments"):
        envs.step(np.zeros(2, np.int64))
    envs.close()
    with h5r.Recording(tmp_path / "lanes.h5") as recording:
        assert [(each.env, each.length) for each in recording] == [(0, 1), (1, 1), (2, 1)]


def test_extras_with_too_few_entries_are_refused(tmp_path: Any) -> None:
    envs = h5r.vector.RecordToHDF5(made("box", AutoresetMode.NEXT_STEP), tmp_path / "lanes.h5", writer="inline")
    envs.reset()
    with pytest.raises(EpisodeDataError, match="value: expected an array with an entry for each of 4"):
        envs.add_extras(value=np.zeros(3))
    with pytest.raises(EpisodeDataError, match="value: expected an array"):
        envs.add_extras(value=0.5)
    envs.close()


def test_an_environment_that_does_not_say_how_it_resets_is_refused(tmp_path: Any) -> None:
    inner = _TooFew()
    inner.metadata = {}
    with pytest.raises(UnsupportedEnvError, match="does not say how it resets"):
        h5r.vector.RecordToHDF5(inner, tmp_path / "lanes.h5")


@pytest.mark.long
def test_a_run_of_many_ticks_and_lanes_is_stored_as_it_came(tmp_path: Any) -> None:
    """More than 256 KiB of each column in one commit: NumPy computes such arrays in place, in whatever order."""
    envs = h5r.vector.RecordToHDF5(CartPoleVectorEnv(256), tmp_path / "run.h5", writer="inline", flush_interval_s=1e6)
    envs.reset(seed=0)
    actions = np.random.default_rng(0).integers(0, 2, (1100, 256))
    steps = [envs.step(each) for each in actions]
    envs.close()
    with h5py.File(tmp_path / "run.h5") as file:
        assert file["commit"][:-1].tolist() == [1101] * 256
        rewards, terminated, truncated = (np.stack([step[at] for step in steps]) for at in (1, 2, 3))
        is_step = np.ones_like(terminated)
        is_step[1:] = ~(terminated | truncated)[:-1]  # the vector step behind the end of an episode is a reset
        assert np.array_equal(file["observations"][1:1101], np.stack([step[0] for step in steps]))
        assert np.array_equal(file["terminations"][:1100], terminated & is_step)
        assert np.array_equal(file["truncations"][:1100], truncated & is_step)
        assert np.array_equal(file["dones"][:1100], (terminated | truncated) & is_step)
        assert np.array_equal(file["rewards"][:1100], np.where(is_step, rewards, 0))
        assert np.array_equal(file["actions"][:1100], np.where(is_step, actions, 0))
    assert h5r.validate(tmp_path / "run.h5", deep=True) == []
