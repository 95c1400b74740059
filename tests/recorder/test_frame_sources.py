"""Frame sources: which one is chosen, and that the user's own rendering is not disturbed."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import wrappers
from gymnasium.spaces import Box, Discrete

from gym_h5record.errors import OptionError, RenderModeError
from gym_h5record.recorder.frame_sources import FRAMES_OPTIONS, choose_frame_source, observation_is_picture
from tests.zoo import SPACES_BY_ID, ZooEnv


class PictureEnv(ZooEnv):
    """Renders pictures whose pixels are the number of the call."""

    metadata = {"render_modes": ["rgb_array", "rgb_array_list", "human", "ansi"], "render_fps": 10}  # noqa: RUF012

    def __init__(self, render_mode="rgb_array", space=None, length=9):
        super().__init__(space or Box(0, 1, (2,), np.float32), Discrete(2), length=length)
        self.render_mode = render_mode
        self.num_renders = 0

    def render(self):
        self.num_renders += 1
        return np.full((4, 5, 3), self.num_renders, np.uint8)


class ListEnv(PictureEnv):
    """Collects a picture per reset and step itself; ``render`` returns each once."""

    def __init__(self):
        super().__init__("rgb_array_list")
        self.collected = []
        self.num_pictures = 0

    def _collect(self):
        self.num_pictures += 1
        self.collected.append(np.full((4, 5, 3), self.num_pictures, np.uint8))

    def reset(self, **arguments):
        self._collect()
        return super().reset(**arguments)

    def step(self, action):
        self._collect()
        return super().step(action)

    def render(self):
        collected, self.collected = self.collected, []
        return collected


def numbers(pictures):
    """The numbers of pictures of these environments."""
    return [int(picture[0, 0, 0]) for picture in pictures]


def make_atari(**arguments):
    ale_py = pytest.importorskip("ale_py")
    gym.register_envs(ale_py)
    return gym.make("ALE/Breakout-v5", **arguments)


# Choosing -----------------------------------------------------------------------------------------


def test_options_are_these():
    assert FRAMES_OPTIONS == ("auto", "render", "observation", False)


@pytest.mark.parametrize("mode", [None, "rgb_array", "human", "ansi"])
def test_false_stores_nothing_and_renders_nothing(mode):
    env = PictureEnv(mode)
    source = choose_frame_source(env, frames=False)
    assert source.kind == "none"
    assert source.capture() is None
    assert env.num_renders == 0


@pytest.mark.parametrize("frames", ["auto", "render"])
def test_rgb_array_is_rendered_once_per_capture(frames):
    env = PictureEnv()
    source = choose_frame_source(env, frames)
    assert source.kind == "render"
    assert env.num_renders == 0
    assert numbers([source.capture(), source.capture()]) == [1, 2]


@pytest.mark.parametrize("mode", [None, "human", "ansi", "depth_array"])
def test_auto_stores_nothing_where_no_picture_is_rendered(mode):
    env = PictureEnv(mode)
    source = choose_frame_source(env, "auto")
    assert source.kind == "none"
    assert source.capture() is None
    assert env.num_renders == 0


@pytest.mark.parametrize("mode", [None, "human", "ansi"])
def test_render_demands_an_environment_that_renders_pictures(mode):
    with pytest.raises(RenderModeError, match=rf"its render_mode is {mode!r}.*render_mode=\"rgb_array\""):
        choose_frame_source(PictureEnv(mode), "render")


def test_observation_takes_observations_that_are_pictures():
    env = PictureEnv(space=SPACES_BY_ID["Box-picture"])
    source = choose_frame_source(env, "observation")
    assert source.kind == "observation"
    assert source.capture() is None
    assert env.num_renders == 0


@pytest.mark.parametrize(
    "space",
    [
        Box(0, 1, (4, 5, 3), np.float32),
        Box(0, 255, (4, 5), np.uint8),
        Box(0, 255, (4, 5, 4), np.uint8),
        Box(0, 255, (2, 4, 5, 3), np.uint8),
        SPACES_BY_ID["Dict"],
    ],
    ids=["float", "grey", "alpha", "stack", "Dict"],
)
def test_observation_demands_observations_that_are_pictures(space):
    with pytest.raises(OptionError, match='frames="observation" needs observations that are pictures'):
        choose_frame_source(PictureEnv(space=space), "observation")


@pytest.mark.parametrize("frames", [True, 1, 0, None, "Auto", "rgb_array", 0.0], ids=repr)
def test_unknown_option_is_an_error_that_lists_the_known_ones(frames):
    with pytest.raises(OptionError, match="frames: expected one of 'auto', 'render', 'observation', False, got"):
        choose_frame_source(PictureEnv(), frames)


def test_picture_space_alone_proves_nothing():
    env = PictureEnv(space=SPACES_BY_ID["Box-picture"])
    assert not observation_is_picture(env)
    assert choose_frame_source(env, "auto").kind == "render"


# The user's own rendering -------------------------------------------------------------------------


@pytest.mark.parametrize("frames", ["auto", "render", False])
def test_user_renders_as_ever(frames):
    env = PictureEnv()
    source = choose_frame_source(env, frames)
    source.capture()
    captured = env.num_renders
    assert numbers([source.render()]) == [captured + 1]


def test_frames_of_a_render_collection_are_looked_at_not_taken():
    env = wrappers.RenderCollection(PictureEnv())
    source = choose_frame_source(env, "auto")
    assert source.kind == "render"
    env.reset(seed=0)
    captured = [source.capture()]
    for _ in range(3):
        env.step(0)
        captured.append(source.capture())
    assert numbers(captured) == [1, 2, 3, 4]
    assert numbers(source.render()) == [1, 2, 3, 4]
    assert source.render() == []
    env.step(0)
    assert numbers([source.capture()]) == [5]
    assert numbers(source.render()) == [5]


def test_render_collection_is_found_under_other_wrappers():
    env = wrappers.TimeLimit(wrappers.OrderEnforcing(wrappers.RenderCollection(PictureEnv())), 10)
    source = choose_frame_source(env, "auto")
    env.reset(seed=0)
    assert numbers([source.capture()]) == [1]
    assert numbers(source.render()) == [1]


def test_list_mode_of_the_environment_is_shared_with_the_user():
    env = ListEnv()
    source = choose_frame_source(env, "auto")
    assert source.kind == "render"
    env.reset(seed=0)
    captured = [source.capture()]
    for _ in range(2):
        env.step(0)
        captured.append(source.capture())
    assert numbers(captured) == [1, 2, 3]
    assert numbers(source.render()) == [1, 2, 3]
    assert source.render() == []
    env.step(0)
    assert numbers(source.render()) == [4]


# ALE ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [None, "rgb_array"])
def test_atari_shows_its_picture_as_observation(mode):
    env = make_atari(render_mode=mode)
    assert observation_is_picture(env)
    assert choose_frame_source(env, "auto").kind == "observation"
    assert choose_frame_source(env, "observation").kind == "observation"
    env.close()


def test_atari_observations_are_the_rendered_picture_bit_for_bit():
    env = make_atari(render_mode="rgb_array")
    observation, _ = env.reset(seed=0)
    np.testing.assert_array_equal(observation, env.render())
    for action in (1, 2, 3, 0, 2):
        observation, *_ = env.step(action)
        np.testing.assert_array_equal(observation, env.render())
    env.close()


@pytest.mark.parametrize("obs_type", ["grayscale", "ram"])
def test_atari_with_other_observations_is_rendered(obs_type):
    env = make_atari(obs_type=obs_type, render_mode="rgb_array")
    assert not observation_is_picture(env)
    assert choose_frame_source(env, "auto").kind == "render"
    env.close()


@pytest.mark.parametrize(
    "wrap",
    [
        lambda env: wrappers.TimeLimit(env, 10),
        wrappers.RecordEpisodeStatistics,
        lambda env: wrappers.ClipReward(env, -1, 1),
        lambda env: wrappers.StickyAction(wrappers.TransformReward(env, abs), 0.5),
    ],
    ids=["TimeLimit", "RecordEpisodeStatistics", "ClipReward", "two"],
)
def test_wrappers_that_leave_the_picture_alone_change_nothing(wrap):
    env = wrap(make_atari(render_mode="rgb_array"))
    assert observation_is_picture(env)
    env.close()


class Darker(gym.ObservationWrapper):
    def observation(self, observation):
        return observation // 2


class ClipReward(Darker):
    """Changes the picture, but has the name of a wrapper that does not."""


class DarkerTimeLimit(wrappers.TimeLimit):
    def step(self, action):
        observation, *rest = super().step(action)
        return observation // 2, *rest


@pytest.mark.parametrize(
    "wrap",
    [
        Darker,
        ClipReward,
        lambda env: DarkerTimeLimit(env, 10),
        lambda env: wrappers.TransformObservation(env, lambda observation: observation // 2, env.observation_space),
        lambda env: wrappers.TimeLimit(Darker(env), 10),
        lambda env: wrappers.AddWhiteNoise(env, probability_of_noise_per_pixel=0.5),
        lambda env: wrappers.MaxAndSkipObservation(env, skip=2),
        lambda env: wrappers.DelayObservation(env, delay=2),
        lambda env: wrappers.Autoreset(env),
    ],
    ids=["custom", "same-name", "subclass", "transform", "below", "noise-in-render", "max", "delay", "unknown"],
)
def test_wrappers_that_may_change_the_picture_prevent_sharing_it(wrap):
    env = wrap(make_atari(render_mode="rgb_array"))
    assert not observation_is_picture(env)
    assert choose_frame_source(env, "auto").kind == "render"
    env.close()


def test_choosing_does_not_disturb_the_environment():
    env = make_atari(render_mode="rgb_array")
    env.reset(seed=3)
    before = env.unwrapped._np_random.bit_generator.state
    state = env.unwrapped.ale.cloneState(include_rng=True)
    choose_frame_source(env, "auto")
    assert env.unwrapped._np_random.bit_generator.state == before
    assert env.unwrapped.ale.cloneState(include_rng=True) == state
    env.close()
