"""The wrapper: everything is recorded exactly, and the agent sees no difference."""

from __future__ import annotations

import copy
import gc
import os
import pickle
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import ale_py
import gymnasium as gym
import h5py
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils.env_match import check_environments_match

import gym_h5record as h5r
from gym_h5record import errors
from gym_h5record.errors import RecordingWarning
from gym_h5record.format import column_planning
from gym_h5record.format.names import Origin
from gym_h5record.values.exact import identical
from tests.custom_spaces import Anything, Unicode
from tests.stacking import START, check_stacks, record_stacks
from tests.writing import each_writer, run_script
from tests.zoo import SPACES_BY_ID, ZooEnv, check_recorded, every_space_by_name, play, some_spaces
from tests.zoo_recordings import zoo_recording

gym.register_envs(ale_py)

CLASSIC = ["CartPole-v1", "Acrobot-v1", "MountainCar-v0", "MountainCarContinuous-v0", "Pendulum-v1"]
TOY_TEXT = ["FrozenLake-v1", "Taxi-v4", "CliffWalking-v1", "Blackjack-v1"]


def record(env: gym.Env[Any, Any], path: Path, **options: Any) -> h5r.RecordToHDF5[Any, Any]:
    return h5r.RecordToHDF5(env, path, **{"writer": "inline", **options})


def steps_until_done(env: gym.Env[Any, Any], action: Any) -> int:
    steps, done = 0, False
    while not done:
        _, _, terminated, truncated, _ = env.step(action)
        steps, done = steps + 1, terminated or truncated
    return steps


