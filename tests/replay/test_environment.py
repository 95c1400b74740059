"""Replay: the identical stream, in the shape of a well-behaved environment."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import ale_py
import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env

import gym_h5record as h5r
from gym_h5record import errors
from gym_h5record.errors import RecordingWarning
from gym_h5record.replay.environment import INCOMPLETE_KEY
from gym_h5record.values.exact import identical
from tests.paintings import FRAMES, every_kind_of_frames, expected_frame, record_paintings
from tests.stacking import START, StackingEnv, record_stacks
from tests.zoo import Played, ZooEnv, play, some_spaces

gym.register_envs(ale_py)


def check_replayed(env: gym.Env[Any, Any], episodes: list[Played]) -> None:
    """Fail unless stepping ``env`` with the recorded actions gives what was played."""
    for played in episodes:
        observation, info = env.reset()
        assert identical(observation, played.observations[0])
        assert identical(info, played.infos[0])
        for step, action in enumerate(played.actions):
            observation, reward, terminated, truncated, info = env.step(action)
            assert identical(observation, played.observations[step + 1])
            assert identical(reward, played.rewards[step])
            assert identical(terminated, played.terminations[step])
            if step == len(played.actions) - 1 and not played.complete:
                assert truncated is True
                assert info.pop(INCOMPLETE_KEY) is True
            else:
                assert identical(truncated, played.truncations[step])
            assert identical(info, played.infos[step + 1])


@pytest.mark.sampled(5)
@some_spaces
def test_replay_gives_the_stream_that_recording_saw(space: gym.Space[Any], tmp_path: Path) -> None:
    env = h5r.RecordToHDF5(ZooEnv(space), tmp_path / "run.h5", writer="inline")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordingWarning)  # one reward in the zoo fits no column
        played = play(env, [20, 4, 20])
        env.close()
    replay = h5r.ReplayFromHDF5(tmp_path / "run.h5", on_mismatch="raise")
    check_replayed(replay, played)
    check_replayed(replay, played[:1])  # and begins again
    replay.close()


def test_stacks_are_replayed_as_arrays_of_their_own(tmp_path: Path) -> None:
    orders = (*START, *["slide"] * 9, "jump", "shape", "slide", "end slide", "reset jump", "slide", "end slide")
    episodes = record_stacks(tmp_path / "run.h5", orders, StackingEnv(nest="both"), writer="inline")
    replay = h5r.ReplayFromHDF5(tmp_path / "run.h5")
    for _ in range(2):
        for expected in episodes:
            found = [replay.reset()[0]]
            found += [replay.step(0)[0] for _ in expected[1:]]
            assert identical(found, expected)
            for each in found:
                if type(each["stack"]) is np.ndarray:
                    each["stack"][:] = 77  # the replay has its own
    replay.close()


@pytest.mark.parametrize("env_id", ["ALE/Breakout-v5", "CartPole-v1"])
def test_frames_are_replayed_as_they_were_rendered(env_id: str, tmp_path: Path) -> None:
    inner = gym.make(env_id, render_mode="rgb_array")
    env = h5r.RecordToHDF5(inner, tmp_path / "run.h5", writer="inline")
    env.action_space.seed(0)
    env.reset(seed=1)
    rendered, actions = [inner.render()], []
    for _ in range(8):
        actions.append(env.action_space.sample())
        env.step(actions[-1])
        rendered.append(inner.render())
    env.close()
    replay = h5r.ReplayFromHDF5(tmp_path / "run.h5")
    replay.reset()
    assert identical(replay.render(), np.asarray(rendered[0]))
    for action, frame in zip(actions, rendered[1:], strict=True):
        replay.step(action)
        assert identical(replay.render(), np.asarray(frame))
    replay.close()


@every_kind_of_frames
def test_frames_of_every_kind_are_rendered_as_they_were(kind: str, tmp_path: Path) -> None:
    path = record_paintings(tmp_path / "run.h5", (3,), **FRAMES[kind])
    mode = "cameras" if kind == "cameras" else kind.removesuffix("_list")
    for render_mode in (None, mode):
        replay = h5r.ReplayFromHDF5(path, render_mode=render_mode)
        assert (replay.render_mode, replay.metadata["render_modes"]) == (mode, [mode])
        replay.reset()
        assert identical(replay.render(), expected_frame(kind, 0))
        for step in range(1, 4):
            replay.step(0)
            assert identical(replay.render(), expected_frame(kind, step))
        replay.close()
    other = "ansi" if mode != "ansi" else "rgb_array"
    with pytest.raises(errors.RenderModeError, match=f"'{other}': .* has frames of the render_mode '{mode}'"):
        h5r.ReplayFromHDF5(path, render_mode=other)


@every_kind_of_frames
def test_a_replay_of_any_frames_passes_gymnasiums_checker(kind: str, tmp_path: Path) -> None:
    path = record_paintings(tmp_path / "run.h5", (3,), **FRAMES[kind])
    env = gym.make("gym_h5record/Replay-v0", path=path)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*different from the unwrapped version")
        warnings.filterwarnings("ignore", message=".*A Box observation space m.* value is")
        check_env(env)
    env.close()


@every_kind_of_frames
def test_frames_of_any_kind_can_be_recorded_again(kind: str, tmp_path: Path) -> None:
    path = record_paintings(tmp_path / "run.h5", (3,), **FRAMES[kind])
    env = h5r.RecordToHDF5(h5r.ReplayFromHDF5(path), tmp_path / "again.h5", writer="inline")
    env.reset()
    for action in range(3):
        env.step(action)
    env.close()
    with h5r.Recording(path) as first, h5r.Recording(tmp_path / "again.h5") as second:
        assert second.schema.frame == first.schema.frame
        assert identical([*second.rows.frames], [*first.rows.frames])


@pytest.fixture
def replay(cartpole_path: Path) -> Any:
    env = h5r.ReplayFromHDF5(cartpole_path)
    yield env
    env.close()


@pytest.fixture(scope="module")
def atari_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("atari") / "run.h5"
    env = h5r.RecordToHDF5(gym.make("ALE/Breakout-v5", render_mode="rgb_array"), path)
    env.action_space.seed(0)
    for seed in range(2):
        env.reset(seed=seed)
        for _ in range(30):
            env.step(env.action_space.sample())
    env.close()
    return path


def test_it_passes_gymnasiums_checker(cartpole_path: Path, atari_path: Path) -> None:
    for path in (cartpole_path, atari_path):
        env = gym.make("gym_h5record/Replay-v0", path=path)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*different from the unwrapped version")
            warnings.filterwarnings("ignore", message=".*A Box observation space m.* value is")
            check_env(env)
            env.close()
            check_env(h5r.ReplayFromHDF5(path), skip_render_check=True)


def test_a_seeded_reset_goes_back_to_the_first_episode(replay: Any) -> None:
    first, _ = replay.reset(seed=5)
    second, _ = replay.reset()
    assert not identical(first, second)
    again, _ = replay.reset(seed=6)
    assert identical(first, again)
    assert identical(second, replay.reset()[0])


def test_options_choose_an_episode(replay: Any, cartpole_path: Path) -> None:
    with h5r.Recording(cartpole_path) as recording:
        for number in (2, 0, 1, -1):
            observation, _ = replay.reset(options={"episode": number})
            assert identical(observation, recording.episodes[number].observations[0])


def test_only_the_chosen_episodes_are_played_in_their_order(cartpole_path: Path) -> None:
    env = h5r.ReplayFromHDF5(cartpole_path, episodes=[2, 0])
    with h5r.Recording(cartpole_path) as recording:
        for number in (2, 0, 2):
            assert identical(env.reset()[0], recording.episodes[number].observations[0])
    env.close()


def test_stepping_past_the_recorded_end_says_so(replay: Any) -> None:
    replay.reset()
    done = False
    while not done:
        _, _, terminated, truncated, _ = replay.step(0)
        done = terminated or truncated
    with pytest.raises(
        errors.EndOfEpisodeError, match=r"ends after \d+ steps, step \d+ was never recorded. Call reset"
    ):
        replay.step(0)
    replay.reset()
    replay.step(0)


def test_mismatching_actions_are_ignored_warned_of_or_refused(cartpole_path: Path) -> None:
    with h5r.Recording(cartpole_path) as recording:
        recorded = recording.episodes[0].actions[0]
    for on_mismatch in ("ignore", "warn", "raise"):
        env = h5r.ReplayFromHDF5(cartpole_path, on_mismatch=on_mismatch)
        env.reset()
        env.step(int(recorded))  # the same number is no mismatch
        env.reset(seed=0)
        if on_mismatch == "warn":
            with pytest.warns(RecordingWarning, match="episode 0, step 0: the recorded action is"):
                env.step(1 - recorded)
        elif on_mismatch == "raise":
            with pytest.raises(errors.ActionMismatchError, match="episode 0, step 0: the recorded action is"):
                env.step(1 - recorded)
            env.step(recorded)  # nothing has moved
        else:
            env.step(1 - recorded)
        env.close()


def test_float_actions_are_compared_bit_for_bit(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    space = spaces.Box(-1, 1, (2,), np.float32)
    env = h5r.RecordToHDF5(ZooEnv(space, rewards=(1.0,)), path, writer="inline")
    played = play(env, [9])
    env.close()
    replay = h5r.ReplayFromHDF5(path, on_mismatch="raise")
    replay.reset()
    replay.step(played[0].actions[0])
    with pytest.raises(errors.ActionMismatchError):
        replay.step(np.nextafter(played[0].actions[1], np.float32(2)))


def test_an_incomplete_episode_ends_truncated_and_says_so(tmp_path: Path) -> None:
    env = h5r.RecordToHDF5(gym.make("CartPole-v1"), tmp_path / "run.h5", writer="inline")
    env.reset(seed=1)
    env.step(0)
    env.step(1)
    env.close()
    replay = h5r.ReplayFromHDF5(tmp_path / "run.h5")
    replay.reset()
    assert replay.step(0)[3] is False
    *_, terminated, truncated, info = replay.step(1)
    assert (terminated, truncated, info) == (False, True, {INCOMPLETE_KEY: True})


def test_returned_values_are_fresh(atari_path: Path) -> None:
    env = h5r.ReplayFromHDF5(atari_path)
    observation, _ = env.reset(seed=1)
    before = observation.copy()
    observation[:] = 7
    frame = env.render()
    assert frame is not None
    assert identical(frame, before)
    frame[:] = 9
    assert identical(env.reset(seed=1)[0], before)
    env.close()


def test_it_works_inside_wrappers(atari_path: Path) -> None:
    env: Any = gym.make("gym_h5record/Replay-v0", path=atari_path)
    env = gym.wrappers.FrameStackObservation(gym.wrappers.GrayscaleObservation(env), 3)
    observation, _ = env.reset()
    assert observation.shape == (3, 210, 160)
    assert env.step(0)[0].shape == (3, 210, 160)
    env.close()


@pytest.mark.parametrize("vector", [gym.vector.SyncVectorEnv, gym.vector.AsyncVectorEnv])
def test_it_works_inside_vector_envs(vector: Any, cartpole_path: Path) -> None:
    envs = vector([lambda: h5r.ReplayFromHDF5(cartpole_path)] * 2)
    observations, _ = envs.reset(seed=1)
    assert identical(observations[0], observations[1])
    for _ in range(100):  # through several episodes
        observations, *_ = envs.step(envs.action_space.sample())
        assert identical(observations[0], observations[1])
    envs.close()


def test_it_can_be_recorded_again(cartpole_path: Path, tmp_path: Path) -> None:
    env = h5r.RecordToHDF5(h5r.ReplayFromHDF5(cartpole_path), tmp_path / "again.h5", writer="inline")
    with h5r.Recording(cartpole_path) as recording:
        for episode in recording.episodes:
            env.reset()
            for action in episode.actions:
                env.step(action)
        env.close()
        with h5r.Recording(tmp_path / "again.h5") as again:
            assert identical(again.rows.observations[:], recording.rows.observations[:])
            assert identical(again.rows.rewards[:], recording.rows.rewards[:])


def test_bad_options_are_refused(cartpole_path: Path, tmp_path: Path) -> None:
    with pytest.raises(errors.OptionError, match="on_mismatch: expected one of 'ignore', 'warn', 'raise', got 'stop'"):
        h5r.ReplayFromHDF5(cartpole_path, on_mismatch="stop")
    with pytest.raises(errors.OptionError, match=r"has episodes 0 to 2, not \[7\]"):
        h5r.ReplayFromHDF5(cartpole_path, episodes=[0, 7])
    with pytest.raises(errors.RenderModeError, match="has none"):
        h5r.ReplayFromHDF5(cartpole_path, render_mode="rgb_array")
    with pytest.raises(errors.RecordingNotFoundError, match="there is no recording at"):
        h5r.ReplayFromHDF5(tmp_path / "nothing.h5")


def test_a_recording_without_a_step_cannot_be_replayed(tmp_path: Path) -> None:
    env = h5r.RecordToHDF5(gym.make("CartPole-v1"), tmp_path / "run.h5", writer="inline")
    env.reset()
    env.close()
    with pytest.raises(errors.ReplayError, match="has no episode with a step"):
        h5r.ReplayFromHDF5(tmp_path / "run.h5")


def test_stepping_before_reset_says_to_reset(replay: Any) -> None:
    with pytest.raises(errors.StepBeforeResetError, match="call reset"):
        replay.step(0)