class CountingEnv(gym.Env[np.ndarray, Any]):
    """Observation [n, n] after n steps of the episode, which ends after ``length``; all share one buffer."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 20}  # noqa: RUF012

    def __init__(self, length: int = 5, render_mode: str | None = None) -> None:
        self.observation_space = spaces.Box(0, 1e6, (2,), np.float32)
        self.action_space = spaces.Box(-1, 1, (2,), np.float32)
        self.render_mode = render_mode
        self.buffer = np.zeros(2, np.float32)
        self.length, self.steps, self.renders = length, 0, 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.steps = 0
        self.buffer[:] = 0
        return self.buffer, {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.steps += 1
        self.buffer[:] = self.steps
        action *= 0  # environments may do this
        return self.buffer, float(self.steps), self.steps >= self.length, False, {"steps": self.steps}

    def render(self) -> np.ndarray:
        self.renders += 1
        return np.full((4, 6, 3), self.steps, np.uint8)[::-1]  # not contiguous, like BipedalWalker's


# Exactness ---------------------------------------------------------------------------------------


@pytest.mark.sampled(10)
@every_space_by_name
def test_every_value_is_read_back_exactly(name: str) -> None:
    recorded = zoo_recording(name)
    with h5r.Recording(recorded.path) as recording:
        assert recording.observation_space == SPACES_BY_ID[name]
        assert recording.action_space == SPACES_BY_ID[name]
        check_recorded(recording, recorded.played)


@pytest.mark.parametrize(
    ("compression", "writer"),
    [("gzip", "process"), *((each, "inline") for each in ("gzip", "zstd", "lz4", "lzf", None))],
    ids=str,
)
def test_every_compression_and_writer_is_exact(compression: str | None, writer: str, tmp_path: Path) -> None:
    space = spaces.Dict(picture=spaces.Box(0, 255, (40, 30, 3), np.uint8), words=spaces.Sequence(spaces.Text(9)))
    env = record(ZooEnv(space, rewards=(1.0,)), tmp_path / "run.h5", compression=compression, writer=writer)
    played = play(env, [30, 7, 30])
    env.close()
    check_recorded(h5r.Recording(tmp_path / "run.h5"), played)


def test_reused_buffers_and_mutated_actions_are_copied_in_time(tmp_path: Path) -> None:
    env = record(CountingEnv(), tmp_path / "run.h5")
    env.reset()
    for step in range(5):
        env.step(np.full(2, step / 10, np.float32))
    env.close()
    episode = h5r.Recording(tmp_path / "run.h5").episodes[0]
    assert episode.observations[:].tolist() == [[n, n] for n in range(6)]
    assert [action[0] for action in episode.actions] == [np.float32(n / 10) for n in range(5)]


class MisfitEnv(gym.Env[Any, Any]):
    """Declares pairs of float32, and gives the observations and rewards of its lists."""

    observation_space = spaces.Box(-1, 1, (2,), np.float32)
    action_space = spaces.Discrete(3)

    def __init__(self, observations: list[Any], rewards: list[Any] | None = None) -> None:
        self.observations, self.rewards = observations, rewards or [1.0]
        self.at = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        self.at = 0
        return self.observations[0], {}

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        self.at += 1
        reward = self.rewards[(self.at - 1) % len(self.rewards)]
        return self.observations[self.at], reward, self.at == len(self.observations) - 1, False, {}


MISFITS = {
    "float64 always": [np.array([0.1, n]) for n in range(5)],
    "python ints": [3, 4, 5, 6],
    "other shapes": [np.zeros(2, np.float32), np.zeros(3, np.float32), np.zeros((1, 2), np.float32)],
    "out of bounds": [np.array([7, np.inf], np.float32)] * 3,
    "lists": [[0.5, 1.0], [1.5, float("nan")], None],
    "from list to array": [[1.0, 2.0], np.zeros(2, np.float32), "text"],
    "nested": [{"a": (1, np.zeros(2))}, {"b": [None, {1: 2}]}, {}],
    "object arrays": [np.array([1, "a", None], object), np.array([2.5], object), np.zeros(2, np.float32)],
    "complex": [np.zeros(2, complex), np.ones(2, complex)],
    "numpy scalars": [np.float32(1), np.float64(0.1), np.int8(3)],
}


@pytest.mark.parametrize("observations", MISFITS.values(), ids=MISFITS)
def test_observations_outside_their_space_are_kept_exactly_with_a_warning(
    observations: list[Any], tmp_path: Path
) -> None:
    env = record(MisfitEnv(observations), tmp_path / "run.h5")
    with pytest.warns(RecordingWarning):
        env.reset()
        for _ in observations[1:]:
            env.step(0)
    env.close()
    found = h5r.Recording(tmp_path / "run.h5").episodes[0].observations
    for at, expected in enumerate(observations):
        assert identical(found[at], expected), (found[at], expected)


def test_a_value_that_does_not_fit_is_warned_of_once(tmp_path: Path) -> None:
    env = record(MisfitEnv([np.zeros(2, np.float32), *[np.zeros(3)] * 50]), tmp_path / "run.h5")
    with pytest.warns(RecordingWarning, match="/observations: got an array of float64 with shape") as caught:
        env.reset()
        for _ in range(50):
            env.step(0)
    env.close()
    assert len(caught) == 1


def test_actions_of_changing_types_come_back_as_they_were(tmp_path: Path) -> None:
    actions = [1, np.int64(2), np.int32(0), True, np.uint8(1), np.array(2)]
    env = record(MisfitEnv([np.zeros(2, np.float32)] * 7), tmp_path / "run.h5")
    with pytest.warns(RecordingWarning, match="/actions: got an array of int64 with shape"):
        env.reset()
        for action in actions:
            env.step(action)
    env.close()
    found = h5r.Recording(tmp_path / "run.h5").episodes[0].actions
    assert all(identical(found[at], action) for at, action in enumerate(actions))


def test_rewards_of_any_type_come_back_as_they_were(tmp_path: Path) -> None:
    rewards = [1, 0.5, np.float32(0.1), np.float64(3), True, np.int8(-3), 2**60 + 1, None, np.ones(2), -0.0]
    env = record(MisfitEnv([np.zeros(2, np.float32)] * 11, rewards), tmp_path / "run.h5")
    with pytest.warns(RecordingWarning, match="/rewards"):
        env.reset()
        for _ in rewards:
            env.step(0)
    env.close()
    found = h5r.Recording(tmp_path / "run.h5").episodes[0].rewards
    assert all(identical(found[at], reward) for at, reward in enumerate(rewards))


@pytest.mark.parametrize("odd", [None, "1.5", b"1", (1.0,), np.ones(2), 10**400], ids=lambda odd: type(odd).__name__)
def test_a_reward_that_is_no_number_makes_the_total_nan_and_is_kept(odd: Any, tmp_path: Path) -> None:
    env = record(MisfitEnv([np.zeros(2, np.float32)] * 4, [1.0, odd, 0.5]), tmp_path / "run.h5")
    with pytest.warns(RecordingWarning, match="/rewards"):
        env.reset()
        for _ in range(3):
            env.step(0)
    env.reset()
    env.step(0)
    env.close()
    with h5r.Recording(tmp_path / "run.h5") as recording, h5py.File(tmp_path / "run.h5") as file:
        assert identical([*recording.episodes[0].rewards], [1.0, odd, 0.5])
        assert np.isnan(file["rewards"][:6]).tolist() == [False, True, False, False, False, False]
        assert np.isnan(recording.episodes[0].total_reward)
        assert recording.episodes[1].total_reward == 1.0
        assert np.isnan(recording.returns).tolist() == [True, False]


class ForeignArray:
    """An array of another library, as far as NumPy can tell."""

    def __init__(self, content: Any) -> None:
        self.content = np.asarray(content, np.float32)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self.content.astype(dtype or np.float32)


def test_arrays_of_other_libraries_are_recorded_as_numpy_arrays_with_a_warning(tmp_path: Path) -> None:
    env = record(MisfitEnv([ForeignArray([n, n]) for n in range(4)]), tmp_path / "run.h5")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        env.reset()
        for _ in range(3):
            env.step(1)
    env.close()
    episode = h5r.Recording(tmp_path / "run.h5").episodes[0]
    assert episode.observations[:].tolist() == [[n, n] for n in range(4)]
    assert len([each for each in caught if "as NumPy arrays" in str(each.message)]) == 1


def test_infos_may_hold_anything_and_parts_without_an_exact_form_are_named(tmp_path: Path) -> None:
    class Strange:
        def __repr__(self) -> str:
            return "<Strange>"

    loop: list[Any] = []
    loop.append(loop)
    infos = [{"n": 0}, {"odd": Strange(), "n": 1}, {"loop": loop}, {"ok": {1: (2, {3})}}]
    env = record(ZooEnv(spaces.Discrete(3), rewards=(1.0,), infos=lambda step: infos[step % 4]), tmp_path / "run.h5")
    with pytest.warns(RecordingWarning, match="else its repr, is recorded in its place"):
        env.reset()
        for _ in range(3):
            env.step(0)
    env.close()
    found = h5r.Recording(tmp_path / "run.h5").episodes[0].infos
    assert found is not None
    assert found[1] == {"odd": "<Strange>", "n": 1}
    assert identical(found[3], infos[3])


# Indistinguishable -------------------------------------------------------------------------------


@pytest.mark.parametrize("env_id", [*CLASSIC, *TOY_TEXT])
@pytest.mark.parametrize("render_mode", [None, "rgb_array"])
def test_gymnasiums_environments_match_their_recorded_twins(
    env_id: str, render_mode: str | None, tmp_path: Path
) -> None:
    bare = gym.make(env_id, render_mode=render_mode)
    recorded = record(gym.make(env_id, render_mode=render_mode), tmp_path / "run.h5")
    check_environments_match(bare, recorded, num_steps=60 if render_mode is None else 5, seed=7)
    recorded.close()
    bare.close()


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("env_id", "mode"),
    [
        ("LunarLander-v3", "rgb_array"),  # what rendering draws changes with every rendering
        ("BipedalWalker-v3", "rgb_array"),
        ("CartPole-v1", "rgb_array"),
        ("FrozenLake-v1", "ansi"),
        ("Taxi-v4", "ansi"),
        ("Painter-v0", "depth_array"),
        ("Painter-v0", "ansi"),
    ],
)
@pytest.mark.filterwarnings("ignore:builtin type .* has no __module__:DeprecationWarning")  # SWIG, loading Box2D
def test_pictures_drawn_by_rendering_match_those_of_the_recorded_twin(env_id: str, mode: str, tmp_path: Path) -> None:
    bare = gym.make(env_id, render_mode=mode)
    recorded = record(gym.make(env_id, render_mode=mode), tmp_path / "run.h5")
    check_environments_match(bare, recorded, num_steps=40, seed=7)
    recorded.close()
    bare.close()
    assert h5r.verify(tmp_path / "run.h5").ok


@pytest.mark.parametrize("options", [{}, {"obs_type": "ram"}, {"render_mode": "rgb_array"}, {"frameskip": (2, 5)}])
def test_atari_matches_its_recorded_twin(options: dict[str, Any], tmp_path: Path) -> None:
    bare = gym.make("ALE/Breakout-v5", **options)
    recorded = record(gym.make("ALE/Breakout-v5", **options), tmp_path / "run.h5")
    check_environments_match(bare, recorded, num_steps=50, seed=3)
    recorded.close()


@pytest.mark.sampled(5)
@some_spaces
def test_environments_of_any_space_match_their_recorded_twins(space: gym.Space[Any], tmp_path: Path) -> None:
    def make() -> gym.Env[Any, Any]:
        return ZooEnv(space, rewards=(1.5, 2), infos=lambda step: {"step": step} if step % 2 else {"other": "x" * step})

    recorded = record(make(), tmp_path / "run.h5")
    check_environments_match(make(), recorded, num_steps=12, seed=1)  # beyond the end of an episode
    recorded.close()


def test_the_environments_own_objects_are_returned(tmp_path: Path) -> None:
    inner = CountingEnv()
    env = record(inner, tmp_path / "run.h5")
    observation, _ = env.reset()
    assert observation is inner.buffer
    for _ in range(3):  # the first step takes another way than the others
        assert env.step(np.zeros(2, np.float32))[0] is inner.buffer
    env.close()


@pytest.mark.parametrize("env_id", ["CartPole-v1", "FrozenLake-v1", "ALE/Breakout-v5"])
@pytest.mark.parametrize("seed", [None, 5])
def test_random_number_streams_are_untouched(env_id: str, seed: int | None, tmp_path: Path) -> None:
    def generator_state(env: gym.Env[Any, Any]) -> Any:
        generator = env.unwrapped._np_random
        return None if generator is None else generator.bit_generator.state

    env = gym.make(env_id)
    generator = env.unwrapped._np_random
    recorded = record(env, tmp_path / "run.h5")
    assert env.unwrapped._np_random is generator
    twin = gym.make(env_id)
    if seed is None:  # give both the same unseeded generator
        twin.unwrapped._np_random = np.random.default_rng(1)
        env.unwrapped._np_random = np.random.default_rng(1)
    for each in (recorded, twin):
        each.reset(seed=seed)
        for _ in range(5):
            each.step(1)
    assert generator_state(env) == generator_state(twin)
    recorded.close()


def test_seed_and_options_reach_the_environment_unchanged(tmp_path: Path) -> None:
    class Seen(CountingEnv):
        def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
            self.seen = (seed, options)
            if options is not None:
                options.pop("x", None)
            return super().reset(seed=seed, options=options)

    inner = Seen()
    env = record(inner, tmp_path / "run.h5")
    options = {"x": 1, "y": (2, 3)}
    env.reset(seed=3, options=options)
    assert inner.seen[0] == 3
    assert inner.seen[1] is options
    env.close()
    assert h5r.Recording(tmp_path / "run.h5").episodes[0].options == {"x": 1, "y": (2, 3)}


# Episodes ----------------------------------------------------------------------------------------


def test_an_early_reset_closes_the_episode_as_incomplete_and_invents_no_flag(tmp_path: Path) -> None:
    env = record(CountingEnv(), tmp_path / "run.h5")
    play(env, [2, 5])
    env.close()
    first, second = h5r.Recording(tmp_path / "run.h5").episodes
    assert (first.length, first.complete, first.terminated, first.truncated) == (2, False, False, False)
    assert (second.length, second.complete, second.terminated, second.truncated) == (5, True, True, False)
    assert second.total_reward == 15.0


def test_steps_after_the_end_become_episodes_with_that_origin(tmp_path: Path) -> None:
    env = record(CountingEnv(length=2), tmp_path / "run.h5")
    env.reset()
    for _ in range(4):
        env.step(np.zeros(2, np.float32))
    env.close()
    episodes = h5r.Recording(tmp_path / "run.h5").episodes
    assert [(each.length, each.origin) for each in episodes] == [
        (2, Origin.RESET),
        (1, Origin.AFTER_DONE),
        (1, Origin.AFTER_DONE),
    ]
    assert episodes[1].observations[:].tolist() == [[2, 2], [3, 3]]


def test_episode_trigger_chooses_episodes_as_in_record_video(tmp_path: Path) -> None:
    env = record(CountingEnv(length=3), tmp_path / "run.h5", episode_trigger=lambda episode: episode % 3 == 1)
    play(env, [3, 3, 3, 3, 2, 3])
    env.close()
    episodes = h5r.Recording(tmp_path / "run.h5").episodes
    assert [(each.episode_id, each.length) for each in episodes] == [(1, 3), (4, 2)]


def test_step_trigger_starts_with_the_observation_of_its_step_until_the_next_reset(tmp_path: Path) -> None:
    env = record(CountingEnv(length=6), tmp_path / "run.h5", step_trigger=lambda step: step in (2, 9))
    play(env, [6, 6, 6])
    env.close()
    episodes = h5r.Recording(tmp_path / "run.h5").episodes
    assert [(each.episode_id, each.length, each.origin) for each in episodes] == [
        (0, 3, Origin.STEP_TRIGGER),
        (1, 2, Origin.STEP_TRIGGER),
    ]
    assert [each[0] for each in episodes[0].observations] == [3, 4, 5, 6]


def test_a_step_trigger_during_a_recording_starts_a_new_one_as_in_record_video(tmp_path: Path) -> None:
    env = record(
        CountingEnv(length=6), tmp_path / "run.h5", episode_trigger=lambda _: True, step_trigger=lambda step: step == 1
    )
    play(env, [6])
    env.close()
    assert [each.length for each in h5r.Recording(tmp_path / "run.h5").episodes] == [2, 4]


def test_nothing_is_made_before_the_first_reset_or_when_no_trigger_fires(tmp_path: Path) -> None:
    env = record(CountingEnv(), tmp_path / "run.h5", episode_trigger=lambda _: False)
    assert not list(tmp_path.iterdir())
    play(env, [5])
    env.close()
    assert not list(tmp_path.iterdir())


def test_a_reset_without_a_step_is_an_episode_of_length_zero(tmp_path: Path) -> None:
    env = record(CountingEnv(), tmp_path / "run.h5")
    env.reset(seed=4)
    env.close()
    recording = h5r.Recording(tmp_path / "run.h5")
    assert (recording.num_rows, recording.num_steps, recording.episodes[0].seed) == (1, 0, 4)


# Frames ------------------------------------------------------------------------------------------


def test_rendered_frames_are_stored_one_per_row(tmp_path: Path) -> None:
    inner = CountingEnv(render_mode="rgb_array")
    env = record(inner, tmp_path / "run.h5")
    play(env, [5])
    env.close()
    assert inner.renders == 6
    frames = h5r.Recording(tmp_path / "run.h5").episodes[0].frames
    assert frames is not None
    assert frames.shape == (6, 4, 6, 3)
    assert [int(frame[0, 0, 0]) for frame in frames] == [0, 1, 2, 3, 4, 5]


def test_the_user_still_gets_the_whole_list_of_frames(tmp_path: Path) -> None:
    bare = gym.make("CartPole-v1", render_mode="rgb_array_list")
    recorded = record(gym.make("CartPole-v1", render_mode="rgb_array_list"), tmp_path / "run.h5")
    for env in (bare, recorded):
        env.reset(seed=1)
        for _ in range(3):
            env.step(0)
    assert identical(bare.render(), recorded.render())
    assert bare.render() == recorded.render() == []
    recorded.step(0)
    bare.step(0)
    assert identical(bare.render(), recorded.render())
    recorded.close()
    with h5r.Recording(tmp_path / "run.h5") as recording:
        assert recording.rows.frames is not None
        assert recording.rows.frames.shape == (5, 400, 600, 3)


def test_an_environment_with_its_own_list_mode_gives_the_user_every_frame_once(tmp_path: Path) -> None:
    class Lists(CountingEnv):
        metadata = {"render_modes": ["rgb_array_list"]}  # noqa: RUF012

        def __init__(self) -> None:
            super().__init__(render_mode="rgb_array_list")
            self.frames: list[np.ndarray] = []

        def step(self, action: Any) -> Any:
            result = super().step(action)
            self.frames.append(np.full((2, 2, 3), self.steps, np.uint8))
            return result

        def render(self) -> Any:
            frames, self.frames = self.frames, []
            return frames

    env = record(Lists(), tmp_path / "run.h5")
    with pytest.warns(RecordingWarning, match="/frames"):  # this one has no picture of the reset
        env.reset()
        for _ in range(3):
            env.step(np.zeros(2, np.float32))
    assert [int(frame[0, 0, 0]) for frame in env.render()] == [1, 2, 3]
    assert env.render() == []
    env.close()


def test_atari_pictures_are_stored_once_and_linked(tmp_path: Path) -> None:
    env = record(gym.make("ALE/Breakout-v5", render_mode="rgb_array"), tmp_path / "run.h5")
    env.reset(seed=1)
    for _ in range(5):
        observation = env.step(1)[0]
        assert identical(observation, np.asarray(env.render()))
    env.close()
    with h5py.File(tmp_path / "run.h5") as file:
        assert file["frames"] == file["observations"]
        assert file["frames"].shape == (6, 210, 160, 3)
    with h5r.Recording(tmp_path / "run.h5") as recording:
        assert recording.rows.frames is not None
        assert identical(recording.rows.frames[5], observation)


def test_frames_of_a_wrapper_that_changes_observations_are_not_linked(tmp_path: Path) -> None:
    inner = gym.make("ALE/Breakout-v5", render_mode="rgb_array")
    env = record(gym.wrappers.ResizeObservation(inner, (20, 30)), tmp_path / "run.h5")
    env.reset(seed=1)
    env.step(1)
    env.close()
    with h5py.File(tmp_path / "run.h5") as file:
        assert file["frames"].shape == (2, 210, 160, 3)
        assert file["observations"].shape == (2, 20, 30, 3)


def test_frames_can_be_switched_off_or_demanded(tmp_path: Path) -> None:
    for number, (frames, expected) in enumerate([(False, False), ("auto", True), ("render", True)]):
        env = record(CountingEnv(render_mode="rgb_array"), tmp_path / f"{number}.h5", frames=frames)
        play(env, [2])
        env.close()
        with h5py.File(tmp_path / f"{number}.h5") as file:
            assert ("frames" in file) is expected


# Metadata ----------------------------------------------------------------------------------------


def test_metadata_describes_the_environment_and_the_machine(tmp_path: Path) -> None:
    metadata = {"run_id": "r1", "agent_id": "a1", "learning_rate": 0.1, "layers": (64, 64), "w": np.arange(2)}
    env = record(gym.make("ALE/Pong-v5", obs_type="ram"), tmp_path / "run.h5", metadata=metadata)
    env.reset(seed=1)
    env.step(0)
    env.close()
    with h5r.Recording(tmp_path / "run.h5") as recording:
        found = recording.metadata
        assert (found["run_id"], found["agent_id"], found["env_name"]) == ("r1", "a1", "ALE/Pong-v5")
        assert found["layers"] == (64, 64)
        assert identical(found["user"]["w"], np.arange(2))
        assert found["versions"]["ale_py"] == ale_py.__version__.partition("+")[0]
        assert len(found["rom_md5"]) == 32
        assert (found["total_steps"], found["total_episodes"]) == (1, 1)
        assert recording.env_spec == gym.make("ALE/Pong-v5", obs_type="ram").spec
        assert recording.fps == 30.0
    with h5py.File(tmp_path / "run.h5") as file:
        for name in ("run_id", "agent_id", "env_name", "created_at", "env_spec", "versions", "platform", "user"):
            assert isinstance(file["metadata"].attrs[name], str), name


def test_a_spec_that_gymnasiums_json_would_change_comes_back(tmp_path: Path) -> None:
    made = gym.make("ALE/Breakout-v5", frameskip=(2, 5))
    env = record(made, tmp_path / "run.h5")
    env.reset()
    env.close()
    with h5r.Recording(tmp_path / "run.h5") as recording:
        assert recording.env_spec == made.spec
        assert recording.env_spec.kwargs["frameskip"] == (2, 5)


def test_metadata_without_a_json_form_is_refused_and_named(tmp_path: Path) -> None:
    with pytest.raises(errors.MetadataError, match="object at .* is of type object"):
        record(CountingEnv(), tmp_path / "run.h5", metadata={"bad": object()})


# Bad input ---------------------------------------------------------------------------------------


def test_an_existing_file_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    path.write_bytes(b"precious")
    with pytest.raises(FileExistsError, match='mode="w" to replace it, or mode="a" to append'):
        record(CountingEnv(), path)
    assert path.read_bytes() == b"precious"
    assert issubclass(errors.RecordingExistsError, errors.RecordingError)


def test_a_file_that_appears_before_the_reset_is_not_overwritten(tmp_path: Path) -> None:
    env = record(CountingEnv(), tmp_path / "run.h5")
    (tmp_path / "run.h5").write_bytes(b"precious")
    with pytest.raises(errors.RecordingExistsError):
        env.reset()
    assert [each.name for each in tmp_path.iterdir()] == ["run.h5"]
    assert (tmp_path / "run.h5").read_bytes() == b"precious"


@each_writer
def test_mode_w_replaces_any_file(writer: str, tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    path.write_bytes(b"not precious")
    for length in (3, 2):
        env = record(CountingEnv(), path, mode="w", writer=writer)
        play(env, [length])
        env.close()
        assert h5r.Recording(path).num_steps == length


@each_writer
def test_mode_a_appends(writer: str, tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    space = spaces.Dict(picture=spaces.Box(0, 255, (20, 20), np.uint8), text=spaces.Text(5))
    played = []
    for run in range(4):
        env = record(ZooEnv(space, rewards=(1.0, 0.5), seed=run), path, mode="a", writer=writer)
        played += play(env, [9, 3 + run])
        env.close()
    check_recorded(h5r.Recording(path), played)


@pytest.mark.parametrize(
    ("as_arrays", "writer"),
    [(False, "process"), (False, "inline"), (True, "inline")],
    ids=["stacks-process", "stacks-inline", "arrays-inline"],
)
def test_stacks_are_appended_as_the_recording_has_them(
    as_arrays: bool, writer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.h5"
    with monkeypatch.context() as patch:
        if as_arrays:
            patch.setattr(column_planning, "plan_stacks", lambda node, first, second: node)
        episodes = record_stacks(path, (*START, *["slide"] * 9), writer=writer)
    for orders in ((*START, "slide", "end jump", "slide"), ("reset jump", "jump", "text", "slide", "slide")):
        episodes += record_stacks(path, orders, writer=writer, mode="a")
    check_stacks(path, episodes)
    assert [each.code for each in h5r.validate(path, deep=True)] == ["out-of-space"]
    with h5py.File(path) as file:
        assert isinstance(file["observations"], h5py.Dataset) == as_arrays


def test_appending_other_spaces_is_refused_and_the_difference_named(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    env = record(ZooEnv(spaces.Discrete(3)), path)
    play(env, [3])
    env.close()
    before = path.read_bytes()
    other = record(ZooEnv(spaces.Discrete(4)), path, mode="a")
    with pytest.raises(
        errors.SchemaMismatchError, match=r"its observation_space is Discrete\(3\), .* is Discrete\(4\)"
    ):
        other.reset()
    other.close()
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["run.h5"]


def test_appending_to_a_newer_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    env = record(CountingEnv(), path)
    play(env, [3])
    env.close()
    with h5py.File(path, "r+") as file:
        file.attrs["format_version"] = 99
    env = record(CountingEnv(), path, mode="a")
    with pytest.raises(errors.FormatVersionError, match="format_version .*99.*pip install --upgrade"):
        env.reset()
    with pytest.raises(errors.FormatVersionError):
        h5r.Recording(path)


def test_appending_to_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    with h5py.File(path, "w") as file:
        file["data"] = 1
    env = record(CountingEnv(), path, mode="a")
    with pytest.raises(errors.NotARecordingError, match="is an HDF5 file but not a recording"):
        env.reset()
    env.close()
    path.write_bytes(b"no hdf5")
    env = record(CountingEnv(), path, mode="a")
    with pytest.raises(errors.NotARecordingError, match="is not an HDF5 file"):
        env.reset()
    assert path.read_bytes() == b"no hdf5"


BAD_OPTIONS = {
    "mode": ({"mode": "r"}, errors.OptionError, "mode: expected one of 'x', 'w', 'a', got 'r'"),
    "writer": ({"writer": "thread"}, errors.OptionError, "writer: expected one of"),
    "compression": ({"compression": "rar"}, errors.OptionError, "compression: expected one of 'gzip', 'zstd'"),
    "level": (
        {"compression_opts": 12},
        errors.OptionError,
        "gzip: compression_opts must be a whole number from 0 to 9",
    ),
    "frames": ({"frames": "all"}, errors.OptionError, "frames: expected one of 'auto'"),
    "frames true": ({"frames": True}, errors.OptionError, "frames: expected one of 'auto'"),
    "no render mode": ({"frames": "render"}, errors.RenderModeError, 'Make it with render_mode="rgb_array"'),
    "no picture": ({"frames": "observation"}, errors.OptionError, "needs observations that are pictures"),
    "interval": ({"flush_interval_s": 0}, errors.OptionError, "flush_interval_s: expected a positive number"),
}


@pytest.mark.parametrize(("options", "error", "message"), BAD_OPTIONS.values(), ids=BAD_OPTIONS)
def test_bad_options_are_refused_before_anything_is_made(
    options: dict[str, Any], error: type[Exception], message: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message) as caught:
        record(CountingEnv(), tmp_path / "run.h5", **options)
    assert isinstance(caught.value, ValueError)
    assert not list(tmp_path.iterdir())


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"the directory .*nowhere does not exist"):
        record(CountingEnv(), tmp_path / "nowhere" / "run.h5")


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(errors.RecordingPathError, match="no permission to write in"):
        record(CountingEnv(), tmp_path / "run.h5")


def test_a_space_that_cannot_be_stored_is_refused_at_construction(tmp_path: Path) -> None:
    space = spaces.Dict(a=spaces.Tuple((spaces.Dict({object: spaces.Discrete(2)}),)))
    with pytest.raises(errors.UnsupportedSpaceError, match="cannot store a Dict space with the key <class 'object'>"):
        record(ZooEnv(space, spaces.Discrete(2)), tmp_path / "run.h5")


@each_writer
def test_spaces_of_other_packages_are_recorded(writer: str, tmp_path: Path) -> None:
    space = spaces.Dict(a=spaces.Tuple((Unicode(), Anything())), b=spaces.Sequence(Unicode(), stack=True))
    env = record(ZooEnv(space, Unicode(), rewards=(1.0,)), tmp_path / "run.h5", writer=writer)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordingWarning)  # of values that are not like the first one
        episodes = play(env, [9, 4])
    env.close()
    with h5r.Recording(tmp_path / "run.h5") as recording:
        check_recorded(recording, episodes)


def test_a_vector_env_is_refused_with_the_way_out(tmp_path: Path) -> None:
    envs = gym.make_vec("CartPole-v1", num_envs=2, vectorization_mode="sync")
    with pytest.raises(errors.UnsupportedEnvError, match="with gym_h5record.vector.RecordToHDF5"):
        h5r.RecordToHDF5(envs, tmp_path / "run.h5")  # type: ignore[arg-type]


def test_steps_before_the_first_reset_are_the_environments_affair_and_warned_of_once(tmp_path: Path) -> None:
    env = record(CountingEnv(), tmp_path / "run.h5")
    with pytest.warns(RecordingWarning, match=r"step\(\) was called before the first reset\(\)") as caught:
        results = [env.step(np.zeros(2, np.float32)) for _ in range(2)]
    assert len(caught) == 1
    assert [result[1] for result in results] == [1.0, 2.0]
    assert not [*tmp_path.iterdir()]
    play(env, [3])
    env.close()
    assert h5r.Recording(tmp_path / "run.h5").lengths.tolist() == [3]


def test_a_step_before_the_first_reset_raises_what_the_environment_raises(tmp_path: Path) -> None:
    env = record(gym.make("CartPole-v1"), tmp_path / "run.h5")
    with (
        pytest.raises(gym.error.ResetNeeded, match="^Cannot call env.step"),
        pytest.warns(RecordingWarning, match="before the first reset"),
    ):
        env.step(0)
    env.close()


def test_a_missing_codec_names_the_command_that_installs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(ImportError, match=r'pip install "gym_h5record\[codecs\]"'):
        record(CountingEnv(), tmp_path / "run.h5", compression="zstd")


@each_writer
def test_a_second_recorder_on_the_same_path_is_refused_at_construction(writer: str, tmp_path: Path) -> None:
    first = record(CountingEnv(), tmp_path / "run.h5", writer=writer)
    (tmp_path / "link").symlink_to(tmp_path)
    for begin in (lambda: None, first.reset):
        begin()  # also before there is a file
        for mode in ("x", "w", "a"):
            for path in (tmp_path / "run.h5", tmp_path / "link" / "run.h5"):
                with pytest.raises(errors.RecordingError, match=r"belongs to another recorder|mode is \"x\"") as raised:
                    record(CountingEnv(), path, writer=writer, mode=mode)
                assert isinstance(raised.value, (errors.RecordingInUseError, errors.RecordingExistsError))
    first.step(np.zeros(2, np.float32))
    first.close()
    assert h5r.Recording(tmp_path / "run.h5").num_steps == 1
    record(CountingEnv(), tmp_path / "run.h5", writer=writer, mode="a").close()


# Life --------------------------------------------------------------------------------------------


def test_the_stepping_process_never_imports_h5py_until_the_recording_is_read(tmp_path: Path) -> None:
    code = """
        import sys, gymnasium as gym, gym_h5record as h5r
        env = h5r.RecordToHDF5(gym.make("CartPole-v1"), sys.argv[1])
        env.reset(seed=1)
        for _ in range(5):
            env.step(0)
        env.flush()
        env.close()
        print("h5py" in sys.modules)
        print(h5r.Recording(sys.argv[1]).num_steps, "h5py" in sys.modules)
    """
    assert run_script(code, tmp_path / "run.h5").stdout.split() == ["False", "5", "True"]


@each_writer
def test_an_exception_in_step_propagates_and_leaves_a_readable_file(writer: str, tmp_path: Path) -> None:
    class Breaks(CountingEnv):
        def step(self, action: Any) -> Any:
            if self.steps == 3:
                raise ZeroDivisionError("the simulator broke")
            return super().step(action)

    env = record(Breaks(), tmp_path / "run.h5", writer=writer)
    env.reset()
    for _ in range(3):
        env.step(np.zeros(2, np.float32))
    with pytest.raises(ZeroDivisionError, match="^the simulator broke$"):
        env.step(np.ones(2, np.float32))
    env.reset()  # and goes on
    env.step(np.zeros(2, np.float32))
    env.close()
    episodes = h5r.Recording(tmp_path / "run.h5").episodes
    assert [(each.length, each.complete) for each in episodes] == [(3, False), (1, False)]


@each_writer
def test_only_the_recording_is_left_after_close(writer: str, tmp_path: Path) -> None:
    env = record(CountingEnv(), tmp_path / "run.h5", writer=writer)
    play(env, [5])
    env.close()
    env.close()
    assert [each.name for each in tmp_path.iterdir()] == ["run.h5"]


def test_after_close_the_environment_goes_on_unrecorded(tmp_path: Path) -> None:
    env = record(CountingEnv(), tmp_path / "run.h5")
    play(env, [5])
    env.close()
    with pytest.warns(RecordingWarning, match="the recorder has been closed: the episodes from here on") as caught:
        for _ in range(2):
            env.reset()
            env.step(np.zeros(2, np.float32))
    assert len(caught) == 1
    env.close()
    assert h5r.Recording(tmp_path / "run.h5").num_steps == 5


@each_writer
def test_flush_commits_every_step_so_far(writer: str, tmp_path: Path) -> None:
    env = record(CountingEnv(length=100), tmp_path / "run.h5", writer=writer, flush_interval_s=1000)
    env.reset()
    for steps in range(1, 30):
        env.step(np.zeros(2, np.float32))
        env.flush()
        code = "import h5py, sys; print(h5py.File(sys.argv[1], 'r', swmr=True)['commit'][0])"
        if steps % 10 == 0:
            found = subprocess.run(
                [sys.executable, "-c", code, tmp_path / "run.h5"], capture_output=True, text=True, check=True
            )
            assert int(found.stdout) == steps + 1
    env.close()


def test_a_wrapper_dropped_without_close_completes_its_file(tmp_path: Path) -> None:
    env = record(CountingEnv(), tmp_path / "run.h5")
    play(env, [5, 2])
    del env
    gc.collect()
    assert [each.length for each in h5r.Recording(tmp_path / "run.h5").episodes] == [5, 2]


def test_a_reset_whose_recording_raised_ends_the_episode_before_it(tmp_path: Path) -> None:
    inner = CountingEnv(length=9, render_mode="rgb_array")
    env = record(inner, tmp_path / "run.h5", writer="inline")
    env.reset()
    for _ in range(3):
        env.step(np.zeros(2, np.float32))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inner, "render", lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            env.reset()
    for _ in range(2):
        env.step(np.zeros(2, np.float32))  # of no episode that is recorded
    env.reset()
    env.step(np.zeros(2, np.float32))
    env.close()
    with h5r.Recording(tmp_path / "run.h5") as recording:
        assert [[row[0] for row in each.observations] for each in recording.episodes] == [[0, 1, 2, 3], [0, 1]]


def test_a_copy_does_not_record(tmp_path: Path) -> None:
    env = record(CountingEnv(), tmp_path / "run.h5")
    env.reset()
    env.step(np.zeros(2, np.float32))
    for twin in (copy.deepcopy(env), pickle.loads(pickle.dumps(env))):
        twin.reset()
        twin.step(np.zeros(2, np.float32))
        twin.close()
    env.step(np.zeros(2, np.float32))
    env.close()
    assert h5r.Recording(tmp_path / "run.h5").num_steps == 2


def test_the_spec_rebuilds_the_wrapper(tmp_path: Path) -> None:
    env = h5r.RecordToHDF5(gym.make("CartPole-v1"), str(tmp_path / "run.h5"), infos=False, mode="w")
    spec = env.spec
    assert spec is not None
    env.close()
    again = gym.make(spec)
    assert isinstance(again, h5r.RecordToHDF5)
    again.close()


def test_an_environment_made_from_the_spec_never_replaces_the_recording(tmp_path: Path) -> None:
    """Mode "w" is said of this recording, not of those that are made from its spec."""
    env = record(gym.make("CartPole-v1"), tmp_path / "run.h5", mode="w")
    spec = env.spec
    assert spec is not None
    assert spec.additional_wrappers[-1].kwargs["mode"] == "x"  # type: ignore[index]
    with pytest.raises(errors.RecordingInUseError, match="every environment needs a path of its own"):
        gym.make(spec)
    play(env, [3])
    env.close()
    with pytest.raises(errors.RecordingExistsError):
        gym.make(spec)
    assert h5r.Recording(tmp_path / "run.h5").num_steps == 3


def test_the_environments_metadata_is_not_changed(tmp_path: Path) -> None:
    inner = gym.make("CartPole-v1")
    env = record(inner, tmp_path / "run.h5")
    assert env.metadata == inner.metadata
    assert env.metadata["render_fps"] == 50
    env.close()


def test_an_interrupt_while_a_row_is_written_ends_the_episode_instead_of_leaving_a_gap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = record(CountingEnv(length=9), tmp_path / "run.h5")
    env.reset()
    env.step(np.zeros(2, np.float32))
    env.step(np.zeros(2, np.float32))
    with monkeypatch.context() as patch:
        patch.setattr(env._recorder.rows, "put_step", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            env.step(np.zeros(2, np.float32))
    env.step(np.zeros(2, np.float32))  # the recording has missed one, so it goes on at the next reset
    play(env, [9])
    env.close()
    assert [each.length for each in h5r.Recording(tmp_path / "run.h5").episodes] == [2, 9]


def test_options_and_first_infos_without_an_exact_form_are_named(tmp_path: Path) -> None:
    env = record(ZooEnv(spaces.Discrete(2), rewards=(1.0,), infos=lambda _: {"f": print}), tmp_path / "run.h5")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        env.reset(options={"callback": print})
        env.step(0)
    assert "builtin_function_or_method in an info or in reset options" in str(caught[0].message)
    env.close()
    episode = h5r.Recording(tmp_path / "run.h5").episodes[0]
    assert episode.options == {"callback": "<built-in function print>"}
    assert episode.infos is not None
    assert episode.infos[0] == episode.infos[1] == {"f": "<built-in function print>"}
